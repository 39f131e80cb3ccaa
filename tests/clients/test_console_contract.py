"""The contract of a data set in a real browser: proposed, written, checked on the newest version, set; faults with their lines; read while it is typed."""

import pytest

import browser as browsers
import harness
from people import call, grant, new_workspace, person
from test_console import NASTY, axe, violations
from test_console_experiments import harness_pictures
from test_data import CLEAN, commit, fresh, wait

pytestmark = pytest.mark.strongroom_only
TABLE = CLEAN.replace("age,city", "size,kind")
HEAD = "apiVersion: v3.1.0\nkind: DataContract\nid: sizes\nversion: 1.0.0\nstatus: active\nschema:\n- name: sizes\n  properties:\n"


def contract(least: int, more: str = "") -> str:
    return f"{HEAD}  - name: size\n    logicalType: integer\n    logicalTypeOptions: {{minimum: {least}}}\n{more}"


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        crew = {role: person(server, role) for role in ("contributor", "reviewer", "viewer")}
        session, name = crew["contributor"].session(), fresh("sizes")
        commit(session, server, name, {"a.csv": TABLE.encode()})
        wait(session, server, name, 1)
        yield server, crew, name


def page(name: str) -> str:
    return f"/console/data/{name}/contract"


def type_into(browser, text: str) -> None:
    """As a person who pastes: keys would be completed by nobody here, and a long text takes long."""
    field = browser.find("#contract")
    browser.driver.execute_script("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}));", field, text)


def written(browser, text: str) -> None:
    field = browser.find("#contract")
    field.clear()
    field.send_keys(text)


def test_a_proposal_is_narrowed_checked_and_set_without_scripts(world):
    server, crew, name = world
    reviewer = crew["reviewer"]
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(reviewer.name, reviewer.password)
        browser.go(f"/console/data/{name}")
        browser.click("main a[href$='/contract']")
        assert "No contract is in force" in browser.find("#standing").text
        assert "Proposed from the newest version" in browser.find("#origin").text
        assert "kind: DataContract" in browser.find("#contract").get_attribute("value")
        browser.click("button[value=check]")
        assert "Version 1 holds to it" in browser.find("#verdict").text, "what is proposed from data holds for them"
        # A bound that the data break is told with the rule, and what is written stays on the page.
        written(browser, contract(1_000))
        browser.click("button[value=check]")
        assert "Version 1 breaks 1 rule of it" in browser.find("#verdict").text
        assert "broken" in browser.find("section[aria-labelledby=rules] tbody tr").text
        assert "minimum: 1000" in browser.find("#contract").get_attribute("value")
        # Faults have lines, and what has faults is not set.
        written(browser, contract(0, "    quality:\n    - metric: rowCount\n      mustBe: 1\n  - name: size\n"))
        browser.find("#reason").send_keys("agreed")
        browser.click("button[value=save]")
        assert "It was not set" in browser.find("#fault").text and "2 faults" in browser.find("#verdict").text
        lines = [row.text for row in browser.all("section[aria-labelledby=faults] tbody tr")]
        assert any(line.startswith("13, character") and "rowCount" in line for line in lines), lines
        assert any("occurs twice" in line and line.startswith("7, character") for line in lines), lines
        written(browser, "schema: [\n")
        browser.click("button[value=check]")
        assert "1 fault," in browser.find("#verdict").text and "character" in browser.find("section[aria-labelledby=faults] tbody").text
        # A good one is set only with a reason.
        written(browser, contract(0))
        browser.find("#reason").clear()
        browser.click("button[value=save]")
        assert "reason" in browser.find("#fault").text and "minimum: 0" in browser.find("#contract").get_attribute("value")
        browser.find("#reason").send_keys("agreed with the owner")
        browser.click("button[value=save]")
        assert "A contract is in force" in browser.find("#standing").text and "The one in force" in browser.find("#origin").text
        assert browser.faults() == []
    session = reviewer.session()
    kept = session.get(f"{server.url}/api/strongroom/v1/datasets/{name}/contract").text
    assert kept == contract(0), "byte for byte, with the ends of lines that were meant"
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(reviewer.name, reviewer.password)
        # What somebody else set meanwhile is not written over unseen: both texts are shown.
        browser.go(page(name))
        call(session, server, "POST", f"/datasets/{name}/contract", json={"contract": contract(-7), "reason": "meanwhile"})
        written(browser, contract(3))
        browser.click("button[value=check]")
        browser.find("#reason").send_keys("mine")
        browser.click("button[value=save]")
        assert "somebody has set another contract" in browser.find("#fault").text and "minimum: -7" in browser.find("section[aria-labelledby=other]").text
        assert "minimum: 3" in browser.find("#contract").get_attribute("value")
        assert session.get(f"{server.url}/api/strongroom/v1/datasets/{name}/contract").text == contract(-7)
        written(browser, contract(0))
        browser.click("button[value=save]")
        assert session.get(f"{server.url}/api/strongroom/v1/datasets/{name}/contract").text == contract(0)
        browser.go(page(name))
        written(browser, contract(0).replace("    logicalType: integer\n", ""))
        browser.click("button[value=check]")
        assert "breaks readers" in browser.find("section[aria-labelledby=changes]").text
        assert "break who relies on it" in browser.find("#verdict").text


