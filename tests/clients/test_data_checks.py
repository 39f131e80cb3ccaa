"""Data sets against their contracts, other tables, splits and guarded rows, and what becomes of what was trained on a bad one."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess

import pytest

import harness
import people
from test_data import CLEAN, PREFIX, api, commit, fresh, put, read, token_file, wait

pytestmark = pytest.mark.strongroom_only

# A table that is about nobody, so that it passes by itself.
PLAIN = CLEAN.replace("age,city", "size,kind")

ORDERS = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
- name: %s
  properties:
  - name: customer
    logicalType: integer
    relationships:
    - to: %s.id
- name: %s
  properties:
  - name: id
    logicalType: integer
"""


@pytest.fixture(scope="module")
def crew(server):
    return {role: people.person(server, role) for role in ("contributor", "reviewer", "viewer")}


@pytest.fixture(scope="module")
def trusted(server, crew):
    name = fresh("source")
    body = {"name": name, "pattern": f"https://{name}.example/*", "owner": "example", "licence": "CC0-1.0"}
    people.call(crew["reviewer"].session(), server, "POST", "/sources", json=body)
    return {"source": f"https://{name}.example/data.csv", "licence": "CC0-1.0", "owner": "example"}


def findings(session, server, name, version) -> dict[str, dict]:
    found = api(session, server, "GET", f"/{name}/versions/{version}/findings")["findings"]
    return {finding["id"]: finding for finding in found}


def admitted(session, server, name, files, **wish) -> dict:
    number = commit(session, server, name, files, **wish)["version"]
    shown = wait(session, server, name, number)
    assert shown["state"] == "admitted", harness.pretty([shown, findings(session, server, name, number)])
    return shown


def clean(session, server, name, version, status=200, **body) -> dict | None:
    """The version that is made, once it was inspected."""
    asked = api(session, server, "POST", f"/{name}/versions/{version}/clean", status=status, json={"reason": "a test", **body})
    if status != 200:
        return None
    made = wait(session, server, name, asked["id"])
    assert made["version"], harness.pretty(made)
    return wait(session, server, name, made["version"])


def parquet(rows: int) -> bytes:
    import pyarrow
    import pyarrow.parquet

    columns = {
        "n": pyarrow.array(range(rows), pyarrow.int16()),
        "word": pyarrow.array([f"w{row % 7}" for row in range(rows)]).dictionary_encode(),
        "when": pyarrow.array([row * 86_400_000 for row in range(rows)], pyarrow.timestamp("ms", "Europe/Paris")),
        "parts": pyarrow.array([[row, row + 1] for row in range(rows)], pyarrow.list_(pyarrow.int32())),
    }
    table = pyarrow.table(columns).replace_schema_metadata({"made": "by a test"})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, row_group_size=64, compression="zstd")
    return out.getvalue()


def test_rows_are_left_out_of_parquet_and_the_rest_stays_as_it_was(server, crew, trusted):
    import pyarrow.parquet

    name, session = fresh("clean"), crew["contributor"].session()
    files = {"a.parquet": parquet(200), "b.parquet": parquet(50)}
    commit(session, server, name, files, **trusted)
    wait(session, server, name, 1)
    made = clean(session, server, name, 1, rows=[[7, 9], [199, 199], [0, 0]])
    assert made["row_count"] == 245 and made["parents"][0]["removed"]["row_count"] == 5, harness.pretty(made)
    assert "provenance.cleaned_differs" not in findings(session, server, name, 2)
    before = pyarrow.parquet.ParquetFile(io.BytesIO(files["a.parquet"]))
    after = pyarrow.parquet.ParquetFile(io.BytesIO(read(session, server, name, 2, "a.parquet").content))
    kept = [row for row in range(200) if row not in (0, 7, 8, 9, 199)]
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.read().to_pylist() == before.read().take(kept).to_pylist()
    assert after.metadata.row_group(0).column(0).compression == "ZSTD"
    assert read(session, server, name, 2, "b.parquet").content == files["b.parquet"], "what loses no row stays byte for byte"
    clean(session, server, name, 1, status=400, rows=[])
    over = {"reason": "a test", "rows": [[250, 250]]}
    refused = api(session, server, "POST", f"/{name}/versions/1/clean", status=400, json=over)
    assert "there is no row 250" in refused["message"], refused


