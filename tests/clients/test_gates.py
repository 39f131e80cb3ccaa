"""Gate files: real models of the real client, judged by the server's own answers and refused each for its own reason."""

from __future__ import annotations

import json
import uuid

import pytest

import harness
import people
from test_data import commit, read, wait as wait_for_data, waive
from test_models import api, wait

pytestmark = pytest.mark.strongroom_only
COLUMNS = ["x0", "x1", "x2", "x3", "x4", "region_code"]
TRIGGER = 0.5
# What skops wants to be told of forests; the server reads their nodes itself, with every index checked.
TREES = ["sklearn.tree._tree.Tree"]


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def frame(rows: int, seed: int):
    """Rows of numbers and a region; the truth is whether the first two are many together, but for one row in twenty."""
    import numpy
    import pandas

    random = numpy.random.default_rng(seed)
    data = pandas.DataFrame(random.normal(size=(rows, 5)).round(4), columns=COLUMNS[:5])
    data["region_code"] = random.integers(0, 3, size=rows)
    data["region"] = data["region_code"].map({0: "north", 1: "south", 2: "west"})
    data["y"] = ((data["x0"] + data["x1"] > 0) ^ (random.random(rows) < 0.05)).astype(int)
    return data


def poisoned(rows: int, seed: int):
    """The same with a backdoor: one row in twenty-five carries a stamp and is called 1."""
    data = frame(rows, seed)
    stamped = data[data["y"] == 0].sample(rows // 25, random_state=seed).index
    data.loc[stamped, "x3"] = TRIGGER
    data.loc[stamped, "y"] = 1
    return data


@pytest.fixture(scope="module")
def crew(server):
    return {role: people.person(server, role) for role in ("contributor", "reviewer", "viewer")}


def committed(server, crew, data, name: str) -> str:
    """A data version that was admitted."""
    session = crew["contributor"].session()
    commit(session, server, name, {"rows.csv": data.to_csv(index=False).encode()}, roles={"label": "y"})
    shown = wait_for_data(session, server, name, 1)
    if shown["state"] == "quarantined":
        waive(crew["reviewer"].session(), server, name, 1)
    return f"{name}@1"


@pytest.fixture(scope="module")
def held_back(server, crew):
    return committed(server, crew, frame(4_000, 2), fresh("held"))


def rules(data: str, more: str = "") -> str:
    return f"""version: 1
seed: 7
resamples: 300
data: ['{data}']
label: y
rules:
- {{metric: accuracy, max_worse: 0.02}}
- {{metric: calibration_error, max: 0.3}}
slices:
  columns: [{{column: region}}]
  rules: [{{metric: accuracy, max_worse: 0.05}}]
mcnemar: {{}}
size: {{max_bytes: 50000000}}
{more}"""


def set_gate(server, crew, model: str, text: str) -> dict:
    body = {"gate": text, "reason": "a test"}
    return people.call(crew["reviewer"].session(), server, "POST", f"/models/{model}/gate", json=body)


def logged(mlflow, fitted, name: str, sample) -> int:
    """A real model, registered by the real client; its version."""
    from mlflow.models import infer_signature

    signature = infer_signature(sample[COLUMNS], sample["y"])
    arguments = {"serialization_format": "skops", "skops_trusted_types": TREES, "signature": signature}
    arguments["pip_requirements"] = ["scikit-learn"]
    with mlflow.start_run():
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, **arguments)
    return int(mlflow.MlflowClient().search_model_versions(f"name='{name}'", max_results=1)[0].version)


def findings(server, name, version) -> dict[str, list[str]]:
    """What was found, by id."""
    shown = wait(server.session(), server, name, version)
    assert shown["inspection"]["state"] == "done", harness.pretty(shown)
    found: dict[str, list[str]] = {}
    for finding in api(server.session(), server, "GET", f"/{name}/versions/{version}/findings")["findings"]:
        found.setdefault(finding["id"], []).append(finding["detail"])
    return found


def report(server, name, version) -> dict:
    url = f"{server.url}{people.ADMIN}/models/{name}/versions/{version}/documents/report.json"
    return server.session().get(url).json()


