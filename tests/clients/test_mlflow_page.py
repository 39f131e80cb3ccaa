"""MLflow's own web page, served from its wheel behind our log-in, in a real browser."""

from __future__ import annotations

import pathlib
import time

import mlflow
import pytest

import browser as browsers
import harness
from people import person

PAGE = pathlib.Path(mlflow.__file__).parent / "server" / "js" / "build"


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    assert (PAGE / "index.html").is_file(), f"{PAGE} has no index.html: mlflow's whole wheel brings it, mlflow-skinny does not"
    with harness.running(config_text=f'[server]\nmlflow_ui_dir = "{PAGE}"\n') as server:
        yield server


def logged(who, path, **body):
    answer = who.session().post(f"{who.server.url}/api/2.0/mlflow/{path}", json=body)
    assert answer.ok, answer.text
    return answer.json()


def test_the_consoles_links_lead_to_mlflows_page_and_it_shows_the_run(world):
    server = world
    ada = person(server, "contributor")
    # By hand: what MLflow's client remembers of this server must not reach the tests after it.
    experiment = logged(ada, "experiments/create", name="shown in both")["experiment_id"]
    run = logged(ada, "runs/create", experiment_id=experiment, run_name="a run to look at", start_time=int(time.time() * 1_000))["run"]["info"]["run_id"]
    logged(ada, "runs/log-metric", run_id=run, key="accuracy", value=0.75, timestamp=int(time.time() * 1_000), step=0)
    with browsers.browser(server, width=1_200) as browser:
        seen = lambda: browser.find("body").text  # noqa: E731
        browser.go("/")
        assert browser.path() == "/login", "nothing of it is shown to a stranger"
        browser.log_in(ada.name, ada.password)
        browser.go("/console")
        browser.click("main a[href^='/#/experiments']")
        browser.wait(lambda: "shown in both" in seen(), "MLflow's page lists the experiment")
        browser.go(f"/console/experiments/{experiment}")
        browser.click("a[href^='/#/experiments/']")
        browser.wait(lambda: "a run to look at" in seen(), "MLflow's page lists the run")
        browser.go(f"/console/runs/{run}")
        browser.click("a[href^='/#/experiments/']")
        browser.wait(lambda: "accuracy" in seen() and "0.75" in seen(), "MLflow's page shows the run's metric")
        refused = [fault for fault in browser.faults() if "Content Security Policy" in fault]
        assert refused == [], refused
