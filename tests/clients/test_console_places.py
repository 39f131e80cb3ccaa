"""The addresses that the mlflow client prints lead to the console's pages of the same things, through a log-in too."""

import pytest

import browser as browsers
import harness
from people import person

pytestmark = pytest.mark.strongroom_only


def test_what_the_client_prints_leads_to_the_page_of_the_run():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        ada = person(server, "contributor")
        made = ada.session().post(f"{server.url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0", "run_name": "printed"})
        run = made.json()["run"]["info"]["run_id"]
        with browsers.browser(server) as browser:
            browser.go(f"/#/experiments/0/runs/{run}")
            browser.wait(lambda: browser.path().startswith("/login"), "a log-in")
            browser.fill(username=ada.name, password=ada.password)
            browser.click("form:not([data-passkey]) button")
            browser.wait(lambda: browser.path() == f"/console/runs/{run}", "the page of the run")
            browser.wait(lambda: "printed" in browser.find("h1").text, "its name")
            for printed, page in (
                (f"/experiments/0/runs/{run}/artifacts?workspace=default", f"/console/runs/{run}?workspace=default"),
                ("/experiments/0", "/console/experiments/0"),
                ("/models/no%20such", "/console/models?model=no%20such"),
            ):
                browser.go(f"/#{printed}")
                browser.wait(lambda page=page: browser.path() == page, page)
            assert browser.faults() == []
            # What is no place stays on the first page.
            for printed in ("/experiments/../../login", "//elsewhere.example", "/prompts"):
                browser.go("/account")
                browser.go(f"/#{printed}")
                browser.wait(lambda: browser.all("#begin") != [], "the first page")
                assert browser.path() == f"/#{printed}"
