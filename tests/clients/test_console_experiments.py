"""Experiments in a real browser: search, sort, compare, curves, files; with and without scripts, on a phone, and with names that try to act."""

import io
import uuid

import pytest

import browser as browsers
import harness
from people import person
from test_console import NASTY, axe, violations

pytestmark = pytest.mark.strongroom_only
# A picture of one point.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff89993d1d0000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def world():
    """An experiment with three runs, the first of which has curves and files."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        ada = person(server, "contributor")
        session = ada.session()

        def post(path, body):
            answer = session.post(f"{server.url}/api/2.0/mlflow{path}", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        experiment = post("/experiments/create", {"name": f"churn {NASTY}"})["experiment_id"]
        runs = []
        for place, (rate, model) in enumerate([("0.1", "tree"), ("0.2", "tree"), ("0.1", f"forest {NASTY}")]):
            run = post("/runs/create", {"experiment_id": experiment, "run_name": f"run {place} {NASTY if place == 2 else ''}".strip(), "start_time": 1_000 + place})["run"]["info"]["run_id"]
            params = [{"key": "rate", "value": rate}, {"key": "model", "value": model}]
            metrics = [{"key": "val/acc", "value": (place + 1) * 0.2 + step / 1000, "timestamp": 1, "step": step} for step in range(0, 100, 10)]
            metrics += [{"key": "loss", "value": 1.0 / (place + 1), "timestamp": 1, "step": 0}]
            tags = [{"key": f"tag {place}", "value": NASTY}]
            post("/runs/log-batch", {"run_id": run, "params": params, "metrics": metrics, "tags": tags})
            post("/runs/update", {"run_id": run, "status": "FINISHED", "end_time": 5_000})
            runs.append(run)
        for name, body in [("notes.txt", b"what was tried: <b>much</b>"), ("page.html", NASTY.encode()), ("plots/dot.png", PNG), ("drawn.svg", b"<svg onload='alert(1)'/>"), ("model.bin", b"\0\1\2")]:
            sent = session.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{runs[0]}/artifacts/{name}", data=io.BytesIO(body))
            assert sent.status_code == 200, sent.text
        yield server, ada, experiment, runs


def test_runs_are_searched_sorted_and_compared_without_scripts(world):
    server, ada, experiment, runs = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/experiments")
        browser.click(f"a[href='/console/experiments/{experiment}']")
        names = lambda: [cell.text for cell in browser.all("td.name a")]  # noqa: E731
        assert [name.split(" <")[0] for name in names()] == ["run 2", "run 1", "run 0"], "the newest first"
        browser.fill(filter="params.rate = '0.1' AND metrics.`val/acc` < 0.5")
        browser.click("form[role=search] button")
        assert names() == ["run 0"]
        # What cannot be read is said, and not lost.
        browser.fill(filter="metrics.loss >")
        browser.click("form[role=search] button")
        assert browser.find("[role=alert]").text and browser.find("#filter").get_attribute("value") == "metrics.loss >"
        browser.go(f"/console/experiments/{experiment}")
        browser.click("th button[value^='metrics.loss']")
        assert [name.split(" <")[0] for name in names()] == ["run 0", "run 1", "run 2"]
        assert browser.find("th[aria-sort=descending]").text == "loss"
        browser.find("summary").click()
        for box in browser.all("input[name=column]"):
            if box.is_selected() != (box.get_attribute("value") == "params.model"):
                box.click()
        browser.click("details button")
        assert [head.text for head in browser.all("thead th")][5:] == ["model"]
        for box in browser.all("input[name=run]")[:2]:
            box.click()
        browser.click("form[action='/console/compare'] > p button")
        text = browser.text()
        assert "2 runs side by side" in text and "rate" in text and "0.2" in text and "model" not in browser.find("section[aria-labelledby=params]").text
        browser.click("a[href*='show=all']")
        assert "model" in browser.find("section[aria-labelledby=params]").text
        assert all(row.find_element("css selector", "td:last-child").text == "differs" for row in browser.all("tr.differs"))
        # Both curves, and the steps narrowed by the form.
        browser.click("a[href*='key=val']")
        assert len(browser.all("polyline")) == 2 and len(browser.all("#points tbody tr")) == 10
        browser.fill(**{"from": "20"})
        browser.fill(to="40")
        browser.click("#narrow button")
        assert [row.text.split()[0] for row in browser.all("#points tbody tr")] == ["20", "30", "40"]
        assert [fault for fault in browser.faults() if "400" not in fault] == []


def test_a_run_shows_its_files_as_text_and_checked_pictures(world):
    server, ada, experiment, runs = world
    with browsers.browser(server) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go(f"/console/runs/{runs[0]}")
        assert "finished" in browser.find("h1").text and "val/acc" in browser.text() and "page.html" in browser.text()
        browser.go(f"/console/runs/{runs[0]}/view/page.html")
        assert "<img src=x" in browser.find("#preview").text and browser.all("img") == []
        browser.go(f"/console/runs/{runs[0]}/view/drawn.svg")
        assert "onload" in browser.find("#preview").text and browser.all("img") == []
        browser.go(f"/console/runs/{runs[0]}?folder=plots")
        browser.click("#files ~ .scroll a[href$='dot%2Epng']")
        assert browser.driver.execute_script("return document.querySelector('img.preview').naturalWidth") == 1
        browser.go(f"/console/runs/{runs[0]}/view/model.bin")
        assert "no text" in browser.text()
        assert browser.faults() == []
    session = ada.session()
    answer = session.get(f"{server.url}/console/runs/{runs[0]}/picture/drawn.svg")
    assert answer.status_code == 404, "what is no picture is none, whatever it is called"
    saved = session.get(f"{server.url}/console/runs/{runs[0]}/save/page.html")
    assert saved.content == NASTY.encode() and saved.headers["content-disposition"] == "attachment" and saved.headers["content-type"] == "application/octet-stream"


def test_a_curve_is_pointed_at_and_a_search_completed(world):
    server, ada, experiment, runs = world
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    with browsers.browser(server) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go(f"/console/curve?key=val/acc&run={runs[0]}&run={runs[1]}")
        curve = browser.find("#curve")
        ActionChains(browser.driver).move_to_element_with_offset(curve, 0, 0).perform()
        assert "Step 40:" in browser.find("#pointed").text or "Step 50:" in browser.find("#pointed").text
        before = browser.find("html")
        ActionChains(browser.driver).move_to_element_with_offset(curve, 0, 0).click_and_hold().move_by_offset(150, 0).release().perform()
        browser.wait(lambda: browsers.is_gone(before), "the narrowed curve")
        assert 0 < len(browser.all("#points tbody tr")) < 5
        browser.go(f"/console/experiments/{experiment}")
        browser.find("#filter").send_keys("metrics.va")
        assert [offer.text for offer in browser.all("ul.offers li")] == ["metrics.`val/acc`"]
        browser.find("#filter").send_keys(Keys.ARROW_DOWN, Keys.ENTER, "> 0.5")
        assert browser.find("#filter").get_attribute("value") == "metrics.`val/acc` > 0.5"
        browser.click("form[role=search] button")
        assert len(browser.all("td.name")) == 1
        assert browser.faults() == []


def test_no_spike_is_lost_and_what_was_deleted_says_so(world):
    server, ada, experiment, runs = world
    session = ada.session()

    def post(path, body):
        answer = session.post(f"{server.url}/api/2.0/mlflow{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(path):
        answer = session.get(f"{server.url}{path}")
        assert answer.status_code == 200, answer.text
        return answer

    place = post("/experiments/create", {"name": f"short-{uuid.uuid4().hex[:6]}"})["experiment_id"]
    run = post("/runs/create", {"experiment_id": place, "run_name": "spiky", "start_time": 1})["run"]["info"]["run_id"]
    value = {777: 98765.0, 1234: -98765.0}
    for begin in range(0, 3_000, 1_000):
        metrics = [{"key": " loss", "value": value.get(step, 1.0), "timestamp": 1, "step": step} for step in range(begin, begin + 1_000)]
        post("/runs/log-batch", {"run_id": run, "metrics": metrics})
    # The name of a metric is its own, with the space that it begins with.
    page = get(f"/console/curve?key=%20loss&run={run}").text
    assert ">98765<" in page and ">-98765<" in page and "of 3000 steps are shown" in page
    post("/runs/log-batch", {"run_id": run, "metrics": [{"key": f"m{number:03}", "value": 0.1234567 + number, "timestamp": 1, "step": 0} for number in range(300)]})
    first = get(f"/console/runs/{run}")
    assert first.headers["content-encoding"] == "gzip" and "Metrics: 1 to 100 of 301" in first.text and ">m299<" not in first.text
    assert ">m299<" in get(f"/console/runs/{run}?metrics=300").text
    listed = get(f"/console/experiments/{place}?column=metrics.m299").text
    assert "299.12" in listed and "are not offered here" in listed
    post("/runs/delete", {"run_id": run})
    assert "This run was deleted" in get(f"/console/runs/{run}").text
    post("/experiments/delete", {"experiment_id": place})
    assert "This experiment was deleted" in get(f"/console/experiments/{place}").text
    lost = session.get(f"{server.url}/console/no-such-page?workspace=default", headers={"accept": "text/html"})
    assert lost.status_code == 404 and "There is no such thing" in lost.text and lost.headers["content-security-policy"]


@pytest.mark.parametrize("width", [390, 1200])
def test_the_pages_are_fit_for_everybody_and_what_was_typed_is_text(world, width):
    server, ada, experiment, runs = world
    source = axe()
    both = "&".join(f"run={run}" for run in runs)
    paths = ["/console/experiments", f"/console/experiments/{experiment}", f"/console/experiments/{experiment}?filter=%3Cimg", f"/console/runs/{runs[2]}", f"/console/runs/{runs[0]}"]
    paths += [f"/console/compare?{both}&show=all", f"/console/curve?{both}&key=val/acc", f"/console/runs/{runs[0]}/view/page.html"]
    with browsers.browser(server, width=width) as browser:
        browser.log_in(ada.name, ada.password)
        for path in paths:
            browser.go(path)
            assert violations(browser, source) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, path
            harness_pictures(browser, path, width)
        assert [fault for fault in browser.faults() if "400" not in fault] == []


def harness_pictures(browser, path, width):
    """Keeps what was seen where somebody wants to look."""
    import os
    import re

    folder = os.environ.get("STRONGROOM_PICTURES")
    if folder:
        browser.driver.save_screenshot(os.path.join(folder, f"{re.sub('[^a-z]+', '-', path.split('?')[0])[:60]}-{uuid.uuid4().hex[:3]}-{width}.png"))
