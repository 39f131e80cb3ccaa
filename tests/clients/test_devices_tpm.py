"""A software TPM (swtpm) attests devices: by the agent, and by Debian's tpm2-tools alone, which this test drives itself."""

import base64
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

import harness
from people import ADMIN, call, person
from test_devices import agent, enrol_agent, forwarded_json, leave

pytestmark = pytest.mark.strongroom_only
PROXY = "127.0.0.2"
ENDORSEMENT, ATTESTATION, DEVICE = "0x81010001", "0x81018001", "0x81018002"


def free_port_pair():
    """Two free ports in a row: swtpm's control port is looked for behind its data port."""
    for _ in range(100):
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError):
                two.bind(("127.0.0.1", port + 1))
                return port
    raise AssertionError("no two free ports in a row")


class Tpm:
    """A TPM of its own, and the tools that speak to it."""

    def __init__(self, folder, programs):
        self.folder, self.programs = pathlib.Path(folder), programs
        self.folder.mkdir(parents=True)
        (self.folder / "state").mkdir()
        port = free_port_pair()
        command = [
            programs("swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'state'}",
            "--server", f"type=tcp,port={port},bindaddr=127.0.0.1", "--ctrl", f"type=tcp,port={port + 1},bindaddr=127.0.0.1",
            "--flags", "not-need-init,startup-clear",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.environment = {"TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={port}", "PATH": programs.path}
        harness.wait_until(lambda: self.tool("getcap", "handles-persistent", check=False).returncode == 0, 10, "the TPM answers")

    def tool(self, name, *words, check=True):
        done = subprocess.run(
            [f"tpm2_{name}", *map(str, words)], cwd=self.folder, env={**os.environ, **self.environment}, capture_output=True, timeout=60
        )
        assert not check or done.returncode == 0, f"tpm2_{name} {words}: {done.stderr.decode(errors='replace')}"
        return done

    def file(self, name):
        return (self.folder / name).read_bytes()

    def flush(self):
        self.tool("flushcontext", "-t", check=False)

    def public(self, handle):
        self.tool("readpublic", "-Q", "-c", handle, "-o", "public")
        return self.file("public")

    def endorsement_key(self):
        """SHA-256 of the endorsement key, as an administrator reads it on the machine."""
        self.tool("readpublic", "-Q", "-c", ENDORSEMENT, "-f", "pem", "-o", "ek.pem")
        self.key = serialization.load_pem_public_key(self.file("ek.pem"))
        der = self.key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def make_keys(self):
        """The same keys as the agent's, made by hand."""
        self.tool("createek", "-Q", "-c", ENDORSEMENT, "-G", "ecc", "-u", "ek.pub")
        self.tool("createak", "-Q", "-C", ENDORSEMENT, "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-u", "ak.pub")
        self.tool("evictcontrol", "-Q", "-c", "ak.ctx", ATTESTATION)
        self.flush()
        self.tool("createprimary", "-Q", "-C", "o", "-G", "ecc", "-g", "sha256", "-c", "primary.ctx")
        attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
        self.tool("create", "-Q", "-C", "primary.ctx", "-G", "ecc256:ecdsa-sha256", "-u", "d.pub", "-r", "d.priv", "-a", attributes)
        self.flush()
        self.tool("load", "-Q", "-C", "primary.ctx", "-u", "d.pub", "-r", "d.priv", "-c", "d.ctx")
        self.tool("evictcontrol", "-Q", "-c", "d.ctx", DEVICE)
        self.flush()

    def open(self, asked):
        """Opens a credential, if it is for this TPM."""
        head = bytes.fromhex("badcc0de00000001")
        whole = head + base64.b64decode(asked["id_object"]) + base64.b64decode(asked["encrypted_secret"])
        (self.folder / "credential").write_bytes(whole)
        self.tool("startauthsession", "--policy-session", "-S", "session.ctx")
        self.tool("policysecret", "-Q", "-S", "session.ctx", "-c", "e")
        words = ("-Q", "-c", ATTESTATION, "-C", ENDORSEMENT, "-i", "credential", "-o", "secret", "-P", "session:session.ctx")
        done = self.tool("activatecredential", *words, check=False)
        self.tool("flushcontext", "session.ctx", check=False)
        self.flush()
        return self.file("secret") if done.returncode == 0 else None

    def certify(self):
        self.tool("certify", "-Q", "-c", DEVICE, "-C", ATTESTATION, "-g", "sha256", "-o", "c.att", "-s", "c.sig", "-f", "tss")
        self.flush()
        return signed(self.file("c.att"), self.file("c.sig"))

    def quote(self, nonce):
        words = ("-l", "sha256:0,1,2,3,4,5,6,7", "-q", nonce, "-m", "q.att", "-s", "q.sig", "-f", "tss", "-o", "q.pcr", "-F", "values")
        self.tool("quote", "-Q", "-c", ATTESTATION, "-g", "sha256", *words)
        self.flush()
        return signed(self.file("q.att"), self.file("q.sig")), text(self.file("q.pcr"))

    def keep_certificate(self, der):
        """Where makers of TPMs put the certificate of the endorsement key."""
        (self.folder / "ek.der").write_bytes(der)
        self.tool("nvdefine", "-Q", "0x01c0000a", "-C", "o", "-s", len(der) + 16, "-a", "ownerread|ownerwrite|authread|authwrite")
        (self.folder / "padded").write_bytes(der + b"\xff" * 16)
        self.tool("nvwrite", "-Q", "0x01c0000a", "-C", "o", "-i", "padded")


def text(raw):
    return base64.b64encode(raw).decode()


def signed(statement, signature):
    return {"statement": text(statement), "signature": text(signature)}


class Programs:
    """swtpm and tpm2-tools: the machine's own, else unpacked from Debian's packages."""

    def __init__(self):
        self.path = os.environ["PATH"]
        if shutil.which("swtpm") and shutil.which("tpm2_quote"):
            return
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            pytest.skip("needs swtpm and tpm2-tools: on Debian, `apt-get install swtpm tpm2-tools`")
        done = subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "swtpm", "tpm2-tools"], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"swtpm and tpm2-tools cannot be installed: {done.stderr[-300:]}")

    def __call__(self, name):
        return name


