"""Rules of detections in a real browser: written, checked with each fault's line, tried on the log, kept, switched off, deleted."""

import uuid

import pytest

import browser as browsers
import harness
from people import call, person
from test_console import NASTY, axe, violations

pytestmark = pytest.mark.strongroom_only
WRITE = "/console/detections/write"
RULE = """title: Experiments are deleted
id: {id}
name: {name}
description: Somebody deletes an experiment.
level: low
logsource: {{product: strongroom, service: audit}}
detection:
  selection:
    api.operation: experiments.delete
    metadata.event_code: outcome
  condition: selection
"""


def rule(name: str) -> str:
    return RULE.format(id=uuid.uuid4(), name=name)


@pytest.fixture(scope="module")
def world():
    """A server that looks every second, and an auditor."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running(config_text='[detections]\nevery_s = 1\nrespond_up_to = "note"\n') as server:
        yield server, person(server, "auditor", on="server")


def write(browser, text: str, **fields) -> None:
    """Types into the form: a text with lines goes in at once."""
    browser.driver.execute_script("document.getElementById('rules').value = arguments[0]", text)
    browser.fill(**fields)


def delete_an_experiment(server) -> None:
    api, session = f"{server.url}/api/2.0/mlflow/experiments", person(server, "contributor").session()
    made = session.post(f"{api}/create", json={"name": uuid.uuid4().hex}).json()["experiment_id"]
    assert session.post(f"{api}/delete", json={"experiment_id": made}).status_code == 200


def test_rules_are_tried_on_the_log_kept_and_find_something(world):
    server, auditor = world
    delete_an_experiment(server)
    name, text = "night-shift", rule("experiments_deleted")
    found = lambda: [one for one in call(auditor.session(), server, "GET", "/detections")["detections"] if one["rule"] == "experiments_deleted"]  # noqa: E731
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console/detections")
        browser.click("main a[href='/console/detections/rules']")
        assert "None yet" in browser.text()
        browser.click(f"main a[href='{WRITE}']")
        assert "title: Runs are deleted" in browser.find("#rules").get_attribute("value"), "somebody begins with what can be used"
        write(browser, text.replace("level: low", "level: awful"), name=name)
        browser.click("button[value=check]")
        assert "cannot be used" in browser.find("#verdict").text
        fault = browser.find("section[aria-labelledby=faults] tbody").text
        assert fault.startswith("5") and "`level`" in fault, fault
        browser.click("button[value=save]")
        assert "were not kept" in browser.find("#fault").text and "level: awful" in browser.find("#rules").get_attribute("value")
        write(browser, text)
        harness.wait_until(lambda: "1 in the last week" in checked(browser), 20, "the deletion is in the log")
        assert "1 rule can be used" in browser.find("#verdict").text
        browser.click("button[value=save]")
        assert browser.path() == f"{WRITE}?name=night%2Dshift" and "looked for" in browser.find("#standing").text
        assert found() == [], "nothing is found behind the moment from which it is looked for"
        delete_an_experiment(server)
        harness.wait_until(found, 20, "the new rule finds it")
        # Whoever has an old page changes nothing; the text stays.
        browser.go(f"{WRITE}?name={name}")
        call(auditor.session(), server, "POST", f"/detections/own-rules/by-name/{name}", json={"rules": text + "# mine\n"})
        browser.click("button[value=save]")
        assert "changed since" in browser.find("#fault").text and "# mine" not in browser.find("#rules").get_attribute("value")
        assert "# mine" in browser.find("section[aria-labelledby=other]").text
        browser.go(f"{WRITE}?name={name}")
        browser.find("[name=enabled]").click()
        browser.click("button[value=save]")
        assert "nothing is looked for" in browser.find("#standing").text
        browser.go("/console/detections/rules")
        row = browser.find("section[aria-labelledby=own] tbody tr").text
        assert name in row and "off" in row and auditor.name in row, row
        browser.click("section[aria-labelledby=own] tbody a")
        browser.find("[name=sure]").click()
        browser.click("button[value=delete]")
        assert browser.path() == "/console/detections/rules" and "None yet" in browser.text()
        assert [fault for fault in browser.faults() if "409" not in fault] == []
    viewer = person(server, "viewer").session()
    for method in ("GET", "POST"):
        answer = viewer.request(method, f"{server.url}{WRITE}", data={"decision": "check", "name": "x", "rules": text}, allow_redirects=False)
        assert answer.status_code == 403, answer.text


def checked(browser) -> str:
    browser.click("button[value=check]")
    return browser.find("#verdict").text


def test_rules_are_read_while_they_are_typed(world):
    server, auditor = world
    with browsers.browser(server) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go(WRITE)
        field = browser.find("#rules")
        field.send_keys("levle: low\n")
        live = lambda: browser.find("#live").text  # noqa: E731
        browser.wait(lambda: "cannot be used" in live() and "levle" in live(), "the fault is told")
        browser.find("#live button").click()
        assert "levle" in browser.driver.execute_script("const f = document.getElementById('rules'); return f.value.slice(f.selectionStart, f.selectionEnd)")
        browser.driver.execute_script("const f = document.getElementById('rules'); f.value = arguments[0]; f.dispatchEvent(new Event('input'))", rule("typed"))
        browser.wait(lambda: "They can be used. Rules: 1" in live(), "the fault is gone")
        assert browser.faults() == []


@pytest.mark.any_database("a browser sees the same")
@pytest.mark.parametrize("width", [360, 1200])
def test_the_pages_are_fit_for_everybody_and_rules_are_text(world, width):
    server, auditor = world
    text = rule(f"nasty_{width}").replace("Experiments are deleted", f"'{NASTY.replace(chr(39), chr(39) * 2)}'")
    source = axe()
    with browsers.browser(server, width=width) as browser:
        browser.log_in(auditor.name, auditor.password)

        def fit(what):
            assert violations(browser, source) == [], what
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, what
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, what
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000

        browser.go(WRITE)
        fit("a new one")
        write(browser, text, name=f"nasty-{width}")
        browser.click("button[value=check]")
        assert NASTY in browser.text()
        fit("checked")
        browser.click("button[value=save]")
        fit("kept")
        write(browser, f"title: {NASTY}\n{NASTY}: 1\n")
        browser.click("button[value=check]")
        fit("broken")
        browser.go("/console/detections/rules")
        assert NASTY in browser.text()
        fit("all")
        call(auditor.session(), server, "DELETE", f"/detections/own-rules/by-name/nasty-{width}")
