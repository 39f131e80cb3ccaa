"""No page weighs more than 150 KB as it is sent without compression, in worlds that are as large as they get."""

import io
import time
import urllib.parse

import pytest

import harness
from people import call, grant, person
from test_data import commit, wait

pytestmark = pytest.mark.strongroom_only
BYTES_MAX = 150_000


@pytest.fixture(scope="module")
def world():
    """An experiment of 60 runs with 80 metrics and 80 parameters each, ten of them with long curves and long values, one with 500 files."""
    with harness.running() as server:
        ada = person(server, "owner")
        session = ada.session()

        def post(path, body):
            answer = session.post(f"{server.url}/api/2.0/mlflow{path}", json=body, timeout=60)
            assert answer.status_code == 200, answer.text
            return answer.json()

        experiment = post("/experiments/create", {"name": "large"})["experiment_id"]
        runs = []
        for place in range(60):
            run = post("/runs/create", {"experiment_id": experiment, "run_name": f"run {place} " + "n" * 100, "start_time": place + 1})["run"]["info"]["run_id"]
            metrics = [{"key": f"metric_{number:02}", "value": number / 7 + place, "timestamp": 1, "step": 0} for number in range(80)]
            params = [{"key": f"param_{number:02}", "value": f"{place}" + "v" * (400 if place < 10 else 40)} for number in range(80)]
            post("/runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})
            runs.append(run)
        for place, run in enumerate(runs[:10]):
            for first in range(0, 2_000, 1_000):
                points = [{"key": "loss", "value": ((step * 7919 + place * 31) % 1009) / 7, "timestamp": step, "step": step} for step in range(first, first + 1_000)]
                post("/runs/log-batch", {"run_id": run, "metrics": points})
            more = [{"key": f"tag_{number:02}", "value": "t" * 3_000} for number in range(90)]
            post("/runs/log-batch", {"run_id": run, "tags": more})
            more = [{"key": f"long_{number:03}", "value": "p" * 3_000} for number in range(100)]
            post("/runs/log-batch", {"run_id": run, "params": more})
        for number in range(500):
            path = f"some folder/a file with a name of usual length {number:03}.json"
            sent = session.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{runs[0]}/artifacts/{urllib.parse.quote(path)}", data=io.BytesIO(b"{}"))
            assert sent.status_code == 200, sent.text
        yield server, session, experiment, runs


def weighed(session, server, path: str) -> str:
    answer = session.get(f"{server.url}{path}", headers={"Accept-Encoding": "identity"}, timeout=60)
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.content) < BYTES_MAX, f"{path[:100]}: {len(answer.content)} bytes"
    return answer.text


def test_a_table_of_runs_says_which_columns_it_leaves_out(world):
    server, session, experiment, _ = world
    chosen = "&".join(f"column={kind}_{number:02}" for kind in ("metrics.metric", "params.param") for number in range(40))
    page = weighed(session, server, f"/console/experiments/{experiment}?{chosen}")
    assert "60 that were chosen are left out" in page and page.count('<th scope="col"') == 5 + 20
    assert "column=" not in page.split("<thead>")[1].split("</thead>")[0], "a head does not repeat the columns"
    weighed(session, server, f"/console/experiments/{experiment}")


def test_curves_of_ten_runs_have_fewer_steps_each(world):
    server, session, _, runs = world
    ids = "".join(f"&run={run}" for run in runs[:10])
    page = weighed(session, server, f"/console/curve?key=loss{ids}")
    assert page.count("<polyline") == 10 and "of 2000 steps are shown" in page
    weighed(session, server, f"/console/curve?key=loss&run={runs[0]}")


def test_a_run_cuts_long_values_and_shows_a_folder_by_itself(world):
    server, session, _, runs = world
    page = weighed(session, server, f"/console/runs/{runs[0]}")
    assert "(cut: 3000 characters)" in page and "Parameters: 1 to 100 of 180" in page
    weighed(session, server, f"/console/runs/{runs[0]}?params=100")
    folder = urllib.parse.quote("some folder")
    page = weighed(session, server, f"/console/runs/{runs[0]}?folder={folder}")
    assert 'id="files"' in page and 'id="params"' not in page and "1 to 100 of 501" in page
    last = weighed(session, server, f"/console/runs/{runs[0]}?folder={folder}&files=500")
    assert "length 499.json" in last
    ids = "&".join(f"run={run}" for run in runs[:10])
    weighed(session, server, f"/console/compare?{ids}&show=all")


def test_a_wide_lineage_is_drawn_in_part_and_says_so(world):
    server, session, _, _ = world
    names = [f"a table with a name of usual length {number:03}" for number in range(150)]
    for number in range(3):
        event = {
            "eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00Z", "producer": "https://x.example", "schemaURL": "https://x.example",
            "run": {"runId": f"00000000-0000-4000-8000-00000000000{number}"}, "job": {"namespace": "n", "name": f"wide {number}"},
            "inputs": [{"namespace": "s3://lake", "name": name} for name in names], "outputs": [{"namespace": "s3://lake", "name": "target"}],
        }  # fmt: skip
        answer = session.post(f"{server.url}/api/v1/lineage", json=event)
        assert answer.status_code in (200, 201), answer.text
    page = weighed(session, server, "/console/lineage?subject=" + urllib.parse.quote("dataset:s3://lake:target", safe=""))
    assert page.count("<rect") <= 60, page.count("<rect")
    assert "are left out" in page, page[page.index("<h1") : page.index("<svg")]


