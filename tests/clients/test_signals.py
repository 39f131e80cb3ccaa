"""What issuers tell of their people: logouts at a provider, and Security Event Tokens pushed by a transmitter."""

import json
import time
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import harness
import issuers
from people import ADMIN, call, grant, person

pytestmark = pytest.mark.strongroom_only
CAEP = "https://schemas.openid.net/secevent/caep/event-type"
RISC = "https://schemas.openid.net/secevent/risc/event-type"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
AUDIENCE = "https://strongroom.example/signals"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A server that trusts an issuer as a provider and as a transmitter, and that issuer."""
    with issuers.platform(tmp_path_factory.mktemp("issuer")) as (platform, ca):
        config = f"""
[risk]
failure_burst_count_max = 1000
[federation.providers.company]
issuer = "{platform.issuer}"
client_id = "strongroom"
ca = "{ca}"
[federation.transmitters.company]
issuer = "{platform.issuer}"
audience = "{AUDIENCE}"
jwks_uri = "{platform.issuer}/keys"
ca = "{ca}"
algorithms = ["ES256"]
"""
        with harness.running(config_text=config) as server:
            yield server, platform


def signed(platform, claims, typ="secevent+jwt", key=None, kid="one", algorithm="ES256"):
    """A token, signed by a library that shares nothing with the server."""
    return jwt.encode(claims, key or platform.keys["one"], algorithm=algorithm, headers={"typ": typ, "kid": kid})


def event(platform, subject, *events, **changed):
    claims = {"iss": platform.issuer, "aud": AUDIENCE, "iat": int(time.time()), "jti": uuid.uuid4().hex, "sub_id": subject}
    return {**claims, "events": {name: {"event_timestamp": int(time.time()), **details} for name, details in events}, **changed}


def push(server, token, content="application/secevent+jwt"):
    return server.session(token=None).post(f"{server.url}/signals", data=token, headers={"Content-Type": content}, timeout=30)


class Somebody:
    """Somebody linked with the issuer, with a browser's session that began there."""

    def __init__(self, server, platform, role=None, on="workspace"):
        self.server, self.person = server, person(server, role, on=on) if role else person(server)
        self.subject, self.sid = f"s-{uuid.uuid4().hex[:8]}", f"sid-{uuid.uuid4().hex[:8]}"
        admin = server.session()
        call(admin, server, "POST", f"/users/{self.person.name}/link", json={"issuer": platform.issuer, "subject": self.subject})
        self.id = call(admin, server, "GET", f"/users/{self.person.name}")["id"]
        form = {"username": self.person.name, "password": self.person.password}
        answer = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
        self.cookie = answer.cookies["__Host-strongroom"]
        # As if it had begun at the provider; test_federation does that with a real one.
        where = f"principal_id = '{self.id}'"
        harness.edit_database(server, f"UPDATE session SET issuer = '{platform.issuer}', issuer_session = '{self.sid}' WHERE {where}")

    @property
    def here(self):
        return {"format": "iss_sub", "iss": None, "sub": self.subject}

    def in_browser(self):
        headers = {"Cookie": f"__Host-strongroom={self.cookie}"}
        return self.server.session(token=None).get(f"{self.server.url}{ADMIN}/me", headers=headers).status_code == 200

    def by_token(self):
        return self.person.session().get(f"{self.server.url}{ADMIN}/me").status_code == 200


def about(platform, somebody):
    return {"format": "iss_sub", "iss": platform.issuer, "sub": somebody.subject}


def soon(condition, what):
    harness.wait_until(condition, 1, what)


def records(server, action):
    return call(server.session(), server, "GET", f"/audit/records?what={action}&rows=1000")["records"]


def test_sessions_that_are_revoked_end_within_a_second(told):
    server, platform = told
    ada, other = Somebody(server, platform), Somebody(server, platform)
    token = signed(platform, event(platform, about(platform, ada), (f"{CAEP}/session-revoked", {})))
    answer = push(server, token)
    assert (answer.status_code, answer.text) == (202, "")
    soon(lambda: not ada.in_browser(), "the session is over")
    assert ada.by_token() and other.in_browser()
    # The same again is acknowledged, and nothing more is done.
    ada.cookie = None
    assert push(server, token).status_code == 202
    assert any('"repeated": 1' in json.dumps(one) for one in records(server, "signals.receive"))
    # As the specification's first drafts wrote it, and by our own id.
    claims = event(platform, None, (f"{CAEP}/session-revoked", {"subject": about(platform, other)}))
    claims.pop("sub_id")
    assert push(server, signed(platform, claims)).status_code == 202
    soon(lambda: not other.in_browser(), "the session is over")
    third = Somebody(server, platform)
    assert push(server, signed(platform, event(platform, {"format": "opaque", "id": third.id}, (f"{CAEP}/session-revoked", {})))).status_code == 202
    soon(lambda: not third.in_browser(), "the session is over")