@pytest.fixture(scope="module")
def tpms(tmp_path_factory):
    programs, made = Programs(), []

    def make():
        made.append(Tpm(tmp_path_factory.mktemp("tpm") / "tpm", programs))
        return made[-1]

    yield make
    for tpm in made:
        tpm.process.terminate()
        tpm.process.wait(10)


class Authority:
    """A maker of TPMs."""

    def __init__(self, name):
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self.builder(self.name, self.key.public_key()).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def builder(self, subject, key):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=365))
        )  # fmt: skip

    def vouch(self, key):
        """As the EK Credential Profile has it: no subject, the TPM's model as a critical alternative name, a usage of its own."""
        model = x509.Name([x509.NameAttribute(ObjectIdentifier("2.23.133.2.2"), "swtpm")])
        builder = self.builder(x509.Name([]), key).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DirectoryName(model)]), critical=True)
        usage = x509.ExtendedKeyUsage([ObjectIdentifier("2.23.133.8.1")])
        der = builder.add_extension(usage, critical=False).sign(self.key, hashes.SHA256())
        return der.public_bytes(serialization.Encoding.DER)


@pytest.fixture(scope="module")
def maker():
    return Authority("Maker of TPMs")


@pytest.fixture(scope="module")
def server(tmp_path_factory, maker):
    """A server that asks little of reports, so that this machine is in order."""
    roots = tmp_path_factory.mktemp("roots") / "roots.pem"
    roots.write_bytes(maker.certificate.public_bytes(serialization.Encoding.PEM))
    config = f"""
[risk]
failure_burst_count_max = 1000
[devices]
required = ["updates"]
security_updates_max = 1000000
updated_days_max = 365
trusted_proxies = ["{PROXY}"]
endorsement_roots = "{roots}"
"""
    with harness.running(config_text=config) as started:
        yield started


