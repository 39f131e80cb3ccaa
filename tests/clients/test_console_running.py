"""The console's pages of what runs, in a real browser: an endpoint watched live and rolled back, alerts and their remedies, the vault."""

import time

import pytest

import browser as browsers
import harness
from people import call, grant, person
from test_console import axe, violations
from test_data import CLEAN, commit, wait
from test_observe import ask, endpoint_of, register_again
from test_retention import RULES

pytestmark = pytest.mark.strongroom_only
ROWS = [[5.8, 3.0, 3.7, 1.2], [5.1, 3.5, 1.4, 0.2]]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server that watches every second, retains by rules and backs up into a folder."""
    missing = browsers.missing()
    assert missing is None, missing
    folder = tmp_path_factory.mktemp("console")
    (folder / "retention.toml").write_text(RULES)
    (folder / "place").mkdir()
    text = f'[observe]\nevery_s = 1\n[retention]\nrules = "{folder / "retention.toml"}"\n[backup]\nto = "{folder / "place"}"\nkeep = 2\n'
    with harness.running(config_text=text) as server:
        yield server


def test_an_endpoint_is_watched_live_and_rolled_back(world):
    server, name = world, endpoint_of(world)
    register_again(server, name)
    session, deployer = server.session(), person(server, "deployer")
    call(session, server, "POST", f"/endpoints/{name}", json={"version": "2"})
    for _ in range(3):
        ask(session, server, name, ROWS)
    with browsers.browser(server) as browser:
        browser.log_in(deployer.name, deployer.password)
        browser.go("/console/endpoints")
        browser.click("tbody a")
        assert "Version 2" in browser.find("#verdict").text and browser.find("#all-requests").text == "3"
        assert browser.find("#requests").get_attribute("d").startswith("M")
        browser.wait(lambda: browser.find("#live").text == "Live", "the page is live")
        for _ in range(4):
            ask(session, server, name, ROWS)
        browser.wait(lambda: browser.find("#all-requests").text == "7", "news comes by itself")
        assert browser.find("#last-p99").text.endswith("ms")
        assert violations(browser, axe()) == []
        seen = browser.find("[name=seen]").get_attribute("value")
        browser.click("button[value=rollback]")
        assert "Version 1" in browser.find("#verdict").text
        # The same form once more, such as by a second click, takes nothing back.
        again = deployer.session().post(f"{server.url}/console/endpoints/{name}", data={"decision": "rollback", "seen": seen}, allow_redirects=False)
        assert again.status_code == 409 and "has changed since" in again.text, again.text
        browser.driver.refresh()
        assert "Version 1" in browser.find("#verdict").text
        # Whoever loses the right to see it sees no more of it, also on a page that is open.
        browser.wait(lambda: browser.find("#live").text == "Live", "the page is live again")
        call(session, server, "POST", f"/users/{deployer.name}/disable", json={})
        began = time.monotonic()
        browser.wait(lambda: browser.find("#live").text != "Live", "the stream is cut")
        assert time.monotonic() - began < 5
        # A browser by itself would ask again after three seconds. That takes somebody who is there, else no session were ever idle.
        time.sleep(5)
        assert browser.find("#live").text == "Paused until you move"
        browser.driver.execute_script("document.dispatchEvent(new Event('pointermove'))")
        browser.wait(lambda: browser.find("#live").text.startswith("No longer live"), "the one who is there is asked who they are")
    shown = call(session, server, "GET", f"/endpoints/{name}/traffic?minutes=5")["minutes"]
    assert len(shown) == 5 and sum(one["answered"] for one in shown) == 7 and max(one["p99_us"] or 0 for one in shown) > 0
    assert "P99 US" in server.cli("endpoint", "traffic", name, "--token-file", str(server.token_file)).stdout
    call(session, server, "GET", f"/endpoints/{name}/traffic?minutes=0", status=400)


def tell(server, session, summary: str) -> None:
    alert = {"status": "firing", "labels": {"alertname": "Full", "severity": "critical"}, "annotations": {"summary": summary}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": summary}
    call(session, server, "POST", "/alertmanager", json={"version": "4", "alerts": [alert]})


def test_a_prediction_is_traced_back_from_its_endpoint(world):
    server, name = world, endpoint_of(world)
    session, auditor = server.session(), person(server, "owner")
    grant(server, auditor.name, "auditor", "server")
    ask(session, server, name, ROWS)
    harness.wait_until(lambda: call(session, server, "GET", f"/predictions?endpoint={name}")["predictions"], 60, "the prediction is sealed")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go(f"/console/endpoints/{name}")
        assert "None is open" in browser.text() or browser.all("#alerts + div tbody tr")
        browser.click("main a[href^='/console/predictions']")
        browser.click("tbody a")
        assert "admitted" in browser.find("#verdict").text and "made it" in browser.text()
        assert "run " in browser.find("#things + div tbody").text and "principal admin" in browser.find("#things + div tbody").text and "nothing" in browser.find("dl").text
        browser.click("main a[href^='/console/audit?entry=']")
        assert "endpoints.predict" in browser.find("tbody").text
        browser.go("/console/predictions/none")
        assert "no such" in browser.text() or "There is no" in browser.text()


def test_an_alert_is_taken_up_and_closed_without_scripts_at_phone_width(world):
    server = world
    monitor, deployer = person(server, "monitor"), person(server, "deployer")
    grant(server, monitor.name, "monitor", on="server")
    summary = "the disk is nearly full <img src=x onerror=alert(1)>"
    tell(server, monitor.session(), summary)
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(deployer.name, deployer.password)
        browser.go("/console")
        assert summary in browser.text()
        # The server may have alerts of its own, such as a disk that fills.
        next(link for link in browser.all("a[href^='/console/alerts/']") if summary in link.get_attribute("textContent")).click()
        assert "critical, open" in browser.find("#verdict").text and summary in browser.find("h1").text
        browser.click("button[value=acknowledge]")
        assert "acknowledged" in browser.find("#verdict").text and "Somebody is on it" in browser.text()
        assert browser.all("button[value=acknowledge]") == []
        browser.click("button[value=resolve]")
        assert "resolved" in browser.find("#verdict").text and browser.all("main form") == []
        browser.go("/console/alerts?state=resolved")
        assert summary in browser.text() and browser.all("img") == []
        browser.go("/console/alerts?state=open")
        assert summary not in browser.text()
        browser.go("/console/alerts?state=nonsense")
        assert "That did not work" in browser.text()


def test_the_first_steps_look_by_themselves(world):
    server = world
    name = endpoint_of(server)
    ada = person(server, "owner")
    with browsers.browser(server, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console")
        browser.click("a[href='/console/start']")
        state = lambda title: next(one for one in browser.all("h2") if title in one.text).find_element("css selector", ".tag").text  # noqa: E731
        assert state("A passkey for you") == "to do" and state("A token") == "done" and state("A workspace") == "if you like"
        assert state("A first run") == state("A first model") == state("A first answer") == "done", name
        assert violations(browser, axe()) == []
        browser.add_authenticator()
        browser.click("#step-1 ~ p a")
        assert browser.path() == "/account"
    nobody = person(server)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(nobody.name, nobody.password)
        browser.go("/console/start")
        # The address is the one that somebody came to, and stays there once a step is done.
        code = [block.get_attribute("textContent") for block in browser.all("pre")]
        assert any(f"export MLFLOW_TRACKING_URI={browser.url}" in one for one in code) and any("tritonclient" in one for one in code)
        assert any("BEGIN CERTIFICATE" in one for one in code) and "A backup" not in browser.text()
        assert all("HOST" not in one for one in code) and browser.all(".copy") == [], "no button that would do nothing"
        assert browser.faults() == []


def test_the_vault_backs_up_drills_holds_and_rotates(world):
    server = world
    committer, officer = person(server, "contributor"), person(server, "owner")
    for role in ("backup_operator", "key_custodian"):
        grant(server, officer.name, role, on="server")
    grant(server, officer.name, "retention_officer")
    commit(committer.session(), server, "trial-vault", {"a.csv": CLEAN.encode()})
    if wait(committer.session(), server, "trial-vault", 1)["state"] == "quarantined":
        from test_data import waive

        waive(person(server, "reviewer").session(), server, "trial-vault", 1)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(officer.name, officer.password)
        browser.go("/console/vault")
        assert "There is no backup yet" in browser.find("#verdict").text
        for decision, words in (("backup", "No drill has shown yet"), ("drill", "A whole restore was drilled")):
            browser.click(f"button[value={decision}]")

            def is_done() -> bool:
                browser.go("/console/vault")
                return words in browser.find("#verdict").text

            browser.wait(is_done, f"the {decision} is done")
        version = lambda: browser.text().split("workspace default")[-1].split()[0] if "workspace default" in browser.text() else browser.text()  # noqa: E731
        before = version()
        browser.click("form[action='/console/vault/keys'] button")
        assert version() != before, "a newer version of the workspace's key"
        assert "trial-vault@1" in browser.text() and "GOVERNANCE until" in browser.text()
        browser.click("button[value=hold]")
        assert "legal hold" in browser.text()
        browser.sure("button[value=lift]")
        assert "legal hold" not in browser.text()
        assert browser.faults() == []
    with browsers.browser(server, width=390) as browser:
        browser.log_in(officer.name, officer.password)
        for path in ("/console/vault", "/console/alerts"):
            browser.go(path)
            assert violations(browser, axe()) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390, path
    nobody = person(server)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(nobody.name, nobody.password)
        browser.go("/console/vault")
        assert "You may not do this" in browser.text()
