"""What each of the console's users sees first is what matters to them: what is amiss, before anything else; the list that was asked for, marked; a search whose
answer is on the screen; and no role that is chosen for somebody."""

import pytest

import browser as browsers
import harness
from client_fields import logged_in
from people import grant, person
from test_data import commit

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def server():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        commit(server.session(), server, "calls", {"a.csv": b"a\n1\n"})
        yield server


def page(server, who, path):
    answer = logged_in(server, who).get(f"{server.url}{path}", headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text[:400]
    return answer.text


def test_who_looks_after_backups_is_told_that_there_is_none(server):
    engineer, viewer = person(server, "backup_operator", on="server"), person(server, "viewer")
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(engineer.name, engineer.password)
        browser.go("/console")
        assert "Nothing waits for you" not in browser.text()
        told = browser.find("main section")
        assert "Keys and backups" in told.text and "There is no backup yet" in told.text, "before anything else"
        browser.click("main section tbody a")
        assert browser.path() == "/console/vault" and "There is no backup yet" in browser.text()
        assert browser.faults() == []
    assert "no backup" not in page(server, viewer, "/console"), "who can do nothing about it is not told"


def test_the_list_that_is_shown_is_marked_among_those_by_state(server):
    viewer = person(server, "viewer")
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(viewer.name, viewer.password)
        for place in ("/console/data", "/console/models"):
            browser.go(place)
            marked = lambda: [one.text for one in browser.all("main a.button[aria-current=true]")]  # noqa: E731
            assert marked() == ["All"], place
            browser.click("main a.button[href*='state=quarantined']")
            assert marked() == ["Waiting"], place
        # What leads elsewhere is quieter than what does something.
        quiet = browser.find("main a.button.plain:not([aria-current])").value_of_css_property("background-color")
        assert quiet in ("rgba(0, 0, 0, 0)", "transparent"), quiet
        assert browser.faults() == []


def test_what_a_search_of_the_log_finds_is_on_a_phones_screen(server):
    auditor = person(server, "auditor", on="server")
    with browsers.browser(server, width=390) as browser:
        browser.log_in(auditor.name, auditor.password)
        browser.go("/console/audit")
        top = browser.driver.execute_script("return document.querySelector('tbody').getBoundingClientRect().top")
        assert top < 900, top
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        fields = browser.all("form[role=search] input:not([type=hidden])")
        assert len(fields) == 7 and all(field.size["width"] >= 110 for field in fields)


def test_no_role_is_chosen_for_who_asks_for_one(server):
    ada = person(server, "viewer")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/access")
        assert browser.find("select[name=role]").get_attribute("value") == ""
        browser.fill(reason="an incident")
        browser.find("form[action='/console/access'] button").click()
        assert browser.path() == "/console/access" and "Nothing so far" in browser.text(), "a browser asks for the choice"
    sent = logged_in(server, ada).post(f"{server.url}/console/access", data={"role": "", "hours": "1", "reason": "x"}, allow_redirects=False)
    assert sent.status_code in (400, 404), sent.text[:400]


def test_what_changed_says_by_whom(server):
    auditor = person(server, "auditor", on="server")
    grant(server, auditor.name, "viewer")
    text = page(server, auditor, "/console")
    changed = text[text.index("What changed in a day"):]
    assert ">admin</a>" in changed, changed[:2000]
