"""The head of each page: where the reader is, without scripts too, and what those are told who have no role for what a link of it leads to."""

import re

import pytest

from people import new_workspace, person

pytestmark = pytest.mark.strongroom_only
LINK = re.compile(r'<a href="(/console[^"]*)"( aria-current=[a-z]+)?>')


def pages_of(who):
    session = who.session()
    session.headers["Accept"] = "text/html"
    return session


def head(page: str) -> dict[str, str]:
    nav = page[page.index("<nav") : page.index("</nav>")]
    return {address: said.strip() for address, said in LINK.findall(nav)}


@pytest.mark.parametrize(
    "path, link, said",
    [
        ("/console", "/console", "page"),
        ("/console/experiments", "/console/experiments", "page"),
        ("/console/experiments/0", "/console/experiments", "true"),
        ("/console/data?state=refused", "/console/data", "page"),
        ("/console/detections/rules", "/console/audit", "true"),
        ("/console/erasure", "/console/vault", "true"),
    ],
)
def test_the_page_says_where_the_reader_is(server, path, link, said):
    session = server.session()
    session.headers["Accept"] = "text/html"
    shown = head(session.get(f"{server.url}{path}").text)
    assert len(shown) == 10 and {address: word for address, word in shown.items() if word} == {link: f"aria-current={said}"}


def test_the_account_is_none_of_the_pages_of_the_head(server):
    who = person(server, "viewer")
    session = pages_of(who)
    assert not any(head(session.get(f"{server.url}/console/workspaces").text).values())


def test_every_link_of_the_head_shows_something_or_says_whom_to_ask(server):
    people = [person(server, *office) for office in (("administrator", "server"), ("auditor", "server"), ("viewer",), ("contributor", "experiment", "0"), ())]
    for who in people:
        session = pages_of(who)
        for address in head(session.get(f"{server.url}/console").text):
            answer = session.get(f"{server.url}{address}")
            assert answer.status_code in (200, 403, 404), f"{who.name} {address}: {answer.status_code}"
            if answer.status_code == 404:
                assert "You have no role here" in answer.text and "Ask whoever owns it" in answer.text, f"{who.name} {address}"
            elif answer.status_code == 403:
                assert "takes" in answer.text and "ask whoever" in answer.text, f"{who.name} {address}"


def test_a_workspace_that_is_not_there_is_told_as_one_without_a_role(server):
    session, there = pages_of(person(server)), new_workspace(server)
    told = []
    for workspace in (there, "not-" + there):
        answer = session.get(f"{server.url}/console/experiments", params={"workspace": workspace})
        in_links = workspace.replace("-", "%2D")
        told.append((answer.status_code, answer.text.replace(workspace, "NAME").replace(in_links, "NAME")))
    assert told[0][0] == 404 and told[0] == told[1]
    # A thing that is not there is no matter of roles.
    assert "There is no such thing" in session.get(f"{server.url}/console/data/nothing").text


def test_what_is_not_there_leads_to_the_list_above_it(server):
    session = server.session()
    for path, said, links in (
        ("/console/data/nothing", "there is no data set of this name", {"/console/data": "All data sets"}),
        ("/console/data/nothing/3", "there is no such version", {"/console/data/nothing": "Its versions", "/console/data": "All data sets"}),
        ("/console/models/nothing/3", "there is no such version", {"/console/models?model=nothing": "Its versions", "/console/models": "All models"}),
        ("/console/endpoints/nothing", "there is no such endpoint here", {"/console/endpoints": "All endpoints"}),
        ("/console/runs/nothing", "Run with id=nothing not found", {"/console/experiments": "All experiments"}),
    ):
        answer = session.get(f"{server.url}{path}", headers={"Accept": "text/html"})
        shown = answer.text[answer.text.index("<main") :]
        assert answer.status_code == 404 and said in shown and "strongroom " not in shown, shown
        for address, words in links.items():
            assert f'href="{address}">{words}</a>' in shown, shown
    # A program is told of the command.
    told = session.get(f"{server.url}/api/strongroom/v1/datasets/nothing")
    assert told.status_code == 404 and "`strongroom data list`" in told.text


def test_a_page_behind_the_end_of_a_list_does_not_say_that_there_is_nothing(server):
    session = server.session()
    for path, lie in (
        ("/console/data", "There is no data set here"),
        ("/console/models", "No version of a model was registered here"),
        ("/console/endpoints", "Nothing answers yet"),
        ("/console/workspaces", "You may see into no workspace"),
    ):
        after = "~~~~%2F1" if path.endswith("models") else "~~~~"
        answer = session.get(f"{server.url}{path}?after={after}", headers={"Accept": "text/html"})
        assert answer.status_code == 200, answer.text
        assert lie not in answer.text and "The list ends before this page." in answer.text, path
        assert f'href="{path}">From its beginning</a>' in answer.text, path


@pytest.mark.parametrize("path", ["/console", "/console/data", "/console/audit", "/account"])
def test_no_two_landmarks_have_one_name(server, path):
    """Who goes from landmark to landmark comes to each table once: what scrolls within a section is no landmark beside it."""
    shown = server.session().get(f"{server.url}{path}", headers={"Accept": "text/html"}).text
    named = re.findall(r'<section aria-labelledby="([^"]+)"', shown)
    assert len(named) == len(set(named)) and 'role="region"' not in shown
