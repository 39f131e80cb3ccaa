"""What somebody typed into a form is there again after the log-in that came between, and whoever sent a form is told that it was not done."""

import pytest

import browser as browsers
import harness
from people import grant, person

pytestmark = pytest.mark.strongroom_only
PAGE = "/console/detections/write"
RULES = "title: half written\ndetection: [\n# “quotes” é <b>"


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        who = person(server, "owner")
        for role in ("auditor", "administrator"):
            grant(server, who.name, role, on="server")
        yield server, who


def log_in_again(browser, who, password: str | None = None) -> None:
    browser.fill(username=who.name, password=password or who.password)
    browser.click("form:not([data-passkey]) button")


def notes(browser) -> list[str]:
    return [note.text for note in browser.all("#draft")]


def kept(browser) -> int:
    return browser.driver.execute_script("return sessionStorage.length")


def test_what_was_typed_outlives_the_session(world):
    server, who = world
    with browsers.browser(server) as browser:
        browser.log_in(who.name, who.password)
        browser.go(PAGE)
        browser.fill(name="night-shift", rules=RULES)
        browser.find("[name=enabled]").click()
        looked_for = browser.find("[name=enabled]").is_selected()
        browser.driver.delete_cookie("__Host-strongroom")
        browser.click("button[value=check]")
        assert browser.path() == f"/login?ended&to={PAGE}"
        assert "was not done" in browser.find("[role=alert]").text
        log_in_again(browser, who, "not the password")
        assert browser.path().startswith("/login?failed")
        log_in_again(browser, who)
        assert browser.path() == PAGE
        browser.wait(lambda: notes(browser), "what was typed stands there again")
        assert "It was not done" in notes(browser)[0]
        assert browser.find("[name=rules]").get_attribute("value") == RULES and browser.find("[name=name]").get_attribute("value") == "night-shift"
        assert browser.find("[name=enabled]").is_selected() is looked_for
        # Once something came of it, it is kept no more.
        browser.click("button[value=check]")
        browser.wait(lambda: kept(browser) == 0, "it is forgotten")
        assert notes(browser) == []
        browser.go(PAGE)
        assert notes(browser) == [] and browser.find("[name=rules]").get_attribute("value") != RULES
        # Nor is it there for whoever comes after a log-out.
        browser.fill(name="night-shift", rules=RULES)
        browser.driver.delete_cookie("__Host-strongroom")
        browser.click("button[value=check]")
        browser.wait(lambda: kept(browser) == 1, "it is kept")
        browser.go("/login?to=/account")
        log_in_again(browser, who)
        assert browser.path() == "/account" and kept(browser) == 1
        browser.click("header form button")
        assert browser.path() == "/login" and kept(browser) == 0


def test_what_was_refused_can_be_mended_without_typing_it_again(world):
    server, who = world
    with browsers.browser(server) as browser:
        browser.log_in(who.name, who.password)
        browser.go("/console/access")
        browser.find("select[name=role]").send_keys("contributor")
        browser.fill(reason="for the audit")
        # A browser holds to what the field says; the server looks too.
        browser.driver.execute_script("document.querySelector('[name=hours]').removeAttribute('max')")
        browser.fill(hours="9999")
        button = "form[action^='/console/access'] button"
        browser.click(button)
        assert "hours are a number" in browser.text()
        browser.click("main a.button")
        browser.wait(lambda: notes(browser), "what was typed stands there again")
        assert browser.find("[name=reason]").get_attribute("value") == "for the audit"
        assert browser.find("[name=hours]").get_attribute("value") == "9999"
        assert browser.find("[name=role]").get_attribute("value") == "contributor"
        browser.fill(hours="1")
        browser.click(button)
        browser.wait(lambda: kept(browser) == 0, "it is forgotten")
        assert notes(browser) == [] and "for the audit" in browser.text()


def test_whom_an_erasure_is_about_is_not_kept(world):
    server, who = world
    with browsers.browser(server) as browser:
        browser.log_in(who.name, who.password)
        browser.go("/console/erasure")
        browser.fill(subject="customer 17")
        browser.driver.delete_cookie("__Host-strongroom")
        browser.click("button[value=look]")
        assert browser.path() == "/login?ended&to=/console/erasure" and kept(browser) == 0
        log_in_again(browser, who)
        assert browser.find("[name=subject]").get_attribute("value") == "" and notes(browser) == []


def test_without_scripts_the_log_in_says_that_nothing_was_done(world):
    server, who = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(who.name, who.password)
        browser.go("/console/access")
        browser.find("select[name=role]").send_keys("contributor")
        browser.fill(reason="for the audit")
        browser.driver.delete_cookie("__Host-strongroom")
        browser.click("form[action^='/console/access'] button")
        assert browser.path() == "/login?ended&to=/console/access" and "was not done" in browser.find("[role=alert]").text
        log_in_again(browser, who)
        assert browser.path() == "/console/access"
        # Who only wanted out is out, and is told nothing of what was not done.
        browser.driver.delete_cookie("__Host-strongroom")
        browser.click("header form button")
        assert browser.path().startswith("/login?to=") or browser.path() == "/login"