def test_somebody_who_is_disabled_there_is_barred_here(told):
    server, platform = told
    ada = Somebody(server, platform)
    assert push(server, signed(platform, event(platform, about(platform, ada), (f"{RISC}/account-disabled", {"reason": "hijacking"})))).status_code == 202
    soon(lambda: not ada.in_browser() and not ada.by_token(), "the account is barred")
    assert call(server.session(), server, "GET", f"/users/{ada.person.name}")["disabled"] is True


def test_the_last_administrator_is_not_locked_out(told):
    server, platform = told
    own = call(server.session(), server, "GET", "/me")
    subject = f"boss-{uuid.uuid4().hex[:6]}"
    second = Somebody(server, platform, "administrator", on="server")
    call(second.person.session(), server, "POST", f"/users/{own['name']}/link", json={"issuer": platform.issuer, "subject": subject})
    bar = lambda who: push(server, signed(platform, event(platform, {"format": "iss_sub", "iss": platform.issuer, "sub": who}, (f"{RISC}/account-disabled", {}))))  # noqa: E731
    assert bar(second.subject).status_code == 202
    soon(lambda: not second.by_token(), "one of two administrators is barred")
    assert bar(subject).status_code == 202
    time.sleep(0.7)
    assert call(server.session(), server, "GET", "/me")["name"] == own["name"], "the last one stays"
    assert any("last_administrator_not_barred" in json.dumps(one) for one in records(server, "signals.receive"))


def risk_of(server, somebody):
    """The risk that the log has for what somebody does."""
    somebody.person.session().get(f"{server.url}{ADMIN}/me")
    found = [one for one in records(server, "account.me") if somebody.id in json.dumps(one)]
    return max(one.get("risk", 0) for one in found)


def test_what_lowers_trust_raises_the_risk(told):
    server, platform = told
    for name, details, least in (
        ("device-compliance-change", {"previous_status": "compliant", "current_status": "not-compliant"}, 50),
        ("risk-level-change", {"principal": "USER", "current_level": "HIGH", "previous_level": "LOW"}, 90),
        ("credential-change", {"credential_type": "fido2-roaming", "change_type": "create"}, 30),
    ):
        ada = Somebody(server, platform)
        assert risk_of(server, ada) < 30
        assert push(server, signed(platform, event(platform, about(platform, ada), (f"{CAEP}/{name}", details)))).status_code == 202
        soon(lambda: risk_of(server, ada) >= least, f"{name}: {risk_of(server, ada)}")
        assert ada.in_browser() is (name != "credential-change")
        if least == 90:
            # Not the number alone: what changes anything asks for a second factor, and goes on asking after a restart.
            plain, mine = server.session(token=None), {"Cookie": f"__Host-strongroom={ada.cookie}"}
            rename = lambda: plain.post(f"{server.url}{ADMIN}/me/factors/totp", headers=mine, json={})  # noqa: E731
            assert rename().status_code == 401 and "acr:2" in rename().headers["WWW-Authenticate"]
            assert ada.in_browser(), "looking goes on"
            server.stop()
            server.start()
            assert rename().status_code == 401 and ada.in_browser()


def test_what_is_not_known_is_noted_and_nothing_is_done(told):
    server, platform = told
    ada = Somebody(server, platform)
    for subject, *events in (
        (about(platform, ada), ("https://schemas.example/strange", {}), (f"{CAEP}/session-established", {})),
        ({"format": "iss_sub", "iss": "https://another.example", "sub": ada.subject}, (f"{CAEP}/session-revoked", {})),
        ({"format": "opaque", "id": ada.person.name}, (f"{CAEP}/session-revoked", {})),
        ({"format": "email", "email": f"{ada.person.name}@x.example"}, (f"{RISC}/account-disabled", {})),
        ({"format": "phone_number", "phone_number": "+1"}, (f"{RISC}/account-disabled", {})),
        (about(platform, ada), (f"{CAEP}/device-compliance-change", {"current_status": "odd"})),
    ):
        assert push(server, signed(platform, event(platform, subject, *events))).status_code == 202
    time.sleep(0.7)
    assert ada.in_browser() and ada.by_token() and risk_of(server, ada) < 30