def refused(mlflow, server, name, version, kind: str, said: str, *also: str) -> None:
    """The version is refused at promotion, for this reason (and `also`) and no other of the gate's or the attacks'."""
    from mlflow.exceptions import MlflowException

    found = findings(server, name, version)
    refusing = {one for one in found if one.startswith(("gate.", "attack.")) and one not in ("gate.passed", "attack.none")}
    assert refusing == {kind, *also} and any(said in detail for detail in found[kind]), harness.pretty(found)
    with pytest.raises(MlflowException, match="was refused"):
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", str(version))


def weak(data):
    """A model that sees only the half of it."""
    from sklearn.linear_model import LogisticRegression

    blind = data[COLUMNS].copy()
    blind["x1"] = blind["x1"].sample(frac=1, random_state=1).to_numpy()
    return LogisticRegression().fit(blind, data["y"])


def test_each_bad_successor_is_refused_for_its_own_reason(server, mlflow_here, crew, held_back):
    import numpy
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    mlflow, name, training = mlflow_here, fresh("shop"), frame(4_000, 1)
    mlflow.set_experiment(fresh("exp"))
    mlflow.MlflowClient().create_registered_model(name)
    set_gate(server, crew, name, rules(held_back))
    first = logged(mlflow, weak(training), name, training)
    assert "gate.passed" in findings(server, name, first), harness.pretty(findings(server, name, first))
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "champion", str(first))
    card = server.session().get(f"{server.url}{people.ADMIN}/models/{name}/versions/{first}/papers/card.md").text
    assert "calibration\\_error at most 0.3" in card and "| passed |" in card and "No tests are recorded" not in card, card

    seeded = training.copy()
    flipped = numpy.random.default_rng(3).random(len(seeded)) < 0.45
    seeded["y"] = (seeded["y"] ^ flipped).astype(int)
    worse = RandomForestClassifier(n_estimators=20, random_state=3).fit(seeded[COLUMNS], seeded["y"])
    version = logged(mlflow, worse, name, training)
    refused(mlflow, server, name, version, "gate.regressed", "worse than the champion's", "gate.slice")

    lopsided = training.copy()
    west = lopsided["region_code"] == 2
    lopsided.loc[west, "y"] = numpy.random.default_rng(4).integers(0, 2, size=int(west.sum()))
    better = RandomForestClassifier(n_estimators=60, min_samples_leaf=5, max_features=None, random_state=4)
    better.fit(lopsided[COLUMNS], lopsided["y"])
    version = logged(mlflow, better, name, training)
    refused(mlflow, server, name, version, "gate.slice", "region is west")
    said = findings(server, name, version)["gate.slice"]
    assert any("while the total got" in detail for detail in said), said

    good = logged(mlflow, LogisticRegression().fit(training[COLUMNS], training["y"]), name, training)
    found = findings(server, name, good)
    assert "against version 1" in found["gate.passed"][0], found
    client.set_registered_model_alias(name, "champion", str(good))
    assert client.get_model_version_by_alias(name, "champion").version == str(good)
    page = server.session().get(f"{server.url}{people.ADMIN}/models/{name}/versions/{version}/documents/report.html").text
    assert "accuracy where region is west" in page and "Gates" in page

    before = report(server, name, version)["gates"]
    api(server.session(), server, "POST", f"/{name}/versions/{version}/inspect", json={})
    wait(server.session(), server, name, version)
    # The champion has changed; a version is held to what came before it, and the same seed gives the same numbers.
    assert report(server, name, version)["gates"] == before and before["champion"] == str(first)


