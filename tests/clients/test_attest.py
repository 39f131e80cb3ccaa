"""Signatures, statements and papers of models, checked by other implementations, and theirs by ours.

Needs the packages of `attest-requirements.txt` in an environment of their own, and the example `make_fixture` of the package
`attest` as $STRONGROOM_ATTEST (`cargo build --package attest --example make_fixture`); else it is skipped: `cargo xtask test` has both.
"""

import base64
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

model_signing = pytest.importorskip("model_signing", reason="runs in the environment of attest-requirements.txt")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

import fake_sigstore  # noqa: E402

pytestmark = pytest.mark.strongroom_only
RUN_SECONDS_MAX = 60
NOW = datetime.datetime.now(datetime.timezone.utc)
CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}


def program() -> str:
    given = os.environ.get("STRONGROOM_ATTEST")
    if not given:
        pytest.skip("STRONGROOM_ATTEST names no `make_fixture`")
    return given


def ours(*words) -> tuple[int, str]:
    """Our side: exit code and what it says."""
    command = [program(), *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    assert done.returncode in (0, 1), f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.returncode, done.stdout


def theirs(*words) -> tuple[int, str]:
    """`model_signing` as its user runs it."""
    command = [sys.executable, "-m", "model_signing", *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    return done.returncode, done.stdout + done.stderr


def write_key(folder: pathlib.Path, name: str, curve=CURVES["p256"]):
    key = ec.generate_private_key(curve)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.key").write_bytes(private)
    (folder / f"{name}.pem").write_bytes(public)
    return key


def write_certificate(folder: pathlib.Path, name: str, key, issuer=None, days: tuple[int, int] = (-30, 30), usage=True):
    """A certificate of `key`: an authority's if there is no issuer (certificate, key), else a signer's."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + datetime.timedelta(days=days[0]))
        .not_valid_after(NOW + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer[1] if issuer else key).public_key()), critical=False
        )
    )
    if issuer is None:
        none = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
        )
        use = x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **none)
        builder = builder.add_extension(use, critical=True)
    elif usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub-x").mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "weights.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "sub" / "z.txt").write_text("z")
    (folder / "sub-x" / "a.txt").write_text("a")
    (folder / "__init__.py").write_text("")
    return folder


@pytest.fixture
def authority(tmp_path):
    """A root, a signer's key and certificate below it."""
    root_key = write_key(tmp_path, "root")
    root = write_certificate(tmp_path, "root", root_key)
    write_certificate(tmp_path, "signer", write_key(tmp_path, "signer"), (root, root_key))
    return root, root_key


def change(model: pathlib.Path, how: str) -> None:
    """Each tampering of the issue."""
    weights = model / "weights.bin"
    if how == "changed byte":
        content = bytearray(weights.read_bytes())
        content[1000] ^= 1
        weights.write_bytes(content)
    elif how == "longer":
        weights.write_bytes(weights.read_bytes() + b"x")
    elif how == "shorter":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif how == "extra file":
        (model / "evil.py").write_text("x")
    elif how == "extra file below":
        (model / "sub" / "evil.py").write_text("x")
    elif how == "removed file":
        (model / "MLmodel").unlink()
    elif how == "swapped names":
        first, second = model / "sub" / "z.txt", model / "sub-x" / "a.txt"
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)
    elif how == "renamed":
        (model / "MLmodel").rename(model / "mlmodel")
    elif how == "symlink":
        target = model.parent / "elsewhere"
        weights.rename(target)
        weights.symlink_to(target)
    elif how == "symlinked folder":
        (model / "sub").rename(model.parent / "folder")
        (model / "sub").symlink_to(model.parent / "folder")


CHANGES = (
    "changed byte", "longer", "shorter", "extra file", "extra file below", "removed file", "swapped names", "renamed", "symlink",
    "symlinked folder",
)


@pytest.mark.parametrize("curve", CURVES)
def test_each_accepts_the_others_keys(model, tmp_path, curve):
    write_key(tmp_path, "k", CURVES[curve])
    key, public = tmp_path / "k.key", tmp_path / "k.pem"
    mine, other = model / "model.sig", tmp_path / "theirs.sig"
    assert ours("sign", model, mine, key)[0] == 0
    code, said = theirs("verify", "key", model, "--signature", mine, "--public_key", public)
    assert code == 0, said
    assert ours("verify", model, mine, "--key", public)[0] == 0
    mine.unlink()
    code, said = theirs("sign", "key", model, "--signature", other, "--private_key", key)
    assert code == 0, said
    code, said = ours("verify", model, other, "--key", public)
    assert code == 0, said


@pytest.mark.parametrize("signer", ["ours", "theirs"])
@pytest.mark.parametrize("how", CHANGES)
def test_each_tampering_is_refused(model, tmp_path, how, signer):
    write_key(tmp_path, "k")
    key, public, signature = tmp_path / "k.key", tmp_path / "k.pem", tmp_path / "model.sig"
    if signer == "ours":
        assert ours("sign", model, signature, key)[0] == 0
    else:
        assert theirs("sign", "key", model, "--signature", signature, "--private_key", key)[0] == 0
    assert ours("verify", model, signature, "--key", public)[0] == 0
    change(model, how)
    code, said = ours("verify", model, signature, "--key", public)
    assert code == 1 and said.strip(), said


def test_another_key_is_refused(model, tmp_path):
    write_key(tmp_path, "k")
    write_key(tmp_path, "other")
    signature = tmp_path / "model.sig"
    assert theirs("sign", "key", model, "--signature", signature, "--private_key", tmp_path / "k.key")[0] == 0
    code, said = ours("verify", model, signature, "--key", tmp_path / "other.pem")
    assert code == 1 and "not trusted" in said, said


@pytest.mark.parametrize("ignored", ["evil.py", "sub"])
def test_a_path_that_they_ignore_hides_no_file(model, tmp_path, ignored):
    write_key(tmp_path, "k")
    (model / "evil.py").write_text("x")
    signature = tmp_path / "model.sig"
    options = ["--signature", signature, "--private_key", tmp_path / "k.key", "--ignore-paths", model / ignored]
    code, said = theirs("sign", "key", model, *options)
    assert code == 0, said
    code, said = theirs("verify", "key", model, "--signature", signature, "--public_key", tmp_path / "k.pem")
    assert code == 0, said
    code, said = ours("verify", model, signature, "--key", tmp_path / "k.pem")
    assert code == 1 and "ignored path" in said, said


def test_their_shards_are_accepted(model, tmp_path):
    from model_signing import hashing, signing

    write_key(tmp_path, "k")
    key, public = tmp_path / "k.key", tmp_path / "k.pem"
    mine, other = tmp_path / "ours.sig", tmp_path / "theirs.sig"
    # 1.1.1 names the digests of shards otherwise than the specification, and so refuses those of all others.
    assert ours("sign", model, mine, key, "--shards", 1000)[0] == 0
    assert ours("verify", model, mine, "--key", public)[0] == 0
    config = hashing.Config().use_shard_serialization(shard_size=1000)
    signing.Config().set_hashing_config(config).use_elliptic_key_signer(private_key=key).sign(model, other)
    code, said = ours("verify", model, other, "--key", public)
    assert code == 0, said
    change(model, "changed byte")
    code, said = ours("verify", model, other, "--key", public)
    assert code == 1 and "weights.bin:1000:2000" in said, said


def test_each_accepts_the_others_certificates(model, tmp_path, authority):
    key, leaf, root = tmp_path / "signer.key", tmp_path / "signer.crt", tmp_path / "root.crt"
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf.read_bytes() + root.read_bytes())
    mine, other = tmp_path / "ours.sig", tmp_path / "theirs.sig"
    assert ours("sign", model, mine, key, "--chain", chain)[0] == 0
    code, said = theirs("verify", "certificate", model, "--signature", mine, "--certificate_chain", root)
    assert code == 0, said
    options = ["--private_key", key, "--signing_certificate", leaf, "--certificate_chain", root]
    code, said = theirs("sign", "certificate", model, "--signature", other, *options)
    assert code == 0, said
    for signature in (mine, other):
        code, said = ours("verify", model, signature, "--root", root)
        assert code == 0, said
        # A key is not a certificate: each counts where it is trusted.
        assert ours("verify", model, signature, "--key", tmp_path / "signer.pem")[0] == 1


