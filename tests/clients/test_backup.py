"""Backups as an operator makes them: while the server runs, checked, restored elsewhere, tried in a drill. On SQLite and PostgreSQL."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
import tomllib

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import harness
import people

pytestmark = pytest.mark.strongroom_only

API = "/api/2.0/mlflow"


@pytest.fixture
def world(tmp_path):
    """A server of the test's own that backs up to a folder, with an experiment, runs and a file."""
    if harness.external():
        pytest.skip("needs a server of its own")
    place = tmp_path / "place"
    place.mkdir()
    with harness.running(config_text=f'[backup]\nto = "{place}"\nkeep = 5\n') as server, fresh_ones_dropped():
        server.place = place
        server.experiment = post(server, "/experiments/create", {"name": "kept"})["experiment_id"]
        server.run = new_run(server)
        upload(server, server.run, "model.bin", b"weights" * 50_000)
        yield server


def is_on_postgres():
    return os.environ.get(harness.ENGINE, "sqlite") == "postgres"


def psql(statement, database=None):
    """What PostgreSQL answers, line by line."""
    address = os.environ[harness.POSTGRES] if database is None else f"{os.environ[harness.POSTGRES].rpartition('/')[0]}/{database}"
    command = [os.environ.get("STRONGROOM_PSQL", "psql"), address, "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def databases(prefix):
    return set(psql(f"SELECT datname FROM pg_database WHERE datname LIKE '{prefix}%'"))


@contextlib.contextmanager
def fresh_ones_dropped():
    """Takes the databases away that restores made meanwhile."""
    before = databases("strongroom\\_") if is_on_postgres() else set()
    try:
        yield
    finally:
        for name in (databases("strongroom\\_") if is_on_postgres() else set()) - before:
            psql(f'DROP DATABASE "{name}" WITH (FORCE)')


def database_of(folder):
    """The address in a folder's configuration."""
    return tomllib.loads((folder / "strongroom.toml").read_text())["vault"]["database"]


def post(server, path, body, session=None):
    answer = (session or server.session()).post(f"{server.url}{API}{path}", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def new_run(server, session=None):
    return post(server, "/runs/create", {"experiment_id": server.experiment}, session)["run"]["info"]["run_id"]


def file_url(server, run, name):
    return f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{server.experiment}/{run}/artifacts/{name}"


def upload(server, run, name, content):
    answer = server.session().put(file_url(server, run, name), data=content, timeout=30)
    assert answer.status_code == 200, answer.text


def token_file(tmp_path, person):
    path = tmp_path / f"{person.name}.token"
    path.write_text(person.token)
    path.chmod(0o600)
    return str(path)


def cli(server, *words, token=None, check=True):
    return server.cli(*words, "--json", "--token-file", token or str(server.token_file), check=check)


def back_up(server):
    made = json.loads(cli(server, "backup", "run").stdout)
    assert made["state"] == "done", made
    return made


def export_key(server, tmp_path):
    path = tmp_path / "backup.key"
    cli(server, "backup", "key", "export", "--out", str(path))
    return path


def restore(server, tmp_path, key, *words, into="new", check=True, keys=None):
    """Restores into a folder beside, without a server."""
    folder = tmp_path / into
    command = [str(harness.binary()), "backup", "restore", "--from", str(server.place), "--into", str(folder)]
    command += ["--keys", str(keys or server.data / "keys"), "--backup-key", str(key), "--json", *words]
    done = harness.subprocess.run(command, capture_output=True, text=True, timeout=120)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
        return folder, json.loads(done.stdout)
    return folder, done


def serving(server, folder):
    """A server on a restored folder, which knows the tokens of the old one."""
    other = harness.Server(data=folder, token=server.token)
    other.token_file.write_text(server.token)
    other.token_file.chmod(0o600)
    other.start()
    other.experiment = server.experiment
    return other


def records(server, what):
    answer = json.loads(cli(server, "audit", "search", "--what", what, "--rows", "1000").stdout)
    return answer


def test_a_backup_is_restored_elsewhere_and_goes_on(world, tmp_path):
    made = back_up(world)
    assert made["objects"] == 1 and made["sequence"] == 1
    later = new_run(world)
    key = export_key(world, tmp_path)
    assert oct(key.stat().st_mode & 0o777) == "0o600"
    checked = json.loads(cli(world, "backup", "verify").stdout)
    assert checked["ok"] and checked["log_size"] >= checked["log_point"] > 0
    again = cli(world, "backup", "key", "export", "--out", str(tmp_path / "again.key"), check=False)
    assert again.returncode != 0 and "once" in again.stderr
    world.stop()
    folder, report = restore(world, tmp_path, key, "--emergency", "the disk died")
    assert report["objects"] == 1 and "no old folder" in report["unreplayed"]
    verified = harness.subprocess.run(
        [str(harness.binary()), "audit", "verify", "--data", str(folder), "--json"], capture_output=True, text=True, timeout=60
    )
    assert json.loads(verified.stdout)["ok"], verified.stdout
    restored = serving(world, folder)
    try:
        assert restored.session().get(file_url(restored, world.run, "model.bin"), timeout=30).content == b"weights" * 50_000
        assert restored.session().get(f"{restored.url}{API}/runs/get", params={"run_id": later}, timeout=30).status_code == 404
        assert len(records(restored, "backup.emergency")) == 1
        assert len(records(restored, "backup.restored")) == 1
        assert len(records(restored, "backup.forked")) == 1, "a head that was rolled back is never silent"
        health = json.loads(cli(restored, "health").stdout)
        told = [one for one in health if one["kind"] == "backup"]
        assert told and told[0]["state"] == "degraded" and "revoked or erased" in " ".join(told[0]["reasons"])
        new_run(restored)
        assert back_up(restored)["sequence"] == 2, "backups go on in the same place"
        assert json.loads(cli(restored, "backup", "verify").stdout)["ok"]
    finally:
        restored.stop()


def test_what_was_revoked_and_erased_since_stays_so(world, tmp_path):
    kept, revoked = people.person(world, "contributor"), people.person(world, "contributor")
    disabled = people.person(world, "contributor")
    upload(world, world.run, "erased.bin", b"about somebody")
    back_up(world)
    key = export_key(world, tmp_path)
    people.call(revoked.session(), world, "DELETE", f"/tokens/{revoked.token_id}", status=(200, 204))
    people.call(world.session(), world, "POST", f"/users/{disabled.name}/disable")
    assert world.session().delete(file_url(world, world.run, "erased.bin"), timeout=30).status_code in (200, 204)
    lost = new_run(world)
    world.stop()
    folder, report = restore(world, tmp_path, key, "--emergency", "a test", "--instead-of", str(world.data))
    assert report["lost"]["things"]["runs"] == 1 and report["lost"]["records"] > 0
    assert report["replayed"]["tokens"] == 1 and report["replayed"]["erased"] == 1
    restored = serving(world, folder)
    try:
        assert restored.session(kept.token).get(f"{restored.url}{API}/experiments/get", params={"experiment_id": world.experiment}).status_code == 200
        for person in (revoked, disabled):
            answer = restored.session(person.token).get(f"{restored.url}{API}/experiments/get", params={"experiment_id": world.experiment})
            assert answer.status_code == 401, person.name
        assert restored.session().get(file_url(restored, world.run, "erased.bin"), timeout=30).status_code == 404
        assert restored.session().get(file_url(restored, world.run, "model.bin"), timeout=30).status_code == 200
        assert restored.session().get(f"{restored.url}{API}/runs/get", params={"run_id": lost}).status_code == 404
    finally:
        restored.stop()


def test_an_old_database_that_is_gone_leaves_the_log_to_tell(world, tmp_path):
    kept, revoked = people.person(world, "contributor"), people.person(world, "contributor")
    disabled = people.person(world, "contributor")
    people.call(world.session(), world, "POST", "/services", json={"name": "robot"})
    people.grant(world, "robot", "contributor")
    wish = {"label": "x", "scopes": [], "lifetime_s": 3_000}
    robot = people.call(world.session(), world, "POST", "/services/robot/tokens", json=wish)["secret"]
    back_up(world)
    key = export_key(world, tmp_path)
    people.call(revoked.session(), world, "DELETE", f"/tokens/{revoked.token_id}", status=(200, 204))
    people.call(world.session(), world, "POST", f"/users/{disabled.name}/disable")
    people.call(world.session(), world, "POST", "/services/robot/disable")
    assert world.session().delete(file_url(world, world.run, "model.bin"), timeout=30).status_code in (200, 204)
    world.stop()
    if is_on_postgres():
        name = database_of(world.data).rpartition("/")[2]
        psql(f'DROP DATABASE "{name}" WITH (FORCE)')
    else:
        shutil.rmtree(world.data / "db")
    folder, report = restore(world, tmp_path, key, "--emergency", "the database is gone", "--instead-of", str(world.data))
    assert report["replayed"]["tokens"] == 1 and report["replayed"]["accounts"] == 2 and report["lost"]["things"] is None
    assert "artifacts.delete (1)" in report["untold"]
    restored = serving(world, folder)
    try:
        there = f"{restored.url}{API}/experiments/get"
        answers = {one.name: restored.session(one.token).get(there, params={"experiment_id": world.experiment}).status_code
                   for one in (kept, revoked, disabled)}  # fmt: skip
        assert answers == {kept.name: 200, revoked.name: 401, disabled.name: 401}
        (told,) = [one for one in json.loads(cli(restored, "health").stdout) if one["kind"] == "backup"]
        assert restored.session(robot).get(there, params={"experiment_id": world.experiment}).status_code == 401
        reasons = " ".join(told["reasons"])
        assert "known from the old log" in reasons and "artifacts.delete (1)" in reasons
    finally:
        restored.stop()


def test_a_file_that_is_not_the_wanted_one_is_named(world, tmp_path):
    back_up(world)
    key = export_key(world, tmp_path)
    world.stop()
    trust = json.loads(key.read_text())
    broken = {
        "binary": (os.urandom(64) + b"\xff", "not text"),
        "empty": (b"", "cannot be read"),
        "log": (json.dumps({**trust, "log_key": trust["log_key"][:-4] + "AAA="}).encode(), "`log_key` was changed"),
        "signer": (json.dumps({**trust, "signer": "-----BEGIN"}).encode(), "`signer` was changed"),
        "short": (json.dumps({**trust, "backup_key": "00"}).encode(), "32 bytes"),
    }
    for name, (content, why) in broken.items():
        path = tmp_path / f"{name}.key"
        path.write_bytes(content)
        _, refused = restore(world, tmp_path, path, "--emergency", "a test", check=False)
        said = refused.stderr
        assert refused.returncode == 2 and str(path) in said and why in said and "`strongroom backup key export` wrote" in said, (name, said)
        assert trust["backup_key"] not in said
    old = tmp_path / "old-keys"
    for content, why in ((None, "cannot be read"), (b"\xff\xfe", "no text"), (b"strongroom-root-key-0\n", "does not hold a root key")):
        if content is not None:
            old.write_bytes(content)
        _, refused = restore(world, tmp_path, key, "--emergency", "a test", keys=old, check=False)
        assert refused.returncode == 2 and str(old) in refused.stderr and why in refused.stderr and "--keys" in refused.stderr, refused.stderr
    # The same words go on with the right file.
    restore(world, tmp_path, key, "--emergency", "a test")


def test_the_folder_that_is_replaced_must_be_one(world, tmp_path):
    back_up(world)
    key = export_key(world, tmp_path)
    world.stop()
    for wrong in (tmp_path / "mistyped", world.place):
        _, refused = restore(world, tmp_path, key, "--emergency", "a test", "--instead-of", str(wrong), check=False)
        assert refused.returncode == 2 and "--instead-of" in refused.stderr and "no data folder" in refused.stderr, refused.stderr
    # One of which nothing can be read: what is lost is not known, and is not said to be nothing.
    ruins = tmp_path / "ruins"
    (ruins / "audit").mkdir(parents=True)
    folder, report = restore(world, tmp_path, key, "--emergency", "a test", "--instead-of", str(ruins))
    assert report["lost"] == {"records": None, "things": None} and report["replayed"] is None
    restored = serving(world, folder)
    try:
        (fork,) = records(restored, "backup.forked")
        assert fork["details"]["head"] == "unknown", "the log may go on otherwise elsewhere"
    finally:
        restored.stop()


def test_a_restore_needs_another_person(world, tmp_path):
    back_up(world)
    key = export_key(world, tmp_path)
    asker, approver = (people.person(world, "restore_operator", on="server") for _ in range(2))
    asked = json.loads(cli(world, "backup", "restore-request", "--reason", "a test", token=token_file(tmp_path, asker)).stdout)
    paper = tmp_path / "approval.json"
    own = cli(world, "backup", "restore-approve", asked["id"], "--out", str(paper), token=token_file(tmp_path, asker), check=False)
    assert own.returncode == 3 and "another person" in own.stderr and not paper.exists()
    people.call(world.session(), world, "POST", "/services", json={"name": "robot"})
    people.grant(world, "robot", "restore_operator", on="server")
    minted = people.call(world.session(), world, "POST", "/services/robot/tokens", json={"label": "x", "scopes": [], "lifetime_s": 3_000})
    robot = world.session(minted["secret"])
    for path, body in ((f"/restores/{asked['id']}/approve", {}), ("/restores", {"reason": "a test"})):
        answer = robot.post(f"{world.url}{people.ADMIN}{path}", json=body)
        assert answer.status_code == 403 and "a person must ask" in answer.text, "somebody stands behind a service account"
    cli(world, "backup", "restore-approve", asked["id"], "--out", str(paper), token=token_file(tmp_path, approver))
    listed = json.loads(cli(world, "backup", "restore-list").stdout)
    assert listed[0]["asked_by"] != listed[0]["approved_by"]
    back_up(world)
    for action in ("backups.request_restore", "backups.approve_restore", "backups.run", "backups.make"):
        assert records(world, action), action
    world.stop()
    _, refused = restore(world, tmp_path, key, "--approval", str(paper), check=False)
    assert refused.returncode == 3 and "backup 1" in refused.stderr, "leave is for one backup"
    _, refused = restore(world, tmp_path, key, check=False)
    assert refused.returncode == 2, "without leave nothing is restored"
    changed = tmp_path / "changed.json"
    changed.write_text(paper.read_text().replace("payload\":\"", "payload\":\"A", 1))
    _, refused = restore(world, tmp_path, key, "--sequence", "1", "--approval", str(changed), check=False)
    assert refused.returncode == 3
    other = world.place / "manifests" / "0000000002.json"
    damaged = bytearray(other.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    other.write_bytes(damaged)
    folder, report = restore(world, tmp_path, key, "--sequence", "1", "--approval", str(paper), "--instead-of", str(world.data))
    assert report["sequence"] == 1 and "backup 2" in " ".join(report["chain_faults"]), "what is wrong with another backup spoils none"
    restored = serving(world, folder)
    try:
        (record,) = records(restored, "backup.restored")
        text = json.dumps(record)
        assert not records(restored, "backup.emergency"), text
    finally:
        restored.stop()
    _, refused = restore(world, tmp_path, key, "--sequence", "1", "--approval", str(paper), check=False)
    assert refused.returncode != 0 and "writes over nothing" in refused.stderr


def test_the_backup_operator_makes_backups_and_nothing_else(world, tmp_path):
    operator = people.person(world, "backup_operator", on="server")
    token = token_file(tmp_path, operator)
    made = json.loads(cli(world, "backup", "run", token=token).stdout)
    assert made["state"] == "done"
    assert len(json.loads(cli(world, "backup", "list", token=token).stdout)) == 1
    assert json.loads(cli(world, "backup", "verify", token=token).stdout)["ok"]
    session = operator.session()
    assert session.get(file_url(world, world.run, "model.bin"), timeout=30).status_code in (403, 404)
    assert session.get(f"{world.url}{API}/runs/get", params={"run_id": world.run}).status_code in (403, 404)
    for path in ("/backups/key", "/objects/verify", "/objects/sweep", "/keys/rotate", "/users", "/grants"):
        answer = session.post(f"{world.url}{people.ADMIN}{path}", json={}, timeout=30)
        assert answer.status_code in (400, 403, 404), f"{path}: {answer.status_code}"
    for words in (["restore-request", "--reason", "x"], ["key", "export", "--out", str(tmp_path / "k")]):
        refused = cli(world, "backup", *words, token=token, check=False)
        assert refused.returncode == 3, refused.stderr
    elsewhere = cli(world, "backup", "run", "--to", "/etc", token=token, check=False)
    assert elsewhere.returncode == 2 and "[backup]" in elsewhere.stderr


def test_a_drill_says_how_long_it_took_and_what_it_reached(world, tmp_path):
    back_up(world)
    drilled = json.loads(cli(world, "backup", "drill").stdout)
    assert drilled["state"] == "done" and drilled["objects"] == 1, drilled
    assert drilled["took_ms"] > 0 and drilled["point_at"]
    assert not (world.data / "backup" / "drill").exists(), "the sandbox is gone"
    if is_on_postgres():
        assert not databases("strongroom_drill"), "and so is its database"
    victim = next(path for path in (world.place / "objects").rglob("*") if path.is_file())
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    failed = cli(world, "backup", "drill", check=False)
    assert failed.returncode == 1 and "is not what the manifest says" in failed.stderr
    verified = cli(world, "backup", "verify", check=False)
    assert verified.returncode == 1 and not json.loads(verified.stdout)["ok"]


def test_a_backup_while_fifty_clients_write_is_a_point_in_the_log(world, tmp_path):
    """What the restored database holds is exactly what its log says was done: no run without its record, none too few."""
    stop, acknowledged = threading.Event(), []

    def write():
        session = world.session()
        while not stop.is_set():
            answer = session.post(f"{world.url}{API}/runs/create", json={"experiment_id": world.experiment}, timeout=60)
            if answer.status_code == 200:
                acknowledged.append((time.time(), answer.json()["run"]["info"]["run_id"]))

    writers = [threading.Thread(target=write, daemon=True) for _ in range(50)]
    for writer in writers:
        writer.start()
    time.sleep(1)
    before = len(acknowledged)
    made = [back_up(world) for _ in range(2)]
    stop.set()
    for writer in writers:
        writer.join(60)
    assert len(acknowledged) > before > 0
    key = export_key(world, tmp_path)
    world.stop()
    for number, one in enumerate(made):
        folder, _ = restore(world, tmp_path, key, "--emergency", "a test", "--sequence", str(one["sequence"]), into=f"new{number}")
        restored = serving(world, folder)
        try:
            held = set()
            token = None
            while True:
                body = {"experiment_ids": [world.experiment], "max_results": 1000, **({"page_token": token} if token else {})}
                page = post(restored, "/runs/search", body)
                held |= {run["info"]["run_id"] for run in page.get("runs", [])}
                token = page.get("next_page_token")
                if not token:
                    break
            export = cli(restored, "audit", "search", "--what", "runs.create", "--outcome", "done", "--rows", "0").stdout
            logged = {record["resource"] for record in json.loads(export)}
            assert held == logged, f"{len(held - logged)} runs without a record, {len(logged - held)} records without a run"
            assert len(held) > 1
        finally:
            restored.stop()


@contextlib.contextmanager
def locked_bucket(tmp_path):
    """A bucket of another server of ours, where each version is kept for a day whatever is asked: its address, what opens it, a client."""
    with harness.running("sqlite", config_text='[s3]\nlisten = "127.0.0.1:0"\n') as store:
        answer = store.session().post(f"{store.url}/api/strongroom/v1/access-key", json={}, timeout=30).json()
        keys = {"AWS_ACCESS_KEY_ID": answer["access_key_id"], "AWS_SECRET_ACCESS_KEY": answer["secret_access_key"]}
        endpoint = (store.data / "s3-address").read_text().strip()
        s3 = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", verify=store.ca, config=Config(signature_version="s3v4"),
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"], aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        s3.create_bucket(Bucket="backups", ObjectLockEnabledForBucket=True)
        rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
        s3.put_object_lock_configuration(Bucket="backups", ObjectLockConfiguration=rule)
        yield endpoint, store.ca, keys, s3


def test_a_bucket_with_object_lock_is_a_place_too(tmp_path, monkeypatch):
    if harness.external():
        pytest.skip("needs servers of its own")
    with locked_bucket(tmp_path) as (endpoint, ca, keys, s3):
        place = "s3://backups/here"
        config = f'[backup]\nto = "{place}"\nendpoint = "{endpoint}"\nca = "{ca}"\nkeep = 1\n'
        for name, value in keys.items():
            monkeypatch.setenv(name, value)
        with harness.running(config_text=config, environment=keys) as server, fresh_ones_dropped():
            server.place = place
            server.experiment = post(server, "/experiments/create", {"name": "kept"})["experiment_id"]
            run = new_run(server)
            upload(server, run, "model.bin", os.urandom(20_000_000))
            assert back_up(server)["sequence"] == 1
            again = back_up(server)
            assert again["sequence"] == 2 and again["bytes"] < 10_000_000, "the object is copied once"
            assert json.loads(cli(server, "backup", "verify").stdout)["ok"]
            assert json.loads(cli(server, "backup", "drill").stdout)["state"] == "done"
            key = export_key(server, tmp_path)
            # `keep` has taken the first one out of sight; its versions are there for a day, whoever asks.
            versions = s3.list_object_versions(Bucket="backups", Prefix="here/manifests/")["Versions"]
            assert len(versions) >= 2
            for version in versions:
                with pytest.raises(ClientError) as refused:
                    s3.delete_object(Bucket="backups", Key=version["Key"], VersionId=version["VersionId"])
                assert refused.value.response["Error"]["Code"] == "AccessDenied"
            server.stop()
            reach = ["--endpoint", endpoint, "--ca", ca]
            _, report = restore(server, tmp_path, key, "--emergency", "a test", *reach)
            assert report["objects"] == 1 and report["bytes"] > 20_000_000


def needs_postgres():
    if not is_on_postgres():
        pytest.skip("is of PostgreSQL")


def test_a_restore_takes_an_empty_database_and_no_other(world, tmp_path):
    needs_postgres()
    back_up(world)
    key = export_key(world, tmp_path)
    world.stop()
    address = tmp_path / "address"
    with harness.fresh_database() as database:
        address.write_text(database + "\n")
        name = database.rpartition("/")[2]
        psql("CREATE TABLE theirs (x INT)", name)
        _, refused = restore(world, tmp_path, key, "--emergency", "a test", "--database-file", str(address), check=False)
        assert refused.returncode != 0 and "not empty" in refused.stderr and "theirs" in refused.stderr
        psql("DROP TABLE theirs", name)
        folder, report = restore(world, tmp_path, key, "--emergency", "a test", "--database-file", str(address))
        assert report["database"] == name and database_of(folder) == database
        restored = serving(world, folder)
        try:
            assert restored.session().get(file_url(restored, world.run, "model.bin"), timeout=30).status_code == 200
        finally:
            restored.stop()
        _, refused = restore(world, tmp_path, key, "--emergency", "a test", "--database-file", str(address), into="other", check=False)
        assert refused.returncode != 0 and "not empty" in refused.stderr, "it is in use now"


def test_tools_that_are_missing_or_old_say_what_to_do(tmp_path):
    needs_postgres()
    place, programs = tmp_path / "place", tmp_path / "programs"
    place.mkdir()
    programs.mkdir()
    with harness.running(config_text=f'[backup]\nto = "{place}"\npostgres_programs = "{programs}"\n') as server:
        missing = cli(server, "backup", "run", check=False)
        assert missing.returncode == 1 and "install PostgreSQL's client programs" in missing.stderr
        old = programs / "pg_dump"
        old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
        old.chmod(0o755)
        refused = cli(server, "backup", "run", check=False)
        assert refused.returncode == 1 and "is of PostgreSQL 9, and the database of" in refused.stderr
        assert not (place / "manifests").exists(), "nothing says that it is whole"


class Watch(threading.Thread):
    """Looks for a word in every command line of this machine."""

    def __init__(self, word):
        super().__init__(daemon=True)
        self.word, self.found, self.seen, self.ended = word.encode(), set(), set(), threading.Event()

    def run(self):
        while not self.ended.is_set():
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = path.read_bytes()
                    if self.word in words:
                        self.found.add(words)
                    program = words.split(b"\0")[0].rpartition(b"/")[2]
                    if program in (b"pg_dump", b"pg_restore"):
                        self.seen.add(program)


def test_the_password_is_in_no_argument_no_log_and_no_backup(tmp_path, monkeypatch):
    needs_postgres()
    secret = "hunter2-" + os.urandom(6).hex()
    scheme, _, rest = os.environ[harness.POSTGRES].partition("://")
    user, _, host = rest.partition("@")
    monkeypatch.setenv(harness.POSTGRES, f"{scheme}://{user}:{secret}@{host}")
    place = tmp_path / "place"
    place.mkdir()
    told = []
    with harness.running(config_text=f'[backup]\nto = "{place}"\n') as server:
        monkeypatch.setenv(harness.POSTGRES, f"{scheme}://{rest}")
        with fresh_ones_dropped():
            server.place = place
            watch = Watch(secret)
            watch.start()
            for words in (["run"], ["drill"], ["list"]):
                done = cli(server, "backup", *words)
                told += [done.stdout, done.stderr]
            key = export_key(server, tmp_path)
            server.stop()
            _, done = restore(server, tmp_path, key, "--emergency", "a test", check=False)
            assert done.returncode == 0, done.stderr
            # What cannot be reached is told without it, too.
            (server.data / "strongroom.toml").write_text((server.data / "strongroom.toml").read_text().replace("127.0.0.1:", "127.0.0.1:1"))
            _, lost = restore(server, tmp_path, key, "--emergency", "a test", "--instead-of", str(server.data), into="third", check=False)
            watch.ended.set()
            watch.join()
            told += [done.stdout, done.stderr, lost.stdout, lost.stderr, server.log_file.read_text()]
    assert watch.seen == {b"pg_dump", b"pg_restore"}, "they were looked at while they ran"
    assert not watch.found
    assert not any(secret in text for text in told)
    assert not any(secret.encode() in path.read_bytes() for path in place.rglob("*") if path.is_file())
