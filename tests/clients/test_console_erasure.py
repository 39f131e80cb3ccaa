"""Erasure in a real browser: what predictions hold of a person is shown, erased after a tick, proven by its record, and listed."""

import subprocess

import pytest

import browser as browsers
import harness
import test_serving
from people import call, person
from test_console import NASTY, axe, violations
from test_serving import ask, tensor
from test_sign_in import age_proofs

pytestmark = pytest.mark.strongroom_only
PAGE = "/console/erasure"
ERASED_COUNT = 51


@pytest.fixture(scope="module")
def world():
    """A server with an endpoint whose predictions keep their values. Erasing again and again is noted there, and nobody is slowed down for it."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running(config_text='[detections]\nrespond_up_to = "note"\n') as server, pytest.MonkeyPatch.context() as patch:
        for key, value in server.mlflow_environment().items():
            patch.setenv(key, value)
        import mlflow

        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        served = test_serving.serve(server, mlflow)
        call(server.session(), server, "POST", f"/endpoints/{served['endpoint']}/log", json={"log": "values"})
        yield server, served


def predict(server, served, subject: str) -> str:
    body = {"inputs": [tensor(served["features"][:2])]}
    return ask(server.session(), server, served["endpoint"], body, headers={"Strongroom-Subject": subject})["parameters"]["prediction_id"]


def test_what_is_kept_of_a_person_is_shown_erased_and_proven(world, tmp_path):
    server, served = world
    reviewer, viewer = person(server, "reviewer"), person(server, "viewer")
    theirs, others = [predict(server, served, NASTY) for _ in range(2)], predict(server, served, "somebody else")
    values = lambda prediction: call(server.session(), server, "GET", f"/predictions/{prediction}")["values"]  # noqa: E731
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(reviewer.name, reviewer.password)
        browser.go("/console/vault")
        browser.click(f"main a[href='{PAGE}']")
        assert "What stays" in browser.text() and "it never holds names" in browser.text()
        browser.fill(subject="nobody of that name")
        browser.click("button[value=look]")
        assert "nothing is kept" in browser.find("#fault").text and browser.all("button[value=erase]") == []
        browser.fill(subject=f"  {NASTY} ")
        browser.click("button[value=look]")
        assert "2 predictions held of this subject" in browser.find("#verdict").text
        row = browser.find("#held + div tbody").text
        assert served["endpoint"] in row and "2 4" in row, row
        assert NASTY in browser.find("section[aria-labelledby=look]").text and browser.all("img") == []
        # Without the tick nothing is sent, and a form that somebody makes without it erases nothing.
        browser.find("button[value=erase]").click()
        assert browser.path() == PAGE and values(theirs[0])
        sent = {"decision": "erase", "subject": NASTY}
        refused = reviewer.session().post(f"{server.url}{PAGE}", data=sent, allow_redirects=False)
        assert refused.status_code == 400 and "tick" in refused.text and values(theirs[0])
        browser.find("[name=sure]").click()
        browser.click("button[value=erase]")
        assert browser.path().startswith(f"{PAGE}/"), browser.path()
        facts = browser.find("section[aria-labelledby=facts]").text
        assert f"by {reviewer.name}" in facts and "opens no more" in facts, facts
        assert "predictions.erase, done" in browser.find("#heading").text and NASTY not in browser.text(), "the log knows no name"
        record, receipt, key = (browser.find(f"#{name}").get_attribute("textContent") for name in ("exact", "receipt", "log-key"))
        for prediction in theirs:
            shown = call(server.session(), server, "GET", f"/predictions/{prediction}")
            assert shown["erased"] is True and shown["values"] is None
        assert values(others)
        # The same form once more finds nothing to erase.
        again = reviewer.session().post(f"{server.url}{PAGE}", data={**sent, "sure": "yes"}, allow_redirects=False)
        assert again.status_code == 404 and "nothing is kept" in again.text
        browser.go(PAGE)
        newest = browser.find("#done + div tbody tr").text
        assert reviewer.name in newest and " 2 " in newest, newest
        browser.click("#done + div tbody tr a")
        assert browser.find("#exact").get_attribute("textContent") == record
        assert browser.faults() == []
    (tmp_path / "record").write_text(record)
    (tmp_path / "proof").write_text(receipt)
    check = [str(harness.binary()), "audit", "check-proof", "--vkey", key.strip(), str(tmp_path / "proof"), str(tmp_path / "record")]
    assert subprocess.run(check, capture_output=True, timeout=60, check=False).returncode == 0
    for method, more in (("GET", {}), ("POST", {"data": {"decision": "look", "subject": "x"}}), ("POST", {"data": {**sent, "sure": "yes"}})):
        answer = viewer.session().request(method, f"{server.url}{PAGE}", allow_redirects=False, **more)
        assert answer.status_code == 403, answer.text
    assert PAGE not in viewer.session().get(f"{server.url}/console/vault").text, "who may not erase is not led there"


def test_a_fresh_log_in_is_asked_for_and_leads_back(world):
    server, served = world
    reviewer = person(server, "reviewer")
    prediction = predict(server, served, "customer 17")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(reviewer.name, reviewer.password)
        age_proofs(server)

        def erase():
            browser.go(PAGE)
            browser.fill(subject="customer 17")
            browser.click("button[value=look]")
            browser.find("[name=sure]").click()
            browser.click("button[value=erase]")

        erase()
        assert browser.path() == f"/login?again&to={PAGE}" and "fresh log-in" in browser.text()
        assert call(server.session(), server, "GET", f"/predictions/{prediction}")["values"]
        browser.fill(username=reviewer.name, password=reviewer.password)
        browser.click("form:not([data-passkey]) button")
        assert browser.path() == PAGE
        erase()
        assert browser.path().startswith(f"{PAGE}/")
    assert call(server.session(), server, "GET", f"/predictions/{prediction}")["erased"] is True


def test_the_browser_checks_the_record_and_another_one_is_not_believed(world):
    server, served = world
    reviewer = person(server, "reviewer")
    predict(server, served, "customer 18")
    erased = call(reviewer.session(), server, "POST", "/predictions/erase", json={"subject": "customer 18"})
    with browsers.browser(server) as browser:
        browser.log_in(reviewer.name, reviewer.password)
        browser.go(f"{PAGE}/{erased['audit_entry']}")
        said = lambda: browser.find("#checked").text  # noqa: E731
        browser.wait(lambda: "Checked here" in said(), "the browser checks")
        browser.driver.execute_script(f"history.replaceState(null, '', '{PAGE}/another')")
        browser.driver.execute_async_script("const done = arguments[0]; import(`/console/assets/proof.js?${Math.random()}`).then(() => setTimeout(done, 500), done);")
        assert "NOT the record that was asked for" in said()
        browser.go(f"{PAGE}/{'0' * 32}")
        assert "There is no such thing" in browser.text()


@pytest.mark.any_database("a browser sees the same")
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_fit_for_everybody_and_its_list_goes_on(world, width):
    server, served = world
    session, reviewer = server.session(), person(server, "reviewer")
    if width == 360:
        for number in range(ERASED_COUNT):
            predict(server, served, f"customer {100 + number}")
            call(session, server, "POST", "/predictions/erase", json={"subject": f"customer {100 + number}"})
    predict(server, served, NASTY)
    source = axe()
    with browsers.browser(server, width=width) as browser:
        browser.log_in(reviewer.name, reviewer.password)

        def fit(what):
            assert violations(browser, source) == [], what
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, what
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, what
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000

        browser.go(PAGE)
        fit("the page")
        first = browser.find("#done + div tbody tr").text
        browser.click("a[rel=next]")
        assert browser.all("#done + div tbody tr") and browser.find("#done + div tbody tr").text != first
        browser.fill(subject=NASTY)
        browser.click("button[value=look]")
        fit("what is kept")
        browser.go(PAGE)
        browser.click("#done + div tbody tr a")
        browser.wait(lambda: "Checked here" in browser.find("#checked").text, "the browser checks")
        fit("one erasure")
        assert browser.faults() == []