def test_certificates_that_must_not_count(model, tmp_path, authority):
    root = tmp_path / "root.crt"
    strange_key = write_key(tmp_path, "strange")
    write_certificate(tmp_path, "strange", strange_key)
    write_certificate(tmp_path, "old", write_key(tmp_path, "old"), authority, days=(-30, -1))
    write_certificate(tmp_path, "later", write_key(tmp_path, "later"), authority, days=(1, 30))
    write_certificate(tmp_path, "useless", write_key(tmp_path, "useless"), authority, usage=False)

    def verdict(name: str, trusted: pathlib.Path, *more) -> tuple[int, str]:
        signature = tmp_path / f"{name}.sig"
        assert ours("sign", model, signature, tmp_path / f"{name}.key", "--chain", tmp_path / f"{name}.crt")[0] == 0
        return ours("verify", model, signature, "--root", trusted, *more)

    assert verdict("signer", root)[0] == 0
    for name, trusted, word in (
        ("signer", tmp_path / "strange.crt", "does not come from"),
        ("old", root, "expired"),
        ("later", root, "not valid yet"),
        ("useless", root, "not made for signing"),
    ):
        code, said = verdict(name, trusted)
        assert code == 1 and word in said, f"{name}: {said}"
    # It was valid once: whoever has a record that cannot be changed may ask about then.
    then = int((NOW - datetime.timedelta(days=10)).timestamp())
    assert verdict("old", root, "--at", then)[0] == 0