def test_nobody_gets_by_cleaning_what_they_may_not_read(server, crew, trusted):
    name, other = fresh("clean"), people.person(server, "contributor").session()
    commit(crew["contributor"].session(), server, name, {"a.csv": CLEAN.encode()})
    wait(crew["contributor"].session(), server, name, 1)
    clean(other, server, name, 1, status=403, rows=[[0, 0]])
    clean(crew["viewer"].session(), server, name, 1, status=403, rows=[[0, 0]])
    made = clean(crew["contributor"].session(), server, name, 1, rows=[[0, 0]])
    assert made["row_count"] == 399


def test_images_and_arrays_lose_rows_too(server, crew, trusted, tmp_path):
    import numpy
    from PIL import Image

    session = crew["contributor"].session()
    images = {}
    for number in range(6):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (number * 40, 0, 0)).save(out, "PNG")
        images[f"cat/{number}.png"] = out.getvalue()
    name = fresh("images")
    commit(session, server, name, images, **trusted)
    wait(session, server, name, 1)
    assert clean(session, server, name, 1, rows=[[1, 2]])["file_count"] == 4
    out = io.BytesIO()
    array = numpy.arange(300, dtype="float32").reshape(100, 3)
    numpy.savez(out, x=array, y=numpy.arange(100))
    name = fresh("arrays")
    commit(session, server, name, {"a.npz": out.getvalue()}, **trusted)
    wait(session, server, name, 1)
    clean(session, server, name, 1, rows=[[0, 9], [99, 99]])
    with numpy.load(io.BytesIO(read(session, server, name, 2, "a.npz").content)) as left:
        assert (left["x"] == array[10:99]).all() and (left["y"] == numpy.arange(10, 99)).all()


def test_what_was_trained_on_cleaned_data_is_queued_to_be_trained_again(server, crew, trusted, mlflow_here, tmp_path):
    mlflow, name, session = mlflow_here, fresh("retrain"), crew["contributor"].session()
    admitted(session, server, name, {"train.csv": PLAIN.encode()}, **trusted)
    admin = server.session()
    mlflow.set_experiment(fresh("retrain"))
    with mlflow.start_run() as run:
        assert read(admin, server, name, 1, "train.csv", **{"X-Strongroom-Run": run.info.run_id}).status_code == 200
        (tmp_path / "model.txt").write_text("weights")
        mlflow.log_artifact(str(tmp_path / "model.txt"), "model")
    client = mlflow.MlflowClient()
    model = fresh("model")
    client.create_registered_model(model)
    client.create_model_version(model, f"runs:/{run.info.run_id}/model", run.info.run_id)
    trained = api(session, server, "GET", f"/{name}/versions/1/trained")
    kinds = {thing["kind"]: thing for thing in trained["trained"]}
    assert kinds["run"]["name"] == run.info.run_id and kinds["model_version"]["label"] == f"{model} version 1", harness.pretty(trained)
    contributor = ["--token-file", str(token_file(server, crew["contributor"].token))]
    server.cli("data", "clean", f"{name}@1", "--rows", "3", "--reason", "row 3 is poisoned", "--retrain", "--wait", *contributor, check=False)
    asked = json.loads(server.cli("data", "trained", f"{name}@2", "--json", *contributor).stdout)["retrain_requests"]
    subjects = {request["subject"]["kind"] for request in asked}
    assert {"run", "model_version"} <= subjects and all(request["state"] == "queued" for request in asked), harness.pretty(asked)
    assert {(request["trained_on"], request["replaced_by"]) for request in asked} == {(f"{name}@1", f"{name}@2")}


