"""Those who vouch for others, for the tests: a certificate authority, a real OpenID Connect provider, and a platform that signs tokens."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT_SECRET = "a secret of the tests"
STRONG = "urn:example:two-factors"


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def pem(key) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def certificates(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """An authority and a certificate for `localhost`, as files."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])

    def signed(subject, key, is_authority):
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        if not is_authority:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return made.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    mine = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    files = {"ca": signed(name, authority, True), "cert": signed(mine, own, False), "key": pem(own)}
    paths = {}
    for word, content in files.items():
        paths[word] = folder / f"{word}.pem"
        paths[word].write_bytes(content)
    return paths


class Provider:
    """A running provider; `people` are written to its file."""

    def __init__(self, issuer: str, ca: pathlib.Path, file: pathlib.Path):
        self.issuer, self.ca, self.file, self.people = issuer, ca, file, {}

    def put(self, subject: str, name: str, groups: list[str], strong: bool = False) -> None:
        self.people[subject] = {"name": name, "groups": groups, "strong": strong}
        self.file.write_text(json.dumps(self.people))


@contextlib.contextmanager
def oidc_provider(folder: pathlib.Path, files: dict[str, pathlib.Path], port: int, url: str, server_ca: str):
    """A real provider on this port, with these certificates, for the server at this URL."""
    people = folder / "people.json"
    people.write_text("{}")
    script = pathlib.Path(__file__).with_name("oidc_provider.mjs")
    command = ["node", str(script), str(port), str(files["key"]), str(files["cert"]), f"{url}/login/callback", str(people)]
    command.append(f"{url}/login/backchannel-logout")
    with open(folder / "provider.log", "wb") as log:
        # It tells our server of logouts, over TLS.
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": server_ca}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
    try:
        line = process.stdout.readline().decode()
        assert line.startswith("listening"), (folder / "provider.log").read_text()
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield Provider(f"https://localhost:{port}", files["ca"], people)
    finally:
        process.kill()
        process.wait()


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Platform:
    """Whoever runs programs and signs for them what they are: GitHub's and Kubernetes' part."""

    def __init__(self, issuer: str):
        self.issuer, self.asked = issuer, []
        # What the next log-ins tell of their people, by code; without a form, for tests that have no browser.
        self.log_ins: dict[str, dict] = {}
        self.keys = {"one": ec.generate_private_key(ec.SECP256R1())}

    def documents(self) -> dict[str, dict]:
        keys = []
        for kid, key in self.keys.items():
            public = key.public_key().public_numbers()
            point = {"x": encoded(public.x.to_bytes(32, "big")), "y": encoded(public.y.to_bytes(32, "big"))}
            keys.append({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", **point})
        discovery = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        discovery |= {"authorization_endpoint": f"{self.issuer}/auth", "token_endpoint": f"{self.issuer}/token"}
        return {"/.well-known/openid-configuration": discovery, "/keys": {"keys": keys}}

    def token(self, claims: dict, audience: str = "strongroom", kid: str = "one", key=None, header: dict | None = None) -> str:
        now = int(time.time())
        body = {"iss": self.issuer, "aud": audience, "iat": now, "exp": now + 300, **claims}
        head = header or {"alg": "ES256", "typ": "JWT", "kid": kid}
        text = f"{encoded(json.dumps(head).encode())}.{encoded(json.dumps(body).encode())}"
        r, s = decode_dss_signature((key or self.keys["one"]).sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def log_in(server, issuer: Platform, **claims):
    """Logs somebody in at this issuer, without a browser; gives the session's cookie."""
    plain = server.session(token=None)
    left = plain.get(f"{server.url}/login/with/company", allow_redirects=False)
    assert left.status_code == 303, left.text
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(left.headers["Location"]).query))
    code = os.urandom(8).hex()
    issuer.log_ins[code] = {"nonce": asked["nonce"], **claims}
    headers = {"Cookie": f"__Host-strongroom-login={left.cookies['__Host-strongroom-login']}"}
    back = {"code": code, "state": asked["state"]}
    landed = plain.get(f"{server.url}/login/callback", params=back, headers=headers, allow_redirects=False)
    assert landed.status_code == 303 and "failed" not in landed.headers["Location"], (landed.headers, landed.text)
    return landed.cookies["__Host-strongroom"]


@contextlib.contextmanager
def platform(folder: pathlib.Path):
    """A platform with its documents on loopback; gives it and its authority's file."""
    files = certificates(folder)
    holder: list[Platform] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            holder[0].asked.append(self.path)
            self.answer(holder[0].documents().get(self.path))

        def do_POST(self):
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            claims = holder[0].log_ins.pop(form["code"][0], None) if self.path == "/token" else None
            self.answer(claims and {"id_token": holder[0].token(claims), "access_token": "x", "token_type": "Bearer"})

        def answer(self, document):
            body = json.dumps(document or {}).encode()
            self.send_response(200 if document else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["cert"], files["key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    holder.append(Platform(f"https://localhost:{server.server_port}"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield holder[0], files["ca"]
    finally:
        server.shutdown()


def node_modules() -> str | None:
    return os.environ.get("STRONGROOM_NODE_MODULES")
