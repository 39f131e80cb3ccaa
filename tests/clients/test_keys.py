"""Keys: an object read by Google's Tink and a second implementation of the wrapping, rotation that goes on after a restart, and
the end of a key by two people."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import subprocess
import time

import pytest

import harness
import people
from test_key_services import TEXT, get, place, put

pytestmark = pytest.mark.strongroom_only

PREFIX = "/api/strongroom/v1/keys"


def cli(server, *words: str, check: bool = True) -> dict:
    done = server.cli("keys", *words, "--json", "--token-file", str(server.token_file), check=check)
    return json.loads(done.stdout.strip().splitlines()[0])


def joined(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def unwrap(by: bytes, wrapped: bytes, aad: bytes) -> bytes:
    """docs/src/concepts/keys.md, `One key wrapped by another`, written from there."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    assert wrapped[0] == 1
    salt, body = wrapped[1:33], wrapped[33:]
    made = HKDF(algorithm=SHA256(), length=44, salt=salt, info=joined(b"strongroom/wrap/1", aad)).derive(by)
    return AESGCM(made[:32]).decrypt(made[32:], body, aad)


def test_tink_reads_an_object_with_the_root_key_alone(tmp_path):
    """From root key to bytes without a line of the server's: `cryptography` unwraps, Google's `tink` decrypts."""
    pytest.importorskip("tink", reason="needs tink")
    import tink_objects
    from tink import TinkError, streaming_aead

    streaming_aead.register()
    with place("", {}) as server:
        server.init()
        server.start()
        # More than three segments of 64 KiB.
        text = TEXT * 100
        path = put(server)
        assert server.session().put(server.url + path, data=text).status_code == 200
        cli(server, "rotate")
        server.stop()
        root = {}
        for line in (server.data / "keys" / "root.key").read_text().splitlines()[1:]:
            version, key = line.split(" ")
            root[int(version)] = bytes.fromhex(key)
        copy = tmp_path / "copy.db"
        for ending in ("", "-wal"):
            file = server.data / "db" / f"strongroom.db{ending}"
            if file.exists():
                shutil.copy(file, f"{copy}{ending}")
        database = sqlite3.connect(copy)
        found = database.execute(
            "SELECT object_id, p.workspace, p.size_bytes, p.sha256, wrapped_key, key_version FROM artifact_part p"
            " JOIN artifact a ON a.id = p.artifact_id WHERE a.path LIKE '%note.txt'"
        ).fetchall()
        assert len(found) == 1
        identity, workspace, size, digest, wrapped, version = found[0]
        assert version == 2 and digest == hashlib.sha256(text).digest()
        row = database.execute(
            "SELECT wrapped, root_version FROM vault_key WHERE purpose = 'workspace' AND name = ? AND version = ?",
            (workspace, version),
        ).fetchone()
        number = version.to_bytes(8, "big")
        by = unwrap(root[row[1]], row[0], joined(b"strongroom/key/1", b"workspace", workspace.encode(), number))
        where = joined(identity.encode(), size.to_bytes(8, "big"), digest)
        key = unwrap(by, wrapped, joined(b"strongroom/object-key/1", workspace.encode(), number, where))
        sealed = (server.data / "objects" / "stored" / identity[:2] / identity).read_bytes()
        aad = joined(b"strongroom/object/1", workspace.encode(), identity.encode())
        assert tink_objects.open_sealed(key, aad, sealed) == text
        assert text[:64] not in sealed
        broken = bytearray(sealed)
        broken[70_000] ^= 1
        for other_aad, other in ((aad + b"x", sealed), (aad, bytes(broken)), (aad, sealed[: 64 * 1024])):
            with pytest.raises(TinkError):
                tink_objects.open_sealed(key, other_aad, other)


def test_status_verify_and_a_rewrap_that_goes_on_after_a_restart():
    with harness.running() as server:
        path = put(server)
        session = server.session()
        # As the command does, but for its second half.
        assert session.post(f"{server.url}{PREFIX}/rotate").json()["key_version"] == 2
        workspace = cli(server, "status")["workspaces"][0]
        assert [version["object_count"] for version in workspace["versions"]] == [1, 0], workspace
        server.kill()
        server.start()

        def counts() -> list[int]:
            return [version["object_count"] for version in cli(server, "status")["workspaces"][0]["versions"]]

        harness.wait_until(lambda: counts() == [0, 1], 60, "the job wraps the rest")
        assert get(server, path).content == TEXT
        status = cli(server, "status")
        root = status["root"]
        assert (root["service"], root["reachable"], root["rotates_online"], root["overdue"]) == ("file", True, False, False)
        assert root["next_rotation_at"] and status["workspaces"][0]["next_rotation_at"]
        verified = cli(server, "verify", "--all")
        assert verified["ok"] and verified["object_count"] >= 1 and verified["searched_bytes"] > 0, verified
        refused = server.cli("keys", "rotate", "--root", "--token-file", str(server.token_file), check=False)
        assert refused.returncode == 1 and "rotate-root" in refused.stderr, refused
        # The bar is on the standard error, so that the answer can be read by a script.
        rotated = server.cli("keys", "rotate", "--json", "--token-file", str(server.token_file))
        assert json.loads(rotated.stdout)["rewrapped_count"] >= 1 and "100 %" in rotated.stderr, rotated
        health = server.session().get(f"{server.url}/api/strongroom/v1/health").json()
        assert health["warnings"] == [], health


