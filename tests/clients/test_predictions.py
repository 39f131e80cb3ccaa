"""What endpoints were asked and said: listed, queried, proven, erased and traced, by the command line and over HTTP."""

from __future__ import annotations

import json
import subprocess

import pytest
import test_serving
from test_serving import ask, fresh, tensor

import harness
import people

pytestmark = pytest.mark.strongroom_only

HERE: dict = {}


@pytest.fixture
def served(server, mlflow_here):
    if not HERE:
        HERE.update(test_serving.serve(server, mlflow_here))
    return HERE


def cli(server, *words):
    return server.cli(*words, "--token-file", str(server.token_file)).stdout


def predict(server, served, rows, **headers):
    body = {"inputs": [tensor(rows)]}
    return ask(server.session(), server, served["endpoint"], body, headers=headers)["parameters"]["prediction_id"]


def test_hashes_are_the_default_and_values_are_kept_when_told(server, served):
    hashed = predict(server, served, served["features"][:1])
    found = json.loads(cli(server, "predictions", "show", hashed, "--json"))
    assert found["kept"] == "hashes" and found["values"] is None and found["inputs_hmac"]
    assert json.loads(cli(server, "predictions", "policy", served["endpoint"], "values", "--json"))["log"] == "values"
    kept = predict(server, served, served["features"][:2])
    found = json.loads(cli(server, "predictions", "show", kept, "--json"))
    assert found["kept"] == "values" and len(found["values"]) == 2 and found["rows"] == 2
    assert set(map(float, served["features"][0])) == {value for name, value in found["values"][0].items() if name.startswith("input_")}
    listed = json.loads(cli(server, "predictions", "list", "--endpoint", served["endpoint"], "--json"))
    assert [row["prediction"] for row in listed][:2] == [kept, hashed]


def test_queries_are_run_by_the_worker(server, served):
    cli(server, "predictions", "policy", served["endpoint"], "values")
    predict(server, served, served["features"][:10])
    sql = "SELECT kept, COUNT(*) AS how_many, COUNT(DISTINCT id) AS ids FROM predictions WHERE kept = 'values' GROUP BY kept"
    answer = json.loads(cli(server, "predictions", "query", sql, "--endpoint", served["endpoint"], "--json"))
    ((kept, rows, ids),) = answer["rows"]
    assert kept == "values" and rows >= 10 and ids >= 1
    predictor = people.person(server, "predictor").session()
    people.call(predictor, server, "POST", "/predictions/query", status=(403,), json={"sql": sql})


def test_a_query_may_ask_for_what_no_prediction_has(server, mlflow_here):
    served = test_serving.serve(server, mlflow_here)
    cli(server, "predictions", "policy", served["endpoint"], "values")
    predict(server, served, served["features"][:1])
    sql = "SELECT subject, inputs_hmac, outputs_hmac FROM predictions WHERE subject IS NULL"
    answer = json.loads(cli(server, "predictions", "query", sql, "--endpoint", served["endpoint"], "--json"))
    assert answer["rows"] == [[None, None, None]], answer