def test_keys_of_another_data_set_must_exist(server, crew, trusted):
    customers, orders, session = fresh("customers"), fresh("orders"), crew["contributor"].session()
    admitted(session, server, customers, {"c.csv": ("id,tier\n" + "".join(f"{n},{n % 3}\n" for n in range(1, 300))).encode()}, **trusted)
    contract = ORDERS % (orders, customers, customers)
    rows = lambda odd: ("customer,size\n" + "".join(f"{1 + n % 200},{n % 9}\n" for n in range(400)) + odd).encode()
    tables = {customers: f"{customers}@admitted"}
    commit(session, server, orders, {"o.csv": rows("")}, contract=contract, **trusted)
    assert wait(session, server, orders, 1)["verdict"] == "waiver"
    assert "validity.rule_not_run" in findings(session, server, orders, 1), "without the table the rule is not run"
    commit(session, server, orders, {"o.csv": rows("")}, contract=contract, tables=tables, **trusted)
    wait(session, server, orders, 2)
    assert not {"validity.rule_not_run", "validity.violated"} & set(findings(session, server, orders, 2))
    commit(session, server, orders, {"o.csv": rows("777,1\n778,1\n")}, contract=contract, tables=tables, **trusted)
    assert wait(session, server, orders, 3)["state"] == "refused"
    assert findings(session, server, orders, 3)["validity.violated"]["row_count"] == 2
    hidden = fresh("hidden")
    commit(people.person(server, "contributor").session(), server, hidden, {"h.csv": CLEAN.encode()})
    opened = api(session, server, "POST", f"/{orders}/versions", json={})
    for version, status in ((f"{hidden}@1", 403), ("nothing@1", 404)):
        api(session, server, "POST", f"/{orders}/versions/{opened['id']}/commit", status=status, json={"tables": {"x": version}})


def test_rows_of_the_training_data_are_found_in_the_test_data(server, crew, trusted):
    train, test, session = fresh("train"), fresh("test"), crew["contributor"].session()
    line = lambda n: f"{n},{(n * 7919) % 1009},{n % 2}\n"
    head = "id,x,churned\n"
    admitted(session, server, train, {"t.csv": (head + "".join(map(line, range(300)))).encode()}, **trusted)
    shared = head + "".join(map(line, range(290, 400)))
    wish = {"apart": [f"{train}@1"], "roles": {"label": "churned", "ignored": ["id"]}, **trusted}
    commit(session, server, test, {"t.csv": shared.encode()}, **wish)
    wait(session, server, test, 1)
    assert findings(session, server, test, 1)["validity.shared_rows"]["row_count"] == 10
    commit(session, server, test, {"t.csv": (head + "".join(map(line, range(300, 400)))).encode()}, **wish)
    wait(session, server, test, 2)
    assert "validity.shared_rows" not in findings(session, server, test, 2)


def two_classes() -> list[list[str]]:
    """600 rows of two columns and a label that a model can learn."""
    chance = random.Random(5)
    rows = []
    for number in range(600):
        label = number % 2
        rows.append([f"{chance.gauss(label * 2, 1):.4f}", f"{chance.gauss(-label, 1):.4f}", str(label)])
    return rows


def written(rows: list[list[str]]) -> bytes:
    return ("a,b,y\n" + "".join(",".join(row) + "\n" for row in rows)).encode()


def relabelled(rows: list[list[str]], chosen: list[int]) -> list[list[str]]:
    """The rows with the other label in the chosen ones."""
    return [[*row[:2], str(1 - int(row[2]))] if number in chosen else row for number, row in enumerate(rows)]


