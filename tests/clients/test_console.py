"""The console in a real browser: what needs whom, decisions by a second person, the log checked in the browser; by keyboard, by phone, without scripts."""

import datetime
import os
import pathlib
import uuid

import pytest

import browser as browsers
import harness
from people import call, grant, new_workspace, person
from test_data import CLEAN, commit, wait

pytestmark = pytest.mark.strongroom_only
NASTY = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
PAGES = ["/console", "/console/data", "/console/models", "/console/endpoints", "/console/alerts", "/console/vault", "/console/erasure", "/console/access", "/console/access/check", "/console/predictions", "/console/audit", "/console/audit/timeline", "/console/detections/rules", "/console/detections/write", "/console/workspaces", "/console/start", "/console/experiments", "/console/lineage", "/account", "/console/models?model=none"]


# The bytes of a page with all that it loads, and what of it moved after it was first painted.
WEIGHT = "return performance.getEntries().reduce((sum, one) => sum + (one.transferSize || 0), 0)"
SHIFT = """
const done = arguments[0], moved = [];
const said = (source) => `${source.node?.nodeName} ${source.node?.textContent?.trim().slice(0, 40)}`;
new PerformanceObserver((list) => { for (const one of list.getEntries()) moved.push(`${one.value}: ${one.sources.map(said)}`); })
  .observe({type: 'layout-shift', buffered: true});
setTimeout(() => done(moved), 50);
"""
# Pages come in pieces, and could be painted so.
SLOW = {"offline": False, "latency": 20, "downloadThroughput": 10_000, "uploadThroughput": -1}
# Runs a page's modules, which were kept from it, when all else is painted: as late as they come to who is far from a busy server.
LATE = """
const done = arguments[0], sources = [...document.querySelectorAll('script[src]')].map((one) => one.src);
setTimeout(() => Promise.all(sources.map((source) => import(`${source}?late`))).then(() => done(sources.length), (error) => done(String(error))), 50);
"""


