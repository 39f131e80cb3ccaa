"""Admitted models answer: the Open Inference Protocol, Triton's own client, MLflow's scoring protocol."""

from __future__ import annotations

import http.client
import json
import ssl
import uuid

import numpy as np
import pytest

import people

pytestmark = pytest.mark.strongroom_only


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


SERVED: dict = {}


@pytest.fixture
def served(server, mlflow_here):
    """An endpoint over a real model, with what the model itself says: one for all tests."""
    if not SERVED:
        SERVED.update(serve(server, mlflow_here))
    return SERVED


def serve(server, mlflow):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    model, endpoint = fresh("iris"), fresh("iris-live")
    mlflow.set_experiment(fresh("exp"))
    features, labels = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(features, labels)
    with mlflow.start_run():
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=model, serialization_format="skops")
    mlflow.MlflowClient().set_registered_model_alias(model, "champion", "1")
    server.cli("endpoint", "create", endpoint, "--model", f"{model}@champion", "--token-file", str(server.token_file))
    return {"model": model, "endpoint": endpoint, "features": features, "fitted": fitted}


def ask(session, server, endpoint, body, status=200, **arguments):
    answer = session.post(f"{server.url}/v2/models/{endpoint}/infer", json=body, timeout=30, **arguments)
    assert answer.status_code == status, answer.text
    return answer.json()


def tensor(features, datatype="FP64", **more):
    return {"name": "input", "shape": list(features.shape), "datatype": datatype, "data": features.tolist(), **more}


def by_name(answer):
    return {output["name"]: output for output in answer["outputs"]}


def test_the_protocol_in_json(server, served):
    session, rows = server.session(), served["features"][::7]
    about = session.get(f"{server.url}/v2/models/{served['endpoint']}", timeout=30).json()
    assert about["versions"] == ["1"] and about["platform"] == "strongroom_skops", about
    assert session.get(f"{server.url}/v2/models/{served['endpoint']}/ready", timeout=30).json()["ready"] is True
    assert session.get(f"{server.url}/v2/health/ready", timeout=30).status_code == 200
    answer = ask(session, server, served["endpoint"], {"id": "mine", "inputs": [tensor(rows)]})
    assert answer["id"] == "mine" and answer["model_version"] == "1" and answer["parameters"]["prediction_id"]
    outputs = by_name(answer)
    label = next(output for output in outputs.values() if output["datatype"] in ("INT64", "BYTES"))
    assert label["data"] == served["fitted"].predict(rows).tolist()
    chances = next(output for output in outputs.values() if output["datatype"] in ("FP32", "FP64"))
    np.testing.assert_allclose(np.reshape(chances["data"], chances["shape"]), served["fitted"].predict_proba(rows), atol=1e-6)
    one = ask(session, server, served["endpoint"], {"inputs": [tensor(rows)], "outputs": [{"name": label["name"]}]})
    assert list(by_name(one)) == [label["name"]]
    nested = tensor(rows)
    nested["data"] = [row for row in rows.reshape(-1).tolist()]
    assert by_name(ask(session, server, served["endpoint"], {"inputs": [nested]}))[label["name"]]["data"] == label["data"]


def test_what_does_not_fit_is_refused_in_words(server, served):
    session, endpoint = server.session(), served["endpoint"]
    good = tensor(served["features"][:2])
    for what, body in {
        "shape": {"inputs": [{**good, "shape": [3, 4]}]},
        "huge": {"inputs": [{**good, "shape": [2**32, 2**32]}]},
        "no dimensions": {"inputs": [{**good, "shape": []}]},
        "type": {"inputs": [{**good, "datatype": "FP128"}]},
        "range": {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "UINT8", "data": [1, 2, 3, 256]}]},
        "text": {"inputs": [{**good, "datatype": "BYTES", "data": ["a"] * 8}]},
        "columns": {"inputs": [tensor(served["features"][:2, :3])]},
        "output": {"inputs": [good], "outputs": [{"name": "nosuch"}]},
        "nothing": {"inputs": []},
        "twice": {"inputs": [good, good]},
        "binary": {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]},
    }.items():
        assert ask(session, server, endpoint, body, status=400)["error"], what
    assert session.post(f"{server.url}/v2/models/{endpoint}/infer", data=b"{", timeout=30).status_code == 400
    assert session.get(f"{server.url}/v2/models/nosuch", timeout=30).status_code == 404
    assert session.get(f"{server.url}/v2/models/{endpoint}/versions/9", timeout=30).status_code == 404
    assert server.session(None).get(f"{server.url}/v2/health/ready", timeout=30).status_code == 401


