"""Notices by mail: only inside TLS that was verified, signed, encrypted where there is a key, kept where they cannot be sent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import email
import email.policy
import json
import pathlib
import secrets
import shutil
import socket
import ssl
import subprocess
import threading

import dkim
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import harness
import people
from test_elevations import totp

pytestmark = pytest.mark.strongroom_only

USER, PASSWORD = "strongroom", f"a password {secrets.token_hex(8)}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder: pathlib.Path, name: str, host: str = "localhost") -> tuple[pathlib.Path, pathlib.Path]:
    """An authority and a certificate of it for a host: the authority's file, and one with certificate and key."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def made(subject, key, issuer, by, is_authority):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if not is_authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(by, hashes.SHA256())

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {name}")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    authority = made(issuer, authority_key, issuer, authority_key, True)
    leaf = made(subject, key, issuer, authority_key, False)
    plain = serialization.NoEncryption()
    authority_file, both = folder / f"{name}-ca.pem", folder / f"{name}.pem"
    authority_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    both.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + private)
    return authority_file, both


def inside_tls(server) -> bool:
    return server.transport.get_extra_info("ssl_object") is not None


class Mailbox:
    """Takes mail in, and who logged in for it. While `code` is set it answers with that instead; while it is silent it says no goodbye."""

    def __init__(self):
        self.got: list[tuple[list[str], bytes, bool]] = []
        self.log_ins: list[tuple[str, str, bool]] = []
        self.code = ""
        self.is_silent = False

    async def handle_DATA(self, server, session, envelope):
        if self.code:
            return self.code
        self.got.append((envelope.rcpt_tos, envelope.content, inside_tls(server)))
        return "250 taken"

    async def handle_QUIT(self, server, session, envelope):
        while self.is_silent:
            await asyncio.sleep(0.1)
        return "221 bye"

    def authenticate(self, server, session, envelope, mechanism, data):
        user, password = data.login.decode(), data.password.decode()
        self.log_ins.append((user, password, inside_tls(server)))
        return AuthResult(success=(user, password) == (USER, PASSWORD))

    def mails(self, to: str):
        return [email.message_from_bytes(content, policy=email.policy.default) for tos, content, _ in self.got if to in tos]


def context(both: pathlib.Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(both)
    return made


@contextlib.contextmanager
def smtp(both: pathlib.Path, port: int, implicit: bool = False):
    """A real mail server: it takes nothing outside TLS, and nothing from strangers."""
    box = Mailbox()
    more = {"authenticator": box.authenticate, "auth_required": True}
    if implicit:

        class Implicit(Controller):
            def factory(self):
                return SMTP(self.handler, auth_require_tls=False, **more)

        controller = Implicit(box, hostname="127.0.0.1", port=port, ssl_context=context(both))
    else:
        controller = Controller(box, hostname="127.0.0.1", port=port, tls_context=context(both), require_starttls=True, **more)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


class Stripper(threading.Thread):
    """Somebody on the way. `hide` takes STARTTLS out of what the server offers; `refuse` answers it with 454; `pretend` says yes and goes on
    in the open; `inject` sends behind the server's yes what a server would answer to a whole mail, and lets nothing but the handshake's begin
    through. Whatever the client said is kept."""

    ANSWERS = b"250-x\r\n250 AUTH PLAIN LOGIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n221 bye\r\n"

    def __init__(self, port: int, upstream: int, how: str):
        super().__init__(daemon=True)
        self.how, self.upstream, self.heard, self.closed = how, upstream, b"", False
        self.listener = socket.create_server(("127.0.0.1", port))

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.between, args=(client,), daemon=True).start()

    def between(self, client):
        server = socket.create_connection(("127.0.0.1", self.upstream))
        asked, begun = threading.Event(), False

        def down():
            with contextlib.suppress(OSError):
                while self.how == "inject" and (piece := server.recv(65_536)):
                    client.sendall(piece + self.ANSWERS if asked.is_set() and piece.startswith(b"220 ") else piece)
                for line in server.makefile("rb"):
                    if self.how == "hide" and b"STARTTLS" in line.upper():
                        # Of several lines the last one has a space behind its code.
                        line = b"250-X-NOTHING\r\n" if line.startswith(b"250-") else b"250 X-NOTHING\r\n"
                    client.sendall(line)
                client.close()

        threading.Thread(target=down, daemon=True).start()
        with contextlib.suppress(OSError):
            # By bytes: a handshake has no lines.
            while piece := client.recv(4_096):
                self.heard += piece
                if piece.upper().startswith(b"STARTTLS") and self.how == "refuse":
                    client.sendall(b"454 TLS not available due to temporary reason\r\n")
                elif piece.upper().startswith(b"STARTTLS") and self.how == "pretend":
                    client.sendall(b"220 go ahead\r\n")
                elif self.how != "inject":
                    server.sendall(piece)
                elif not begun:
                    if piece.upper().startswith(b"STARTTLS"):
                        asked.set()
                    begun = piece.startswith(b"\x16")
                    server.sendall(piece)
        server.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(5)


