"""What is shown once: loading the page again makes nothing a second time, and shows nothing. All of it without scripts."""

import concurrent.futures
import re

import pytest
from selenium.webdriver import ActionChains

import browser as browsers
import harness
from client_fields import logged_in
from people import call, person
from test_sign_in import totp

pytestmark = pytest.mark.strongroom_only
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def server():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        yield server


def labels(server, who) -> list[str]:
    return [one["label"] for one in call(who.session(), server, "GET", "/tokens")["tokens"]]


def id_of(page: str, action: str) -> str:
    """The id of a page's form."""
    return re.search(rf'action="{action}"[^>]*><input type="hidden" name="once" value="(\w+)"', page).group(1)


def shown_again(browser) -> str:
    """Loads the page of a secret again; what it says then."""
    address = browser.path()
    assert address.startswith("/account/once/"), address
    browser.driver.refresh()
    assert browser.path() == address and browser.find("h1").text == "It was shown once"
    return browser.text()


def test_a_token_is_shown_once_and_made_once(server):
    ada = person(server, "contributor")
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.find("#token-label").send_keys("notebook")
        browser.click("#add-token")
        secret = browser.find("#token-secret").text
        assert server.session(secret).get(f"{server.url}/api/strongroom/v1/me").json()["name"] == ada.name
        said = shown_again(browser)
        assert secret not in said and "revoke" in said
        assert labels(server, ada).count("notebook") == 1, "loading the page again makes no second token"
        browser.click("main a.button")
        assert browser.path() == "/account", "and leads back to where the token can be revoked"
    assert secret not in server.log_file.read_text()


def test_recovery_codes_stay_those_that_were_shown(server):
    ada = person(server, "contributor")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.click("#add-totp")
        key = browser.find("#totp-key").text
        assert key not in shown_again(browser)
        # What was shown still holds: the app has it.
        browser.go("/account")
        browser.click("#add-totp")
        key = browser.find("#totp-key").text
        browser.fill(code="000000")
        browser.click("main form button")
        assert browser.find("h1").text == "Once more" and "not the code of this moment" in browser.text()
        browser.fill(code=totp(key))
        browser.click("main form button")
        first = [code.text for code in browser.all("ul.codes code")]
        assert len(first) == 10
        shown_again(browser)
        browser.go("/account")
        assert "10 left" in browser.text()
        browser.sure("form[action='/account/recovery-codes'] button")
        second = [code.text for code in browser.all("ul.codes code")]
        assert len(second) == 10 and not set(first) & set(second)
        shown_again(browser)
        browser.click("header form button")
        browser.log_in(ada.name, ada.password, second[0])
        assert browser.path() == "/", "loading the page again made these codes void"


def test_leave_to_enrol_a_device_is_given_once(server):
    ada = person(server, "contributor")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account/devices")
        browser.click("#add-device")
        command = browser.find("#enrolment-command").text
        assert "sr_enr_" in command and "sr_enr_" not in shown_again(browser)


def test_nobody_else_is_shown_it_or_takes_it_away(server):
    ada, eve = person(server, "contributor"), person(server, "owner")
    own, other, elsewhere = logged_in(server, ada), logged_in(server, ada), logged_in(server, eve)
    sent = {"Origin": server.url, "Sec-Fetch-Site": "same-origin", **HTML}
    made = own.post(f"{server.url}/account/tokens", data={"label": "mine", "days": "1"}, headers=sent, allow_redirects=False)
    address = made.headers["Location"]
    assert made.status_code == 303 and address.startswith("/account/once/") and "sr_pat_" not in made.text
    for session in (other, elsewhere, server.session(ada.token)):
        refused = session.get(server.url + address, headers=HTML)
        assert refused.status_code == 404 and "sr_pat_" not in refused.text, "another session is another"
    shown = own.get(server.url + address, headers=HTML)
    assert shown.status_code == 200 and "sr_pat_" in shown.text and shown.headers["Cache-Control"] == "no-store"
    again = own.get(server.url + address, headers=HTML)
    assert again.status_code == 404 and "sr_pat_" not in again.text


def test_a_double_click_makes_one_token(server):
    ada = person(server, "contributor")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.find("#token-label").send_keys("clicked")
        before = browser.find("html")
        # As a hand does it: the first click is on its way to the server when the second comes.
        ActionChains(browser.driver, duration=0).move_to_element(browser.find("#add-token")).click().pause(0.02).click().perform()
        browser.wait(lambda: browsers.is_gone(before) and browser.path().startswith("/account/once/"), "the page of the token")
        assert browser.find("#token-secret").text.startswith("sr_pat_")
    assert labels(server, ada).count("clicked") == 1


def test_a_form_that_comes_twice_is_done_once(server):
    ada = person(server, "contributor")
    own, other = logged_in(server, ada), logged_in(server, ada)
    sent = {"Origin": server.url, "Sec-Fetch-Site": "same-origin", **HTML}

    def post(session, path, **fields):
        return session.post(f"{server.url}{path}", data=fields, headers=sent, allow_redirects=False)

    form = {"label": "both", "days": "1", "once": id_of(own.get(f"{server.url}/account", headers=HTML).text, "/account/tokens")}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(own, "/account/tokens", **form), range(4)))
    assert {answer.status_code for answer in answers} == {303} and len({answer.headers["Location"] for answer in answers}) == 1
    assert labels(server, ada).count("both") == 1
    assert "sr_pat_" in own.get(server.url + answers[0].headers["Location"], headers=HTML).text
    # Another session's form of the same id is another form, and so is one whose page was loaded again.
    assert post(other, "/account/tokens", **form).headers["Location"] != answers[0].headers["Location"]
    assert post(own, "/account/tokens", **{**form, "once": id_of(own.get(f"{server.url}/account", headers=HTML).text, "/account/tokens")}).ok
    assert labels(server, ada).count("both") == 3
    # What was refused was not done, and may come again.
    refused = {**form, "once": id_of(own.get(f"{server.url}/account", headers=HTML).text, "/account/tokens")}
    assert post(own, "/account/tokens", **{**refused, "days": "9999"}).status_code == 400
    assert post(own, "/account/tokens", **refused).status_code == 303
    # The codes that a first click made are those that the second shows: they are not lost behind a code that was used.
    offer = post(own, "/account/totp", once=id_of(own.get(f"{server.url}/account", headers=HTML).text, "/account/totp"))
    page = own.get(server.url + offer.headers["Location"], headers=HTML).text
    confirm = {"code": totp(re.search(r'id="totp-key">([^<]+)<', page).group(1)), "once": id_of(page, "/account/totp/confirm")}
    first, second = post(own, "/account/totp/confirm", **confirm), post(own, "/account/totp/confirm", **confirm)
    assert first.status_code == second.status_code == 303 and first.headers["Location"] == second.headers["Location"]
    assert own.get(server.url + second.headers["Location"], headers=HTML).text.count("<li><code>") == 10
