"""People log in with a real browser: passwords, one-time codes, passkeys; they step up, and end sessions."""

import base64
import hashlib
import hmac
import json
import secrets
import struct
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

import browser as browsers
import harness
from people import ADMIN, call, person

pytestmark = pytest.mark.strongroom_only
WRONG = "That did not match"


# Many log-ins fail here, all from one address.
PATIENT = "[risk]\nfailure_burst_count_max = 1000\n"


@pytest.fixture(scope="module")
def server():
    """A server of these tests' own."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running(config_text=PATIENT) as started:
        yield started


def totp(key: str, step: int = 0) -> str:
    """RFC 6238, for the test's own use."""
    seed = base64.b32decode(key)
    digest = hmac.new(seed, struct.pack(">q", int(time.time()) // 30 + step), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def session_of(browser):
    """The browser's own cookie in a plain client."""
    cookie = browser.driver.get_cookie("__Host-strongroom")
    assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax"
    return cookie["value"]


def age_proofs(server):
    """Makes every log-in so far half an hour older than it is: nobody waits that long in a test."""
    sql = f"UPDATE session SET proved_at = proved_at - {30 * 60 * 1_000_000}"
    harness.edit_database(server, sql)
    time.sleep(0.6)


def test_a_passkey_is_added_and_opens_the_account(server):
    ada = person(server, "contributor")
    with browsers.browser(server) as browser:
        browser.add_authenticator()
        browser.go("/account")
        assert browser.path() == "/login?to=/account", "a stranger is asked to log in, and led back"
        browser.fill(username=ada.name, password=ada.password)
        browser.click("form:not([data-passkey]) button")
        assert browser.path() == "/account" and "password alone opens this account" in browser.text()
        browser.find("form[data-passkey] [name=label]").send_keys("laptop")
        browser.click("#add-passkey")
        codes = [code.text for code in browser.all("ul.codes code")]
        assert len(codes) == 10 and len(set(codes)) == 10
        browser.click("a.button")
        assert "laptop" in browser.text() and "10 left" in browser.text()
        browser.click("header form button")
        assert browser.path() == "/login" and browser.driver.get_cookie("__Host-strongroom") is None

        browser.log_in(ada.name, ada.password)
        assert browser.path() == "/login?failed" and WRONG in browser.text(), "the password alone is not enough any more"
        browser.go("/login?to=/account")
        browser.click("#passkey")
        assert browser.path() == "/account"
        assert "passkey" in browser.find("#sessions ~ div tbody").text
        me = call(server.session(token=None), server, "GET", "/me", headers={"Cookie": f"__Host-strongroom={session_of(browser)}"})
        assert (me["assurance"], me["method"], me["name"]) == (2, "passkey", ada.name)
        faults = [fault for fault in browser.faults() if "/login?failed" not in fault]
        assert faults == []
    assert ada.basic().get(f"{server.url}{ADMIN}/me").status_code == 401, "nor for programs"
    assert server.session(ada.token).get(f"{server.url}{ADMIN}/me").status_code == 200, "their tokens go on"


def test_one_time_codes_work_without_scripts(server):
    ada = person(server, "contributor")
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        assert not browser.find("form[data-passkey]").is_displayed(), "what needs a script is not shown"
        browser.click("#add-totp")
        key = browser.find("#totp-key").text
        assert browser.find("img.qr").get_property("naturalWidth") > 100
        browser.fill(code="000000")
        browser.click("main form button")
        assert "not the code of this moment" in browser.text()
        browser.go("/account")
        browser.click("#add-totp")
        key = browser.find("#totp-key").text
        taken = totp(key)
        browser.fill(code=taken)
        browser.click("main form button")
        spare = [code.text for code in browser.all("ul.codes code")]
        browser.go("/account")
        assert "Set up since" in browser.text()
        browser.click("header form button")
        browser.log_in(ada.name, ada.password, taken)
        assert browser.path() == "/login?failed", "the code that confirmed it was taken then"
        browser.log_in(ada.name, ada.password, totp(key, 1))
        assert browser.path() == "/"
        browser.log_in(ada.name, ada.password, spare[0])
        assert browser.path() == "/"
        browser.log_in(ada.name, ada.password, spare[0])
        assert browser.path() == "/login?failed", "a recovery code is taken once"
        width = browser.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]["width"]
        assert width <= 390, "nothing hangs out of a phone's screen"


def test_what_is_grave_asks_once_more_and_leads_back(server):
    ada = person(server, "contributor")
    with browsers.browser(server) as browser:
        browser.add_authenticator()
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.find("form[data-passkey] [name=label]").send_keys("laptop")
        browser.click("#add-passkey")
        old = session_of(browser)
        age_proofs(server)
        cookie = {"Cookie": f"__Host-strongroom={old}"}
        plain = server.session(token=None)
        assert plain.get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 200, "reading goes on"
        refused = plain.post(f"{server.url}{ADMIN}/tokens", headers=cookie, json={"label": "x"})
        assert refused.status_code == 401
        challenge = refused.headers["WWW-Authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge and 'acr_values="urn:strongroom:acr:1"' in challenge
        assert 'max_age="900"' in challenge

        browser.go("/account")
        browser.find("#token-label").send_keys("notebook")
        browser.click("#add-token")
        assert browser.path() == "/login?again&to=/account" and "fresh log-in" in browser.text()
        browser.click("#passkey")
        assert browser.path() == "/account"
        assert session_of(browser) != old
        assert plain.get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 401, "the old session's place is taken"
        browser.find("#token-label").send_keys("notebook")
        browser.click("#add-token")
        secret = browser.find("#token-secret").text
        assert server.session(secret).get(f"{server.url}{ADMIN}/me").json()["name"] == ada.name


def test_a_session_is_ended_from_elsewhere_within_a_second(server):
    ada = person(server, "contributor")
    with browsers.browser(server) as here, browsers.browser(server) as there:
        here.log_in(ada.name, ada.password)
        there.log_in(ada.name, ada.password)
        cookie = {"Cookie": f"__Host-strongroom={session_of(there)}"}
        plain = server.session(token=None)
        assert plain.get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 200
        here.go("/account")
        ends = here.all("form[action='/account/sessions/end'] button")
        assert len(ends) >= 1
        here.click("form[action='/account/sessions/end'] button")
        ended = time.monotonic()
        while plain.get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 200:
            assert time.monotonic() - ended < 1
        there.go("/account")
        assert there.path() == "/login?to=/account"


def test_an_administrator_takes_lost_factors_away(server):
    ada = person(server, "contributor")
    with browsers.browser(server) as browser:
        browser.add_authenticator()
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.find("form[data-passkey] [name=label]").send_keys("laptop")
        browser.click("#add-passkey")
        cookie = {"Cookie": f"__Host-strongroom={session_of(browser)}"}
        other = person(server, "contributor")
        assert other.session().post(f"{server.url}{ADMIN}/users/{ada.name}/reset-factors", json={}).status_code == 403
        call(server.session(), server, "POST", f"/users/{ada.name}/reset-factors", json={})
        assert server.session(token=None).get(f"{server.url}{ADMIN}/me", headers=cookie).status_code == 401
        browser.log_in(ada.name, ada.password)
        assert browser.path() == "/"


def test_a_page_leads_nowhere_else_and_forms_of_other_pages_are_refused(server):
    ada = person(server, "contributor")
    plain = server.session(token=None)
    form = {"username": ada.name, "password": ada.password}
    for bad in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = plain.post(f"{server.url}/login", params={"to": bad}, data=form, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/"), bad
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = plain.post(f"{server.url}/login", data=form, headers=headers, allow_redirects=False)
        assert "strongroom" not in answer.headers.get("Set-Cookie", ""), headers


class Device:
    """An authenticator of the test's own, over a library's encoders: any kind of key, any flags."""

    def __init__(self, kind: str, host: str = "localhost"):
        self.kind, self.host, self.id, self.count = kind, host, secrets.token_bytes(32), 0
        self.key = {
            "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "eddsa": ed25519.Ed25519PrivateKey.generate,
            "rs256": lambda: rsa.generate_private_key(65537, 2048),
        }[kind]()

    def client_data(self, kind: str, challenge: str, origin: str) -> bytes:
        from fido2.webauthn import CollectedClientData

        return bytes(CollectedClientData.create(type=kind, challenge=base64.urlsafe_b64decode(challenge + "=="), origin=origin))

    def data(self, flags: int, credential: bytes = b"") -> bytes:
        from fido2.webauthn import AuthenticatorData

        self.count += 1
        return bytes(AuthenticatorData.create(hashlib.sha256(self.host.encode()).digest(), flags, self.count, credential))

    def make(self, challenge: str, origin: str, flags: int = 0x45) -> dict:
        from fido2 import cbor
        from fido2.cose import ES256, RS256, EdDSA
        from fido2.webauthn import Aaguid, AttestedCredentialData

        cose = {"es256": ES256, "eddsa": EdDSA, "rs256": RS256}[self.kind].from_cryptography_key(self.key.public_key())
        credential = bytes(AttestedCredentialData.create(Aaguid(bytes(16)), self.id, cose))
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": self.data(flags, credential)})
        return {"client_data": self.client_data("webauthn.create", challenge, origin), "attestation_object": attestation}

    def show(self, challenge: str, origin: str, flags: int = 0x05) -> dict:
        client_data = self.client_data("webauthn.get", challenge, origin)
        data = self.data(flags)
        message = data + hashlib.sha256(client_data).digest()
        signature = {
            "es256": lambda: self.key.sign(message, ec.ECDSA(hashes.SHA256())),
            "eddsa": lambda: self.key.sign(message),
            "rs256": lambda: self.key.sign(message, padding.PKCS1v15(), hashes.SHA256()),
        }[self.kind]()
        return {
            "credential_id": self.id,
            "client_data": client_data,
            "authenticator_data": data,
            "signature": signature,
        }


def sent(parts: dict) -> dict:
    return {name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in parts.items()}


@pytest.mark.parametrize("kind", ["es256", "eddsa", "rs256"])
def test_another_authenticator_is_understood_and_its_lies_are_not(server, kind):
    ada = person(server, "contributor")
    url = browsers.of_name(server.url)
    plain = server.session(token=None)

    def log_in(form):
        answer = plain.post(f"{url}/login", data=form, allow_redirects=False)
        assert answer.status_code == 303
        return answer.cookies.get("__Host-strongroom"), answer.headers["Location"]

    cookie, _ = log_in({"username": ada.name, "password": ada.password})
    mine = {"Cookie": f"__Host-strongroom={cookie}"}

    def begun():
        factors = plain.get(f"{url}{ADMIN}/me/factors", headers=mine).json()
        return factors["ceremony"]

    def add(parts, ceremony):
        body = {"label": kind, "ceremony": ceremony["sealed"], **sent(parts)}
        return plain.post(f"{url}{ADMIN}/me/factors/passkeys", headers=mine, json=body).status_code

    def page():
        text = plain.get(f"{url}/login").text
        between = lambda before: text.split(before, 1)[1].split('"', 1)[0]  # noqa: E731
        return between('data-challenge="'), between('name="ceremony" value="')

    device, ceremony = Device(kind), begun()
    challenge = ceremony["challenge"]
    assert add(device.make(challenge, "https://evil.example"), ceremony) == 400
    assert add(device.make(challenge, url, flags=0x41), ceremony) == 400, "nobody verified the holder"
    assert add(device.make(secrets.token_urlsafe(32), url), ceremony) == 400
    assert add(Device(kind, "evil.example").make(challenge, url), ceremony) == 400
    assert add(device.make(challenge, url), ceremony) == 200
    assert add(Device(kind).make(challenge, url), ceremony) == 400, "a ceremony serves once"

    def opened(parts, ceremony):
        return log_in({"ceremony": ceremony, **sent(parts)})[0] is not None

    challenge, ceremony = page()
    assert not opened(device.show(challenge, "https://evil.example"), ceremony)
    assert not opened(device.show(challenge, url, flags=0x01), ceremony)
    assert not opened(device.show(secrets.token_urlsafe(32), url), ceremony)
    good = device.show(challenge, url)
    assert not opened({**good, "signature": bytes(reversed(good["signature"]))}, ceremony)
    assert not opened({**good, "credential_id": secrets.token_bytes(32)}, ceremony)
    assert opened(good, ceremony)
    assert not opened(good, ceremony), "an answer counts once"
    challenge, ceremony = page()
    device.count -= 1
    assert not opened(device.show(challenge, url), ceremony), "a counter that stands still"
    assert opened(device.show(challenge, url), ceremony)


def test_no_secret_of_a_log_in_is_in_the_log(server):
    ada = person(server, "contributor")
    url = browsers.of_name(server.url)
    plain = server.session(token=None)
    plain.post(f"{url}/login", data={"username": ada.name, "password": ada.password, "code": "135792"}, allow_redirects=False)
    plain.post(f"{url}/login", data={"username": ada.name, "password": "wrong " + ada.password}, allow_redirects=False)
    kept = [path for path in server.data.rglob("*") if path.is_file()]
    assert kept
    for path in [server.log_file, *kept]:
        assert ada.password.encode() not in path.read_bytes(), path


def test_a_command_line_is_logged_in_by_a_browser(server, tmp_path):
    ada = person(server, "contributor")
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [str(harness.binary()), "login", "--url", browsers.of_name(server.url), "--ca", server.ca, "--json"]
    process = subprocess.Popen([*command, "--no-browser"], env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = process.stderr.readline().split()[1]
    with browsers.browser(server, scripts=False) as browser:
        browser.go(address.removeprefix(browser.url))
        assert browser.path().startswith("/login?to=/device")
        browser.fill(username=ada.name, password=ada.password)
        browser.click("form:not([data-passkey]) button")
        assert "twelve hours" in browser.text() and ada.name in browser.text()
        assert browser.find("[name=code]").get_property("value") == address.rsplit("=", 1)[1]
        browser.click("main form button")
        assert "Agreed" in browser.text()
    out, fault = process.communicate(timeout=30)
    assert process.returncode == 0, fault
    assert json.loads(out)["logged_in"]
    token = (tmp_path / ".config" / "strongroom" / "token").read_text()
    credentials = tmp_path / ".mlflow" / "credentials"
    for path in (tmp_path / ".config" / "strongroom" / "token", credentials):
        assert path.stat().st_mode & 0o77 == 0, path
    me = call(server.session(token), server, "GET", "/me")
    assert me["name"] == ada.name
    script = "import mlflow; print(mlflow.create_experiment('by-login-' + __import__('uuid').uuid4().hex[:8]))"
    environment = {**home, "MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_SERVER_CERT_PATH": server.ca}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    # What another program keeps there is not lost.
    credentials.write_text("[mlflow]\nmlflow_tracking_username = theirs\nmlflow_tracking_password = x\n")
    again = subprocess.run([*command, "--no-browser"], env=home, capture_output=True, text=True, timeout=30)
    assert again.returncode != 0 and "--no-mlflow" in again.stderr and "theirs" in credentials.read_text()


def test_an_agreement_serves_its_command_line_once(server):
    ada = person(server, "contributor")
    plain = server.session(token=None)
    grant_type = "urn:ietf:params:oauth:grant-type:device_code"

    def asked(secret):
        answer = plain.post(f"{server.url}/oauth/token", data={"grant_type": grant_type, "device_code": secret})
        return answer.status_code, answer.json().get("error")

    for wrong in ("x", ada.token, "sr_dev_" + "0" * 49):
        assert asked(wrong) == (400, "invalid_grant"), wrong
    login = plain.post(f"{server.url}/login", data={"username": ada.name, "password": ada.password}, allow_redirects=False)
    mine = {"Cookie": f"__Host-strongroom={login.cookies['__Host-strongroom']}"}
    for code in ("", "AAAAA", "AAAAA-AAAA0", "A" * 200):
        assert plain.post(f"{server.url}/device", headers=mine, data={"code": code}).status_code == 400, code
    # With a token nobody agrees: what it is narrowed to would be lost.
    assert server.session(ada.token).post(f"{server.url}/device", data={"code": "BBBBB-BBBBB"}).status_code == 403