def test_what_no_trusted_transmitter_signed_is_refused_in_the_protocols_words(told):
    server, platform = told
    ada = Somebody(server, platform)
    stranger = ec.generate_private_key(ec.SECP256R1())
    revoked = (f"{CAEP}/session-revoked", {})
    good = event(platform, about(platform, ada), revoked)
    without = lambda name: {key: value for key, value in event(platform, about(platform, ada), revoked).items() if key != name}  # noqa: E731
    fresh = lambda **changed: event(platform, about(platform, ada), revoked, **changed)  # noqa: E731
    now = int(time.time())
    for token, err in (
        (signed(platform, fresh(), key=stranger), "invalid_key"),
        (signed(platform, fresh(), kid="unknown"), "invalid_key"),
        (signed(platform, fresh(), key="a secret that is long enough for it", algorithm="HS256"), "invalid_key"),
        (jwt.encode(fresh(), None, algorithm="none", headers={"typ": "secevent+jwt", "kid": "one"}), "invalid_key"),
        (signed(platform, fresh(iss="https://evil.example")), "invalid_issuer"),
        (signed(platform, fresh(aud="https://another.example")), "invalid_audience"),
        (signed(platform, without("jti")), "invalid_request"),
        (signed(platform, without("iat")), "invalid_request"),
        (signed(platform, without("events")), "invalid_request"),
        (signed(platform, fresh(iat=now - 9 * 86_400)), "invalid_request"),
        (signed(platform, fresh(iat=now + 600)), "invalid_request"),
        (signed(platform, good, typ="JWT"), "invalid_request"),
        (signed(platform, good)[:-6] + "AAAAAA", "invalid_key"),
        ("x" * 30_000, "invalid_request"),
        ("", "invalid_request"),
    ):
        answer = push(server, token)
        assert (answer.status_code, answer.json()["err"]) == (400, err), answer.text
        assert answer.json()["description"]
    assert push(server, signed(platform, good), content="application/json").status_code == 400
    # An administrator's token makes nobody a transmitter.
    answer = server.session().post(f"{server.url}/signals", data="x", headers={"Content-Type": "application/secevent+jwt"})
    assert answer.status_code == 400
    assert ada.in_browser()


def logout(server, token):
    return server.session(token=None).post(f"{server.url}/login/backchannel-logout", data={"logout_token": token}, timeout=30)


def logout_claims(platform, **changed):
    now = int(time.time())
    claims = {"iss": platform.issuer, "aud": "strongroom", "iat": now, "exp": now + 120, "jti": uuid.uuid4().hex, "events": {LOGOUT: {}}}
    return {**claims, **changed}


def test_a_logout_ends_what_it_names_and_once(told):
    server, platform = told
    ada, bob = Somebody(server, platform), Somebody(server, platform)
    token = signed(platform, logout_claims(platform, sid=ada.sid, sub=bob.subject), typ="logout+jwt")
    assert logout(server, token).status_code == 200
    time.sleep(0.7)
    assert ada.in_browser() and bob.in_browser(), "that session is not of that person"
    token = signed(platform, logout_claims(platform, sid=ada.sid), typ="logout+jwt")
    assert logout(server, token).status_code == 200
    soon(lambda: not ada.in_browser(), "the session is over")
    assert bob.in_browser()
    assert logout(server, token).status_code == 400, "it counts once"
    assert logout(server, signed(platform, logout_claims(platform, sub=bob.subject), typ="logout+jwt")).status_code == 200
    soon(lambda: not bob.in_browser(), "the session is over")
    assert bob.by_token(), "a token is no session"


def test_a_logout_that_is_none_is_refused(told):
    server, platform = told
    ada = Somebody(server, platform)
    stranger = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    good = logout_claims(platform, sid=ada.sid)
    for token in (
        signed(platform, {**good, "nonce": "n"}, typ="logout+jwt"),
        signed(platform, {**good, "events": {}}, typ="logout+jwt"),
        signed(platform, {**good, "aud": "another"}, typ="logout+jwt"),
        signed(platform, {**good, "exp": now - 200, "iat": now - 300}, typ="logout+jwt"),
        signed(platform, {key: value for key, value in good.items() if key != "jti"}, typ="logout+jwt"),
        signed(platform, {key: value for key, value in good.items() if key != "sid"}, typ="logout+jwt"),
        signed(platform, good, typ="logout+jwt", key=stranger),
        signed(platform, good, typ="at+jwt"),
        signed(platform, {**good, "iss": "https://evil.example"}, typ="logout+jwt"),
        "x",
        "",
    ):
        answer = logout(server, token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), token
    time.sleep(0.7)
    assert ada.in_browser()
    # A statement of one kind is none of the other, and neither is it any other verb's credential.
    assert push(server, signed(platform, good, typ="logout+jwt")).status_code == 400
    headers = {"Authorization": f"Bearer {signed(platform, good, typ='logout+jwt')}"}
    assert server.session(token=None).get(f"{server.url}{ADMIN}/users", headers=headers).status_code == 401