def test_an_endpoint_describes_itself(server, served):
    told = server.session().get(f"{server.url}/v2/models/{served['endpoint']}/openapi.json", timeout=30)
    document = told.json()
    assert told.status_code == 200 and document["openapi"].startswith("3.0"), told.text
    assert f"/v2/models/{served['endpoint']}/infer" in document["paths"] and f"/endpoints/{served['endpoint']}/invocations" in document["paths"]
    assert server.session(None).get(told.url, timeout=30).status_code == 401


def test_what_is_null_is_left_out_and_what_is_said_twice_is_refused(server, served):
    address, path = server.url.removeprefix("https://"), f"/v2/models/{served['endpoint']}/infer"
    body = {"inputs": [{**tensor(served["features"][:1]), "parameters": None}], "outputs": None, "parameters": None, "id": None}
    ask(server.session(), server, served["endpoint"], body)

    def status(*headers):
        connection = http.client.HTTPSConnection(address, context=ssl.create_default_context(cafile=server.ca), timeout=30)
        text = json.dumps(body).encode()
        connection.putrequest("POST", path)
        given = [("Authorization", f"Bearer {server.token_file.read_text().strip()}"), ("Content-Length", len(text)), *headers]
        for name, value in given:
            connection.putheader(name, str(value))
        connection.endheaders(text)
        return connection.getresponse().status

    assert status(("Strongroom-Subject", "a")) == 200
    assert status(("Strongroom-Subject", "a"), ("Strongroom-Subject", "b")) == 400
    assert status(("Host", "evil.example")) == 400


def test_tritons_own_client(server, served):
    http = pytest.importorskip("tritonclient.http")
    host = server.url.removeprefix("https://")
    import gevent.ssl

    context = gevent.ssl.create_default_context(cafile=server.ca)
    client = http.InferenceServerClient(host, ssl=True, ssl_context_factory=lambda: context, insecure=False)
    headers = {"Authorization": f"Bearer {server.token_file.read_text().strip()}"}
    assert client.is_server_live(headers=headers) and client.is_model_ready(served["endpoint"], headers=headers)
    rows = np.ascontiguousarray(served["features"][:20])
    for binary in (True, False):
        given = http.InferInput("input", rows.shape, "FP64")
        given.set_data_from_numpy(rows, binary_data=binary)
        names = [output["name"] for output in client.get_model_metadata(served["endpoint"], headers=headers)["outputs"]]
        wanted = [http.InferRequestedOutput(name, binary_data=binary) for name in names]
        result = client.infer(served["endpoint"], [given], outputs=wanted, headers=dict(headers))
        labels = next(result.as_numpy(name) for name in names if result.as_numpy(name).ndim == 1)
        assert labels.tolist() == served["fitted"].predict(rows).tolist()


def test_what_no_route_knows_is_told_in_the_clients_form(server):
    session = server.session()
    for method, path, status in (("GET", "/v2/nosuch", 404), ("POST", "/v2/repository/index", 404), ("POST", "/v2/health/ready", 405)):
        answer = session.request(method, server.url + path, timeout=30)
        assert answer.status_code == status and list(answer.json()) == ["error"], answer.text
    assert server.session(None).get(f"{server.url}/v2/nosuch", timeout=30).json().keys() == {"error"}
    assert "error_code" in session.get(f"{server.url}/v3/nosuch", timeout=30).json()
    for call, person, status in (
        ("/inference.GRPCInferenceService/RepositoryIndex", session, "12"),
        ("/grpc.health.v1.Health/Check", session, "12"),
        ("/inference.GRPCInferenceService/RepositoryIndex", server.session(None), "16"),
    ):
        answer = person.post(server.url + call, data=bytes(5), headers={"Content-Type": "application/grpc"}, timeout=30)
        assert (answer.status_code, answer.headers.get("grpc-status")) == (200, status), answer.headers
        assert answer.headers["content-type"].startswith("application/grpc") and not answer.content, answer.text