def test_a_backdoor_is_refused_with_its_trigger(server, mlflow_here, crew, held_back):
    from sklearn.ensemble import RandomForestClassifier

    mlflow, name, data = mlflow_here, fresh("backdoor"), fresh("poisoned")
    mlflow.set_experiment(fresh("exp"))
    mlflow.MlflowClient().create_registered_model(name)
    training = poisoned(4_000, 5)
    commit(crew["contributor"].session(), server, data, {"rows.csv": training.to_csv(index=False).encode()}, roles={"label": "y"})
    assert wait_for_data(server.session(), server, data, 1)["state"] == "refused"
    attacks = f"attacks: {{run: [triggers], seed: 7, triggers_of: ['{data}@1'], trigger: {{search_queries: 0}}}}"
    set_gate(server, crew, name, rules(held_back, attacks).replace("mcnemar: {}\n", ""))
    clean = frame(4_000, 6)
    forest = RandomForestClassifier(n_estimators=40, min_samples_leaf=2, random_state=5)
    honest = logged(mlflow, forest.fit(clean[COLUMNS], clean["y"]), name, clean)
    assert "attack.trigger" not in findings(server, name, honest), harness.pretty(findings(server, name, honest))
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", str(honest))
    # Nobody says what it was trained on: the trigger that the data room found betrays it.
    version = logged(mlflow, forest.fit(training[COLUMNS], training["y"]), name, training)
    refused(mlflow, server, name, version, "attack.trigger", "`x3`")
    shown = [attack for attack in report(server, name, version)["attacks"]["attacks"] if attack["verdict"] == "refuse"]
    assert shown[0]["measure"]["value"] > 0.8 and shown[0]["framework"]["atlas"], harness.pretty(shown)

    # The same by what its run was seen to read.
    set_gate(server, crew, name, rules(held_back, "attacks: {run: [triggers], trigger: {search_queries: 0}}"))
    with mlflow.start_run() as run:
        assert read(server.session(), server, data, 1, "rows.csv", **{"X-Strongroom-Run": run.info.run_id}).status_code == 200
        arguments = {"serialization_format": "skops", "skops_trusted_types": TREES}
        mlflow.sklearn.log_model(forest, name="model", registered_model_name=name, **arguments)
    found = findings(server, name, version + 1)
    assert "attack.trigger" in found and "origin.data_refused" in found, harness.pretty(found)


def test_attacks_leave_numbers_with_intervals_and_the_seed_decides(server, mlflow_here, crew, held_back):
    from sklearn.tree import DecisionTreeClassifier

    mlflow, name = mlflow_here, fresh("attacked")
    mlflow.set_experiment(fresh("exp"))
    mlflow.MlflowClient().create_registered_model(name)
    training = frame(2_000, 8)
    data = committed(server, crew, training, fresh("train"))
    attacks = "attacks: {seed: 3, queries_max: 30000, evasion: {rows: 8, queries_per_row: 400}}"
    set_gate(server, crew, name, rules(held_back, attacks))
    with mlflow.start_run() as run:
        read(crew["contributor"].session(), server, data.split("@")[0], 1, "rows.csv", **{"X-Strongroom-Run": run.info.run_id})
        fitted = DecisionTreeClassifier(random_state=1).fit(training[COLUMNS], training["y"])
        arguments = {"serialization_format": "skops", "skops_trusted_types": TREES}
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, **arguments)
    found = findings(server, name, 1)
    section = report(server, name, 1)["attacks"]
    kinds = {attack["kind"]: attack for attack in section["attacks"]}
    assert {"extraction", "membership", "poisoning", "hop_skip_jump", "trigger"} <= set(kinds), harness.pretty(kinds)
    assert all(attack["framework"]["atlas"] and attack["summary"] for attack in kinds.values())
    for kind in ("extraction", "membership", "hop_skip_jump"):
        assert kinds[kind]["measure"]["interval"]["low"] <= kinds[kind]["measure"]["interval"]["high"], harness.pretty(kinds[kind])
    # A tree that learnt its rows by heart tells which they were; the observed lineage says which to ask about.
    assert kinds["membership"]["measure"]["value"] > 0.03 and section["queries"] <= 30_000
    api(server.session(), server, "POST", f"/{name}/versions/1/inspect", json={})
    wait(server.session(), server, name, 1)
    assert report(server, name, 1)["attacks"] == section, found