def settings(folder: pathlib.Path, port: int, ca: pathlib.Path, tls: str = "starttls", more: str = "") -> str:
    password = folder / "mail.password"
    password.write_text(PASSWORD + "\n")
    return f"""
[mail]
server = "localhost"
port = {port}
tls = "{tls}"
ca = "{ca}"
user = "{USER}"
password_file = "{password}"
from = "strongroom@example.com"
digest_minutes = 0
{more}
"""


def as_admin(server):
    return ["--token-file", str(server.token_file)]


def listed(server, *more):
    return json.loads(server.cli("mail", "list", "--json", *more, *as_admin(server)).stdout)


def hurry(server):
    """What waits is tried now: tests do not sleep for as long as a server does."""
    harness.edit_database(server, "UPDATE mail_recipient SET next_at = 0")


def with_address(server, address: str):
    """A person, whose notices go to an address that an administrator set."""
    person = people.person(server, "viewer")
    server.cli("mail", "address", person.name, address, *as_admin(server))
    return person


def set_password(server, person):
    """Something that a person is told."""
    people.call(server.session(), server, "POST", f"/users/{person.name}/password", json={"password": secrets.token_urlsafe(24)})


def unchanged_secrets(server, *texts):
    """The password stands nowhere where anybody reads."""
    forms = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode())
    everything = server.log_file.read_text(errors="replace") + "".join(texts)
    for form in forms:
        assert form not in everything


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_server_that_takes_mail_inside_tls_only_gets_it(tmp_path, tls):
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    with smtp(both, port, implicit=tls == "implicit") as box, harness.running(config_text=settings(tmp_path, port, ca, tls)) as server:
        said = server.cli("mail", "test", "ada@example.org", *as_admin(server)).stdout
        assert "took it" in said
        ((tos, content, inside),) = box.got
        assert tos == ["ada@example.org"] and inside
        mail = box.mails("ada@example.org")[0]
        assert mail["Subject"] == "Strongroom: a test" and mail["From"] == "strongroom@example.com"
        assert mail["Auto-Submitted"] == "auto-generated" and mail["Message-ID"]
        assert "http" not in content.decode(), "without `link` there is none"
        assert box.log_ins == [(USER, PASSWORD, True)]
        assert listed(server) == []
        (sent,) = listed(server, "--sent")
        assert (sent["state"], sent["to"]) == ("sent", "a…@example.org")
        unchanged_secrets(server, said)


def test_a_server_that_says_no_goodbye_has_taken_the_mail_all_the_same(tmp_path):
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    with smtp(both, port) as box, harness.running(config_text=settings(tmp_path, port, ca)) as server:
        box.is_silent = True
        try:
            said = server.cli("mail", "test", "ada@example.org", *as_admin(server)).stdout
        finally:
            box.is_silent = False
        assert "took it" in said and listed(server) == []
        hurry(server)
        server.cli("mail", "test", "bob@example.org", *as_admin(server))
        assert [tos for tos, _, _ in box.got] == [["ada@example.org"], ["bob@example.org"]], "once, and the next one too"