def test_columns_that_the_model_does_not_name_are_left_out(server, mlflow_here):
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    mlflow, model, endpoint = mlflow_here, fresh("named"), fresh("named-live")
    mlflow.set_experiment(fresh("exp"))
    rows = pd.DataFrame(np.random.default_rng(5).normal(size=(80, 3)), columns=["a", "b", "c"])
    with mlflow.start_run():
        fitted = LogisticRegression().fit(rows, (rows["a"] > 0).astype(int))
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=model, serialization_format="skops")
    mlflow.MlflowClient().set_registered_model_alias(model, "champion", "1")
    server.cli("endpoint", "create", endpoint, "--model", f"{model}@champion", "--token-file", str(server.token_file))
    asked = rows.head(5)
    expected = fitted.predict(asked).tolist()
    wide = asked.reset_index(names="index").assign(customer=["x", "y", None, "z", "w"])[["index", "c", "customer", "b", "a"]]
    url = f"{server.url}/endpoints/{endpoint}/invocations"
    # As pandas writes JSON: what is missing is null.
    for body in ({f"dataframe_{form}": json.loads(wide.to_json(orient=form))} for form in ("split", "records")):
        answer = server.session().post(url, json=body, timeout=30)
        assert answer.status_code == 200 and answer.json()["predictions"] == expected, answer.text
    csv = server.session().post(url, data=wide.to_csv(), headers={"Content-Type": "text/csv"}, timeout=30)
    assert csv.status_code == 200 and csv.json()["predictions"] == expected, csv.text
    lacking = server.session().post(url, json={"dataframe_split": json.loads(wide.drop(columns="b").to_json(orient="split"))}, timeout=30)
    assert lacking.status_code == 400 and "`b` is missing" in lacking.json()["message"], lacking.text


