"""The root key in a hardware module, a transit engine and KMS: a server stores, is stopped, reads; and cannot without the key."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

import debian
import harness

pytestmark = pytest.mark.strongroom_only

TEXT = b"what is only readable with the root key\n" * 64


def put(server) -> str:
    """Stores a file; gives the path to ask for it again."""
    session = server.session()
    run = session.post(f"{server.url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"})
    assert run.status_code == 200, run.text
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run.json()['run']['info']['run_id']}/artifacts/note.txt"
    stored = session.put(server.url + path, data=TEXT)
    assert stored.status_code == 200, stored.text
    return path


def get(server, path: str) -> requests.Response:
    return server.session().get(server.url + path)


@contextlib.contextmanager
def place(config_text: str, environment: dict[str, str]):
    """A data folder that is not initialised yet."""
    with tempfile.TemporaryDirectory(prefix="strongroom-") as folder:
        server = harness.Server(pathlib.Path(folder) / "data", "sqlite", None, config_text, environment)
        try:
            yield server
        finally:
            server.stop()


def init(server, monkeypatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.init()


def stored_and_read_after_a_restart(server, monkeypatch) -> str:
    init(server, monkeypatch)
    server.start()
    path = put(server)
    assert get(server, path).content == TEXT
    rotated = json.loads(server.cli("keys", "rotate", "--root", "--json", "--token-file", str(server.token_file)).stdout)
    assert rotated["root_version"] == 2, rotated
    assert get(server, path).content == TEXT
    server.stop()
    server.start()
    assert get(server, path).content == TEXT
    status = json.loads(server.cli("keys", "status", "--json", "--token-file", str(server.token_file)).stdout)
    assert status["root"]["version"] == 2 and status["root"]["reachable"], status
    assert not status["root"]["unfinished"], status
    verified = json.loads(server.cli("keys", "verify", "--all", "--json", "--token-file", str(server.token_file)).stdout)
    assert verified["ok"] and verified["key_count"] > 0 and verified["object_count"] >= 1, verified
    return path


def does_not_start(server, says: str) -> None:
    with pytest.raises(harness.StartError) as refused:
        server.start()
    assert says in str(refused.value), refused.value


# PKCS#11


@pytest.fixture
def softhsm(tmp_path):
    """A SoftHSM2 with one token: how the server is configured for it, and the environment that it needs."""
    programs = debian.programs(["libsofthsm2", "softhsm2", "softhsm2-common"])
    module = debian.ROOT / ".work" / "debian" / "usr" / "lib" / "softhsm" / "libsofthsm2.so"
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tokens}\n")
    environment = {"SOFTHSM2_CONF": str(conf), "HSM_PIN": "4711-0815"}
    initialise = [str(programs["softhsm2-util"]), "--module", str(module), "--init-token", "--free", "--label", "strongroom"]
    initialise += ["--so-pin", "12345678", "--pin", environment["HSM_PIN"]]
    subprocess.run(initialise, check=True, env={**os.environ, **environment}, capture_output=True, timeout=60)
    config = f"""