@pytest.fixture(scope="module")
def world():
    """A server with a version that waits, an account that may decide, and one that may look into the log."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        committer, reviewer = person(server, "contributor"), person(server, "reviewer")
        auditor = person(server, "auditor", on="server")
        name = f"held-{uuid.uuid4().hex[:6]}"
        commit(committer.session(), server, name, {"a.csv": CLEAN.encode()})
        wait(committer.session(), server, name, 1)
        yield server, committer, reviewer, auditor, name


def axe() -> str:
    modules = os.environ.get("STRONGROOM_NODE_MODULES")
    assert modules, "STRONGROOM_NODE_MODULES names no folder; `cargo xtask test` sets it"
    return (pathlib.Path(modules) / "axe-core" / "axe.min.js").read_text()


def violations(browser, source) -> list[str]:
    """What the judge of pages finds serious or worse."""
    browser.driver.execute_script(source)
    found = browser.driver.execute_async_script("const done = arguments[0]; axe.run(document).then(done, (e) => done({violations: [{id: String(e), impact: 'critical', nodes: []}]}));")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']][:3]}" for one in found["violations"] if one["impact"] in ("serious", "critical")]


def test_a_second_person_lets_data_in_that_the_first_page_led_to(world):
    server, committer, reviewer, _, name = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(committer.name, committer.password)
        browser.go("/console")
        assert "What needs you" in browser.text() and f"{name}@1" in browser.text()
        browser.click(f"a[href='/console/data/{name.replace('-', '%2D')}/1']")
        assert "Held back" in browser.find("#verdict").text and "waiver" in browser.find("#verdict").text
        browser.go("/console/data")
        browser.click("main a[href='/console/data?state=quarantined']")
        assert name in browser.find("tbody").text and "quarantined" in browser.find("h1").text
        browser.click("main a[href='/console/data?state=admitted']")
        assert name not in browser.text()
        browser.go(f"/console/data/{name}/1")
        assert browser.all("form[action^='/console/data'] button") == [], "who brought it has nothing to decide"
        browser.click("header form button")
        browser.log_in(reviewer.name, reviewer.password)
        browser.go(f"/console/data/{name}/1")
        assert "provenance" in browser.text()
        # The verdict, the reasons, and then the deciding, to which the verdict leads.
        headings = [one.get_attribute("id") for one in browser.all("h2")]
        assert headings[:2] == ["findings", "decide"] and browser.find("#verdict a").get_attribute("href").endswith("#decide")
        browser.fill(reason="looked at it")
        # Enter in the field decides nothing: a decision is a button of its own.
        from selenium.webdriver.common.keys import Keys

        browser.find("[name=reason]").send_keys(Keys.ENTER)
        browser.find("[name=days]").send_keys(Keys.ENTER)
        assert "Held back" in browser.find("#verdict").text and browser.find("[name=reason]").get_attribute("value") == "looked at it"
        seen = browser.find("[name=seen]").get_attribute("value")
        browser.click("button[value=waive]")
        assert "Let in by a waiver" in browser.find("#verdict").text
        # Who decided, and why, is told; what would be refused by now is not offered, and an old page decides nothing.
        assert f"{reviewer.name} decided so: looked at it" in browser.find("#verdict").text and reviewer.name in browser.find("section[aria-labelledby=facts]").text
        assert browser.all("button[value=waive]") == [] and browser.all("button[value=refuse]") != []
        late = {"decision": "refuse", "reason": "too late", "seen": seen}
        answer = reviewer.session().post(f"{server.url}/console/data/{name}/1", data=late, allow_redirects=False)
        assert answer.status_code == 409, answer.text
        unchosen = reviewer.session().post(f"{server.url}/console/data/{name}/1", data={"reason": "x", "decision": ""}, allow_redirects=False)
        assert unchosen.status_code == 400 and "nothing was decided" in unchosen.text
        browser.go(f"/console/data/{name}/1")
        browser.go("/console")
        assert f"{name}@1" not in browser.text()
        assert browser.faults() == []
    version = call(committer.session(), server, "GET", f"/datasets/{name}/versions/1")
    assert version["state"] == "admitted" and version["decision"]["why"] == "looked at it", harness.pretty(version)


def test_a_record_is_checked_in_the_browser_and_a_changed_one_is_not_believed(world):
    server, committer, _, auditor, _ = world
    with browsers.browser(server) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console/audit?what=datasets.*")
        assert len(browser.all("tbody tr")) > 3
        browser.go("/console/audit?what=datasets.commit")
        assert browser.all("tbody tr") and "datasets.commit" in browser.text()
        browser.click("tbody tr a")
        said = lambda: browser.find("#checked").text  # noqa: E731
        browser.wait(lambda: "Checked here" in said() or "NOT" in said() or "cannot" in said(), "the browser checks")
        assert "this record is in the log" in said()
        # A server that lies about one byte is caught by the page's own module: it is asked again over what it was given.
        browser.driver.execute_script("document.getElementById('exact').textContent = document.getElementById('exact').textContent.replace('datasets', 'datasetz')")
        browser.driver.execute_async_script("const done = arguments[0]; import('/console/assets/proof.js?again').then(() => setTimeout(done, 500), done);")
        assert "NOT in the tree" in said()
        # Neither is one that shows something else than the record's bytes, or another record than the one that was asked for.
        for lie, words in (
            ("document.getElementById('readable').textContent = document.getElementById('readable').textContent.replace('datasets.commit', 'datasets.get')", "showed something else"),
            ("document.getElementById('heading').textContent = 'Record 1: datasets.get, done'", "showed something else"),
            ("document.querySelector('section[aria-labelledby=facts] dd').textContent = 'u_1: account eve'", "showed something else"),
            ("history.replaceState(null, '', '/console/audit/0')", "NOT the record that was asked for"),
        ):
            browser.driver.refresh()
            browser.wait(lambda: "says what you read under “What it says”" in said(), "an honest page holds")
            browser.driver.execute_script(lie)
            browser.driver.execute_async_script("const done = arguments[0]; import(`/console/assets/proof.js?${Math.random()}`).then(() => setTimeout(done, 500), done);")
            assert words in said(), said()
            assert "datasets.commit" in browser.find("#readable").text or "replaceState" in lie
        browser.go("/console/audit?outcome=zz")
        assert "`outcome` is one of done" in browser.text()
        # A name is looked up, and what is no account is not said to have done nothing.
        browser.go(f"/console/audit/timeline?who={committer.name}")
        assert "in the log" in browser.text() and "datasets.commit" in browser.find("section[aria-labelledby=acts]").text
        browser.go("/console/audit/timeline?who=nobody-of-this-name")
        assert "no such account" in browser.find("#verdict").text and "did nothing" not in browser.text()
        browser.go("/console/audit?who=nobody")
        assert "No record fits" in browser.text()
        assert [fault for fault in browser.faults() if "400" not in fault] == []


def test_the_log_is_narrowed_step_by_step_and_the_first_page_tells_what_changed(world):
    server, _, _, auditor, _ = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console")
        row = next(row for row in browser.find("#changes + div tbody").find_elements("css selector", "tr") if "Data committed" in row.text)
        assert "1" in row.text
        browser.click(row.find_element("css selector", "a"))
        verbs = {row.text for row in browser.all("tbody tr td:nth-child(4)")}
        assert verbs == {"datasets.commit"} and browser.find("#f-from").get_attribute("value"), verbs
        # What fits has several verbs: each is one click away, and keeps what was asked before.
        browser.go("/console/audit?outcome=done&what=datasets.commit%2Cusers.create")
        assert {row.text for row in browser.all("tbody tr td:nth-child(4)")} == {"datasets.commit", "users.create"}
        browser.find("summary").click()
        browser.click("details a[href*='what=users']")
        assert {row.text for row in browser.all("tbody tr td:nth-child(4)")} == {"users.create"}
        assert browser.find("#f-outcome").get_attribute("value") == "done"
        browser.go("/console/audit?from=tomorrow")
        assert "RFC 3339" in browser.text()
        # A text anywhere in a record.
        me = server.session().get(f"{server.url}/api/strongroom/v1/me").json()["id"]
        browser.go("/console/audit")
        assert "From (UTC)" in browser.find("form[role=search]").text
        browser.fill(text=me)
        browser.click("form[role=search] button")
        assert browser.all("tbody tr") and browser.find("#f-text").get_attribute("value") == me
        browser.go("/console/audit?text=nothing-that-any-record-says")
        assert "No record fits" in browser.text()


def test_a_role_is_asked_for_given_and_given_back(world):
    server, *_ = world
    ada, owner = person(server, "viewer"), person(server, "owner")
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/access")
        browser.find("select[name=role]").send_keys("contributor")
        browser.fill(reason="an incident")
        browser.click("form[action='/console/access'] button")
        assert "asked" in browser.text()
        browser.click("header form button")
        browser.log_in(owner.name, owner.password)
        browser.go("/console")
        assert "Roles that somebody asks for" in browser.text() and "an incident" in browser.text()
        browser.go("/console/access")
        assert browser.all("#waiting + div button") == [], "nobody decides without having seen what it would allow"
        browser.click("#waiting + div a[href$='/decide']")
        assert "would newly be allowed" in browser.find("#verdict").text and "runs.create" in browser.find("#newly + div").text
        assert f"{ada.name} asks for the role contributor" in browser.text() and "an incident" in browser.text()
        browser.click("form:has(input[value=approve]) button")
        assert "waiting for a second person" not in browser.text()
        browser.click("header form button")
        browser.log_in(ada.name, ada.password)
        browser.go("/console/access")
        assert "given" in browser.text()
        browser.click("form[action$='/end'] button")
        assert "ended" in browser.text()


def test_a_workspace_is_chosen_and_kept_on_the_way(world):
    server, _, _, _, name = world
    workspace = new_workspace(server)
    ada = person(server, "contributor", workspace=workspace)
    grant(server, ada.name, "viewer")
    session = ada.session()
    session.headers["X-MLFLOW-WORKSPACE"] = workspace
    commit(session, server, "elsewhere", {"a.csv": CLEAN.encode()})
    wait(session, server, "elsewhere", 1)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/data")
        assert name in browser.text() and "elsewhere" not in browser.text()
        browser.click("#workspace")
        browser.click(f"main a[href$='workspace={workspace.replace('-', '%2D')}']")
        assert "elsewhere@1" in browser.text() and workspace in browser.find("#workspace").text
        browser.click("nav a[href^='/console/data']")
        assert "elsewhere" in browser.text() and name not in browser.text()
        browser.click("tbody a")
        browser.click("tbody a")
        assert "Held back" in browser.find("#verdict").text
        browser.click("a[href*='/documents/report.json']")
        assert "elsewhere" in browser.find("body").text
        # A form stays there as well.
        browser.go(f"/console/access?workspace={workspace}")
        browser.find("select[name=role]").send_keys("owner")
        browser.fill(reason="for a while")
        browser.click("form[action^='/console/access'] button")
        assert "for a while" in browser.text() and workspace in browser.find("#workspace").text
        # Back to the default one, where nothing was asked for.
        browser.click("#workspace")
        browser.click("main a[href='/console?workspace=default']")
        assert "elsewhere" not in browser.text() and "Workspace default" in browser.find("#workspace").text
        browser.go("/console/data?workspace=no-such-place")
        assert "You have no role here" in browser.text() or "You may not" in browser.text()
        assert browser.faults() == [] or all("404" in fault or "403" in fault for fault in browser.faults())


@pytest.mark.any_database("a browser sees the same")
@pytest.mark.parametrize("width", [390, 1200])
def test_every_page_is_fit_for_everybody(world, width):
    server, _, reviewer, _, name = world
    grant(server, reviewer.name, "auditor", on="server") if width == 390 else None
    source = axe()
    with browsers.browser(server, width=width) as browser:
        # A zone whose name is wider than that of UTC, which pages come with.
        browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
        browser.go("/login")
        assert violations(browser, source) == []
        browser.log_in(reviewer.name, reviewer.password)
        pages = [*PAGES, f"/console/data/{name}", f"/console/data/{name}/contract", f"/console/data/{name}/1", "/console/audit/1"]
        for path in pages:
            browser.go(path)
            assert violations(browser, source) == [], path
            # A page is no wider than its screen: tables scroll by themselves.
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
            assert browser.driver.execute_script(WEIGHT) < 150_000, path
        browser.driver.execute_cdp_cmd("Network.enable", {})
        browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", SLOW)
        moved = {}
        assert browser.faults() == []
        for path in pages:
            browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*.js"]})
            browser.go(path)
            browser.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
            assert browser.driver.execute_async_script(LATE) >= 2, path
            moved[path] = browser.driver.execute_async_script(SHIFT)
        assert {path: what for path, what in moved.items() if what} == {}
        browser.driver.execute_cdp_cmd("Network.disable", {})
        # Only what was kept from the pages was missed.
        assert all("ERR_BLOCKED_BY_CLIENT" in fault for fault in browser.faults())
        # In the dark scheme all of it can be read as well.
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        for path in ["/console", f"/console/data/{name}/1", "/console/vault", "/account"]:
            browser.go(path)
            assert browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
            assert violations(browser, source) == [], path
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        # By keyboard alone: the first stops are links of the head, and each shows where it is.
        browser.go("/console")
        from selenium.webdriver.common.keys import Keys

        browser.find("body").send_keys(Keys.TAB)
        assert "To the content" in browser.driver.execute_script("return document.activeElement.textContent")
        assert browser.find("nav a[aria-current=page]").text == "Home"
        assert browser.driver.execute_script("return document.activeElement.tagName") == "A"
        assert browser.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert browser.faults() == []


def test_moments_are_said_in_the_readers_zone_and_records_stay_exact(world):
    server, _, _, auditor, _ = world
    with browsers.browser(server) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console/audit")
        utc = browser.find("tbody tr td:nth-child(2)").text
        browser.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
        browser.go(f"/console/audit/{browser.find('tbody tr a').text}")
        said = browser.find("#moment time")
        at = datetime.datetime.strptime(said.get_attribute("title"), "%Y-%m-%d %H:%M UTC")
        assert said.text.startswith((at + datetime.timedelta(hours=9)).strftime("%Y-%m-%d %H:%M ")) and "UTC" not in said.text
        assert utc.endswith("UTC") or "GMT" in utc, utc
        # The record's bytes are shown as they are, and so still prove themselves.
        browser.wait(lambda: "Checked here" in browser.find("#checked").text, "the browser checks")
        assert browser.faults() == []


def test_what_somebody_typed_is_text_on_every_page(world):
    server, committer, reviewer, _, _ = world
    session = committer.session()
    name = f"nasty-{uuid.uuid4().hex[:6]}"
    source = f"https://example.com/{NASTY}"
    commit(session, server, name, {"a.csv": f"a,{NASTY.replace(',', '')}\n1,2\n".encode()}, source=source, licence=NASTY, owner=NASTY, purpose=NASTY)
    wait(session, server, name, 1)
    asked = {"role": "contributor", "resource_kind": "workspace", "reason": NASTY}
    call(reviewer.session(), server, "POST", "/elevations", json=asked)
    owner = person(server, "owner")
    with browsers.browser(server) as browser:
        for who in (reviewer, owner):
            browser.log_in(who.name, who.password)
            paths = [*PAGES, f"/console/data/{name}/1", f"/console/data/{name}", f"/console/data/{name}/contract", f"/console/audit?text={NASTY}", f"/console/data/{NASTY}", f"/console/models/{NASTY}/1"]
            for path in paths:
                browser.go(path)
                assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, path
                # Nothing asked the browser to open a dialog.
                from selenium.webdriver.support.expected_conditions import alert_is_present

                assert not alert_is_present()(browser.driver), path
            browser.go("/console/access")
            assert "onerror" in browser.text()
            browser.click("header form button")


def test_who_may_nothing_sees_that_and_leaves_no_refusals(world):
    server, _, _, auditor, name = world
    nobody = person(server)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(nobody.name, nobody.password)
        browser.go("/console")
        assert "Nothing waits for you" in browser.text() and name not in browser.text()
        for path, words in (("/console/audit", "You may not do this"), (f"/console/data/{name}/1", "There is no such thing"), ("/console/no-such-page", "there is no page at /console/no-such-page")):
            browser.go(path)
            assert words in browser.text()
    me = call(nobody.session(), server, "GET", "/me")["id"]
    records = call(auditor.session(), server, "GET", f"/audit/records?who={me}&outcome=refused")["records"]
    assert sorted(one["action"] for one in records) == ["audit.search", "datasets.get", "server.unrouted"], "looking at the first page is no offence"
