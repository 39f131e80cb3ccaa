"""One version of data in a real browser: its columns, what changed since its parent, suspect rows that are left out by a form; names that try to act."""

import random
import uuid

import pytest

import browser as browsers
import harness
from people import person
from test_console import NASTY, axe, violations
from test_console_experiments import harness_pictures
from test_data import commit, waive, wait

pytestmark = pytest.mark.strongroom_only
ROWS = 600


def table(shift: float, name: str = "age") -> bytes:
    """Rows of two classes far from each other, some of which carry the other one's label."""
    random.seed(7)
    lines = [f'{name},income,churned,"{NASTY.replace(chr(34), "").replace(",", "")}"']
    for row in range(ROWS):
        label = row % 2
        place = 5.0 * label + shift
        said = 1 - label if row in (10, 50, 90, 130, 170, 210) else label
        lines.append(f"{random.gauss(place, 0.3):.3f},{random.gauss(-place, 0.3):.3f},{said},{row % 3}")
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        ada = person(server, "contributor")
        session, name = ada.session(), f"people-{uuid.uuid4().hex[:6]}"
        commit(session, server, name, {"a.csv": table(0.0)})
        wait(session, server, name, 1)
        # What is let in is what the next version is compared with.
        waive(person(server, "reviewer").session(), server, name, 1)
        commit(session, server, name, {"a.csv": table(4.0), "b.csv": table(4.0)})
        wait(session, server, name, 2)
        yield server, ada, name


def test_columns_are_drawn_and_two_versions_compared_without_scripts(world):
    server, ada, name = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go(f"/console/data/{name}/1")
        cards = browser.all(".card")
        assert len(cards) == 4 and "income" in browser.find("section[aria-labelledby=columns]").text and "missing" in cards[0].text
        assert len(browser.all(".card svg rect.bar")) > 10
        browser.go(f"/console/data/{name}/2")
        drift = browser.find("section[aria-labelledby=drift]").text
        assert "columns changed" in drift and "age" in drift and browser.all("section[aria-labelledby=drift] svg rect.hot")
        browser.click("a[href$='/2/diff']")
        assert "version 1 to version 2" in browser.find("h1").text
        assert "b.csv" in browser.find("section[aria-labelledby=files]").text and "differs" in browser.find("section[aria-labelledby=columns]").text
        assert browser.faults() == []


def test_chosen_rows_are_left_out_by_a_form(world):
    server, ada, name = world
    session = ada.session()
    report = session.get(f"{server.url}/console/data/{name}/1/documents/report.json").json()
    suspects = report["view"]["poisoning"]["suspects"] if report["view"]["poisoning"] else []
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go(f"/console/data/{name}/1")
        boxes = browser.all("input[name^='row-']")
        assert len(boxes) == min(len(suspects), 50) and boxes, harness.pretty(report["view"]["poisoning"])
        rows = browser.find("section[aria-labelledby=suspects]").text
        assert suspects[0]["reason"][:20] in rows
        boxes[0].click()
        browser.find("#clean-why").send_keys("looked at it")
        browser.click("form[action$='/clean'] button")
        assert f"Versions of {name}" in browser.text() and ("without 1 rows" in browser.text() or "3" in browser.find("tbody").text)
    beyond = session.post(f"{server.url}/console/data/{name}/1/clean", data={"row-999999": "on", "reason": "x"}, allow_redirects=False)
    assert beyond.status_code == 400 and "there is no row 999999" in beyond.text, beyond.text
    made = wait(session, server, name, 3)
    assert made["row_count"] == ROWS - 1 and made["parents"][0]["version"] == 1, harness.pretty(made)


def test_who_may_not_clean_is_not_offered_it(world):
    server, ada, name = world
    other = person(server, "contributor")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(other.name, other.password)
        browser.go(f"/console/data/{name}/2")
        assert browser.all("form[action$='/clean']") == []
    refused = other.session().post(f"{server.url}/console/data/{name}/2/clean", data={"row-1": "on", "reason": "why not"})
    assert refused.status_code in (403, 404), refused.text


@pytest.mark.parametrize("width", [390, 1200])
def test_the_pages_are_fit_for_everybody_and_names_are_text(world, width):
    server, ada, name = world
    source = axe()
    with browsers.browser(server, width=width) as browser:
        browser.log_in(ada.name, ada.password)
        for path in (f"/console/data/{name}/1", f"/console/data/{name}/2", f"/console/data/{name}/2/diff?against=1"):
            browser.go(path)
            assert violations(browser, source) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, path
            harness_pictures(browser, path, width)
        assert browser.faults() == []