@pytest.mark.parametrize("how", ["hide", "refuse", "pretend", "inject"])
def test_whoever_strips_starttls_gets_nothing_and_the_mail_goes_when_they_are_gone(tmp_path, how):
    ca, both = certificate(tmp_path, "good")
    real, port = free_port(), free_port()
    with smtp(both, real) as box:
        stripper = Stripper(port, real, how)
        stripper.start()
        with harness.running(config_text=settings(tmp_path, port, ca)) as server:
            person = with_address(server, "ada@example.org")
            set_password(server, person)
            tried = server.cli("mail", "test", "bob@example.org", *as_admin(server), check=False)
            assert tried.returncode == 5 and "kept and tried again" in tried.stderr, tried
            tried_kinds = lambda: {one["kind"] for one in listed(server) if one["fault"]}  # noqa: E731
            harness.wait_until(lambda: tried_kinds() >= {"test", "password_set"}, 20, "both were tried")
            waiting = listed(server)
            assert {one["state"] for one in waiting} == {"waiting"}
            if how == "hide":
                assert "STARTTLS" in waiting[0]["fault"]
            # Neither who writes to whom, nor the password, nor a word of the mail was said.
            for secret in (b"example.org", b"example.com", b"MAIL FROM", b"AUTH", PASSWORD.encode(), b"Subject"):
                assert secret.lower() not in stripper.heard.lower(), stripper.heard
            assert box.got == [] and box.log_ins == []
            unchanged_secrets(server, tried.stderr, json.dumps(waiting))
            # They survive the server's end, too.
            server.kill()
            stripper.close()
            with smtp(both, port) as honest:
                server.start()
                hurry(server)
                harness.wait_until(lambda: len(honest.got) >= 2, 20, "what waited is sent")
                harness.wait_until(lambda: listed(server) == [], 10, "nothing waits")
                told = sorted(to for tos, _, inside in honest.got for to in tos if inside)
                assert told == ["ada@example.org", "bob@example.org"]


def test_a_certificate_of_another_authority_or_name_is_no_way(tmp_path):
    ca, _ = certificate(tmp_path, "good")
    _, other = certificate(tmp_path, "other")
    elsewhere_ca, elsewhere = certificate(tmp_path, "elsewhere", host="mail.example.net")
    for trusted, both in ((ca, other), (elsewhere_ca, elsewhere)):
        for tls in ("starttls", "implicit"):
            port = free_port()
            text = settings(tmp_path, port, trusted, tls)
            with smtp(both, port, implicit=tls == "implicit") as box, harness.running(config_text=text) as server:
                tried = server.cli("mail", "test", "ada@example.org", *as_admin(server), check=False)
                assert tried.returncode == 5 and "certificate" in tried.stderr, tried.stderr
                assert box.got == [] and box.log_ins == []
                assert listed(server)[0]["state"] == "waiting"


def test_a_server_that_repeats_the_password_does_not_get_it_into_a_list(tmp_path):
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    with smtp(both, port) as box, harness.running(config_text=settings(tmp_path, port, ca)) as server:
        box.code = f"554 no mail with {PASSWORD} or {base64.b64encode(PASSWORD.encode()).decode()}"
        tried = server.cli("mail", "test", "ada@example.org", *as_admin(server), check=False)
        assert "554" in tried.stderr and "no mail with" in tried.stderr
        unchanged_secrets(server, tried.stderr, json.dumps(listed(server)))
        assert PASSWORD not in server.cli("config", "check").stdout


@pytest.mark.parametrize("kind", ["rsa", "rsa-pkcs1", "ed25519"])
def test_mail_is_signed(tmp_path, kind):
    ca, both = certificate(tmp_path, "good")
    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    form = serialization.PrivateFormat.TraditionalOpenSSL if kind == "rsa-pkcs1" else serialization.PrivateFormat.PKCS8
    file = tmp_path / "dkim.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    more = f'[mail.dkim]\ndomain = "example.com"\nselector = "s1"\nkey_file = "{file}"\n'
    port = free_port()
    if kind == "ed25519":
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        raw = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k={kind.split('-')[0]}; p={base64.b64encode(raw).decode()}".encode()

    def look_up(name, timeout=5):
        return record if name.rstrip(b".") == b"s1._domainkey.example.com" else None

    with smtp(both, port) as box, harness.running(config_text=settings(tmp_path, port, ca, more=more)) as server:
        server.cli("mail", "test", "ada@example.org", *as_admin(server))
        content = box.got[0][1]
        assert dkim.verify(content, dnsfunc=look_up)
        assert not dkim.verify(content.replace(b"a test", b"a tost"), dnsfunc=look_up)
        assert not dkim.verify(content.replace(b"Subject: Strongroom: a test", b"Subject: Strongroom: a tost"), dnsfunc=look_up)