def test_it_is_read_while_it_is_typed(world):
    server, crew, name = world
    with browsers.browser(server) as browser:
        browser.log_in(crew["reviewer"].name, crew["reviewer"].password)
        browser.go(page(name))
        said = lambda: browser.find("#live").text  # noqa: E731
        type_into(browser, contract(0, "  - name: size\n"))
        browser.wait(lambda: "Faults: 1" in said(), f"the fault is told: {said()}")
        assert "Line 7:" in said() and "occurs twice" in said()
        browser.find("#live button").click()
        chosen = browser.driver.execute_script("const f = document.getElementById('contract'); return f.value.slice(f.selectionStart, f.selectionEnd)")
        assert chosen == "- name: sizes"
        type_into(browser, contract(5))
        browser.wait(lambda: "It can be read" in said(), "the answer to the newest text")
        assert violations(browser, axe()) == [] and browser.faults() == []


def test_who_may_not_set_it_reads_it_and_in_another_workspace_it_is_checked_there(world):
    server, crew, name = world
    viewer = crew["viewer"]
    with browsers.browser(server) as browser:
        browser.log_in(viewer.name, viewer.password)
        browser.go(page(name))
        assert browser.all("button[name=decision]") == [] and browser.find("#contract").get_attribute("readonly")
        assert browser.faults() == []
    for body in ({"contract": contract(0), "decision": "check"}, {"contract": contract(0), "decision": "save", "reason": "why not"}):
        assert viewer.session().post(f"{server.url}{page(name)}", data=body).status_code in (403, 404)
    call(viewer.session(), server, "POST", f"/datasets/{name}/contract/check", json={"contract": contract(0)}, status=403)
    workspace = new_workspace(server)
    ada = person(server, "owner", workspace=workspace)
    grant(server, ada.name, "viewer")
    session = ada.session()
    session.headers["X-MLFLOW-WORKSPACE"] = workspace
    commit(session, server, "elsewhere", {"a.csv": TABLE.encode()})
    wait(session, server, "elsewhere", 1)
    with browsers.browser(server) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go(f"{page('elsewhere')}?workspace={workspace}")
        type_into(browser, contract(0))
        browser.wait(lambda: "It can be read" in browser.find("#live").text, "the module asks in the same workspace")
        browser.click("button[value=check]")
        assert "Version 1 holds to it" in browser.find("#verdict").text and workspace in browser.find("#workspace").text
        assert browser.faults() == []


def test_the_interface_says_the_same(world):
    server, crew, name = world
    session = crew["reviewer"].session()
    told = call(session, server, "POST", f"/datasets/{name}/contract/check", json={"contract": contract(1_000)})
    assert told["usable"] and told["tried"]["version"] == 1 and [rule for rule in told["tried"]["rules"] if rule["holds"] is False], harness.pretty(told)
    told = call(session, server, "POST", f"/datasets/{name}/contract/check", json={"contract": contract(0), "data": False})
    assert told["usable"] and told["tried"] is None
    told = call(session, server, "POST", f"/datasets/{name}/contract/check", json={"contract": "x: &a [*a]"})
    assert not told["usable"] and told["faults"][0]["line"] >= 1 and told["tried"] is None
    call(session, server, "POST", f"/datasets/{name}/contract/check", json={"contract": ""}, status=(400, 413))
    call(session, server, "POST", "/datasets/no-such-set/contract/check", json={"contract": "a"}, status=404)
    # SQL rules and what may be personal: the query is run, and no value of a person stands in the answer.
    people = "email,n\n" + "".join(f"ada{row}@example.org,{row}\n" for row in range(300))
    commit(crew["contributor"].session(), server, "persons", {"p.csv": people.encode()})
    wait(crew["contributor"].session(), server, "persons", 1)
    sql = "  quality:\n  - type: sql\n    query: SELECT count(*) FROM persons WHERE n > 1000\n    mustBe: 0\n"
    text = f"{HEAD}  - name: email\n    logicalType: string\n    logicalTypeOptions: {{pattern: '^x'}}\n{sql}".replace("name: sizes", "name: persons")
    told = call(session, server, "POST", "/datasets/persons/contract/check", json={"contract": text})
    assert told["usable"] and any("sql" in rule["rule"] and rule["holds"] for rule in told["tried"]["rules"]), harness.pretty(told)
    assert any(rule["holds"] is False for rule in told["tried"]["rules"]) and "@example.org" not in str(told["tried"]), harness.pretty(told)


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_is_fit_for_everybody_and_names_are_text(world, width):
    server, crew, name = world
    source = axe()
    with browsers.browser(server, width=width) as browser:
        browser.log_in(crew["reviewer"].name, crew["reviewer"].password)
        for text in ("", contract(0, f"  - name: \"{NASTY.replace(chr(34), '')}\"\n    logicalType: string\n"), f"colour: [{NASTY}\n</textarea><img src=x onerror=alert(1)>"):
            browser.go(page(name))
            if text:
                type_into(browser, text)
                browser.click("button[value=check]")
            assert violations(browser, source) == [], text
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, text
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, text
            harness_pictures(browser, page("x"), width)
        assert browser.faults() == []