def test_the_difference_of_two_versions_is_told_in_parts(world):
    server, session, _, _ = world
    many = {f"folder/part {number:04}.csv": b"a,b\n1,2\n" for number in range(260)}
    commit(session, server, "wide", {"a.csv": b"a,b\n1,2\n"})
    commit(session, server, "wide", many)
    wait(session, server, "wide", 1)
    wait(session, server, "wide", 2)
    page = weighed(session, server, "/console/data/wide/2/diff?against=1")
    assert "1 to 100 of 261" in page and 'rel="next"' in page
    last = weighed(session, server, "/console/data/wide/2/diff?against=1&files=200")
    assert "201 to 261 of 261" in last


DAY_S = 86_400


@pytest.fixture(scope="module")
def peopled():
    """Two hundred services a hundred days old: 45 hold grants in 32 workspaces, 45 made tokens of those, 110 use theirs a little; one at 10,000 places."""
    with harness.running() as server:
        auditor, admin = person(server, "auditor", on="server"), server.session()
        for number in range(32):
            call(admin, server, "POST", "/workspaces", json={"name": f"wide-{number:02}-" + "w" * 30})
        names = [f"{kind}-{number:03}-" + "n" * 50 for kind, count in (("holder", 45), ("maker", 45), ("busy", 110)) for number in range(count)]
        for name in names:
            call(admin, server, "POST", "/services", json={"name": name})
            call(admin, server, "POST", f"/services/{name}/tokens", json={"label": "l" * 100, "scopes": [], "lifetime_s": DAY_S})
        given = {name: grant(server, name, "owner")["id"] for name in names if name.startswith("busy")}
        server.stop()
        now, today = int(time.time()), int(time.time()) // DAY_S
        wide = """
            INSERT INTO grant_row (id, principal, principal_kind, role, resource_kind, resource, workspace, created_by, created_at, justification, changed_generation)
            SELECT 'g_' || SUBSTR(p.id, LENGTH(p.id) - 15, 16) || SUBSTR(w.id, LENGTH(w.id) - 15, 16), p.id, 'service', 'deployer',
                   'registered_model', w.id, w.id, p.owner, p.created_at, 'a test', 1
            FROM principal AS p CROSS JOIN workspace AS w WHERE p.name LIKE 'holder-%' AND w.name LIKE 'wide-%'"""
        made = """
            UPDATE token SET created_by = (
                SELECT m.id FROM principal AS m JOIN principal AS h ON SUBSTR(m.name, 7, 3) = SUBSTR(h.name, 8, 3)
                WHERE h.id = token.principal_id AND m.name LIKE 'maker-%')
            WHERE principal_id IN (SELECT id FROM principal WHERE name LIKE 'holder-%')"""
        used = """
            WITH d (n) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9))
            INSERT INTO grant_use (grant_id, verb, place, workspace, day, caller, use_count, last_at)
            SELECT g.id, 'runs.get', 'experiment:' || (100000 + a.n * 1000 + b.n * 100 + c.n * 10 + e.n), g.workspace, %d, g.principal, 1, %d
            FROM grant_row AS g JOIN principal AS p ON p.id = g.principal CROSS JOIN d AS a CROSS JOIN d AS b CROSS JOIN d AS c CROSS JOIN d AS e
            WHERE p.name LIKE 'busy-%%' AND (p.name LIKE 'busy-000-%%' OR a.n * 1000 + b.n * 100 + c.n * 10 + e.n < 5)"""
        counted = "INSERT INTO grant_use (grant_id, verb, place, workspace, day, caller, use_count, last_at) VALUES ('none', 'runs.get', '', '', %d, 'none', 1, %d)"
        for sql in (wide, made, used % (today - 10, (now - 10 * DAY_S) * 1_000_000), counted % (today - 99, (now - 99 * DAY_S) * 1_000_000)):
            harness.edit_database(server, sql)
        for table in ("grant_row", "principal", "token"):
            harness.edit_database(server, f"UPDATE {table} SET created_at = created_at - {100 * DAY_S * 1_000_000}")
        server.start()
        yield server, auditor.session(), given


@pytest.mark.any_database("what is cut was read already")
def test_a_review_of_many_grants_is_told_in_parts(peopled):
    server, session, given = peopled
    page = weighed(session, server, "/console/access/review")
    for title in ("Grants", "Accounts that do nothing", "Tokens that are old or unused"):
        assert f"{title}: 1 to 80 of " in page, title
    assert page.count('rel="next"') == 3
    further = weighed(session, server, "/console/access/review?grants=1440&dormant=80&tokens=160")
    for first in ("Grants: 1441 to 1520 of ", "Accounts that do nothing: 81 to ", "Tokens that are old or unused: 161 to "):
        assert first in further, first
    one = weighed(session, server, f"/console/access/review/{given['busy-000-' + 'n' * 50]}")
    assert "experiment:100000" in one and "(cut: " in one and "experiment:109999" not in one


@pytest.mark.any_database("what is cut was read already")
def test_many_ways_up_are_told_in_parts_and_long_ones_are_cut(peopled):
    server, session, _ = peopled
    page = weighed(session, server, "/console/access/paths")
    assert "Ways up: 1 to 40 of " in page and "made a token of the service account" in page
    assert "(cut: " in page and "`strongroom access paths` tells in full" in page
    further = weighed(session, server, "/console/access/paths?paths=40")
    assert "Ways up: 41 to " in further