def test_whoever_gave_a_key_can_read_and_nobody_on_the_way(tmp_path):
    gpg = shutil.which("gpg")
    if not gpg:
        pytest.skip("Debian's gpg is not installed")
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)

    def run(*arguments, **more):
        return subprocess.run([gpg, "--homedir", str(home), "--batch", *arguments], capture_output=True, check=True, timeout=60, **more).stdout

    run("--passphrase", "", "--quick-gen-key", "Ada <ada@example.org>", "future-default", "default", "1y")
    fingerprint = next(line.split(":")[9] for line in run("--list-keys", "--with-colons").decode().splitlines() if line.startswith("fpr"))
    exported = tmp_path / "ada.asc"
    exported.write_bytes(run("--armor", "--export", fingerprint))
    signing_only = tmp_path / "signing.asc"
    run("--passphrase", "", "--quick-gen-key", "Bob <bob@example.org>", "ed25519", "sign", "1y")
    signing_only.write_bytes(run("--armor", "--export", "bob@example.org"))
    secret = tmp_path / "secret.asc"
    secret.write_bytes(run("--armor", "--export-secret-keys", fingerprint))
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    with smtp(both, port) as box, harness.running(config_text=settings(tmp_path, port, ca, more='content = "full"')) as server:
        person = with_address(server, "ada@example.org")
        token = tmp_path / "ada.token"
        token.write_text(person.token)
        token.chmod(0o600)
        for bad in (signing_only, secret, ca):
            refused = server.cli("mail", "key", str(bad), "--token-file", str(token), check=False)
            assert refused.returncode == 2 and "OpenPGP key" in refused.stderr, refused.stderr
        said = server.cli("mail", "key", str(exported), "--json", "--token-file", str(token)).stdout
        assert json.loads(said)["key"] == fingerprint
        own = json.loads(server.cli("mail", "own", "--json", "--token-file", str(token)).stdout)
        said = lambda: any("encrypted to was changed" in mail.get_content() for mail in box.mails("ada@example.org") if not mail.is_multipart())  # noqa: E731
        harness.wait_until(said, 20, "until now mail went in the open, and so does the news of that")
        assert own == {"mail_leaves": True, "address": "ada@example.org", "source": "administrator", "key": fingerprint, "key_fault": None}
        box.got.clear()
        set_password(server, person)
        harness.wait_until(lambda: b"set the password" in b"".join(decrypted(box, run)), 20, "the password is told of")
        for _, content, _ in box.got:
            mail = email.message_from_bytes(content, policy=email.policy.default)
            assert mail.get_content_type() == "multipart/encrypted"
            assert mail.get_param("protocol") == "application/pgp-encrypted"
            kinds = [part.get_content_type() for part in mail.iter_parts()]
            assert kinds == ["application/pgp-encrypted", "application/octet-stream"]
            assert b"password" not in content and mail["Subject"].endswith((" a notice", " notices"))
        inner = [email.message_from_bytes(one, policy=email.policy.default).get_content() for one in decrypted(box, run)]
        assert "An administrator set the password" in "".join(inner)