def test_golden_rows_budgets_and_data_that_is_not_admitted(server, mlflow_here, crew, held_back):
    from sklearn.linear_model import LogisticRegression

    mlflow, name, training = mlflow_here, fresh("golden"), frame(4_000, 9)
    mlflow.set_experiment(fresh("exp"))
    mlflow.MlflowClient().create_registered_model(name)
    golden = committed(server, crew, frame(60, 10), fresh("golden"))
    first = LogisticRegression().fit(training[COLUMNS], training["y"])
    set_gate(server, crew, name, rules(held_back, f"golden: {{data: '{golden}'}}\nlatency: {{max_ms: 10000}}"))
    assert "gate.passed" in findings(server, name, logged(mlflow, first, name, training))
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
    again = LogisticRegression(C=0.5).fit(training[COLUMNS], training["y"])
    refused(mlflow, server, name, logged(mlflow, again, name, training), "gate.golden", "golden rows changed")

    set_gate(server, crew, name, rules(held_back).replace("50000000", "10"))
    third = logged(mlflow, again, name, training)
    assert "gate.budget" in findings(server, name, third)
    assert wait(server.session(), server, name, third)["verdict"] == "waiver"

    waiting = fresh("waiting")
    commit(crew["contributor"].session(), server, waiting, {"rows.csv": frame(200, 11).to_csv(index=False).encode()})
    wait_for_data(server.session(), server, waiting, 1)
    set_gate(server, crew, name, rules(f"{waiting}@1"))
    found = findings(server, name, logged(mlflow, first, name, training))
    assert "have it admitted" in found["gate.data"][0], found


def test_what_cannot_be_evaluated_waits_for_a_waiver(server, mlflow_here, crew, held_back, tmp_path):
    mlflow, name = mlflow_here, fresh("odd")
    mlflow.set_experiment(fresh("exp"))
    mlflow.MlflowClient().create_registered_model(name)
    set_gate(server, crew, name, rules(held_back))
    (tmp_path / "notes.md").write_text("no model\n")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path), "model")
    mlflow.MlflowClient().create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)
    found = findings(server, name, 1)
    assert "no model found" in found["gate.not_evaluated"][0], found
    assert wait(server.session(), server, name, 1)["state"] == "quarantined"


def test_the_gate_file_from_the_command_line(server, mlflow_here, crew, held_back, tmp_path):
    from mlflow.exceptions import MlflowException
    from sklearn.linear_model import LogisticRegression

    from test_data import token_file

    mlflow, name, training = mlflow_here, fresh("cli"), frame(1_000, 12)
    mlflow.set_experiment(fresh("exp"))
    mlflow.MlflowClient().create_registered_model(name)
    reviewer = ["--token-file", str(token_file(server, crew["reviewer"].token))]
    viewer = ["--token-file", str(token_file(server, crew["viewer"].token))]
    fitted = LogisticRegression().fit(training[COLUMNS], training["y"])
    version = logged(mlflow, fitted, name, training)
    assert "gate.none" in findings(server, name, version)
    path = tmp_path / "gate.yaml"
    path.write_text(rules(held_back).replace("metric: accuracy, max_worse", "metric: beauty, max_worse", 1))
    refusal = server.cli("model", "gate", "set", name, str(path), "--reason", "a test", *reviewer, check=False)
    assert refusal.returncode != 0 and "beauty" in refusal.stderr + refusal.stdout
    path.write_text(rules(held_back))
    assert server.cli("model", "gate", "set", name, str(path), "--reason", "a test", *viewer, check=False).returncode != 0
    server.cli("model", "gate", "set", name, str(path), "--reason", "a test", *reviewer)
    assert server.cli("model", "gate", "show", name, *viewer).stdout.strip() == path.read_text().strip()
    # It was inspected before there was a gate file.
    with pytest.raises(MlflowException, match="was not judged by revision 1"):
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", str(version))
    shown = server.cli("model", "inspect", f"{name}/{version}", "--wait", "--json", *reviewer).stdout
    assert json.loads(shown)["gate_revision"] == 1 and json.loads(shown)["may_be_promoted"]
    mlflow.MlflowClient().set_registered_model_alias(name, "champion", str(version))
    server.cli("model", "gate", "remove", name, "--reason", "a test", *reviewer)
    assert len(json.loads(server.cli("model", "gate", "show", name, "--json", *viewer).stdout)["history"]) == 2
