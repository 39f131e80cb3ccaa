"""Devices: enrolled by the agent itself and by a client that shares no code with it, seen by TLS, trusted by tiers, ended at once."""

import base64
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import time
import uuid

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import browser as browsers
import harness
from people import ADMIN, call, grant, mint, new_workspace, person
from test_scim import new_user, patch, provisioner, scim, with_password

pytestmark = pytest.mark.strongroom_only
# A machine that tests run on is in no order; what is tested is that the order is kept.
CONFIG = """
[risk]
failure_burst_count_max = 1000
anonymous_burst_count_max = 10000
[devices]
trusted_proxies = ["127.0.0.2"]
"""
GOOD = {
    "os": "Testix", "security_updates": 0, "updated_days": 0, "disk_encryption": True, "firewall": True, "screen_lock": True,
    "secure_boot": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with harness.running(config_text=CONFIG) as started:
        yield started


class Device:
    """A device whose key this test holds: Python's cryptography and requests speak for it."""

    def __init__(self, server, folder, secret, label="bench"):
        self.server, self.folder = server, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.key_file, self.certificate_file = self.folder / "key.pem", self.folder / "certificate.pem"
        self.key_file.write_bytes(
            self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        answer = enrol(server, secret, request_for(self.key), label)
        assert answer.status_code == 200, answer.text
        self.id = answer.json()["device"]
        self.keep(answer.json()["certificate"])

    def keep(self, certificate):
        self.certificate_file.write_text(certificate)
        self.certificate = x509.load_pem_x509_certificate(certificate.encode())

    def session(self, authorization="Certificate device"):
        session = self.server.session(token=None)
        session.cert = (str(self.certificate_file), str(self.key_file))
        if authorization:
            session.headers["Authorization"] = authorization
        return session

    def by(self, who):
        return self.session(f"Bearer {who.token if hasattr(who, 'token') else who}")

    def sign(self, text):
        return base64.b64encode(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()

    def report(self, facts, challenge=None, status=200):
        with self.session() as session:
            if challenge is None:
                challenge = call(session, self.server, "GET", "/devices/challenge")["challenge"]
            text = json.dumps(facts)
            signature = self.sign(f"strongroom device report v1\n{self.id}\n{challenge}\n{text}")
            body = {"challenge": challenge, "facts": text, "signature": signature}
            answer = session.post(f"{self.server.url}{ADMIN}/devices/report", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


def request_for(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whatever it wants to be called")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())


def enrol(server, secret, request, label="bench"):
    der = request if isinstance(request, bytes) else request.public_bytes(serialization.Encoding.DER)
    body = {"request": base64.b64encode(der).decode(), "label": label}
    return server.session(secret).post(f"{server.url}{ADMIN}/devices/enrol", json=body)


def leave(server, who):
    with who.basic() as session:
        return call(session, server, "POST", "/me/devices/enrolment", json={})["secret"]


@pytest.fixture
def ada(server):
    return person(server, "contributor")


@pytest.fixture
def device(server, ada, tmp_path):
    return Device(server, tmp_path / "device", leave(server, ada))


def me(server, session):
    return call(session, server, "GET", "/me")


def tier(server, who, device):
    return call(who.session(), server, "GET", f"/me/devices/{device.id}")["tier"]


def test_a_certificate_is_for_tls_clients_and_for_a_day(device):
    certificate = device.certificate
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:strongroom:device:{device.id}"]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    hours = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds() / 3_600
    assert 24 <= hours < 24.2
    assert certificate.public_key() == device.key.public_key()


def test_enrolment_takes_leave_and_the_key(server, ada):
    secret = leave(server, ada)
    assert secret.startswith("sr_enr_")
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # A request for somebody else's key, signed by one's own.
    forged = bytearray(request_for(key).public_bytes(serialization.Encoding.DER))
    point = other.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    mine = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    at = bytes(forged).index(mine)
    forged[at : at + 65] = point
    assert enrol(server, secret, bytes(forged)).status_code == 400
    assert enrol(server, secret, b"0" * 9_000).status_code == 400
    assert enrol(server, secret, request_for(ec.generate_private_key(ec.SECP384R1()))).status_code == 400
    # What was refused did not use the leave up; what was done did.
    assert enrol(server, secret, request_for(key)).status_code == 200
    assert enrol(server, secret, request_for(key)).status_code == 401
    # Leave is no token, and a token is no leave.
    fresh = leave(server, ada)
    assert server.session(fresh).get(f"{server.url}{ADMIN}/me").status_code in (401, 403)
    assert enrol(server, ada.token, request_for(key)).status_code == 403
    assert enrol(server, None, request_for(key)).status_code == 401


def test_a_certificate_of_another_authority_ends_the_handshake(server, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Strongroom devices")])
    now = datetime.datetime.now(datetime.UTC)
    forged = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    files = tmp_path / "c.pem", tmp_path / "k.pem"
    files[0].write_bytes(forged.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    session = server.session()
    session.cert = tuple(map(str, files))
    with pytest.raises(requests.exceptions.ConnectionError):
        session.get(f"{server.url}/version")


def test_a_device_of_somebody_else_is_none(server, ada, device):
    eve = person(server, "contributor")
    bound = {"label": "bound", "only_this_device": True}
    assert device.by(eve).post(f"{server.url}{ADMIN}/tokens", json=bound).status_code == 400
    assert device.by(ada).post(f"{server.url}{ADMIN}/tokens", json=bound).status_code == 200
    assert device.by(eve).get(f"{server.url}{ADMIN}/me/devices").json()["devices"] == []
    assert eve.session().delete(f"{server.url}{ADMIN}/me/devices/{device.id}").status_code == 404


def test_an_agent_does_what_agents_do_and_nothing_else(server, device):
    session = device.session()
    assert session.get(f"{server.url}{ADMIN}/devices/challenge").status_code == 200
    for method, path in [("GET", "/me"), ("GET", "/tokens"), ("POST", "/tokens"), ("GET", "/devices"), ("GET", "/users")]:
        answer = session.request(method, f"{server.url}{ADMIN}{path}", json={} if method == "POST" else None)
        assert answer.status_code in (403, 404), f"{path}: {answer.status_code}"
    # A browser that has a certificate is still a stranger until somebody logs in.
    assert device.session(authorization=None).get(f"{server.url}{ADMIN}/me").status_code == 401


def test_a_report_makes_the_tier_and_counts_once(server, ada, device):
    assert tier(server, ada, device) == 1
    with device.session() as session:
        challenge = call(session, server, "GET", "/devices/challenge")["challenge"]
    assert device.report(GOOD, challenge) == {"in_order": True, "failing": []}
    assert tier(server, ada, device) == 2
    device.report(GOOD, challenge, status=409)
    said = device.report({**GOOD, "firewall": None, "secure_boot": False})
    assert said == {"in_order": False, "failing": ["firewall", "secure_boot"]}
    assert tier(server, ada, device) == 1
    device.report({**GOOD, "tier": 3}, status=400)
    shown = call(ada.session(), server, "GET", f"/me/devices/{device.id}")
    assert shown["evidence"] == "reported" and shown["facts"]["os"] == "Testix" and shown["vouched_by"] is None
    # The clock moves on: what was reported a day ago says nothing of today.
    device.report(GOOD)
    harness.edit_database(server, f"UPDATE device SET reported_at = reported_at - {86_400 * 1_000_000} WHERE id = '{device.id}'")
    assert tier(server, ada, device) == 1


def test_renewal(server, ada, device):
    before = device.certificate
    with device.session() as session:
        answer = call(session, server, "POST", "/devices/renew", json={})
    device.keep(answer["certificate"])
    assert device.certificate.serial_number != before.serial_number
    assert device.certificate.public_key() == before.public_key()
    with device.session() as session:
        assert call(session, server, "GET", "/devices/challenge")["device"] == device.id
    # By a token alone nothing is renewed.
    assert ada.session().post(f"{server.url}{ADMIN}/devices/renew", json={}).status_code == 403


def test_a_bound_token_is_worth_nothing_elsewhere(server, ada, device, tmp_path):
    bound = call(device.by(ada), server, "POST", "/tokens", json={"label": "bound", "only_this_device": True})
    assert bound["token"]["device"] == device.id
    secret = bound["secret"]
    assert me(server, device.by(secret))["name"] == ada.name
    other = Device(server, tmp_path / "other", leave(server, ada))
    for session in (server.session(secret), other.by(secret)):
        assert session.get(f"{server.url}{ADMIN}/me").status_code == 401
    # What a bound token mints is bound too.
    child = call(device.by(secret), server, "POST", "/tokens", json={"label": "child"})
    assert child["token"]["device"] == device.id
    assert server.session(child["secret"]).get(f"{server.url}{ADMIN}/me").status_code == 401
    # The mlflow client has a variable for a certificate.
    environment = {
        **server.mlflow_environment(secret),
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(both_files(device)),
    }
    code = "import mlflow; print(len(mlflow.search_experiments()))"
    run = lambda extra: subprocess.run(  # noqa: E731
        [sys.executable, "-c", code], env={**os.environ, **extra}, capture_output=True, text=True, timeout=120
    )
    done = run(environment)
    assert done.returncode == 0 and int(done.stdout) >= 1, done.stderr[-2000:]
    environment.pop("MLFLOW_TRACKING_CLIENT_CERT_PATH")
    assert run(environment).returncode != 0


def both_files(device):
    both = device.folder / "both.pem"
    both.write_text(device.certificate_file.read_text() + device.key_file.read_text())
    return both


def test_the_end_of_a_device_or_account_is_the_end_of_what_is_bound(server, ada, device):
    secret = call(device.by(ada), server, "POST", "/tokens", json={"label": "bound", "only_this_device": True})["secret"]
    admin = server.session()
    call(admin, server, "POST", f"/users/{ada.name}/disable")
    assert device.session().get(f"{server.url}{ADMIN}/devices/challenge").status_code == 401
    call(admin, server, "POST", f"/users/{ada.name}/enable")
    assert device.session().get(f"{server.url}{ADMIN}/devices/challenge").status_code == 200
    call(admin, server, "DELETE", f"/devices/by-id/{device.id}?lost=true")
    assert device.session().get(f"{server.url}{ADMIN}/devices/challenge").status_code == 401
    assert device.by(secret).get(f"{server.url}{ADMIN}/me").status_code == 401
    shown = call(admin, server, "GET", f"/devices/by-id/{device.id}")
    assert (shown["tier"], shown["lost"]) == (0, True)
    call(admin, server, "DELETE", f"/users/{ada.name}", status=(200, 204))
    assert admin.get(f"{server.url}{ADMIN}/devices/by-id/{device.id}").status_code == 404


@pytest.fixture
def clinic(server, ada):
    """A workspace that ada may work in, with an experiment in it."""
    workspace = new_workspace(server)
    grant(server, ada.name, "owner", workspace=workspace)
    headers = {"X-MLFLOW-WORKSPACE": workspace}
    made = ada.session().post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": "e"}, headers=headers)
    assert made.status_code == 200, made.text
    return workspace, made.json()["experiment_id"]


def require(server, workspace, least, data_class=None):
    headers = {"X-MLFLOW-WORKSPACE": workspace}
    call(server.session(), server, "POST", "/device-rules", json={"tier": least, "data_class": data_class}, headers=headers)


def test_a_workspace_may_ask_for_a_tier(server, ada, device, clinic):
    workspace, experiment = clinic
    read = lambda session: session.get(  # noqa: E731
        f"{server.url}/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment}, headers={"X-MLFLOW-WORKSPACE": workspace}
    )
    assert read(ada.session()).status_code == 200
    require(server, workspace, 2)
    refused = read(ada.session())
    assert refused.status_code == 403 and "tier 2" in refused.text and "strongroom agent enroll" in refused.text, refused.text
    refused = read(device.by(ada))
    assert refused.status_code == 403 and "strongroom agent report" in refused.text, refused.text
    device.report(GOOD)
    assert read(device.by(ada)).status_code == 200
    # Who may not read it anyway is told nothing about devices, and nothing about the thing.
    eve = person(server, "contributor")
    assert read(eve.session()).status_code == 404
    # Lists are reads too, and writing is not.
    search = lambda session: session.post(  # noqa: E731
        f"{server.url}/api/2.0/mlflow/experiments/search", json={"max_results": 10}, headers={"X-MLFLOW-WORKSPACE": workspace}
    )
    assert (search(ada.session()).status_code, search(device.by(ada)).status_code) == (403, 200)
    assert [rule["tier"] for rule in call(server.session(), server, "GET", "/device-rules")["rules"] if rule["workspace"] == workspace] == [2]
    require(server, workspace, 0)
    assert read(ada.session()).status_code == 200
    assert ada.session().post(f"{server.url}{ADMIN}/device-rules", json={"tier": 1}).status_code in (403, 404)


def test_a_download_is_cut_when_its_device_is_revoked(server, ada, device):
    experiment = ada.session().post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": f"big-{uuid.uuid4().hex[:8]}"})
    run = ada.session().post(f"{server.url}/api/2.0/mlflow/runs/create", json={"experiment_id": experiment.json()["experiment_id"]})
    info = run.json()["run"]["info"]
    path = f"/api/2.0/mlflow-artifacts/artifacts/{info['experiment_id']}/{info['run_id']}/artifacts/big.bin"
    size = 64 << 20
    put = ada.session().put(f"{server.url}{path}", data=b"\7" * size)
    assert put.status_code == 200, put.text
    bound = call(device.by(ada), server, "POST", "/tokens", json={"label": "bound", "only_this_device": True})["secret"]
    answer = device.by(bound).get(f"{server.url}{path}", stream=True, timeout=60)
    assert answer.status_code == 200
    taken, revoked_at, cut_after = 0, None, None
    try:
        for chunk in answer.iter_content(256 << 10):
            taken += len(chunk)
            if revoked_at is None and taken > 1 << 20:
                call(server.session(), server, "DELETE", f"/devices/by-id/{device.id}")
                revoked_at = time.monotonic()
            # A slow reader: without this all of it would be in the buffers between the two.
            time.sleep(0.05)
    except requests.exceptions.RequestException:
        cut_after = time.monotonic() - revoked_at
    assert cut_after is not None and taken < size, f"all {taken} bytes came"
    print(f"cut {cut_after:.2f} s after the device was revoked, at {taken >> 20} of {size >> 20} MiB")
    assert cut_after < 5


def test_devices_end_with_the_account_and_do_not_come_back(server, tmp_path):
    directory, name, _ = provisioner(server)
    directory.url = f"{server.url}/scim/v2"
    somebody = new_user(directory)
    basic = with_password(server, somebody)
    invite = lambda: call(basic, server, "POST", "/me/devices/enrolment", json={})["secret"]  # noqa: E731
    device, unused = Device(server, tmp_path / "theirs", invite()), invite()
    asks = lambda: device.session().get(f"{server.url}{ADMIN}/devices/challenge").status_code  # noqa: E731
    assert asks() == 200
    active = lambda value: scim(directory, "PATCH", f"/Users/{somebody['id']}", 200, json=patch({"op": "replace", "path": "active", "value": value}))  # noqa: E731
    active(False)
    assert asks() == 401
    active(True)
    assert basic.get(f"{server.url}{ADMIN}/me").status_code == 200, "they are let in again"
    assert asks() == 401 and enrol(server, unused, request_for(device.key)).status_code == 401, "and begin anew"
    own = call(basic, server, "GET", "/me/devices")["devices"]
    assert [one["id"] for one in own if one["revoked_at"] is None] == []
    records = call(server.session(), server, "GET", "/audit/records?what=provisioning.change_user&rows=100")["records"]
    assert any(one.get("details", {}).get("devices_ended") == 1 for one in records)
    assert Device(server, tmp_path / "new", invite()).session().get(f"{server.url}{ADMIN}/devices/challenge").status_code == 200


def forwarded(server, source, path, headers, method="GET", body=None):
    """A request from another address of the loopback, as a proxy would make it."""
    host, port = server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=server.ca)
    connection = http.client.HTTPSConnection(host, int(port), context=context, source_address=(source, 0), timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers, body=body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def forwarded_json(server, source, path, headers, body):
    """The same, of JSON."""
    headers = {**headers, "Content-Type": "application/json"}
    status, said = forwarded(server, source, path, headers, "POST", json.dumps(body))
    return status, json.loads(said)


def test_a_proxy_is_believed_only_where_it_is_listed(server, ada, device):
    der = device.certificate.public_bytes(serialization.Encoding.DER)
    header = f":{base64.b64encode(der).decode()}:"
    said = {"Client-Cert": header, "Authorization": "Certificate device"}
    challenge = f"{ADMIN}/devices/challenge"
    status, body = forwarded(server, "127.0.0.2", challenge, said)
    assert status == 200 and device.id in body, body
    # From anybody else the header is refused, aloud, whoever asks for whatever.
    status, body = forwarded(server, "127.0.0.3", challenge, said)
    assert status == 403 and "devices.trusted_proxies" in body, body
    status, _ = forwarded(server, "127.0.0.1", f"{ADMIN}/me", {"Client-Cert": header, "Authorization": f"Bearer {ada.token}"})
    assert status == 403
    # What is no certificate of ours is no device; what is no certificate is refused.
    for wrong, expected in [(":Zm9yZ2Vk:", 401), ("forged", 400), ("", 400)]:
        assert forwarded(server, "127.0.0.2", challenge, {**said, "Client-Cert": wrong})[0] == expected, wrong
    assert forwarded(server, "127.0.0.2", challenge, {"Authorization": "Certificate device"})[0] == 401
    secret = call(device.by(ada), server, "POST", "/tokens", json={"label": "bound", "only_this_device": True})["secret"]
    by_token = {"Authorization": f"Bearer {secret}"}
    assert forwarded(server, "127.0.0.2", f"{ADMIN}/me", {**by_token, "Client-Cert": header})[0] == 200
    assert forwarded(server, "127.0.0.2", f"{ADMIN}/me", by_token)[0] == 401


def agent(server, folder, *words, environment=None, check=True):
    """The agent, as a program of its own."""
    command = [str(harness.binary()), "agent", *words, "--device", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **(environment or {})})
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def enrol_agent(server, folder, secret, *more, environment=None, check=True):
    words = ("enroll", "--server", server.url, "--ca", server.ca, "--token", secret, "--json", *more)
    return agent(server, folder, *words, environment=environment, check=check)


def test_the_agent(server, ada, tmp_path):
    folder = tmp_path / "agent"
    token = tmp_path / "ada.token"
    token.write_text(mint(ada.basic(), server, lifetime_s=40 * 86_400)["secret"])
    refused = server.cli("device", "enrolment-token", "--token-file", str(token), check=False)
    assert refused.returncode != 0 and "only a token" not in refused.stdout, "a token, which may be stolen, enrols no machine"
    made = {"secret": leave(server, ada)}
    device_id = json.loads(enrol_agent(server, folder, made["secret"], "--label", "laptop").stdout)["device"]
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    assert enrol_agent(server, folder, made["secret"], check=False).returncode == 2, "enrolled already"
    assert enrol_agent(server, tmp_path / "twice", made["secret"], check=False).returncode == 3, "leave is used once"
    before = (folder / "device.pem").read_text()
    agent(server, folder, "renew")
    assert (folder / "device.pem").read_text() != before
    said = json.loads(agent(server, folder, "report", "--json").stdout)
    facts = json.loads(subprocess.run([str(harness.binary()), "agent", "facts"], capture_output=True, text=True, check=True).stdout)
    unknown = [word for word in ("disk_encryption", "firewall", "screen_lock", "secure_boot") if facts[word] is not True]
    assert set(unknown) <= set(said["failing"]) and said["in_order"] is (said["failing"] == [])
    assert facts["os"] and facts["kernel"]
    assert agent(server, folder, "attest", check=False).returncode == 2, "its key is in a file"
    # Commands come from the device too; a log-in from it is worth nothing elsewhere.
    listed = json.loads(server.cli("device", "list", "--token-file", str(token), "--json").stdout)
    assert [(one["id"], one["label"]) for one in listed] == [(device_id, "laptop")]
    bound = tmp_path / "bound.token"
    server.cli("token", "create", "--only-this-device", "--device", str(folder), "--token-file", str(token), "--out", str(bound))
    assert server.cli("device", "list", "--token-file", str(bound), check=False).returncode == 3
    assert server.cli("device", "list", "--token-file", str(bound), "--device", str(folder)).returncode == 0
    server.cli("device", "revoke", device_id, "--lost", "--token-file", str(token))
    assert agent(server, folder, "report", check=False).returncode == 3


def test_agent_run_renews_and_reports(server, ada, tmp_path):
    folder = tmp_path / "agent"
    enrol_agent(server, folder, leave(server, ada))
    process = subprocess.Popen([str(harness.binary()), "agent", "run", "--device", str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("reported")
    finally:
        process.terminate()
        assert process.wait(30) == 0
    shown = call(ada.session(), server, "GET", "/me/devices")["devices"]
    assert len(shown) == 1 and shown[0]["reported_at"]


def test_a_log_in_from_a_device_gives_a_token_of_the_device(server, ada, tmp_path):
    folder = tmp_path / "agent"
    enrol_agent(server, folder, leave(server, ada))
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
    command = [str(harness.binary()), "login", "--url", server.url, "--ca", server.ca, "--no-browser", "--no-mlflow", "--device", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    code = re.search(r"code=([A-Z0-9-]+)", process.stderr.readline()).group(1)
    # As a browser does: with a session that a password opened a moment ago.
    session = server.session(token=None)
    opened = session.post(f"{server.url}/login", data={"username": ada.name, "password": ada.password}, allow_redirects=False)
    cookie = opened.headers["set-cookie"].split(";")[0]
    agreed = session.post(f"{server.url}/device", data={"code": code}, headers={"Cookie": cookie})
    assert agreed.status_code == 200, agreed.text
    assert process.wait(30) == 0, process.stderr.read()
    token = (tmp_path / "config" / "strongroom" / "token").read_text().strip()
    assert server.session(token).get(f"{server.url}{ADMIN}/me").status_code == 401
    with_device = server.session(token)
    with_device.cert = (str(folder / "device.pem"), str(folder / "device.key"))
    assert me(server, with_device)["name"] == ada.name


def test_a_session_from_a_device_is_bound_to_it(server, ada, device):
    login = {"username": ada.name, "password": ada.password}
    opened = device.session(authorization=None).post(f"{server.url}/login", data=login, allow_redirects=False)
    cookie = {"Cookie": opened.headers["set-cookie"].split(";")[0]}
    assert device.session(authorization=None).get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 200
    assert server.session(token=None).get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 401


def test_the_page_of_ones_devices(server, ada, device):
    missing = browsers.missing()
    if missing is not None:
        pytest.skip(missing)
    device.report({**GOOD, "firewall": False})
    with browsers.browser(server) as browser:
        browser.go("/login?to=/account/devices")
        browser.fill(username=ada.name, password=ada.password)
        browser.click("button")
        browser.wait(lambda: browser.path() == "/account/devices", "the page of devices")
        text = browser.text()
        assert "bench" in text and "reported" in text and "firewall" in text and "1 – a registered key; not in order" in text
        browser.click("#add-device")
        browser.wait(lambda: browser.all("#enrolment-command"), "the command")
        assert "sr_enr_" in browser.text()
        browser.go("/account/devices")
        browser.sure("button[name=lost][value=true]")
        browser.wait(lambda: "0 – revoked" in browser.text(), "the device is lost")
    assert device.session().get(f"{server.url}{ADMIN}/devices/challenge").status_code == 401