def test_a_key_counts_by_what_its_holder_said_of_it(tmp_path):
    """A name that was taken back does not prolong a key that has expired, and what others signed of a key takes nothing away."""
    gpg = shutil.which("gpg")
    if not gpg:
        pytest.skip("Debian's gpg is not installed")
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)

    def run(*arguments, at=None):
        time = ("--faked-system-time", f"{at}!") if at else ()
        command = [gpg, "--homedir", str(home), "--batch", "--yes", "--passphrase", "", *time, *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def exported(name):
        file = tmp_path / f"{name}.asc"
        file.write_bytes(run("--armor", "--export", f"{name}@example.org"))
        return file

    run("--quick-gen-key", "Ada <ada@example.org>", "future-default", "default", "1y", at="20240101T000000")
    run("--quick-add-uid", "ada@example.org", "Ada <old@example.org>", at="20240201T000000")
    run("--quick-revoke-uid", "ada@example.org", "Ada <old@example.org>", at="20240301T000000")
    run("--quick-gen-key", "Bob <bob@example.org>", "future-default", "default", "1y")
    run("--quick-gen-key", "Eve <eve@example.org>", "future-default", "default", "1y")
    listed = run("--list-keys", "--with-colons", "bob@example.org").decode().splitlines()
    fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
    run("--local-user", "eve@example.org", "--quick-sign-key", fingerprint)
    with harness.running() as server:
        person = people.person(server, "viewer")
        token = tmp_path / "token"
        token.write_text(person.token)
        token.chmod(0o600)
        key = lambda name: server.cli("mail", "key", str(exported(name)), "--json", "--token-file", str(token), check=False)  # noqa: E731
        refused = key("ada")
        assert refused.returncode == 2 and "it has expired" in refused.stderr, refused
        taken = key("bob")
        assert taken.returncode == 0 and json.loads(taken.stdout)["key"] == fingerprint, taken


def decrypted(box, run):
    all_of_them = []
    for _, content, _ in box.got:
        mail = email.message_from_bytes(content, policy=email.policy.default)
        if mail.is_multipart():
            sealed = list(mail.iter_parts())[1].get_payload(decode=True)
            all_of_them.append(run("--passphrase", "", "--decrypt", input=sealed))
    return all_of_them


def test_what_happens_to_an_account_is_told_to_its_holder_and_to_nobody_else(tmp_path):
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    more = 'administrators = ["security@example.org"]\nlink = "https://strongroom.example"'
    with smtp(both, port) as box, harness.running(config_text=settings(tmp_path, port, ca, more=more)) as server:
        person = with_address(server, "ada@example.org")
        nobody = people.person(server, "viewer")
        set_password(server, person)
        set_password(server, nobody)
        people.call(server.session(), server, "POST", f"/users/{person.name}/reset-factors", json={})
        for words in ("An administrator set the password", "An administrator removed the second factors", "set the address"):
            said = lambda words=words: words in "".join(mail.get_content() for mail in box.mails("ada@example.org"))  # noqa: E731
            harness.wait_until(said, 20, words)
        text = "".join(mail.get_content() for mail in box.mails("ada@example.org"))
        # Neither names nor a link that opens an account.
        assert person.name not in text and "admin" not in text.replace("administrator", "")
        links = {line.split("See:")[1].strip() for line in text.splitlines() if "See:" in line}
        (link,) = links
        (origin, path) = link[: len("https://strongroom.example")], link[len("https://strongroom.example") :]
        assert origin == "https://strongroom.example"
        password = secrets.token_urlsafe(24)
        people.call(server.session(), server, "POST", f"/users/{person.name}/password", json={"password": password})
        browser = server.session(token=None)
        form = {"username": person.name, "password": password}
        opened = browser.post(f"{server.url}/login", data=form, allow_redirects=False)
        browser.headers["Cookie"] = f"__Host-strongroom={opened.cookies['__Host-strongroom']}"
        shown = browser.get(f"{server.url}{path}", allow_redirects=False)
        assert shown.status_code == 200 and "text/html" in shown.headers["Content-Type"], (path, shown.status_code)
        assert {to for tos, _, _ in box.got for to in tos} == {"ada@example.org"}, "who has no address is told nothing, and nobody else is"


def test_a_broken_glass_is_told_to_administrators_and_the_alert_to_whom_the_configuration_names(tmp_path):
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    text = settings(tmp_path, port, ca, more='administrators = ["security@example.org"]')
    text += '\n[observe]\nevery_s = 1\n[[observe.mails]]\nto = "on-call@example.org"\n'
    with smtp(both, port) as box, harness.running(config_text=text) as server:
        eve = people.person(server, "break_glass", on="server")
        for name, address in ((eve.name, "eve@example.org"), ("admin", "admin@example.org")):
            server.cli("mail", "address", name, address, *as_admin(server))
        basic = eve.basic()
        key = people.call(basic, server, "POST", "/me/factors/totp", json={})["secret"]
        codes = people.call(basic, server, "POST", "/me/factors/totp/confirm", json={"code": totp(key)})["recovery_codes"]
        form = {"username": eve.name, "password": eve.password, "code": codes[0]}
        opened = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
        strong = server.session(token=None)
        strong.headers["Cookie"] = f"__Host-strongroom={opened.cookies['__Host-strongroom']}"
        people.call(strong, server, "POST", "/break-glass", json={"seconds": 600, "reason": "a secret reason"})

        def said(to):
            return "".join(mail.get_content() for mail in box.mails(to))

        harness.wait_until(lambda: "One-time codes were set up" in said("eve@example.org"), 20, "eve is told of the codes")
        harness.wait_until(lambda: "A recovery code was used" in said("eve@example.org"), 20, "eve is told of the log-in")
        for to in ("security@example.org", "admin@example.org"):
            harness.wait_until(lambda to=to: "Somebody became administrator in an emergency" in said(to), 20, f"{to} is told")
        harness.wait_until(lambda: "An alert was opened" in said("on-call@example.org"), 20, "the alert is told")
        everything = b"".join(content for _, content, _ in box.got)
        assert b"a secret reason" not in everything and eve.name.encode() not in everything


def test_who_may_do_what(tmp_path):
    ca, both = certificate(tmp_path, "good")
    port = free_port()
    with smtp(both, port) as box, harness.running(config_text=settings(tmp_path, port, ca)) as server:
        viewer, auditor = people.person(server, "viewer"), people.person(server, "auditor", on="server")
        for who in (viewer, auditor):
            session = who.session()
            people.call(session, server, "GET", "/mail", status=403)
            people.call(session, server, "POST", "/mail/test", status=403, json={"to": "ada@example.org"})
            people.call(session, server, "POST", f"/users/{viewer.name}/mail", status=403, json={"address": "ada@example.org"})
        for bad in ("ada", "ada@example.org\r\nBcc: all@example.org", "ada@example.org>\r\nRCPT TO:<eve@example.org", ""):
            people.call(server.session(), server, "POST", "/mail/test", status=400, json={"to": bad})
            people.call(server.session(), server, "POST", f"/users/{viewer.name}/mail", status=400, json={"address": bad})
        people.call(server.session(), server, "POST", "/users/nosuchthing/mail", status=404, json={"address": "ada@example.org"})
        assert box.got == []
        # The address stands in no record, and not in the open in the database.
        server.cli("mail", "address", viewer.name, "very-personal@example.org", *as_admin(server))
        records = people.call(server.session(), server, "GET", "/audit/records?rows=500")
        assert "very-personal" not in json.dumps(records)
        if server.engine == "sqlite":
            assert b"very-personal" not in b"".join(file.read_bytes() for file in (server.data / "db").iterdir())


def test_a_configuration_that_could_not_send_is_refused(tmp_path):
    ca, _ = certificate(tmp_path, "good")
    good = settings(tmp_path, 587, ca)
    cases = {
        'tls = "none"': good.replace('tls = "starttls"', 'tls = "none"'),
        "no `server`": good.replace('server = "localhost"\n', ""),
        "mail.from": good.replace('from = "strongroom@example.com"\n', ""),
        "cannot be read": good.replace(str(ca), str(tmp_path / "nothing.pem")),
        "no private key": good + f'[mail.dkim]\ndomain = "example.com"\nselector = "s"\nkey_file = "{ca}"\n',
        "observe.mails": '[[observe.mails]]\nto = "a@example.org"\n',
    }
    for words, text in cases.items():
        with pytest.raises(harness.StartError) as refused, harness.running(config_text=text):
            pass
        assert words in str(refused.value) or "unknown variant" in str(refused.value), (words, str(refused.value))
