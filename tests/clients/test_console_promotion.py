"""Aliases moved in a real browser: what would change is shown first, an endpoint follows, what keeps a version back is told, and it is rolled back."""

import hashlib
import json
import urllib.parse

import pytest
from selenium.webdriver.common.keys import Keys

import browser as browsers
import harness
import test_serving
from people import call, grant, person
from test_console import NASTY, axe, violations
from test_models import logged, register, wait

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A champion that an endpoint follows, a second version that is let in, and a third that waits for a waiver."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server, pytest.MonkeyPatch.context() as patch:
        for key, value in server.mlflow_environment().items():
            patch.setenv(key, value)
        import mlflow

        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        served = test_serving.serve(server, mlflow)
        name = served["model"]
        with mlflow.start_run():
            mlflow.sklearn.log_model(served["fitted"], name="model", registered_model_name=name, serialization_format="skops")
        odd = {"model.odd": b"\x93odd bytes of no known format\x00\xff" * 9}
        register(mlflow, logged(mlflow, tmp_path_factory.mktemp("odd") / "m", odd), name)
        states = [wait(server.session(), server, name, number)["state"] for number in (1, 2, 3)]
        assert states == ["admitted", "admitted", "quarantined"], states
        crew = {role: person(server, role) for role in ("deployer", "reviewer", "viewer")}
        yield server, crew, name, served["endpoint"]


def at(name: str, version: int) -> str:
    return f"/console/models/{urllib.parse.quote(name, safe='')}/{version}"


def champion(server, name: str) -> int:
    return call(server.session(), server, "GET", f"/models/{name}/versions/@champion")["version"]


def test_an_alias_is_moved_with_its_endpoint_and_rolled_back(world):
    server, crew, name, endpoint = world
    deployer = crew["deployer"]
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(deployer.name, deployer.password)
        browser.go(at(name, 2))
        section = browser.find("section[aria-labelledby=promote]").text
        assert "champion" in section and endpoint in section and "points here" not in section
        browser.click("a[href$='/2/promote?alias=champion']")
        assert browser.find("h1").text == f"{name}@champion" and "not promoted yet" in browser.find("#verdict").text
        assert "It points at version 1 now" in browser.text() and endpoint in browser.find("section[aria-labelledby=followers]").text
        assert browser.all("a[href^='/console/compare/models?version=']"), "both can be compared first"
        # What answers otherwise takes a tick; by keyboard, as by anything else.
        button = browser.find("main form[method=post] button")
        button.send_keys(Keys.ENTER)
        assert champion(server, name) == 1, "without the tick nothing is sent"
        browser.find("[name=sure]").send_keys(Keys.SPACE)
        before = browser.find("html")
        button.send_keys(Keys.ENTER)
        browser.wait(lambda: browsers.is_gone(before), "the alias is moved")
        assert champion(server, name) == 2 and browser.path() == f"{at(name, 2).replace('-', '%2D')}#promote"
        answers = lambda: server.session().get(f"{server.url}/v2/models/{endpoint}", timeout=30).json()["versions"]  # noqa: E731
        harness.wait_until(lambda: answers() == ["2"], 10, "the endpoint follows")
        # The form that somebody left open moves nothing any more.
        stale = {"alias": "champion", "seen": "1", "sure": "yes"}
        answer = deployer.session().post(f"{server.url}{at(name, 1)}/promote", data=stale, allow_redirects=False)
        assert answer.status_code == 409 and "points at version 2 by now" in answer.text, answer.text
        browser.click("a[href$='/1/promote?alias=champion']")
        assert "not rolled back yet" in browser.find("#verdict").text and "Roll back" in browser.find("main form[method=post] button").text
        browser.find("[name=sure]").click()
        browser.click("main form[method=post] button")
        assert champion(server, name) == 1
        assert browser.faults() == []
    auditor = person(server, "auditor", on="server")
    found = call(auditor.session(), server, "GET", "/audit/records?what=models.alias&outcome=done")["records"]
    assert found and hashlib.sha256(b"champion").hexdigest() in json.dumps(found[0]), "the log tells which alias, by its digest"


def test_what_keeps_a_version_back_is_told_with_who_acts_next(world):
    server, crew, name, _ = world
    with browsers.browser(server, scripts=False) as browser:
        for role, words in (("viewer", "takes a second person"), ("deployer", "takes a second person"), ("reviewer", "Waive what was found, above")):
            browser.log_in(crew[role].name, crew[role].password)
            browser.go(at(name, 3))
            told = browser.find("#obstacle").text
            assert "cannot be promoted" in told and words in told, told
            assert browser.all("a[href*='/promote?alias=']") == [] and browser.all("form[action$='/promote']") == []
            if role != "reviewer":
                browser.click("header form button")
        grant(server, crew["reviewer"].name, "deployer")
        browser.fill(reason="read line by line")
        browser.click("button[value=waive]")
        assert browser.all("#obstacle") == []
        browser.find("[name=alias]").send_keys(NASTY)
        browser.click("form[action$='/promote'] button")
        assert NASTY in browser.find("h1").text and "no such alias yet" in browser.text()
        browser.sure("main form[method=post] button")
        assert "That did not work" in browser.text() and "Invalid alias name" in browser.text()
        browser.go(at(name, 3))
        browser.fill(alias="challenger")
        browser.click("form[action$='/promote'] button")
        assert "No endpoint follows this alias" in browser.text()
        browser.sure("main form[method=post] button")
        assert "challenger" in browser.find("section[aria-labelledby=promote]").text
        browser.go(f"{at(name, 3)}/promote?alias=challenger")
        assert "nothing to move" in browser.text() and browser.all("main form[method=post]") == []
    nobody = person(server)
    for method, more in (("GET", {"params": {"alias": "champion"}}), ("POST", {"data": {"alias": "champion", "seen": "1", "sure": "yes"}})):
        answer = nobody.session().request(method, f"{server.url}{at(name, 2)}/promote", allow_redirects=False, **more)
        assert answer.status_code in (403, 404), answer.text
    own = crew["viewer"].session().post(f"{server.url}{at(name, 2)}/promote", data={"alias": "champion", "seen": "1", "sure": "yes"}, allow_redirects=False)
    assert own.status_code == 403 and champion(server, name) == 1


@pytest.mark.parametrize("width", [360, 1200])
def test_the_pages_are_fit_for_everybody_and_names_are_text(world, width):
    server, crew, name, _ = world
    session, api = server.session(), f"{server.url}/api/2.0/mlflow"
    session.post(f"{api}/registered-models/create", json={"name": NASTY})
    session.post(f"{api}/model-versions/create", json={"name": NASTY, "source": f"models:/{name}/1"})
    source = axe()
    with browsers.browser(server, width=width) as browser:
        browser.log_in(crew["deployer"].name, crew["deployer"].password)
        for path in (at(name, 2), f"{at(name, 2)}/promote?alias=champion", f"{at(name, 2)}/promote?alias={urllib.parse.quote(NASTY)}", at(NASTY, 1), f"{at(NASTY, 1)}/promote?alias=x"):
            browser.go(path)
            assert violations(browser, source) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, path
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000
        assert browser.faults() == []
