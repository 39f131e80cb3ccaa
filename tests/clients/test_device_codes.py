"""Command lines that a code logs in (after RFC 8628): what they are told, at what pace, and through short outages."""

import hashlib
import secrets
import socket
import string
import subprocess
import threading
import time
import urllib.parse
import zlib

import pytest

import harness
from people import person

pytestmark = pytest.mark.strongroom_only
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def device_secret() -> str:
    """As a command line makes one."""
    text = "sr_dev_" + "".join(secrets.choice(BASE62) for _ in range(43))
    rest, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = BASE62[digit] + digits
    return text + digits


def user_code(secret: str) -> str:
    letters = "BCDFGHJKLMNPQRSTVWXYZ23456789AEU"
    digest = hashlib.sha256(b"device code " + secret.encode()).digest()
    code = "".join(letters[byte & 31] for byte in digest[:10])
    return f"{code[:5]}-{code[5:]}"


def asked(server, secret):
    answer = server.session(token=None).post(f"{server.url}/oauth/token", data={"grant_type": GRANT, "device_code": secret})
    said = answer.json()
    assert answer.status_code == (200 if "access_token" in said else 400) and answer.headers["cache-control"] == "no-store", said
    return said.get("error"), said


class Browser:
    """What a person's browser sends."""

    def __init__(self, server):
        self.server, self.who = server, person(server, "contributor")
        plain = server.session(token=None)
        form = {"username": self.who.name, "password": self.who.password}
        login = plain.post(f"{server.url}/login", data=form, allow_redirects=False)
        plain.headers["Cookie"] = f"__Host-strongroom={login.cookies['__Host-strongroom']}"
        self.session = plain

    def decide(self, code, path="/device"):
        return self.session.post(f"{self.server.url}{path}", data={"code": code}).status_code


def test_who_asks_too_soon_is_told_to_slow_down(server):
    secret = device_secret()
    assert asked(server, secret)[0] == "authorization_pending"
    word, said = asked(server, secret)
    assert word == "slow_down" and "five seconds" in said["error_description"]
    time.sleep(3)
    assert asked(server, secret)[0] == "slow_down", "two seconds have become seven, and now twelve"
    assert asked(server, device_secret())[0] == "authorization_pending", "and nobody else's"
    # What was decided is told at once all the same, and a code serves once.
    browser = Browser(server)
    assert browser.decide(user_code(secret)) == 200
    assert asked(server, secret)[1]["token_type"] == "Bearer"
    assert asked(server, secret)[0] == "invalid_grant"
    assert browser.decide(user_code(secret)) == 400 and browser.decide(user_code(secret), "/device/deny") == 400


def test_a_code_is_denied_on_its_page(server):
    browser, secret = Browser(server), device_secret()
    shown = browser.session.get(f"{server.url}/device?code={user_code(secret)}").text
    assert 'formaction="/device/deny"' in shown and "deny it" in shown
    assert asked(server, secret)[0] == "authorization_pending"
    answer = browser.session.post(f"{server.url}/device/deny", data={"code": user_code(secret)})
    assert answer.status_code == 200 and "Denied" in answer.text
    assert asked(server, secret)[0] == "access_denied"
    assert browser.decide(user_code(secret)) == 400
    for bad in ("", "AAAAA", "AAAAA-AAAA0"):
        assert browser.decide(bad, "/device/deny") == 400, bad
    stranger = server.session(token=None).post(f"{server.url}/device/deny", data={"code": user_code(device_secret())})
    assert stranger.status_code == 401


def begun(server, tmp_path, url=None):
    """`strongroom login` that waits, and its code."""
    command = [str(harness.binary()), "login", "--url", url or server.url, "--ca", server.ca, "--no-browser", "--no-mlflow"]
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stderr.readline().split()[1].rsplit("=", 1)[1]


def test_a_command_line_that_is_denied_ends_at_once(server, tmp_path):
    browser = Browser(server)
    process, code = begun(server, tmp_path)
    try:
        assert browser.decide(code, "/device/deny") == 200
        _, said = process.communicate(timeout=15)
        assert process.returncode == 3 and "denied in the browser" in said, said
        assert not (tmp_path / ".config" / "strongroom" / "token").exists()
    finally:
        process.kill()


class Way:
    """A way to the server that can be cut."""

    def __init__(self, url):
        self.target = (urllib.parse.urlsplit(url).hostname, urllib.parse.urlsplit(url).port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.is_cut, self.passed, self.refused = False, 0, 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                self.refused += 1
                near.close()
                continue
            self.passed += 1
            far = socket.create_connection(self.target)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while piece := source.recv(65_536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_command_line_waits_through_a_short_outage(server, tmp_path):
    way, browser = Way(server.url), Browser(server)
    process, code = begun(server, tmp_path, way.url)
    try:
        harness.wait_until(lambda: way.passed >= 1, 10, "it has asked")
        time.sleep(0.5)
        way.is_cut = True
        harness.wait_until(lambda: way.refused >= 1, 10, "it has asked in vain")
        assert browser.decide(code) == 200
        assert process.poll() is None, process.stderr.read()
        way.is_cut = False
        out, said = process.communicate(timeout=40)
        assert process.returncode == 0 and "logged in" in out, said
        assert "does not answer" in said and "until the code is over" in said
        assert (tmp_path / ".config" / "strongroom" / "token").read_text().startswith("sr_pat_")
    finally:
        process.kill()
        way.listener.close()


def test_a_command_line_does_not_wait_for_a_server_that_is_not_there(server, tmp_path):
    way = Way(server.url)
    way.is_cut = True
    process, _ = begun(server, tmp_path, way.url)
    try:
        _, said = process.communicate(timeout=20)
        assert process.returncode == 5 and "cannot be reached" in said, said
    finally:
        process.kill()
        way.listener.close()
