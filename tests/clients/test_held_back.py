"""Log-ins that did not show what was asked for: what they begin is held back, and nothing is learnt of them."""

import json
import uuid

import pytest

import browser as browsers
import harness
from people import ADMIN, call, grant, person
from test_sign_in import totp

pytestmark = pytest.mark.strongroom_only
API = "/api/2.0/mlflow"
CONFIG = "[risk]\nfailure_burst_count_max = 1000\n"


@pytest.fixture(scope="module")
def server():
    with harness.running(config_text=CONFIG) as server:
        yield server


def log_in(server, name, password, code=None):
    form = {"username": name, "password": password, **({"code": code} if code else {})}
    answer = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
    return {"Cookie": f"__Host-strongroom={answer.cookies.get('__Host-strongroom')}"}


def create(server, cookie):
    plain = server.session(token=None)
    return plain.post(f"{server.url}{API}/experiments/create", headers=cookie, json={"name": uuid.uuid4().hex}, timeout=30)


def with_codes(server, who):
    """Their key of one-time codes, of which the present one is taken."""
    basic = who.basic()
    key = call(basic, server, "POST", "/me/factors/totp", json={})["secret"]
    call(basic, server, "POST", "/me/factors/totp/confirm", json={"code": totp(key)})
    return key


def spray(server):
    """What makes an address risky for whoever has no device."""
    for number in range(14):
        log_in(server, f"nobody{number}", "a password that is wrong")


def judged(server, who):
    return json.loads(server.cli("risk", "explain", who.name, "--json", "--token-file", str(server.token_file)).stdout)


def outcomes(server, who):
    found = judged(server, who)
    return [(one["outcome"], one["band"]) for one in (found["log_ins"] if isinstance(found, dict) else found)]


def refused(answer, acr):
    told = answer.headers.get("WWW-Authenticate", "")
    assert answer.status_code == 401 and "insufficient_user_authentication" in told and acr in told, (answer.status_code, told, answer.text)


def test_only_what_cannot_be_phished_outweighs_a_log_in_from_an_attacked_address(server):
    ada, bob, eve = person(server, "owner"), person(server, "owner"), person(server, "owner")
    key = with_codes(server, bob)
    # Before anything happened a person without factors is let in; it is written down as what it is, and learnt.
    early = log_in(server, ada.name, ada.password)
    assert create(server, early).status_code == 200
    assert outcomes(server, ada) == [("unproved", "second_factor")]
    with browsers.browser(server) as browser:
        browser.add_authenticator()
        browser.go("/login?to=/account")
        browser.fill(username=eve.name, password=eve.password)
        browser.click("form:not([data-passkey]) button")
        browser.find("form[data-passkey] [name=label]").send_keys("laptop")
        browser.click("#add-passkey")
        spray(server)
        browser.driver.delete_all_cookies()
        browser.go("/login?to=/account")
        browser.click("#passkey")
        passkey = {"Cookie": f"__Host-strongroom={browser.driver.get_cookie('__Host-strongroom')['value']}"}
    assert create(server, passkey).status_code == 200, "a passkey outweighs it"
    assert outcomes(server, eve)[0][0] == "verified"
    password, code = log_in(server, ada.name, ada.password), log_in(server, bob.name, bob.password, totp(key, 1))
    plain = server.session(token=None)

    def held():
        for cookie in (password, code):
            refused(create(server, cookie), 'acr_values="phr"')
            assert plain.get(f"{server.url}{API}/experiments/search?max_results=1", headers=cookie).status_code == 200, "looking goes on"
        # No way out that whoever stole the password could take; and it is said which there is.
        enrol = plain.post(f"{server.url}{ADMIN}/me/factors/totp", headers=password, json={})
        refused(enrol, 'acr_values="phr"')
        assert "enrolment token for a device" in enrol.text
        assert create(server, early).status_code == 200 and create(server, passkey).status_code == 200

    held()
    for who in (ada, bob):
        assert outcomes(server, who)[0] == ("unproved", "phishing_resistant")
    # A password that comes with each request is no way around it.
    assert server.session(token=None).post(
        f"{server.url}{API}/experiments/create", auth=(ada.name, ada.password), headers={"User-Agent": "elsewhere"}, json={"name": uuid.uuid4().hex}
    ).status_code == 401
    server.stop()
    server.start()
    held()


def test_a_leaked_password_asks_for_a_second_factor_and_gets_it(tmp_path):
    """A rule of the second factor's band: whoever has none reads, whoever has one is let in."""
    listed = tmp_path / "leaked.txt"
    listed.write_text("none of theirs\n")
    with harness.running(config_text=f'{CONFIG}[risk.log_ins]\nleaked_passwords = "{listed}"\n') as server:
        ada, bob = person(server, "owner"), person(server, "owner")
        key = with_codes(server, bob)
        server.stop()
        listed.write_text(f"{ada.password}\n{bob.password}\n")
        server.start()
        refused(create(server, log_in(server, ada.name, ada.password)), "acr:2")
        assert create(server, log_in(server, bob.name, bob.password, totp(key, 1))).status_code == 200
        assert [outcomes(server, who)[0][0] for who in (ada, bob)] == ["unproved", "verified"]


def test_rules_that_raise_risk_add_up_until_a_decision_flips():
    config = '[detections]\nrespond_up_to = "raise_risk"\nevery_s = 1\n'
    with harness.running(config_text=config) as server:
        admin = server.session()
        eve = person(server, "administrator", on="server")
        grant(server, eve.name, "owner")
        by, victims = eve.session(), [person(server).name for _ in range(14)]
        for name in victims:
            call(by, server, "POST", f"/users/{name}/password", json={"password": uuid.uuid4().hex})
        for name in victims:
            call(by, server, "POST", f"/users/{name}/disable", json={})

        def rules():
            found = call(admin, server, "GET", "/detections")["detections"]
            return {one["rule"] for one in found if one["response"] == "raise_risk" and "risk raised" in (one.get("response_state") or "")}

        harness.wait_until(lambda: len(rules()) >= 2, 30, "two rules raise the risk")

        def create():
            return by.post(f"{server.url}{API}/experiments/create", json={"name": uuid.uuid4().hex})

        harness.wait_until(lambda: create().status_code == 401, 5, "what they do next is held back")
        server.stop()
        server.start()
        refused(create(), "acr")
