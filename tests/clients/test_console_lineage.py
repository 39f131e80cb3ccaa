"""The graph of what stems from what, in a real browser: both ways, kinds, words for whose word an edge is, export; names that try to act."""

import json

import pytest

import browser as browsers
import harness
from people import person
from test_console import NASTY, axe, violations
from test_console_experiments import harness_pictures

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def world():
    """A run that claims to have read data, and a model that was registered from it."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        ada = person(server, "contributor")
        session = ada.session()

        def post(path, body):
            answer = session.post(f"{server.url}/api/2.0/mlflow{path}", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        experiment = post("/experiments/create", {"name": "churn"})["experiment_id"]
        run = post("/runs/create", {"experiment_id": experiment, "run_name": f"night {NASTY}"})["run"]["info"]["run_id"]
        dataset = {"name": f"customers {NASTY}", "digest": "abc", "source_type": "local", "source": NASTY}
        post("/runs/log-inputs", {"run_id": run, "datasets": [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}]})
        made = post("/logged-models", {"experiment_id": experiment, "name": "tree", "source_run_id": run})["model"]["info"]["model_id"]
        put = session.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/models/{made}/artifacts/notes.txt", data=b"x")
        assert put.status_code == 200, put.text
        answer = session.patch(f"{server.url}/api/2.0/mlflow/logged-models/{made}", json={"model_id": made, "status": "LOGGED_MODEL_READY"})
        assert answer.status_code == 200, answer.text
        post("/registered-models/create", {"name": "churn"})
        post("/model-versions/create", {"name": "churn", "source": f"models:/{made}", "run_id": run, "model_id": made})
        yield server, ada, run


def test_the_graph_leads_from_a_run_to_what_would_be_hit_without_scripts(world):
    server, ada, run = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go(f"/console/runs/{run}")
        browser.click("main a[href^='/console/lineage']")
        assert "1 × model" in browser.find("section[aria-labelledby=hit]").text
        words = browser.find("section[aria-labelledby=edges]").text
        assert "a client claims it" in words and "the server saw it" in words and "customers" in words
        assert len(browser.all("svg.graph path.claimed")) >= 1 and len(browser.all("svg.graph path.observed")) >= 2
        # Earlier things stand left of later ones.
        place = lambda kind: int(browser.find(f"svg.graph g.{kind} rect").get_attribute("x"))  # noqa: E731
        assert place("dataset") < place("run") < place("model_version")
        # A kind is left out, and where the graph begins stays.
        for box in browser.all("input[name=kind]"):
            if box.is_selected() and box.get_attribute("value") != "model_version":
                box.click()
        browser.click("form[action='/console/lineage'] button")
        assert browser.all("svg.graph g.dataset") == [] and len(browser.all("svg.graph g.model_version")) == 1 and len(browser.all("svg.graph g.run")) == 1
        # A thing leads on: the version, and what it stems from.
        browser.click("section[aria-labelledby=things] a[href*='subject=model']")
        assert "churn version 1" in browser.find("h1").text and "Nothing that is known stems from it" in browser.text()
        browser.click("section[aria-labelledby=things] a[href^='/console/models/']")
        assert "churn/1" in browser.find("h1").text
        browser.go("/console/lineage?subject=run:nothing")
        assert browser.find("[role=alert]").text and browser.find("#subject").get_attribute("value") == "run:nothing"
        browser.go("/console/lineage")
        browser.fill(subject="churn/1", depth="1")
        browser.click("form[action='/console/lineage'] button")
        assert "churn version 1" in browser.find("h1").text
        assert [fault for fault in browser.faults() if "404" not in fault] == []


def test_the_graph_is_exported(world):
    server, ada, run = world
    session = ada.session()
    picture = session.get(f"{server.url}/console/lineage/export?subject=run:{run}&direction=down&format=svg")
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/svg+xml" and "<img" not in picture.text
    found = session.get(f"{server.url}/console/lineage/export?subject=run:{run}&direction=up&format=json&workspace=default")
    assert found.status_code == 200 and any("customers" in node["name"] or node["kind"] == "dataset" for node in json.loads(found.text)["nodes"])


def test_who_may_nothing_learns_nothing(world):
    server, _, run = world
    nobody = person(server)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(nobody.name, nobody.password)
        browser.go(f"/console/lineage?subject=run:{run}")
        assert "night" not in browser.text() and browser.all("svg.graph") == []


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_is_fit_for_everybody_and_names_are_text(world, width):
    server, ada, run = world
    source = axe()
    with browsers.browser(server, width=width) as browser:
        browser.log_in(ada.name, ada.password)
        for path in ("/console/lineage", f"/console/lineage?subject=run:{run}", "/console/lineage?subject=%3Cimg%20src=x%3E"):
            browser.go(path)
            assert violations(browser, source) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, path
            harness_pictures(browser, path, width)
        assert [fault for fault in browser.faults() if "40" not in fault] == []
