"""The pages of the log say how things are called beside their ids, to those who may read them, and keep the ids alone of what is gone."""

import re
import uuid

import pytest

import harness
from client_fields import logged_in
from page_reader import texts
from people import call, grant, person
from test_data import commit

pytestmark = pytest.mark.strongroom_only
MLFLOW = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def world():
    with harness.running() as server:
        ada, auditor = person(server, "owner"), person(server, "auditor", on="server")
        session, tail = ada.session(), uuid.uuid4().hex[:8]

        def post(path, body):
            answer = session.post(f"{server.url}{MLFLOW}{path}", json=body)
            assert answer.ok, answer.text
            return answer.json()

        named = {"experiment": f"first-{tail}", "run": f"brave-bee-{tail}", "model": f"leaver-{tail}", "data": f"calls-{tail}"}
        experiment = post("/experiments/create", {"name": named["experiment"]})["experiment_id"]
        run = post("/runs/create", {"experiment_id": experiment, "run_name": named["run"]})["run"]["info"]["run_id"]
        post("/runs/log-parameter", {"run_id": run, "key": "a", "value": "1"})
        for model in (named["model"], f"gone-{tail}"):
            post("/registered-models/create", {"name": model})
        gone = session.delete(f"{server.url}{MLFLOW}/registered-models/delete", json={"name": f"gone-{tail}"})
        assert gone.ok, gone.text
        commit(session, server, named["data"], {"a.csv": b"a\n1\n"})
        yield server, ada, auditor, {**named, "run id": run, "gone": f"gone-{tail}", "ada": call(session, server, "GET", "/me")["id"]}


def page(server, who, path):
    answer = logged_in(server, who).get(f"{server.url}{path}", headers={"Accept": "text/html"})
    assert answer.status_code == 200, answer.text[:400]
    return answer.text


def test_names_stand_beside_ids_for_who_may_read_them(world):
    server, ada, auditor, named = world
    for path in (f"/console/audit?who={named['ada']}", f"/console/audit/timeline?who={named['ada']}"):
        text = page(server, auditor, path)
        assert ada.name in text and named["ada"] in text, "an account by its name, and by the id that the log has"
        assert f"data set {named['data']}" in text and f"model {named['model']}" in text, path
        assert named["run id"] in text and named["run"] not in text and named["experiment"] not in text, "an auditor reads no runs"
        assert named["gone"] not in text, "what was deleted has no name any more"
    # The same log, to somebody who reads the workspace too.
    both = person(server, "auditor", on="server")
    grant(server, both.name, "viewer")
    for path in (f"/console/audit?who={named['ada']}", f"/console/audit/timeline?who={named['ada']}"):
        text = page(server, both, path)
        assert f"run {named['run']}" in text and f"experiment {named['experiment']}" in text and named["run id"] in text, path


def test_a_record_says_who_what_and_where(world):
    server, ada, auditor, named = world
    listed = page(server, auditor, f"/console/audit?who={named['ada']}&what=datasets.commit&outcome=done")
    address = re.search(r'href="(/console/audit/\d+)"', listed).group(1)
    text = texts(page(server, auditor, address))
    assert f"{named['ada']}: account {ada.name}" in text and f": data set {named['data']}" in text
    assert "The server's word" in text, "a name is no part of what is proved"


def test_an_account_is_found_by_its_name(world):
    server, ada, auditor, named = world
    session = logged_in(server, auditor)
    found = session.get(f"{server.url}/console/audit", params={"who": ada.name, "outcome": "done"}, allow_redirects=False)
    assert found.status_code == 303 and f"who={named['ada'].replace('_', '%5F')}" in found.headers["Location"]
    assert "outcome=done" in found.headers["Location"], "what else was asked stays"
    assert session.get(f"{server.url}{found.headers['Location']}").status_code == 200
    assert "No record fits" in page(server, auditor, "/console/audit?who=nobody-of-this-name")


def test_the_first_page_costs_one_look_for_all_names(world):
    """However many records stand on it: the page asks for the log once and for names once."""
    server, _, auditor, _ = world
    session = logged_in(server, auditor)
    me = call(auditor.session(), server, "GET", "/me")["id"]
    asked = lambda: sum(found["kind"] == "intent" for found in records(server, auditor, me))  # noqa: E731
    before = asked()
    assert session.get(f"{server.url}/console/audit", headers={"Accept": "text/html"}).status_code == 200
    # The page's two, and the search that counts.
    assert asked() - before == 3


def records(server, auditor, who):
    return call(auditor.session(), server, "GET", f"/audit/records?rows=1000&who={who}")["records"]