def test_a_rotation_that_is_killed_loses_nothing():
    """kill -9 at a moment of its own in each round, in the middle of rotations; whatever is there afterwards opens."""
    moments = random.Random(20_261_126)
    with harness.running() as server:
        paths = [put(server) for _ in range(20)]
        for _ in range(4):
            command = server.command("keys", "rotate", "--token-file", str(server.token_file))
            rotating = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(moments.uniform(0.05, 0.6))
            server.kill()
            rotating.wait(60)
            server.start()
            assert all(get(server, path).content == TEXT for path in paths)
        harness.wait_until(
            lambda: not any(version["object_count"] for version in cli(server, "status")["workspaces"][0]["versions"][:-1]),
            60,
            "the job wraps the rest",
        )
        verified = cli(server, "verify", "--all")
        assert verified["ok"] and verified["object_count"] >= len(paths), verified
        assert all(get(server, path).content == TEXT for path in paths)


def test_a_root_key_that_is_overdue_is_warned_of(tmp_path):
    with place("[vault]\nrotate_root_key_days = 30\n", {}) as server:
        server.init()
        old = sqlite3.connect(server.data / "db" / "strongroom.db")
        with old:
            assert old.execute("UPDATE vault_root_key SET since_at = 1").rowcount == 1
        old.close()
        server.start()
        assert cli(server, "status")["root"]["overdue"]

        def warned() -> bool:
            health = server.session().get(f"{server.url}/api/strongroom/v1/health").json()
            return any("by hand" in warning for warning in health["warnings"])

        harness.wait_until(warned, 60, "health warns")


def test_a_key_is_destroyed_by_two_people():
    with place("", {}) as server:
        server.init()
        server.start()
        path = put(server)
        wish = {"reason": "the contract ended"}
        alice = people.person(server, "key_custodian", on="server").session()
        bob = people.person(server, "key_custodian", on="server").session()
        nobody = people.person(server, "owner").session()
        url = f"{server.url}{PREFIX}/destroy"
        assert nobody.post(url, json=wish).status_code in (403, 404)
        assert alice.post(url, json={"reason": " "}).status_code == 400
        request = alice.post(url, json=wish).json()
        which = {"request": request["request"]}
        refused = alice.post(f"{url}/approve", json=which)
        assert refused.status_code == 403 and "another person" in refused.json()["message"], refused.text
        assert bob.post(f"{url}/cancel", json=which).json()["state"] == "cancelled"
        assert bob.post(f"{url}/approve", json=which).status_code == 409
        which = {"request": alice.post(url, json=wish).json()["request"]}
        approved = bob.post(f"{url}/approve", json=which).json()
        assert approved["state"] == "approved" and approved["due_at"] > approved["approved_at"]
        assert alice.get(f"{server.url}{PREFIX}").json()["open_request_count"] == 1
        assert [one["state"] for one in cli(server, "destroy", "list")] == ["approved", "cancelled"]
        assert [one["state"] for one in cli(server, "destroy", "list", "--server")] == ["approved", "cancelled"]
        # Who keeps the keys of one workspace sees what is asked for there, and nothing of others.
        own = people.person(server, "key_custodian").session()
        assert [one["request"] for one in own.get(url).json()["requests"]][0] == which["request"]
        assert own.get(f"{url}/server").status_code in (403, 404) and nobody.get(url).status_code in (403, 404)
        elsewhere = people.new_workspace(server)
        far = people.person(server, "key_custodian", workspace=elsewhere).session()
        far.headers["X-MLFLOW-WORKSPACE"] = elsewhere
        assert far.get(url).json()["requests"] == []
        assert get(server, path).content == TEXT
        server.stop()
        # Seven days pass.
        database = sqlite3.connect(server.data / "db" / "strongroom.db")
        with database:
            assert database.execute("UPDATE vault_key_destroy SET due_at = 1 WHERE state = 'approved'").rowcount == 1
        database.close()
        server.start()
        harness.wait_until(lambda: get(server, path).status_code == 410, 60, "the key is gone")
        gone = get(server, path)
        assert "was destroyed on" in gone.json()["message"], gone.text
        run = path.split("/")[6]
        again = server.session().put(server.url + path.replace("note", "new"), data=b"x")
        assert again.status_code == 410 and run, again.text
        status = cli(server, "status")
        assert len(status["destroyed"]) == 1 and not status["workspaces"], status
        verified = cli(server, "verify", "--all")
        assert verified["ok"] and verified["destroyed_count"] >= 1, verified
        found = server.cli("audit", "search", "--what", "keys.destroy_due", "--outcome", "done", "--json", "--token-file", str(server.token_file))
        assert "tombstone_sha256" in found.stdout, found.stdout
        assert "contract" not in found.stdout
        # What is not encrypted stays readable, and nothing is a fault of the server's.
        listed = server.session().post(f"{server.url}/api/2.0/mlflow/experiments/search", json={"max_results": 5})
        assert listed.status_code == 200
        server.stop()
        server.start()
        assert get(server, path).status_code == 410
        checked = server.cli("audit", "verify", check=False)
        assert checked.returncode == 0, checked