@pytest.fixture
def ada(server):
    return person(server, "contributor")


def own(server, who):
    return call(who.session(), server, "GET", "/me/devices")["devices"][-1]


class Proxied:
    """Speaks for an enrolled device as a proxy does: what its agent would say, each word of it this test's."""

    def __init__(self, server, folder):
        certificate = x509.load_pem_x509_certificate((pathlib.Path(folder) / "device.pem").read_bytes())
        header = f":{base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()}:"
        self.server, self.headers = server, {"Client-Cert": header, "Authorization": "Certificate device"}

    def post(self, path, body):
        return forwarded_json(self.server, PROXY, f"{ADMIN}/devices{path}", self.headers, body)

    def begin(self, keys):
        status, asked = self.post("/attest/begin", keys)
        assert status == 200, asked
        return asked


def keys_of(tpm):
    return {"endorsement": text(tpm.public(ENDORSEMENT)), "attestation": text(tpm.public(ATTESTATION))}


def attestation(tpm, asked, keys, **other):
    quoted, registers = tpm.quote(asked["nonce"])
    secret = tpm.open(asked) or b"\0" * 32
    body = {
        "challenge": asked["challenge"], "keys": keys, "secret": text(secret), "device_key": text(tpm.public(DEVICE)),
        "certified": tpm.certify(), "quoted": quoted, "registers": registers,
    }  # fmt: skip
    return {**body, **other}


@pytest.fixture
def enrolled(server, ada, tpms, tmp_path):
    """A device whose key is in a TPM."""
    tpm, folder = tpms(), tmp_path / "agent"
    made = enrol_agent(server, folder, leave(server, ada), "--tpm", environment=tpm.environment)
    assert not (folder / "device.key").exists(), "the key never leaves the TPM"
    return tpm, folder, json.loads(made.stdout)["device"]


def test_the_agent_attests_and_an_administrator_vouches(server, ada, enrolled):
    tpm, folder, device_id = enrolled
    agent(server, folder, "renew", environment=tpm.environment)
    assert json.loads(agent(server, folder, "report", "--json", environment=tpm.environment).stdout)["in_order"] is True
    assert own(server, ada)["tier"] == 2
    said = json.loads(agent(server, folder, "attest", "--json", environment=tpm.environment).stdout)
    digest = tpm.endorsement_key()
    assert said == {"endorsement_key": digest, "by_root": False}
    shown = own(server, ada)
    assert (shown["tier"], shown["evidence"], shown["vouched_by"]) == (2, "reported", None), "nobody vouches for this TPM yet"
    token = str(server.token_file)
    wrong = server.cli("device", "pin", device_id, "--endorsement-key", "0" * 64, "--token-file", token, check=False)
    assert wrong.returncode == 2 and "another endorsement key" in wrong.stderr
    server.cli("device", "pin", device_id, "--endorsement-key", digest, "--token-file", token)
    shown = own(server, ada)
    assert (shown["tier"], shown["evidence"], shown["vouched_by"]) == (3, "attested", "pin")
    # The owner cannot vouch for a TPM of their own.
    pin = {"endorsement_key": digest}
    assert ada.session().post(f"{server.url}{ADMIN}/devices/by-id/{device_id}/pin", json=pin).status_code == 403
    # An attestation counts for a week.
    harness.edit_database(server, f"UPDATE device SET attested_at = attested_at - {7 * 86_400 * 1_000_000} WHERE id = '{device_id}'")
    assert own(server, ada)["tier"] == 2