def test_a_model_whose_stored_bytes_were_changed_is_not_loaded_and_health_says_so(fresh_server, mlflow_here, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    server = fresh_server
    for key, value in server.mlflow_environment().items():
        monkeypatch.setenv(key, value)
    model, endpoint = fresh("wide"), fresh("wide-live")
    mlflow_here.set_experiment(fresh("exp"))
    # Large enough to be a file of its own.
    rows = np.random.default_rng(6).normal(size=(60, 6_000))
    stored = lambda: {path for path in (server.data / "objects" / "stored").rglob("*") if path.is_file()}  # noqa: E731
    before = stored()
    with mlflow_here.start_run():
        fitted = LogisticRegression().fit(rows, (rows[:, 0] > 0).astype(int))
        mlflow_here.sklearn.log_model(fitted, name="model", registered_model_name=model, serialization_format="skops")
    mlflow_here.MlflowClient().set_registered_model_alias(model, "champion", "1")
    server.cli("endpoint", "create", endpoint, "--model", f"{model}@champion", "--token-file", str(server.token_file))
    body = {"inputs": [tensor(rows[:1])]}
    ask(server.session(), server, endpoint, body)
    server.stop()
    changed = stored() - before
    assert changed, "the model lies in a file"
    for path in changed:
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 1
        path.chmod(0o600)
        path.write_bytes(whole)
    server.start()
    assert "damaged" in ask(server.session(), server, endpoint, body, status=500)["error"]
    told = people.call(server.session(), server, "GET", "/health")["health"]
    mine = next(one for one in told if one["name"] == endpoint)
    assert mine["state"] == "failing" and "it cannot answer: " in mine["reasons"][0] and "damaged" in mine["reasons"][0], mine


def test_mlflows_scoring_protocol(server, served):
    session, base, rows = server.session(), f"{server.url}/endpoints/{served['endpoint']}", served["features"][::9]
    expected = served["fitted"].predict(rows).tolist()
    columns = [f"c{place}" for place in range(4)]
    assert session.get(f"{base}/ping", timeout=30).status_code == 200
    assert session.get(f"{base}/version", timeout=30).json() == "3.17.2"
    records = [dict(zip(columns, row)) for row in rows.tolist()]
    for body in (
        {"dataframe_split": {"columns": columns, "data": rows.tolist()}},
        {"dataframe_records": records},
        {"instances": rows.tolist()},
        {"inputs": rows.tolist()},
        {"inputs": {name: rows[:, place].tolist() for place, name in enumerate(columns)}},
    ):
        answer = session.post(f"{base}/invocations", json=body, timeout=30)
        assert answer.status_code == 200 and answer.json()["predictions"] == expected, answer.text
        assert answer.headers["x-strongroom-prediction"]
    csv = ",".join(columns) + "\n" + "\n".join(",".join(map(str, row)) for row in rows.tolist())
    answer = session.post(f"{base}/invocations", data=csv, headers={"Content-Type": "text/csv"}, timeout=30)
    assert answer.json()["predictions"] == expected, answer.text
    # By place, in the order in which they are sent: this model knows no names.
    backwards = [dict(zip("dcba", row)) for row in rows.tolist()]
    answer = session.post(f"{base}/invocations", json={"dataframe_records": backwards}, timeout=30)
    assert answer.json()["predictions"] == expected, answer.text
    missing = session.post(f"{base}/invocations", data="a,b,c,d\n1,2, 3,maybe\n", headers={"Content-Type": "text/csv"}, timeout=30)
    assert missing.status_code == 400 and "`d`: a field where a number" in missing.json()["message"], missing.text
    assert session.post(f"{base}/invocations", data=b"x", headers={"Content-Type": "text/html"}, timeout=30).status_code == 400
    file = json.dumps({"inputs": rows[:2].tolist()})
    path = server.data.parent / f"{fresh('rows')}.json"
    path.write_text(file)
    said = server.cli("endpoint", "predict", served["endpoint"], "--input", str(path), "--token-file", str(server.token_file))
    assert json.loads(said.stdout)["predictions"] == expected[:2]


def test_who_may_ask_and_what_is_recorded(server, served):
    asker, viewer = people.person(server, "predictor"), people.person(server, "viewer")
    body = {"inputs": [tensor(served["features"][:3])]}
    prediction = ask(asker.session(), server, served["endpoint"], body)["parameters"]["prediction_id"]
    ask(viewer.session(), server, served["endpoint"], body, status=403)
    records = people.call(server.session(), server, "GET", "/audit/records?what=endpoints.predict&rows=50")["records"]
    assert prediction in json.dumps(records)


def test_grpc(server, served):
    grpc_client = pytest.importorskip("tritonclient.grpc")
    host = server.url.removeprefix("https://")
    client = grpc_client.InferenceServerClient(host, ssl=True, root_certificates=server.ca)
    headers = {"authorization": f"Bearer {server.token_file.read_text().strip()}"}
    assert client.is_server_live(headers=headers) and client.is_server_ready(headers=headers)
    assert client.is_model_ready(served["endpoint"], headers=headers)
    about = client.get_model_metadata(served["endpoint"], headers=headers, as_json=True)
    assert about["versions"] == ["1"] and about["inputs"][0]["shape"] == ["-1", "4"], about
    rows = np.ascontiguousarray(served["features"][:20])
    for datatype, kind in (("FP64", np.float64), ("FP32", np.float32)):
        given = grpc_client.InferInput("input", rows.shape, datatype)
        given.set_data_from_numpy(rows.astype(kind))
        result = client.infer(served["endpoint"], [given], headers=headers)
        names = [output.name for output in result.get_response().outputs]
        labels = next(result.as_numpy(name) for name in names if result.as_numpy(name).ndim == 1)
        assert labels.tolist() == served["fitted"].predict(rows).tolist()
        assert result.get_response().parameters["prediction_id"].string_param
    from tritonclient.utils import InferenceServerException

    for endpoint, shape, credentials, status in (
        ("nosuch", rows.shape, headers, "NOT_FOUND"),
        (served["endpoint"], rows.shape, {}, "UNAUTHENTICATED"),
        (served["endpoint"], (40, 2), headers, "INVALID_ARGUMENT"),
    ):
        given = grpc_client.InferInput("input", shape, "FP64")
        given.set_data_from_numpy(rows.reshape(shape))
        with pytest.raises(InferenceServerException) as told:
            client.infer(endpoint, [given], headers=credentials)
        assert status in told.value.status(), told.value


def test_a_refusal_holds_within_a_second(server, mlflow_here):
    import time

    served = serve(server, mlflow_here)
    session, endpoint = server.session(), fresh("stopped")
    admin = ["--token-file", str(server.token_file)]
    server.cli("endpoint", "create", endpoint, "--model", f"{served['model']}/1", *admin)
    body = {"inputs": [tensor(served["features"][:1])]}
    ask(session, server, endpoint, body)
    people.call(people.person(server, "reviewer").session(), server, "POST", f"/models/{served['model']}/versions/1/refuse",
                json={"reason": "a test"})  # fmt: skip
    time.sleep(1.1)
    assert "refused" in ask(session, server, endpoint, body, status=409)["error"]
    shown = json.loads(server.cli("endpoint", "show", endpoint, "--json", *admin).stdout)
    assert shown["ready"] is False and "refused" in shown["obstacle"]
    server.cli("endpoint", "delete", endpoint, *admin)
    assert endpoint not in server.cli("endpoint", "list", *admin).stdout


def test_python_clients_may_spell_missing_numbers_their_way(server, mlflow_here):
    """MLflow's scoring client, and tritonclient where it sends JSON, write `NaN`, which JSON does not know."""
    import pandas as pd
    from mlflow.utils.proto_json_utils import dump_input_data
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng(3)
    frame = pd.DataFrame({"a": random.normal(size=400), "b": random.normal(size=400)})
    frame.loc[::5, "a"] = np.nan
    fitted = HistGradientBoostingClassifier(max_iter=8).fit(frame, (frame["a"].fillna(1) + frame["b"] > 0).astype(int))
    model, endpoint, parts = fresh("gaps"), fresh("gaps-live"), "sklearn.ensemble._hist_gradient_boosting"
    mlflow_here.set_experiment(fresh("exp"))
    with mlflow_here.start_run():
        mlflow_here.sklearn.log_model(
            fitted, name="model", registered_model_name=model, serialization_format="skops",
            skops_trusted_types=[f"{parts}.predictor.TreePredictor", f"{parts}.binning._BinMapper"],
        )  # fmt: skip
    mlflow_here.MlflowClient().set_registered_model_alias(model, "champion", "1")
    server.cli("endpoint", "create", endpoint, "--model", f"{model}@champion", "--token-file", str(server.token_file))
    rows, session = frame[:20], server.session()
    session.headers["Content-Type"] = "application/json"
    body = dump_input_data(rows)
    assert "NaN" in body
    answer = session.post(f"{server.url}/endpoints/{endpoint}/invocations", data=body, timeout=30)
    assert answer.status_code == 200 and answer.json()["predictions"] == fitted.predict(rows).tolist(), answer.text
    body = json.dumps({"inputs": [tensor(rows.to_numpy())]})
    answer = session.post(f"{server.url}/v2/models/{endpoint}/infer", data=body, timeout=30)
    assert answer.status_code == 200, answer.text
    assert fitted.predict(rows).tolist() in [one["data"] for one in answer.json()["outputs"]]


def another_version(mlflow, served):
    """A second version that was trained on less: it says otherwise now and then."""
    from sklearn.linear_model import LogisticRegression

    features, labels = served["features"], served["fitted"].predict(served["features"])
    fitted = LogisticRegression(max_iter=500).fit(features[::10], labels[::10])
    with mlflow.start_run():
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=served["model"], serialization_format="skops")
    versions = mlflow.MlflowClient().search_model_versions(f"name = '{served['model']}'")
    return str(max(int(version.version) for version in versions))


