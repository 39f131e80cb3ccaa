"""The console's pages of access and forensics in a real browser: a review that narrows a grant, ways up, why somebody may, what was found, evidence."""

import json
import subprocess
import time
import uuid

import pytest

import browser as browsers
import harness
from client_fields import logged_in
from people import call, grant, person
from test_console import axe, violations

pytestmark = pytest.mark.strongroom_only
DAY_S = 86_400


@pytest.fixture(scope="module")
def aged():
    """A server whose grants and counts are a hundred days old: an owner who only reads, a reader who does nothing, an auditor, an administrator."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        owner, idle = person(server, "owner"), person(server, "reviewer")
        auditor, chief = person(server, "auditor", on="server"), person(server, "administrator", on="server")
        # Who looks at what others use and who gives roles are two offices; here one person has both.
        grant(server, chief.name, "auditor", "server")
        experiment = server.session().post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": "aged"}).json()["experiment_id"]
        asked = owner.session().get(f"{server.url}/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment})
        assert asked.ok, asked.text

        def counted():
            report = call(auditor.session(), server, "GET", "/access/review?days=30")
            return [one for one in report["grants"] if one["who"] == owner.name and one["used_verbs"]]

        harness.wait_until(counted, 30, "the use of the grant is counted")
        server.stop()
        harness.edit_database(server, f"UPDATE grant_row SET created_at = created_at - {100 * DAY_S * 1_000_000}")
        day = int(time.time()) // DAY_S - 99
        row = f"('none', 'runs.get', '', '', {day}, 'none', 1, {day * DAY_S * 1_000_000})"
        harness.edit_database(server, f"INSERT INTO grant_use (grant_id, verb, place, workspace, day, caller, use_count, last_at) VALUES {row}")
        server.start()
        yield server, owner, idle, auditor, chief


def id_of(server, who) -> str:
    question = {"principal": who.name, "action": "server.health", "resource_kind": "server", "resource": None}
    return call(server.session(), server, "POST", "/access/check", json=question)["principal"]


def rows(browser, table: str) -> list[str]:
    return [row.text for row in browser.all(f"section[aria-labelledby='{table}'] tbody tr")]


def test_a_review_says_what_is_too_much_and_a_button_narrows_it(aged):
    server, owner, idle, auditor, chief = aged
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console/access")
        browser.click("a[href='/console/access/review']")
        assert "grants give more than is used" in browser.find("#verdict").text
        assert "would newly be allowed" in browser.text() and "0 of them would be denied" in browser.text()
        # What is advised comes first.
        first = [row for row in rows(browser, "grants") if owner.name in row or idle.name in row]
        assert len(first) == 2 and any("revoke" in row for row in first if idle.name in row), first
        browser.click("section[aria-labelledby='grants'] tbody tr a")
        assert browser.all("form[action^='/console/access/review'] button") == [], "an auditor looks and changes nothing"
        browser.click("header form button")
        browser.log_in(chief.name, chief.password)
        for who in (owner, idle):
            browser.go("/console/access/review")
            row = next(row for row in browser.all("section[aria-labelledby='grants'] tbody tr") if who.name in row.text)
            browser.click(row.find_element("css selector", "a"))
            assert "proposed" in browser.find("#verdict").text
            browser.click("form[action^='/console/access/review'] button")
            assert "/console/access/review" in browser.path()
        assert not any("revoke" in row for row in rows(browser, "grants") if idle.name in row)
        assert browser.faults() == []
    held = [one for one in call(server.session(), server, "GET", "/access/review?days=30")["grants"] if one["who"] in (owner.name, idle.name)]
    assert [one["who"] for one in held] == [owner.name] and held[0]["role"] != "owner" and held[0]["granted_verb_count"] > 0, harness.pretty(held)
    # What was used is still allowed, the rest is not.
    session = owner.session()
    assert session.post(f"{server.url}/api/2.0/mlflow/experiments/search", json={"max_results": 10}).ok
    assert session.post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": f"no-{uuid.uuid4().hex[:6]}"}).status_code == 403


def test_a_proposal_that_has_changed_is_not_carried_out(aged):
    server, _, _, auditor, chief = aged
    late = person(server, "owner")
    found = [one for one in call(auditor.session(), server, "GET", "/access/review?days=30")["grants"] if one["who"] == late.name]
    with browsers.browser(server) as browser:
        browser.log_in(chief.name, chief.password)
        browser.go(f"/console/access/review/{found[0]['grant']}")
        assert "keep it" in browser.find("#verdict").text
        # A form that says otherwise than the server finds changes nothing.
        answer = browser.driver.execute_async_script(
            "const [path, done] = arguments; fetch(path, {method: 'POST', body: new URLSearchParams({days: '30', proposal: 'revoke'})}).then((r) => done(r.status));",
            f"/console/access/review/{found[0]['grant']}",
        )
        assert answer == 409
    assert late.session().post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": f"yes-{uuid.uuid4().hex[:6]}"}).ok


def test_ways_up_are_shown_and_why_somebody_may(aged):
    server, _, _, auditor, _ = aged
    service = f"bot-{uuid.uuid4().hex[:6]}"
    climber = person(server, "contributor")
    with browsers.browser(server) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console/access/paths")
        office = rows(browser, "office")
        assert office and "Ways up" in browser.text(), service
        browser.go("/console/access/check")
        browser.fill(who=climber.name)
        browser.driver.execute_script("document.querySelector('select[name=verb]').value = 'runs.create'")
        browser.click("main form[method=get] button")
        assert "may runs.create" in browser.find("#verdict").text and rows(browser, "reasons"), browser.text()
        browser.go(f"/console/access/check?who={climber.name}&verb=users.create&kind=server")
        assert "may not users.create" in browser.find("#verdict").text
        assert browser.faults() == []


def test_what_was_found_in_the_log_is_shown_with_its_rule_and_somebody_takes_it(aged):
    server, *_, auditor, chief = aged
    # Forty things that are not there: somebody feels their way.
    prober = person(server, "viewer")
    session = prober.session()
    for number in range(60):
        session.get(f"{server.url}/api/2.0/mlflow/runs/get", params={"run_id": f"{number:032x}"})
    harness.wait_until(lambda: call(auditor.session(), server, "GET", "/detections")["detections"], 30, "it is found")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(chief.name, chief.password)
        browser.go("/console")
        browser.click("section[aria-labelledby='detections'] tbody tr a")
        assert rows(browser, "evidence") and "Rule" in browser.text()
        found = browser.path()
        browser.click("form[action^='/console/detections'] button")
        assert browser.path() == found and "Somebody is on it" in browser.text()
        browser.go("/console/detections?which=open&level=low")
        assert found.rsplit("/", 1)[1] not in browser.driver.page_source
        browser.go("/console/detections/rules")
        assert len(rows(browser, "rules")) >= 25
        assert browser.faults() == []


def test_what_somebody_did_is_a_page_and_a_file_that_proves_itself(aged, tmp_path):
    server, owner, _, auditor, _ = aged
    who = id_of(server, owner)
    with browsers.browser(server) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go(f"/console/audit/timeline?who={who}")
        assert any("experiments.get" in row for row in rows(browser, "acts")), browser.text()
        assert any("experiment" in row for row in rows(browser, "touched"))
        code = "const [who, done] = arguments; fetch('/console/audit/evidence', {method: 'POST', body: new URLSearchParams({who})}).then(async (r) => done([r.status, r.headers.get('content-disposition'), await r.text()]));"
        status, disposition, text = browser.driver.execute_async_script(code, who)
        assert status == 200 and "attachment" in disposition, text[:400]
        assert browser.faults() == []
    file = tmp_path / "evidence.json"
    file.write_text(text)
    key = json.loads(text)["verifier_key"]
    assert checked(file, key)["ok"] and checked(file, key)["who"] == who
    # One record less, and it holds no more.
    less = json.loads(text)
    less["records"] = less["records"][:-1]
    file.write_text(json.dumps(less))
    assert checked(file, key)["ok"] is False


def checked(file, key) -> dict:
    """What the command line finds of a bundle, with no server."""
    command = [str(harness.binary()), "audit", "check-evidence", str(file), "--vkey", key, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True).stdout)


@pytest.mark.any_database("a browser sees the same")
@pytest.mark.parametrize("width", [390, 1_200])
def test_each_of_these_pages_is_read_by_everybody(aged, width):
    server, _, _, auditor, _ = aged
    source = axe()
    who = id_of(server, auditor)
    with browsers.browser(server, width=width) as browser:
        browser.log_in(auditor.name, auditor.password)
        for path in (f"/console/audit/timeline?who={who}", "/console/detections", "/console/detections/rules", "/console/access/review", "/console/access/paths", f"/console/access/check?who={auditor.name}&verb=audit.search&kind=audit_log"):
            browser.go(path)
            assert violations(browser, source) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
        assert browser.faults() == []


def test_an_account_is_looked_at_barred_and_let_in_again(aged):
    server, _, _, _, chief = aged
    ada = person(server, "viewer")
    with browsers.browser(server, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/people")
        assert "You may not" in browser.text() or "may not" in browser.text(), "people are an administrator's to see"
        browser.click("header form button")
        browser.log_in(chief.name, chief.password)
        browser.go("/console/access")
        browser.click("main a[href='/console/people']")
        assert violations(browser, axe()) == []
        assert ada.name in browser.find("#people + div").text and "no group" in browser.text().lower()
        browser.click(next(link for link in browser.all("#people + div a") if link.text == ada.name))
        assert violations(browser, axe()) == []
        assert "may log in" in browser.find("#verdict").text and "unproved" in browser.find("#log-ins + div tbody").text
        browser.sure("main form button")
        assert "barred" in browser.find("#verdict").text
        assert ada.session().get(f"{server.url}/api/strongroom/v1/me").status_code == 401, "its token ended with it"
        browser.click("main form button")
        assert "may log in" in browser.find("#verdict").text
        browser.go(f"/console/people/{id_of(server, chief)}")
        assert browser.all("main form button") == [], "nobody bars themselves by mistake"


def test_tokens_and_sessions_of_others_are_seen_and_ended_by_who_administers(aged):
    server, _, _, auditor, chief = aged
    ada = person(server, "viewer")
    service = call(chief.session(), server, "POST", "/services", json={"name": f"bot-{uuid.uuid4().hex[:6]}"})
    made = call(chief.session(), server, "POST", f"/services/{service['id']}/tokens", json={"label": "nightly", "scopes": [], "lifetime_s": 600})
    who = id_of(server, ada)
    cookie = server.session(token=None)
    answer = cookie.post(f"{server.url}/login", data={"username": ada.name, "password": ada.password}, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False)
    assert answer.status_code == 303 and cookie.cookies
    with browsers.browser(server, width=390) as browser:
        browser.log_in(chief.name, chief.password)
        browser.go(f"/console/people/{who}")
        assert any("counts" in row and ada.token_id in row for row in rows(browser, "tokens")), browser.text()
        assert len(rows(browser, "sessions")) == 1
        browser.sure("section[aria-labelledby='sessions'] tbody button")
        assert "No session is open" in browser.text()
        browser.sure("section[aria-labelledby='tokens'] tbody button")
        assert ada.token_id not in browser.text() and "No token of this account counts" in browser.text()
        browser.go("/console/people")
        browser.click(f"a[href='/console/services/{service['id'].replace('_', '%5F')}']")
        assert any("nightly" in row for row in rows(browser, "tokens")) and violations(browser, axe()) == []
        browser.sure("section[aria-labelledby='tokens'] tbody button")
        assert "No token of this account counts" in browser.text()
        browser.sure("main form button")
        assert "barred" in browser.find("#verdict").text
        browser.go("/console/log-ins")
        assert "Log-ins of others that were risky" in browser.find("h1").text
        assert browser.faults() == []
    assert cookie.get(f"{server.url}/api/strongroom/v1/me").status_code == 401 and ada.session().get(f"{server.url}/api/strongroom/v1/me").status_code == 401
    assert server.session(made["secret"]).get(f"{server.url}/api/strongroom/v1/me").status_code == 401
    told = call(auditor.session(), server, "GET", "/audit/records?what=tokens.revoke_any&outcome=done")["records"]
    assert {ada.token_id, made["token"]["id"]} <= {one["resource"] for one in told}, harness.pretty(told)
    # Nobody else may list them.
    for path in (f"/tokens?of={who}", f"/sessions?of={who}"):
        call(auditor.session(), server, "GET", path, status=403)


def test_who_may_do_what_with_one_thing_is_told_from_its_page(aged):
    server, _, _, _, chief = aged
    owner = person(server, "owner")
    name = f"held.{uuid.uuid4().hex[:6]}"
    answer = server.session().post(f"{server.url}/api/2.0/mlflow/registered-models/create", json={"name": name})
    assert answer.ok, answer.text
    holder = person(server, "viewer", on="registered_model", resource=name)
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(owner.name, owner.password)
        browser.go(f"/console/access?kind=registered_model&resource={name}")
        assert f"Who may do what with registered model {name}" in browser.find("h1").text
        assert [holder.name in row and "viewer" in row for row in rows(browser, "grants")] == [True]
        browser.click("main ul a[href^='/console/access/check']")
        assert browser.find("#f-resource").get_attribute("value") == name
        browser.go("/console/access?kind=registered_model&resource=no-such-model")
        assert "There is no such thing" in browser.text() or "may not see" in browser.text()
        browser.go("/console/access?kind=planet&resource=x")
        assert "must be one of" in browser.text()


def test_a_role_is_offered_only_to_who_may_ask_for_it(aged):
    server, auditor = aged[0], aged[3]
    # A new one: the grant of the other may have been narrowed.
    owners, auditors = (logged_in(server, who).get(f"{server.url}/console/access", timeout=30).text for who in (person(server, "owner"), auditor))
    assert 'name="reason"' in owners and "may not ask" not in owners
    assert 'name="reason"' not in auditors and "You may not ask for one here" in auditors


def test_a_role_on_the_server_is_asked_for_and_seen_by_who_may_give_it(aged):
    server, _, _, auditor, chief = aged
    asked = call(auditor.session(), server, "POST", "/elevations", json={"role": "monitor", "resource_kind": "server", "seconds": 600, "reason": "a pager at night"})
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(chief.name, chief.password)
        browser.go("/console")
        row = next(row for row in rows(browser, "elevations") if "a pager at night" in row)
        assert "the whole server" in row and auditor.name in row
        browser.go("/console/access")
        row = next(row for row in browser.all("section[aria-labelledby='waiting'] tbody tr") if "a pager at night" in row.text)
        assert "the whole server" in row.text
        page = row.find_element("css selector", "a[href$='/decide']").get_dom_attribute("href")
        with browsers.browser(server) as judge:
            judge.log_in(chief.name, chief.password)
            judge.go(page)
            assert violations(judge, axe()) == []
        browser.go(page)
        assert "metrics" in browser.find("#newly + div").text and "a pager at night" in browser.text()
        browser.click("form:has(input[value=approve]) button")
        assert "a pager at night" not in browser.text()
    own = call(auditor.session(), server, "GET", "/elevations/own")["elevations"]
    assert [one["state"] for one in own if one["id"] == asked["id"]] == ["given"]
    assert asked["id"] not in str(call(chief.session(), server, "GET", "/elevations?resource_kind=server&state=asked"))
