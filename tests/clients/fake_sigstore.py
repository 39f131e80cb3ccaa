"""A Sigstore of one's own for tests: an authority, its certificate log and its signature log, all offline, all made here.

Formats: RFC 6962 (signed certificate timestamps), Fulcio's certificate extensions, Rekor's `dsse` entry 0.0.1 with its signed entry
timestamp, inclusion proof and checkpoint, and the trusted root that names the three.
"""

import base64
import datetime
import hashlib
import json
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
TIMESTAMPS = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def spki(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def log_id(key) -> bytes:
    return hashlib.sha256(spki(key)).digest()


def sign(key, message: bytes) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


def der(tag: int, content: bytes) -> bytes:
    """DER of less than 64 KiB."""
    size = len(content)
    head = bytes([size]) if size < 128 else (bytes([0x81, size]) if size < 256 else b"\x82" + struct.pack(">H", size))
    return bytes([tag]) + head + content


def usage(**on) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
        "crl_sign", "encipher_only", "decipher_only",
    )
    return x509.KeyUsage(**{name: on.get(name, False) for name in names})


class Sigstore:
    """One installation."""

    def __init__(self):
        self.authority_key, self.certificate_log, self.signature_log = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        name = x509.Name(
            [x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "example.org"), x509.NameAttribute(x509.NameOID.COMMON_NAME, "fulcio")]
        )
        self.authority = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.authority_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - datetime.timedelta(days=100))
            .not_valid_after(self.now + datetime.timedelta(days=100))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.authority_key.public_key()), critical=False)
            .sign(self.authority_key, hashes.SHA256())
        )

    def trusted_root(self) -> str:
        start = {"start": (self.now - datetime.timedelta(days=50)).isoformat().replace("+00:00", "Z")}

        def log(key, address: str) -> dict:
            public = {"rawBytes": b64(spki(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": start}
            return {"baseUrl": address, "hashAlgorithm": "SHA2_256", "publicKey": public, "logId": {"keyId": b64(log_id(key))}}

        authority = {
            "subject": {"organization": "example.org", "commonName": "fulcio"},
            "uri": "https://fulcio.example.org",
            "certChain": {"certificates": [{"rawBytes": b64(self.authority.public_bytes(serialization.Encoding.DER))}]},
            "validFor": start,
        }
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.signature_log, "https://rekor.example.org")],
            "certificateAuthorities": [authority],
            "ctlogs": [log(self.certificate_log, "https://ct.example.org")],
            "timestampAuthorities": [],
        }
        return json.dumps(root)

    def certificate(self, key, identity: str, issuer: str) -> x509.Certificate:
        """For ten minutes, with the certificate log's timestamp in it."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - datetime.timedelta(minutes=1))
            .not_valid_after(self.now + datetime.timedelta(minutes=9))
            .add_extension(usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority_key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(identity)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER_V1, issuer.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(ISSUER_V2, der(0x0C, issuer.encode())), critical=False)
        )
        unlogged = builder.sign(self.authority_key, hashes.SHA256()).tbs_certificate_bytes
        at = int(self.now.timestamp() * 1000)
        entry = log_id(self.authority_key) + struct.pack(">I", len(unlogged))[1:] + unlogged
        signed = sign(self.certificate_log, struct.pack(">BBQH", 0, 0, at, 1) + entry + b"\0\0")
        timestamp = b"\0" + log_id(self.certificate_log) + struct.pack(">QH", at, 0) + b"\x04\x03" + struct.pack(">H", len(signed)) + signed
        listed = struct.pack(">H", len(timestamp)) + timestamp
        listed = der(0x04, struct.pack(">H", len(listed)) + listed)
        return builder.add_extension(x509.UnrecognizedExtension(TIMESTAMPS, listed), critical=False).sign(
            self.authority_key, hashes.SHA256()
        )

    def bundle(self, payload: bytes, identity: str, issuer: str) -> dict:
        """The payload, signed without a key of one's own."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certificate(key, identity, issuer)
        pae = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
        signature = {"sig": b64(sign(key, pae))}
        envelope = {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(certificate.public_bytes(serialization.Encoding.DER))},
                "tlogEntries": [self.entry(envelope, payload, certificate)],
            },
            "dsseEnvelope": envelope,
        }

    def entry(self, envelope: dict, payload: bytes, certificate: x509.Certificate) -> dict:
        canonical = {"separators": (",", ":"), "sort_keys": True}
        verifier = b64(certificate.public_bytes(serialization.Encoding.PEM))
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(json.dumps(envelope, **canonical).encode()).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
            "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": verifier}],
        }
        body = json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}, **canonical).encode()
        at, log = int(self.now.timestamp()), self.signature_log
        promise = {"body": b64(body), "integratedTime": at, "logID": log_id(log).hex(), "logIndex": 0}
        root = hashlib.sha256(b"\0" + body).digest()
        text = f"rekor.example.org\n1\n{b64(root)}\n"
        note = f"{text}\n— rekor.example.org {b64(log_id(log)[:4] + sign(log, text.encode()))}\n"
        return {
            "logIndex": "0",
            "logId": {"keyId": b64(log_id(log))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(at),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(log, json.dumps(promise, **canonical).encode()))},
            "inclusionProof": {
                "logIndex": "0", "rootHash": b64(root), "treeSize": "1", "hashes": [], "checkpoint": {"envelope": note},
            },
            "canonicalizedBody": b64(body),
        }