def test_a_change_of_the_rows_that_sway_a_model_most_is_found(server, crew, trusted):
    rows = two_classes()
    name, session = fresh("guarded"), crew["contributor"].session()
    wish = {"roles": {"label": "y"}, **trusted}
    commit(session, server, name, {"t.csv": written(rows)}, **wish)
    wait(session, server, name, 1)
    report = session.get(f"{server.url}{people.ADMIN}{PREFIX}/{name}/versions/1/documents/report.json").json()
    guarded = [row["row"] for row in report["guarded"]]
    assert guarded, harness.pretty(report["screens"])
    commit(session, server, name, {"t.csv": written(rows[::-1])}, parents=[1], **wish)
    wait(session, server, name, 2)
    same = findings(session, server, name, 2)
    assert not {"guarded.relabelled", "guarded.changed"} & set(same), "moved rows are the same rows"
    commit(session, server, name, {"t.csv": written(relabelled(rows, guarded[:5]))}, parents=[1], **wish)
    assert wait(session, server, name, 3)["state"] == "refused"
    found = findings(session, server, name, 3)["guarded.relabelled"]
    assert found["row_count"] == 5 and found["effect"] == "refuse", harness.pretty(found)
    moved = [list(row) for row in rows]
    for row in guarded[:3]:
        moved[row][0] = "9.75"
    commit(session, server, name, {"t.csv": written(moved)}, parents=[1], **wish)
    wait(session, server, name, 4)
    assert findings(session, server, name, 4)["guarded.changed"]["row_count"] == 3
    made = clean(session, server, name, 1, rows=[[row, row] for row in guarded[:4]])
    assert "guarded.changed" not in findings(session, server, name, made["version"]), "they were left out by name"


def test_what_is_left_of_a_refused_version_is_compared_with_what_is_admitted(server, crew, trusted):
    rows = two_classes()
    name, session = fresh("guarded"), crew["contributor"].session()
    wish = {"roles": {"label": "y"}, **trusted}
    admitted(session, server, name, {"t.csv": written(rows)}, **wish)
    report = session.get(f"{server.url}{people.ADMIN}{PREFIX}/{name}/versions/1/documents/report.json").json()
    guarded = [row["row"] for row in report["guarded"]]
    flipped = written(relabelled(rows, guarded[:5]))
    commit(session, server, name, {"t.csv": flipped}, **wish)
    assert wait(session, server, name, 2)["state"] == "refused"
    half = clean(session, server, name, 2, rows=[[row, row] for row in guarded[:2]])
    assert half["state"] == "refused", harness.pretty(half)
    assert findings(session, server, name, half["version"])["guarded.relabelled"]["row_count"] == 3
    commit(session, server, name, {"t.csv": flipped}, parents=[2], **wish)
    assert wait(session, server, name, 4)["state"] == "refused", "a refused parent does not make its rows the ones to start from"
    whole = clean(session, server, name, 2, rows=[[row, row] for row in guarded[:5]])
    assert "guarded.relabelled" not in findings(session, server, name, whole["version"])
    opened = api(session, server, "POST", f"/{name}/versions", json={})
    put(session, server, name, opened["id"], "t.csv", flipped)
    body = {"reference": 2, **wish}
    refused = api(session, server, "POST", f"/{name}/versions/{opened['id']}/commit", status=409, json=body)
    assert "name a version that is admitted" in refused["message"], refused


def offline(*words: str) -> subprocess.CompletedProcess:
    """A command that asks no server."""
    return subprocess.run([harness.binary(), "data", "contract", *words], capture_output=True, text=True, timeout=60)