def test_a_proof_holds_without_the_server(server, served, tmp_path):
    cli(server, "predictions", "policy", served["endpoint"], "values")
    prediction = predict(server, served, served["features"][:1])
    proof = tmp_path / "proof.json"
    proof.write_text(cli(server, "predictions", "prove", prediction))
    key = (server.data / "audit.vkey").read_text().strip()
    verify = [str(harness.binary()), "predictions", "verify", str(proof), "--vkey", key, "--json"]
    said = json.loads(subprocess.run(verify, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert said["record"]["id"] == prediction and len(said["values"]) == 1
    forged = json.loads(proof.read_text())
    forged["record"] = forged["record"].replace('"rows":1', '"rows":2')
    proof.write_text(json.dumps(forged))
    assert subprocess.run(verify, capture_output=True, timeout=60, check=False).returncode != 0


def test_a_subject_is_forgotten(server, served):
    cli(server, "predictions", "policy", served["endpoint"], "values")
    subject = fresh("customer")
    theirs = predict(server, served, served["features"][:1], **{"Strongroom-Subject": subject})
    others = predict(server, served, served["features"][1:2])
    show = lambda prediction: json.loads(cli(server, "predictions", "show", prediction, "--json"))  # noqa: E731
    assert show(theirs)["values"] and show(others)["values"]
    told = json.loads(cli(server, "predictions", "erase", "--subject", subject, "--dry-run", "--json"))
    assert told["predictions"] == 1 and [one["endpoint"] for one in told["counts"]] == [served["endpoint"]] and show(theirs)["values"]
    # What was answered a moment ago is counted as well.
    late = predict(server, served, served["features"][2:3], **{"Strongroom-Subject": subject})
    erased = json.loads(cli(server, "predictions", "erase", "--subject", subject, "--json"))
    newest = json.loads(cli(server, "predictions", "erasures", "--json"))[0]
    assert newest == erased and newest["subject"] == told["subject"] and newest["predictions"] == 2, newest
    assert show(late)["erased"] is True
    assert show(theirs)["erased"] is True and show(theirs)["values"] is None and show(others)["values"]
    # How it was logged then says nothing of what is still kept.
    traced = cli(server, "trace", theirs)
    assert "logged as values" in traced and "kept" not in traced, traced


def test_a_trace_goes_back_to_the_people_and_on_to_the_predictions(server, served):
    prediction = predict(server, served, served["features"][:1])
    found = json.loads(cli(server, "trace", prediction, "--json"))
    kinds = set(found["walk"]["counts"])
    assert {"endpoint", "model_version", "run", "person"} <= kinds and found["admission"]["state"] == "admitted"
    text = cli(server, "trace", prediction)
    assert served["endpoint"] in text and "admission: admitted" in text and "answers with model" in text
    assert cli(server, "trace", prediction, "--svg").lstrip().startswith("<svg")
    run = next(node for node in found["walk"]["nodes"] if node["kind"] == "run")["name"]
    onward = json.loads(cli(server, "trace", f"run:{run}", "--forward", "--rows", "1000", "--json"))
    (count,) = onward["counts"]
    assert count["endpoint"] == served["endpoint"] and count["predictions"] == len(onward["predictions"])
    assert prediction in {row["prediction"] for row in onward["predictions"]}
    records = json.loads(cli(server, "audit", "search", "--prediction", prediction, "--json"))
    made = [record for record in records if record["action"] == "endpoints.predict"]
    assert made and made[0]["links"]["prediction"].endswith(prediction)


def test_a_trace_tells_what_is_known_of_a_deleted_model(server, mlflow_here):
    served = test_serving.serve(server, mlflow_here)
    prediction = predict(server, served, served["features"][:1])
    before = json.loads(cli(server, "trace", prediction, "--json"))
    cli(server, "endpoint", "delete", served["endpoint"])
    mlflow_here.MlflowClient().delete_registered_model(served["model"])
    found = json.loads(cli(server, "trace", prediction, "--json"))
    assert found["admission"] is None and found["prediction"]["prediction"] == prediction, found
    before, after = ({node["name"] for node in one["walk"]["nodes"] if node["kind"] in ("run", "person", "model_version")} for one in (before, found))
    assert after == before and "run" in found["walk"]["counts"], found
    text = cli(server, "trace", prediction)
    assert "is deleted" in text and served["endpoint"] in text, text


def test_what_was_answered_survives_the_kill(fresh_server, mlflow_here, monkeypatch):
    """A server of its own, which is killed the moment it has answered."""
    server = fresh_server
    for key, value in server.mlflow_environment().items():
        monkeypatch.setenv(key, value)
    served = test_serving.serve(server, mlflow_here)
    answered = [predict(server, served, served["features"][:1]) for _ in range(20)]
    server.kill()
    server.start()
    listed = json.loads(cli(server, "predictions", "list", "--rows", "0", "--json"))
    assert set(answered) <= {row["prediction"] for row in listed}