IDENTITY, ISSUER = "release@example.org", "https://issuer.example.org"


@pytest.fixture
def keyless(model, tmp_path):
    """A Sigstore, and a model that somebody signed there; the trusted root lies in `trusted_root.json`."""
    sigstore = fake_sigstore.Sigstore()
    write_key(tmp_path, "k")
    assert ours("sign", model, tmp_path / "key.sig", tmp_path / "k.key")[0] == 0
    payload = base64.b64decode(json.loads((tmp_path / "key.sig").read_text())["dsseEnvelope"]["payload"])
    (tmp_path / "trusted_root.json").write_text(sigstore.trusted_root())
    return sigstore, payload


def keyless_verdict(model, folder, bundle: dict, identity=IDENTITY, issuer=ISSUER) -> tuple[int, str]:
    (folder / "model.sig").write_text(json.dumps(bundle))
    options = ["--sigstore", folder / "trusted_root.json", "--identity", identity, "--issuer", issuer]
    return ours("verify", model, folder / "model.sig", *options)


def test_a_keyless_signature_is_verified_offline(model, tmp_path, keyless):
    sigstore, payload = keyless
    bundle = sigstore.bundle(payload, IDENTITY, ISSUER)
    code, said = keyless_verdict(model, tmp_path, bundle)
    assert code == 0 and "Keyless" in said, said
    assert keyless_verdict(model, tmp_path, bundle, identity="other@example.org")[0] == 1
    assert keyless_verdict(model, tmp_path, bundle, issuer="https://other.example.org")[0] == 1
    (tmp_path / "trusted_root.json").write_text(fake_sigstore.Sigstore().trusted_root())
    code, said = keyless_verdict(model, tmp_path, bundle)
    assert code == 1 and "not trusted" in said, said


def test_a_keyless_signature_holds_for_its_files_alone(model, tmp_path, keyless):
    sigstore, payload = keyless
    bundle = sigstore.bundle(payload, IDENTITY, ISSUER)
    assert keyless_verdict(model, tmp_path, bundle)[0] == 0
    change(model, "changed byte")
    code, said = keyless_verdict(model, tmp_path, bundle)
    assert code == 1 and "weights.bin" in said, said


def test_each_part_of_a_keyless_bundle_counts(model, tmp_path, keyless):
    sigstore, payload = keyless
    other = fake_sigstore.Sigstore()

    def verdict(change) -> tuple[int, str]:
        bundle = sigstore.bundle(payload, IDENTITY, ISSUER)
        material = bundle["verificationMaterial"]
        change(bundle, material, material["tlogEntries"][0])
        return keyless_verdict(model, tmp_path, bundle)

    foreign = other.bundle(payload, IDENTITY, ISSUER)["verificationMaterial"]
    unlogged = lambda _, material, __: material.update(tlogEntries=[])  # noqa: E731
    changes = {
        "nothing": lambda *_: None,
        "no log": unlogged,
        "another log": lambda _, material, __: material.update(tlogEntries=foreign["tlogEntries"]),
        "another certificate": lambda _, material, __: material.update(certificate=foreign["certificate"]),
        "later": lambda _, __, entry: entry.update(integratedTime=str(int(entry["integratedTime"]) + 86_400)),
        "no promise": lambda _, __, entry: entry.pop("inclusionPromise"),
        "no proof": lambda _, __, entry: entry.pop("inclusionProof"),
        "another root": lambda _, __, entry: entry["inclusionProof"].update(rootHash=base64.b64encode(bytes(32)).decode()),
        "another body": lambda _, __, entry: entry.update(canonicalizedBody=base64.b64encode(b"{}").decode()),
        "another payload": lambda bundle, _, __: bundle["dsseEnvelope"].update(payload=base64.b64encode(payload + b" ").decode()),
        "another signature": lambda bundle, _, __: bundle["dsseEnvelope"].update(signatures=[{"sig": "AAAA"}]),
    }
    for name, how in changes.items():
        code, said = verdict(how)
        assert code == (0 if name == "nothing" else 1), f"{name}: {said}"


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers")
    code, said = ours("papers", folder)
    assert code == 0, said
    return folder


