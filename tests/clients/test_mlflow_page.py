"""MLflow's own web page, served from its wheel behind our log-in, in a real browser."""

from __future__ import annotations

import pathlib

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


def test_the_consoles_links_lead_to_mlflows_page_and_it_shows_the_run(world):
    server = world
    ada = person(server, "contributor")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.mlflow_environment(ada.token).items():
            patch.setenv(name, value)
        mlflow.set_tracking_uri(server.url)
        experiment = mlflow.create_experiment("shown in both")
        with mlflow.start_run(experiment_id=experiment, run_name="a run to look at") as run:
            mlflow.log_metric("accuracy", 0.75)
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
        browser.go(f"/console/runs/{run.info.run_id}")
        browser.click("a[href^='/#/experiments/']")
        browser.wait(lambda: "accuracy" in seen() and "0.75" in seen(), "MLflow's page shows the run's metric")
        refused = [fault for fault in browser.faults() if "Content Security Policy" in fault]
        assert refused == [], refused