def test_the_contract_of_a_data_set(server, crew, trusted, tmp_path):
    name, admin = fresh("contract"), ["--token-file", str(server.token_file)]
    session = crew["contributor"].session()
    contributor = ["--token-file", str(token_file(server, crew["contributor"].token))]
    commit(session, server, name, {"a.csv": CLEAN.encode()}, **trusted)
    wait(session, server, name, 1)
    proposed = server.cli("data", "contract", "propose", f"{name}@1", *contributor).stdout
    file = tmp_path / "c.odcs.yaml"
    file.write_text(proposed)
    (tmp_path / "a.csv").write_text(CLEAN)
    assert offline("check", str(file)).returncode == 0
    checked = offline("check", str(file), str(tmp_path / "a.csv"))
    assert "400 rows" in checked.stdout and "validity.violated" not in checked.stdout, checked.stdout + checked.stderr
    refused = server.cli("data", "contract", "set", name, str(file), "--reason", "a test", *contributor, check=False)
    assert refused.returncode != 0, "a committer does not set what they are judged by"
    server.cli("data", "contract", "set", name, str(file), "--reason", "a test", *admin)
    assert server.cli("data", "contract", "show", name, *contributor).stdout == proposed
    (tmp_path / "none.yaml").write_text("nonsense: [")
    assert server.cli("data", "contract", "set", name, str(tmp_path / "none.yaml"), "--reason", "x", *admin, check=False).returncode != 0
    broken = CLEAN.replace("20,city0,0", "twenty,city0,0", 1)
    commit(session, server, name, {"a.csv": broken.encode()}, **trusted)
    assert wait(session, server, name, 2)["state"] == "refused", "although its committer brought no contract"
    opened = api(session, server, "POST", f"/{name}/versions", json={})
    api(session, server, "POST", f"/{name}/versions/{opened['id']}/commit", status=409, json={"contract": "id: lax"})
    suite = {"name": "s", "meta": {}, "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "age"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "age", "min_value": 0, "max_value": 130}},
    ]}
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    made = offline("import", "--from", "great-expectations", "--name", name, str(tmp_path / "suite.json"))
    assert made.returncode == 0, made.stderr
    (tmp_path / "made.yaml").write_text(made.stdout)
    diff = server.cli("data", "contract", "diff", name, str(tmp_path / "made.yaml"), *contributor, check=False)
    assert diff.returncode == 1 and "breaks" in diff.stdout, diff.stdout
    assert server.cli("data", "contract", "diff", name, name, *contributor).stdout.strip() == "nothing changed"


SQL_ON_BARE_LINES = """
apiVersion: v3.1.0
kind: DataContract
id: notes
version: 1.0.0
status: active
schema:
- name: notes
  quality:
  - {id: kinds, type: sql, query: "SELECT COUNT(*) FROM {object} WHERE column_2 NOT IN ('good', 'bad')", mustBe: 0}
  - {id: rows, type: sql, query: "SELECT COUNT(column_1) FROM {object}", mustBe: 300}
  properties:
  - {name: column_1, logicalType: string, required: true}
  - {name: column_2, logicalType: string, required: true}
"""


def test_rules_see_the_columns_of_a_csv_without_a_header(server, crew, trusted, tmp_path):
    name, session = fresh("bare"), crew["contributor"].session()
    contributor = ["--token-file", str(token_file(server, crew["contributor"].token))]
    file, contract = tmp_path / "notes.csv", tmp_path / "notes.odcs.yaml"
    # Nothing tells whether the first record names the columns, and `~` parts fields in no other table.
    file.write_text("".join(f"This is text number {n}.~{('good', 'bad')[n % 2]}\n" for n in range(300)))
    contract.write_text(SQL_ON_BARE_LINES)
    said = ["--no-header", "--delimiter", "~"]
    server.cli("data", "commit", name, str(file), *said, "--contract", str(contract), "--wait", *contributor, check=False)
    found = findings(session, server, name, 1)
    assert not [kind for kind in found if kind.startswith("validity.")], harness.pretty(found)
    report = json.loads(server.cli("data", "report", f"{name}@1", *contributor).stdout)
    assert [column["name"] for column in report["view"]["columns"]] == ["column_1", "column_2"]
    assert report["summary"]["row_count"] == 300
    server.cli("data", "commit", name, str(file), "--contract", str(contract), "--wait", *contributor, check=False)
    assert "validity.rule_not_run" in findings(session, server, name, 2), "nobody said so, and there is no second column"
    checked = offline("check", str(contract), str(file), *said, "--json")
    local = json.loads(checked.stdout)
    assert local["summary"]["row_count"] == 300, checked.stderr
    # What speaks of SQL says that it was not run here; all else holds.
    assert {finding["id"] for finding in local["findings"] if finding["id"].startswith("validity.")} == {"validity.rule_not_run"}
    guessed = json.loads(offline("check", str(contract), str(file), "--json").stdout)
    assert "validity.violated" in {finding["id"] for finding in guessed["findings"]}, harness.pretty(guessed["findings"])
    aimless = offline("check", str(contract), *said)
    assert aimless.returncode != 0 and "name those to check" in aimless.stderr, aimless.stderr