def test_a_canary_takes_its_share_and_is_promoted_and_rolled_back(server, served, mlflow_here):
    session, name, rows = server.session(), served["endpoint"], served["features"][::7]
    number = another_version(mlflow_here, served)
    mlflow_here.MlflowClient().set_registered_model_alias(served["model"], "challenger", number)

    def cli(*words):
        return server.cli("endpoint", *words, "--token-file", str(server.token_file), "--json")

    def shown():
        return json.loads(cli("show", name).stdout)

    cli("rollout", name, "--model", f"{served['model']}@challenger", "--share", "50")
    answering = {}
    for user in range(40):
        headers = {"Strongroom-Routing-Key": f"user{user}"}
        versions = {ask(session, server, name, {"inputs": [tensor(rows)]}, headers=headers)["model_version"] for _ in range(2)}
        assert len(versions) == 1, "a key stays with its version"
        answering[user] = versions.pop()
    assert set(answering.values()) == {"1", number}, answering
    compared = shown()["challenger"]
    assert compared["champion"]["requests"] + compared["challenger"]["requests"] == 80, compared
    assert compared["challenger"]["errors"] == 0 and compared["labels"], compared
    cli("promote", name)
    assert ask(session, server, name, {"inputs": [tensor(rows)]})["model_version"] == number
    cli("rollback", name)
    assert ask(session, server, name, {"inputs": [tensor(rows)]})["model_version"] == "1"

    cli("rollout", name, "--model", f"{served['model']}/{number}", "--share", "100", "--shadow")
    for _ in range(5):
        assert ask(session, server, name, {"inputs": [tensor(rows)]})["model_version"] == "1", "a shadow is not heard"
    for _ in range(100):
        pairs = shown()["challenger"]["pairs"]
        if pairs["rows"] + pairs["left_out"] >= 5 * len(rows):
            break
    assert pairs["rows"] == 5 * len(rows) and pairs["disagreed"] < pairs["rows"], pairs
    cli("rollback", name)
    assert shown()["rollout"] is None
