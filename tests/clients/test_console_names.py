"""Names of any length and writing stay in their place: a page is no wider than its screen, and what stands behind a name reads as it was written."""

import pytest

import browser as browsers
import harness
from people import person

pytestmark = pytest.mark.strongroom_only
MLFLOW = "/api/2.0/mlflow"
NAMES = {"long": "x" * 240, "turned": "\u202eشبكة \"one\" 'two' <b> 🧪"}


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        session, made = server.session(), {}
        post = lambda path, body: session.post(f"{server.url}{MLFLOW}{path}", json=body, timeout=60)  # noqa: E731
        for kind, name in NAMES.items():
            experiment = post("/experiments/create", {"name": f"{name} {kind}"}).json()["experiment_id"]
            run = post("/runs/create", {"experiment_id": experiment, "run_name": name, "start_time": 1}).json()["run"]["info"]["run_id"]
            metrics = [{"key": "loss", "value": 1.0, "timestamp": 1, "step": 0}]
            sent = post("/runs/log-batch", {"run_id": run, "metrics": metrics, "params": [{"key": "p", "value": name}], "tags": [{"key": "t", "value": name * 3}]})
            assert sent.ok, sent.text
            made[kind] = (experiment, run)
        yield server, made, person(server, "owner")


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_makes_a_page_wider_than_a_phone(world, kind):
    server, made, who = world
    experiment, run = made[kind]
    runs = "&".join(f"run={one}" for _, one in made.values())
    pages = ["/console/experiments", f"/console/experiments/{experiment}", f"/console/runs/{run}", f"/console/curve?key=loss&run={run}", f"/console/compare?{runs}"]
    with browsers.browser(server, width=390) as browser:
        browser.log_in(who.name, who.password)
        for path in pages:
            browser.go(path)
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390, path
        assert browser.faults() == []


def test_a_name_turns_no_writing_behind_it(world):
    server, made, who = world
    with browsers.browser(server) as browser:
        browser.log_in(who.name, who.password)
        browser.go(f"/console/curve?key=loss&run={made['turned'][1]}")
        said = "const found = document.querySelector('ul.legend a'); const behind = document.createElement('span'); behind.textContent = 'ab'; found.after(behind);"
        # The first letter stands left of the second one, also behind a name that turns what follows it.
        where = "const place = (at) => { const range = document.createRange(); range.setStart(behind.firstChild, at); range.setEnd(behind.firstChild, at + 1); return range.getBoundingClientRect().left; };"
        assert browser.driver.execute_script(f"{said} {where} return place(0) < place(1);")
        assert browser.faults() == []
