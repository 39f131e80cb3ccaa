"""Pages that come at once however much there is: what they look up is found, not searched for."""

import time

import pytest

import harness
from people import grant, person
from test_data import commit

pytestmark = pytest.mark.strongroom_only
MANY, SECONDS_MAX = 10_000, 5
NUMBERS = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})"
SETS = f"""INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by)
    {NUMBERS} SELECT 'many-' || i, d.workspace, 'many-' || i, 2, d.created_at, d.created_by FROM n JOIN data_set d ON d.name = 'first'"""
VERSIONS = """INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, committed_at, file_count, size_bytes, roles,
        is_personal, is_special, is_health, is_financial, waiver_until)
    SELECT s.dataset_id || '-' || k.number, s.dataset_id, s.workspace, k.number, 'admitted', s.created_by, s.created_at, s.created_at, 1, 1, v.roles, 0, 0, 0, 0,
        CASE WHEN s.name = 'many-77' AND k.number = 2 THEN {ends} END
    FROM data_set s JOIN (SELECT 1 AS number UNION ALL SELECT 2) k JOIN data_set d ON d.name = 'first' JOIN data_version v ON v.dataset_id = d.dataset_id AND v.number = 1
    WHERE s.name LIKE 'many-%'"""


@pytest.mark.any_database("rows are put behind a server's back; the other engine counts what its tables hold by itself")
def test_many_data_sets_do_not_hold_up_the_first_page():
    with harness.running() as server:
        who = person(server, "owner")
        grant(server, who.name, "reviewer")
        commit(server.session(), server, "first", {"a.csv": b"a\n1\n"})
        harness.edit_database(server, SETS)
        harness.edit_database(server, VERSIONS.format(ends=int((time.time() + 3 * 86_400) * 1_000_000)))
        session = who.session()
        session.headers["Accept"] = "text/html"
        for path, wanted in (("/console/data", "many-1"), ("/console", "many-77"), ("/console/data?state=admitted", "many-1")):
            began = time.monotonic()
            answer = session.get(f"{server.url}{path}", timeout=600)
            took = time.monotonic() - began
            assert answer.status_code == 200 and wanted in answer.text, path
            assert took < SECONDS_MAX, f"{path} took {took:.1f} s"