def test_a_grant_on_one_data_set_shows_no_other(server, crew, trusted):
    mine, other, session = fresh("mine"), fresh("other"), crew["contributor"].session()
    for name in (mine, other):
        admitted(session, server, name, {"a.csv": PLAIN.encode()}, **trusted)
    guest = people.person(server, None)
    body = {"principal": guest.name, "role": "viewer", "resource_kind": "dataset", "resource": mine}
    people.call(server.session(), server, "POST", "/grants", json=body)
    reader = guest.session()
    assert read(reader, server, mine, "admitted", "a.csv").content == PLAIN.encode()
    assert read(reader, server, other, "admitted", "a.csv").status_code == 404
    listed = api(reader, server, "GET", "")["datasets"]
    assert [entry["name"] for entry in listed] == [mine]
    api(reader, server, "POST", f"/{mine}/versions", status=403, json={})
    assert hashlib.sha256(read(reader, server, mine, 1, "a.csv").content).hexdigest() == hashlib.sha256(PLAIN.encode()).hexdigest()


SQL_RULES = """
apiVersion: v3.1.0
kind: DataContract
id: sales
version: 1.0.0
status: active
schema:
- name: sales
  properties:
  - name: size
    logicalType: integer
  quality:
  - type: sql
    name: no negative sizes
    query: SELECT COUNT(*) FROM {object} WHERE size < 0
    mustBe: 0
  - type: sql
    name: every kind is known
    query: SELECT COUNT(*) FROM {object} o LEFT JOIN kinds k ON o.kind = k.id WHERE k.id IS NULL
    mustBe: 0
"""


def test_sql_rules_are_run_by_a_worker_and_decide(server, crew, trusted):
    session, admin = crew["contributor"].session(), server.session()
    kinds, sales = fresh("kinds"), fresh("sales")
    ids = "id,label\n" + "".join(f"{number},k{number}\n" for number in range(40))
    admitted(session, server, kinds, {"k.csv": ids.encode()}, **trusted)
    rows = "".join(f"{number},{number % 40}\n" for number in range(200))
    wish = {"contract": SQL_RULES, "tables": {"kinds": f"{kinds}@admitted"}, **trusted}
    commit(session, server, sales, {"s.csv": f"size,kind\n{rows}".encode()}, **wish)
    good = wait(session, server, sales, 1)
    shown = harness.pretty(findings(session, server, sales, 1))
    assert good["state"] == "admitted" and "validity.not_run" not in shown, shown
    commit(session, server, sales, {"s.csv": f"size,kind\n{rows}-4,7\n9,977\n".encode()}, **wish)
    assert wait(session, server, sales, 2)["state"] == "refused"
    broken = harness.pretty(api(session, server, "GET", f"/{sales}/versions/2/findings"))
    assert "no negative sizes" in broken and "every kind is known" in broken, broken

    asked = {"sql": "SELECT kind, COUNT(*) AS n FROM data GROUP BY kind ORDER BY n DESC, kind LIMIT 3", "rows": 2}
    answer = api(admin, server, "POST", f"/{sales}/versions/1/query", json=asked)
    assert answer["truncated"] and answer["rows"] == [[0, 5], [1, 5]], answer
    for hostile in (
        "DROP TABLE data",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY data TO '/tmp/x'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM data WHERE size = (SELECT",
    ):
        refused = api(admin, server, "POST", f"/{sales}/versions/1/query", status=400, json={"sql": hostile})
        assert refused["message"], hostile
    api(crew["viewer"].session(), server, "POST", f"/{sales}/versions/2/query", status=403, json={"sql": "SELECT 1"})
    printed = server.cli("data", "query", f"{sales}@1", "SELECT MAX(size) AS most FROM data", "--token-file", str(server.token_file))
    assert "199" in printed.stdout