def test_a_replay_is_refused(server, enrolled):
    tpm, folder, _ = enrolled
    agent(server, folder, "attest", environment=tpm.environment)
    proxied, keys = Proxied(server, folder), keys_of(tpm)
    asked = proxied.begin(keys)
    body = attestation(tpm, asked, keys)
    assert proxied.post("/attest", body)[0] == 200
    status, said = proxied.post("/attest", body)
    assert status == 409, said
    # The old quote with a new challenge, and with a secret that was opened for it.
    again = proxied.begin(keys)
    stale = {**attestation(tpm, again, keys), "quoted": body["quoted"], "registers": body["registers"]}
    status, said = proxied.post("/attest", stale)
    assert status == 400 and "another challenge" in said["message"], said
    stale = attestation(tpm, again, keys, secret=body["secret"])
    status, said = proxied.post("/attest", stale)
    assert status == 400 and "not in one TPM" in said["message"], said
    status, said = proxied.post("/attest", attestation(tpm, again, keys, registers=text(b"\1" * 256)))
    assert status == 400 and "registers" in said["message"], said


def test_a_key_of_another_tpm_is_refused(server, enrolled, tpms):
    tpm, folder, _ = enrolled
    agent(server, folder, "attest", environment=tpm.environment)
    other = tpms()
    other.make_keys()
    proxied = Proxied(server, folder)
    # An attestation key of another TPM beside this one's endorsement key: neither opens the credential.
    mixed = {**keys_of(tpm), "attestation": text(other.public(ATTESTATION))}
    asked = proxied.begin(mixed)
    assert tpm.open(asked) is None and other.open(asked) is None
    status, said = proxied.post("/attest", attestation(other, asked, mixed))
    assert status == 400 and "not in one TPM" in said["message"], said
    # All of another TPM: it holds a key, but not the one that the device is registered with.
    keys = keys_of(other)
    asked = proxied.begin(keys)
    status, said = proxied.post("/attest", attestation(other, asked, keys))
    assert status == 400 and "another key" in said["message"], said
    # The registered key, certified by a TPM that does not hold it.
    status, said = proxied.post("/attest", attestation(other, asked, keys, device_key=text(tpm.public(DEVICE))))
    assert status == 400 and "certified another key" in said["message"], said
    # Keys that are not what they are called.
    ours = keys_of(tpm)
    status, _ = proxied.post("/attest/begin", {"endorsement": ours["attestation"], "attestation": ours["endorsement"]})
    assert status == 400


def test_a_maker_vouches(server, ada, enrolled, maker):
    tpm, folder, _ = enrolled
    agent(server, folder, "attest", environment=tpm.environment)
    tpm.endorsement_key()
    agent(server, folder, "report", environment=tpm.environment)
    proxied, keys = Proxied(server, folder), keys_of(tpm)
    stranger = Authority("Maker of TPMs")
    for certificate, why in [
        (stranger.vouch(tpm.key), "no root"),
        (maker.vouch(ec.generate_private_key(ec.SECP256R1()).public_key()), "another endorsement key"),
        (b"0" * 100, "cannot be read"),
    ]:
        body = attestation(tpm, proxied.begin(keys), keys, certificate=text(certificate))
        status, said = proxied.post("/attest", body)
        assert status == 400 and why in said["message"], said
    assert own(server, ada)["tier"] == 2
    tpm.keep_certificate(maker.vouch(tpm.key))
    said = json.loads(agent(server, folder, "attest", "--json", environment=tpm.environment).stdout)
    assert said["by_root"] is True
    shown = own(server, ada)
    assert (shown["tier"], shown["evidence"], shown["vouched_by"]) == (3, "attested", "root")


def test_without_the_tools_the_agent_says_what_is_missing(server, ada, tmp_path):
    done = enrol_agent(server, tmp_path / "agent", leave(server, ada), "--tpm", environment={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == 5 and "apt install tpm2-tools" in done.stderr, done.stderr