[vault.root_key]
kind = "pkcs11"
module = "{module}"
token = "strongroom"
pin_variable = "HSM_PIN"
variables = ["SOFTHSM2_CONF"]
"""
    return config, environment, tokens


def helper_pid(server) -> int:
    children = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=True)
    found = [line.split()[0] for line in children.stdout.splitlines() if "strongroom-pkcs" in line]
    assert len(found) == 1, children.stdout
    return int(found[0])


def test_a_hardware_module_keeps_the_root_key(softhsm, monkeypatch):
    config, environment, tokens = softhsm
    with place(config, environment) as server:
        path = stored_and_read_after_a_restart(server, monkeypatch)
        assert not (server.data / "keys" / "root.key").exists()
        # The module is loaded by the helper only, and one that dies is started again.
        assert "softhsm" not in pathlib.Path(f"/proc/{server.process.pid}/maps").read_text()
        helper = helper_pid(server)
        os.kill(helper, 9)
        rotated = json.loads(server.cli("keys", "rotate", "--json", "--token-file", str(server.token_file)).stdout)
        assert rotated["key_version"] == 2, rotated
        assert helper_pid(server) != helper
        assert get(server, path).content == TEXT
        # No PIN in what was logged.
        assert environment["HSM_PIN"] not in server.log_file.read_text()
        server.stop()
        kept = tokens.parent / "kept"
        shutil.copytree(tokens, kept)
        # The key is destroyed in its token: from then on nothing opens.
        for token in tokens.iterdir():
            for file in token.iterdir():
                if file.name.endswith(".object") and file.name != "token.object":
                    file.unlink()
        does_not_start(server, "without it nothing can be read")
        wrong = {**environment, "HSM_PIN": "0000"}
        server.environment = wrong
        does_not_start(server, "the token `strongroom` does not take the PIN; put the right PIN into the variable `HSM_PIN`")
        server.environment = environment
        shutil.rmtree(tokens)
        shutil.copytree(kept, tokens)
        server.start()
        assert get(server, path).content == TEXT


def test_a_folder_moves_from_a_file_to_a_hardware_module(softhsm, monkeypatch):
    config, environment, _ = softhsm
    with place("", environment) as server:
        init(server, monkeypatch)
        server.start()
        path = put(server)
        server.stop()
        to = server.data.parent / "to.toml"
        to.write_text(config)
        moved = json.loads(server.cli("keys", "move-root", "--to", str(to), "--json").stdout)
        assert moved["service"] == "pkcs11" and moved["rewrapped_count"] > 2, moved
        does_not_start(server, "not the one")
        (server.data / "strongroom.toml").write_text(config)
        (server.data / "keys" / "root.key").unlink()
        server.start()
        assert get(server, path).content == TEXT


# Transit: a double written from Vault's API documentation.


class Transit(ThreadingHTTPServer):
    """https://developer.hashicorp.com/vault/api-docs/secret/transit: what of it a root key needs."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), TransitHandler)
        self.token = "hvs.test-token"
        self.keys: dict[str, list[bytes]] = {}
        self.asked: list[str] = []
        self.silent = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class TransitHandler(BaseHTTPRequestHandler):
    server: Transit

    def log_message(self, *_):
        pass

    def answer(self, status: int, body: dict | None = None) -> None:
        data = json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.act("GET", {})

    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        self.act("POST", json.loads(self.rfile.read(length) or b"{}"))

    def act(self, method: str, body: dict) -> None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self.server.asked.append(f"{method} {self.path}")
        if self.server.silent:
            threading.Event().wait(5)
            return
        if self.headers.get("x-vault-token") != self.server.token:
            return self.answer(403, {"errors": ["permission denied"]})
        _, version, mount, verb, name, *after = self.path.split("/")
        assert (version, mount) == ("v1", "transit")
        keys = self.server.keys
        if verb == "keys" and method == "POST":
            if after == ["rotate"]:
                keys[name].append(os.urandom(32))
            else:
                assert body["type"] == "aes256-gcm96" and not body["exportable"] and not body["derived"]
                keys.setdefault(name, [os.urandom(32)])
            return self.answer(204)
        if name not in keys:
            return self.answer(404 if verb == "keys" else 400, {"errors": [] if verb == "keys" else ["encryption key not found"]})
        if verb == "keys":
            versions = {str(number + 1): 1700000000 for number in range(len(keys[name]))}
            facts = {"type": "aes256-gcm96", "latest_version": len(keys[name]), "min_decryption_version": 1, "exportable": False}
            return self.answer(200, {"data": {**facts, "derived": False, "keys": versions, "name": name}})
        aad = base64.b64decode(body.get("associated_data", ""))
        if verb == "encrypt":
            number = body.get("key_version") or len(keys[name])
            nonce = os.urandom(12)
            sealed = nonce + AESGCM(keys[name][number - 1]).encrypt(nonce, base64.b64decode(body["plaintext"]), aad)
            text = f"vault:v{number}:{base64.b64encode(sealed).decode()}"
            return self.answer(200, {"data": {"ciphertext": text, "key_version": number}})
        assert verb == "decrypt"
        _, number, text = body["ciphertext"].split(":")
        sealed = base64.b64decode(text)
        try:
            plain = AESGCM(keys[name][int(number[1:]) - 1]).decrypt(sealed[:12], sealed[12:], aad)
        except (InvalidTag, IndexError):
            return self.answer(400, {"errors": ["cipher: message authentication failed"]})
        return self.answer(200, {"data": {"plaintext": base64.b64encode(plain).decode()}})