ENVELOPES = ("provenance", "test-result", "summary", "scan", "papers")


@pytest.mark.parametrize("name", ENVELOPES)
def test_envelopes_are_verified_and_statements_valid(papers, name):
    from in_toto_attestation.v1 import statement
    from in_toto_attestation.v1.statement_pb2 import Statement
    from google.protobuf import json_format
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    read = json.loads((papers / f"{name}.dsse.json").read_text())
    public = serialization.load_pem_public_key((papers / "public.pem").read_bytes())
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = SSlibKey.from_crypto(public, keyid=hashlib.sha256(der).hexdigest())
    envelope = Envelope.from_dict({**read, "signatures": [{"sig": one["sig"], "keyid": one["keyid"]} for one in read["signatures"]]})
    assert set(envelope.verify([key], 1)) == {key.keyid}
    tampered = Envelope.from_dict({**read, "payload": base64.b64encode(b"{}").decode()})
    with pytest.raises(VerificationError):
        tampered.verify([key], 1)
    message = json_format.Parse(envelope.payload, Statement(), ignore_unknown_fields=False)
    said = statement.Statement.copy_from_pb(message)
    said.validate()
    root = json.loads((papers / "evidence.json").read_text())["root_sha256"]
    assert said.pb.subject[0].digest["sha256"] == root


@pytest.mark.parametrize("name", ["bom.json", "bare-bom.json"])
def test_the_bill_of_material_is_strictly_valid(papers, name):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str((papers / name).read_text())
    assert fault is None, fault


@pytest.mark.parametrize("name", ["croissant.json", "bare-croissant.json"])
def test_croissant_validates_and_loads(papers, name):
    import mlcroissant

    dataset = mlcroissant.Dataset(jsonld=papers / name)
    assert not dataset.metadata.ctx.issues.errors, dataset.metadata.ctx.issues.report()
    records = list(dataset.records("customers"))
    assert [record["customers/age"] for record in records] == [31, 45]
    assert [record["customers/income"] for record in records] == [1000.5, 2000.25]
    assert records[1]["customers/city"].decode() == "Zürich, ZH"
    assert [bool(record["customers/left"]) for record in records] == [True, False]


def test_croissant_notices_another_file(papers, tmp_path):
    import mlcroissant

    (tmp_path / "data").mkdir()
    (tmp_path / "croissant.json").write_bytes((papers / "croissant.json").read_bytes())
    (tmp_path / "data" / "customers.csv").write_text("age,income,city,left\n1,1,x,true\n")
    with pytest.raises(Exception) as caught:
        list(mlcroissant.Dataset(jsonld=tmp_path / "croissant.json").records("customers"))
    assert "hash" in repr(caught.value.__cause__).lower(), repr(caught.value.__cause__)


def test_the_signed_model_and_its_evidence_hold(papers):
    code, said = theirs("verify", "key", papers / "model", "--signature", papers / "model" / "model.sig", "--public_key", papers / "public.pem")
    assert code == 0, said
    code, said = ours("evidence", papers / "evidence.json", "--key", papers / "public.pem")
    assert code == 0, said
    tampered = papers / "tampered.json"
    read = json.loads((papers / "evidence.json").read_text())
    read["documents"][0]["content"] = base64.b64encode(b"{}").decode()
    tampered.write_text(json.dumps(read))
    code, said = ours("evidence", tampered, "--key", papers / "public.pem")
    assert code == 1 and "FAILS      document `bom.json`" in said, said