@pytest.fixture
def transit():
    double = Transit()
    yield double
    double.shutdown()


def test_a_transit_engine_keeps_the_root_key(transit, monkeypatch):
    config = f"""
[vault.root_key]
kind = "transit"
url = "{transit.url}"
token_variable = "TRANSIT_TOKEN"
allow_insecure_http = true
wait_seconds_max = 2
"""
    environment = {"TRANSIT_TOKEN": transit.token}
    with place(config, environment) as server:
        path = stored_and_read_after_a_restart(server, monkeypatch)
        assert "POST /v1/transit/keys/strongroom-root/rotate" in transit.asked
        log = server.log_file.read_text()
        assert transit.token not in log
        server.stop()
        server.environment = {"TRANSIT_TOKEN": "hvs.another"}
        does_not_start(server, "permission denied")
        assert "hvs.another" not in server.log_file.read_text()
        server.environment = environment
        transit.silent = True
        does_not_start(server, "did not answer within 2 s")
        transit.silent = False
        kept = transit.keys.pop("strongroom-root")
        does_not_start(server, "without it nothing can be read")
        # Another key of the same name is not the key.
        transit.keys["strongroom-root"] = [os.urandom(32), os.urandom(32)]
        does_not_start(server, "not the one")
        transit.keys["strongroom-root"] = kept
        server.start()
        assert get(server, path).content == TEXT


def test_plain_http_to_a_transit_engine_must_be_wanted(transit, monkeypatch):
    config = f'[vault.root_key]\nkind = "transit"\nurl = "{transit.url}"\ntoken_variable = "TRANSIT_TOKEN"\n'
    with place(config, {"TRANSIT_TOKEN": transit.token}) as server:
        with pytest.raises(harness.StartError):
            init(server, monkeypatch)
        assert transit.asked == []


# KMS: moto.


@pytest.fixture
def kms(tmp_path):
    """moto's KMS in a process of its own, with one key."""
    pytest.importorskip("moto", reason="needs moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = open(tmp_path / "moto.log", "wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/moto-api/data.json", timeout=5).status_code == 200
        return False

    try:
        harness.wait_until(is_up, 60, "moto answers")
        yield url, boto(url)
    finally:
        process.terminate()
        process.wait(10)


def boto(url: str):
    import boto3

    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "a-secret-access-key"}
    return boto3.client("kms", endpoint_url=url, region_name="eu-west-1", **keys)


def test_kms_keeps_the_root_key(kms, monkeypatch):
    url, client = kms
    key = client.create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    config = f"""
[vault.root_key]
kind = "kms"
region = "eu-west-1"
key = "{key}"
endpoint = "{url}"
allow_insecure_http = true
"""
    environment = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-access-key"}
    with place(config, environment) as server:
        path = stored_and_read_after_a_restart(server, monkeypatch)
        assert "a-secret-access-key" not in server.log_file.read_text()
        server.stop()
        client.disable_key(KeyId=key.rsplit("/", 1)[1])
        does_not_start(server, "Disabled")
        client.enable_key(KeyId=key.rsplit("/", 1)[1])
        server.start()
        assert get(server, path).content == TEXT
        server.stop()
        # Another key does not open what this one wrapped. (AWS says `IncorrectKeyException` there.)
        other = client.create_key(KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
        stored = server.data / "strongroom.toml"
        stored.write_text(stored.read_text().replace(key, other))
        does_not_start(server, "AccessDeniedException")
