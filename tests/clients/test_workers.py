"""Models that only Python can compute, in a jail; and models that another server computes: behind the same door and guard."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import sys
import time
import uuid

import numpy as np
import pytest

import harness
import people
from test_models import api, wait

pytestmark = pytest.mark.strongroom_only

ANSWER_MS_MAX = 3_000
HOSTILE = '''
import ctypes, mmap, os, socket, time
import mlflow.pyfunc

def escapes():
    worked = []
    def attempt(number, act):
        try:
            act()
            worked.append(number)
        except Exception:
            pass
    attempt(1, lambda: open("/etc/shadow").close())
    attempt(10, lambda: os.listdir(os.environ["HOME"] + "/../../.."))
    attempt(100, lambda: open("/var/tmp/strongroom-escape", "w").close())
    attempt(1000, lambda: socket.getaddrinfo("example.com", 443))
    attempt(10000, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close())
    attempt(100000, lambda: socket.create_connection(("127.0.0.1", PORT), timeout=2).recv(1)[0])
    attempt(1000000, lambda: ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0 or 1 / 0)
    return worked

class Hostile(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        values = [float(value) for value in model_input["x"]]
        for value in values:
            if value == 1:
                time.sleep(600)
            if value == 2:
                os._exit(3)
            if value == 3:
                self.kept = [bytearray(1 << 26) for _ in range(1 << 10)]
            if value == 4:
                return [float(sum(escapes())) for _ in values]
            if value == 5:
                raise ValueError("a secret of the model")
            if value == 6:
                return [0.0]
            if value in (8, 9):
                names = [os.path.join(os.environ["TMPDIR"], f"large{number}") for number in range(3)]
                for name in names if value == 8 else []:
                    with open(name, "wb") as file:
                        file.truncate(200 << 20)
                return [float(os.path.exists(names[0])) for _ in values]
        return [value * 2 for value in values]

mlflow.models.set_model(Hostile())
'''


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def upstream():
    """Another server, which computes: it is asked over TLS, with a token."""
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running() as started:
        yield started


# An operator who lets in code that somebody has read: only so do the hostile models come this far.
VERDICT = """
[[rule]]
finding = "file.*"
then = "waiver"

[[rule]]
finding = "*"
then = "default"
"""


@pytest.fixture(scope="module")
def server(upstream, tmp_path_factory):
    verdict = tmp_path_factory.mktemp("operator") / "verdict.toml"
    verdict.write_text(VERDICT)
    text = f"""
[admission]
verdict = {json.dumps(str(verdict))}

[serving.python]
python = {json.dumps(sys.executable)}
workspaces = ["default"]
answer_ms_max = {ANSWER_MS_MAX}
memory_bytes_max = {1 << 30}
folder_bytes_max = {512 << 20}
workers_max = 2
batch_delay_us_max = 2000

[serving.upstreams.other]
url = {json.dumps(upstream.url)}
ca = {json.dumps(upstream.ca)}
token_file = {json.dumps(str(upstream.token_file))}
"""
    with harness.running(config_text=text) as started:
        yield started


@contextlib.contextmanager
def client_of(server):
    """The real mlflow client, speaking to this server."""
    import mlflow

    before = {key: os.environ.get(key) for key in server.mlflow_environment()}
    os.environ.update(server.mlflow_environment())
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    try:
        mlflow.set_experiment(fresh("exp"))
        yield mlflow
    finally:
        # Other tests of this process find their own server.
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        for key, value in before.items():
            os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)


def endpoint(server, model, runtime="python", check=True):
    name = fresh("live")
    arguments = ["--model", f"{model}/1", "--runtime", runtime, "--token-file", str(server.token_file)]
    return name, server.cli("endpoint", "create", name, *arguments, check=check)


def shown(server, name):
    return people.call(server.session(), server, "GET", f"/endpoints/{name}")


def ask(server, name, inputs, status=200):
    answer = server.session().post(f"{server.url}/v2/models/{name}/infer", json={"inputs": inputs}, timeout=60)
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    return answer.json()


def matrix(rows):
    return [{"name": "input", "shape": list(rows.shape), "datatype": "FP64", "data": rows.reshape(-1).tolist()}]


def by_name(answer):
    return {output["name"]: np.reshape(output["data"], output["shape"]) for output in answer["outputs"]}


def admitted(server, tmp_path, log):
    """Logs a model and has it admitted: by its inspection, or, where it holds code, by somebody else's waiver."""
    name = fresh("model")
    with client_of(server) as mlflow, mlflow.start_run():
        log(mlflow, name)
    shown = wait(server.session(), server, name, 1)
    if shown["state"] != "admitted":
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
        body = {"reason": "read line by line", "until": until}
        shown = api(people.person(server, "reviewer").session(), server, "POST", f"/{name}/versions/1/waive", json=body)
    assert shown["state"] == "admitted", harness.pretty(shown)
    return name


def text_pipeline():
    """A model that stays in Python: nothing in it tells on what numbers it was trained."""
    from sklearn.ensemble import StackingClassifier
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer
    from sklearn.tree import DecisionTreeClassifier

    features, labels = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[labels]
    parts = [("tree", DecisionTreeClassifier(max_depth=3, random_state=0)), ("line", LogisticRegression(max_iter=500))]
    return make_pipeline(Normalizer(), StackingClassifier(parts, cv=3)).fit(features, names), features


def test_a_model_of_scikit_learn_answers_as_it_does_at_home(server, tmp_path):
    fitted, rows = text_pipeline()
    model = admitted(
        server,
        tmp_path,
        lambda mlflow, name: mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name=name, serialization_format="cloudpickle"
        ),
    )
    _, native = endpoint(server, model, "native")
    name, _ = endpoint(server, model)
    answer = by_name(ask(server, name, matrix(rows)))
    assert answer["label"].tolist() == fitted.predict(rows).tolist()
    np.testing.assert_allclose(answer["probabilities"], fitted.predict_proba(rows), atol=1e-12)
    about = shown(server, name)
    assert (about["runtime"], about["format"], about["ready"]) == ("python", "python_sklearn", True), about
    assert "4 columns are expected" in ask(server, name, matrix(rows[:, :3]), 400)["error"]
    lacking = [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [None, 1.0, 2.0, 3.0]}]
    assert "missing or infinite" in ask(server, name, lacking, 400)["error"], "scikit-learn refuses it: no fault of the model"
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda row: by_name(ask(server, name, matrix(row[None, :]))), rows))
    assert [one["label"][0] for one in said] == fitted.predict(rows).tolist(), "what is asked together is answered apart"


def test_what_says_the_same_as_onnx_is_computed_natively(server, tmp_path):
    import pandas as pd
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    features, labels = features.iloc[:, :6], np.array(["ill", "well"])[labels]
    fitted = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(features, labels)

    def log(mlflow, name):
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, serialization_format="cloudpickle")

    name, _ = endpoint(server, admitted(server, tmp_path, log))
    body = {"dataframe_split": {"columns": list(features.columns), "data": features.to_numpy().tolist()}}
    answer = server.session().post(f"{server.url}/endpoints/{name}/invocations", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    said = pd.Series([one["label"] if isinstance(one, dict) else one for one in answer.json()["predictions"]])
    assert (said == fitted.predict(features)).mean() > 0.995
    asked = ask(server, name, matrix(features.to_numpy()))
    assert shown(server, name)["format"] == "onnx_converted", server.log_end()
    far = np.abs(by_name(asked)["probabilities"] - fitted.predict_proba(features)).max(axis=1)
    assert (far < 1e-5).mean() > 0.99, "but for values within a rounding of a threshold"
    identity = asked["parameters"]["prediction_id"]
    arguments = ["--prediction", identity, "--json", "--token-file", str(server.token_file)]
    assert "onnx_converted" in server.cli("audit", "search", *arguments).stdout


def test_what_32_bits_cannot_tell_stays_in_python_and_missing_values_go_the_same_way(server, tmp_path):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def live(fitted):
        def log(mlflow, name):
            mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, serialization_format="cloudpickle")

        return endpoint(server, admitted(server, tmp_path, log))[0]

    def holed(rows):
        flat = [None if value != value else value for value in rows.reshape(-1).tolist()]
        return [{"name": "input", "shape": list(rows.shape), "datatype": "FP64", "data": flat}]

    random = np.random.default_rng(2)
    seconds = np.column_stack([1.7e9 + random.uniform(0, 3_600, 400), random.normal(size=400)])
    drift = make_pipeline(StandardScaler(), Ridge()).fit(seconds, (seconds[:, 0] - 1.7e9) / 600 + seconds[:, 1])
    name = live(drift)
    said = by_name(ask(server, name, matrix(seconds[:50])))["prediction"].reshape(-1)
    np.testing.assert_allclose(said, drift.predict(seconds[:50]), atol=1e-9)
    assert shown(server, name)["format"] == "python_sklearn", "32 bits hold epoch seconds only to two minutes"

    rows = random.normal(size=(400, 3))
    truth = (rows[:, 0] + rows[:, 2] > 0).astype(int)
    rows[random.random(400) < 0.4, 0] = np.nan
    truth[np.isnan(rows[:, 0])] = 1
    rows[random.random(400) < 0.3, 2] = np.nan
    forest = RandomForestClassifier(8, max_depth=4, random_state=0).fit(rows, truth)
    name = live(forest)
    said = by_name(ask(server, name, holed(rows)))
    assert shown(server, name)["format"] == "onnx_converted", server.log_end()
    assert said["label"].tolist() == forest.predict(rows).tolist()
    np.testing.assert_allclose(said["probabilities"], forest.predict_proba(rows), atol=1e-5)

    whole = np.nan_to_num(rows)
    line = LogisticRegression().fit(whole, truth)
    name = live(line)
    assert by_name(ask(server, name, matrix(whole)))["label"].tolist() == line.predict(whole).tolist()
    assert shown(server, name)["format"] == "onnx_converted", server.log_end()
    assert "missing" in ask(server, name, holed(rows), 400)["error"], "as scikit-learn itself refuses it"


def test_a_model_with_columns_of_text_answers_over_mlflows_protocol(server, tmp_path):
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "b", "a", "c"]})
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["kind"]), remainder="passthrough")
    fitted = make_pipeline(columns, Ridge()).fit(frame, [1.0, 2.5, 2.0, 5.0])

    def log(mlflow, name):
        mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name=name, serialization_format="cloudpickle", input_example=frame
        )

    name, _ = endpoint(server, admitted(server, tmp_path, log))
    body = {"dataframe_split": {"columns": ["kind", "size"], "data": [["a", 1.0], ["z", 9.5]]}}
    address = f"{server.url}/endpoints/{name}/invocations"
    answer = server.session().post(address, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    wanted = fitted.predict(pd.DataFrame(body["dataframe_split"]["data"], columns=["kind", "size"]))
    np.testing.assert_allclose(np.reshape(answer.json()["predictions"], -1), wanted)
    body["dataframe_split"]["columns"] = ["kind", "length"]
    answer = server.session().post(address, json=body, timeout=60)
    assert answer.status_code == 400 and "size" in answer.text, answer.text


TABLE = '''
import mlflow.pyfunc, pandas as pd

class Table(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"y": model_input["x"] * (params or {}).get("k", 1.0), "s": ["a"] * len(model_input)})

mlflow.models.set_model(Table())
'''


def test_a_table_comes_by_rows_and_params_are_not_lost_unsaid(server, tmp_path):
    import pandas as pd
    from mlflow.models import infer_signature

    source = tmp_path / "table.py"
    source.write_text(TABLE)

    def log(mlflow, name):
        signature = infer_signature(pd.DataFrame({"x": [0.5]}), params={"k": 2.0})
        mlflow.pyfunc.log_model(name="model", python_model=str(source), registered_model_name=name, signature=signature)

    name, _ = endpoint(server, admitted(server, tmp_path, log))
    address = f"{server.url}/endpoints/{name}/invocations"
    body = {"dataframe_records": [{"x": 1.5}, {"x": 2.0}], "params": {}}
    answer = server.session().post(address, json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    # As MLflow's own scoring server writes a table.
    assert [(row["s"], type(row["y"])) for row in answer.json()["predictions"]] == [("a", float)] * 2, answer.text
    answer = server.session().post(address, json={**body, "params": {"k": 5.0}}, timeout=60)
    assert answer.status_code == 400 and "`params` are not handed on" in answer.json()["message"], answer.text


TIMES = '''
import mlflow.pyfunc

class Times(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input["at"].dt.hour * model_input["x"]).to_numpy()

mlflow.models.set_model(Times())
'''


def test_times_reach_a_model_as_times(server, tmp_path):
    import pandas as pd
    from mlflow.models import infer_signature

    source = tmp_path / "times.py"
    source.write_text(TIMES)
    frame = pd.DataFrame({"at": pd.to_datetime(["2026-03-04T05:06:07"]), "x": [0.5]})

    def log(mlflow, name):
        mlflow.pyfunc.log_model(
            name="model", python_model=str(source), registered_model_name=name, signature=infer_signature(frame)
        )

    name, _ = endpoint(server, admitted(server, tmp_path, log))
    address = f"{server.url}/endpoints/{name}/invocations"
    rows = [{"at": "2026-03-04T05:06:07", "x": 2.0}, {"at": "2026-03-04 07:00", "x": 0.5}]
    answer = server.session().post(address, json={"dataframe_records": rows}, timeout=60)
    assert answer.status_code == 200 and answer.json()["predictions"] == [10.0, 3.5], answer.text
    rows[0]["at"] = "soon"
    answer = server.session().post(address, json={"dataframe_records": rows}, timeout=60)
    assert answer.status_code == 400 and "`at` is not datetime" in answer.text, answer.text


@pytest.fixture(scope="module")
def hostile(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    source = folder / "model.py"
    source.write_text(HOSTILE.replace("PORT", server.url.rsplit(":", 1)[1]))

    def log(mlflow, name):
        import pandas as pd

        example = pd.DataFrame({"x": [0.5]})
        mlflow.pyfunc.log_model(name="model", python_model=str(source), registered_model_name=name, input_example=example)

    name, _ = endpoint(server, admitted(server, folder, log))
    return name


def double(server, name, value, status=200):
    answer = ask(server, name, matrix(np.array([[float(value)]])), status)
    return answer["error"] if status != 200 else by_name(answer)["prediction"].reshape(-1).tolist()


def test_code_of_a_model_reaches_nothing(server, hostile):
    assert double(server, hostile, 10) == [20.0]
    assert double(server, hostile, 4) == [0.0], "it answers with the numbers of what it could reach"


@pytest.mark.any_database("workers have none")
def test_a_model_that_hangs_breaks_or_grows_is_replaced_and_nobody_else_pays(server, hostile):
    begun = time.monotonic()
    assert "took longer than 3 s" in double(server, hostile, 1, 503)
    assert time.monotonic() - begun < 3 * ANSWER_MS_MAX / 1_000
    assert double(server, hostile, 10) == [20.0], "the next caller is answered"
    assert "ended over this request" in double(server, hostile, 2, 503)
    assert double(server, hostile, 10) == [20.0]
    said = double(server, hostile, 3, 500)
    assert "failed over this request" in said and "Memory" not in said, said
    assert double(server, hostile, 10) == [20.0]
    said = double(server, hostile, 5, 500)
    assert "secret" not in said, "what a model says in its errors stays in the server's log"
    said = ask(server, hostile, matrix(np.array([[6.0], [7.0]])), 503)["error"]
    assert "ended over this request" in said, said
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bad = pool.submit(double, server, hostile, 2, 503)
        good = list(pool.map(lambda value: double(server, hostile, value), range(20, 27)))
        assert "ended" in bad.result()
    assert good == [[value * 2.0] for value in range(20, 27)]


@pytest.mark.any_database("workers have none")
def test_a_model_that_writes_too_much_in_many_files_is_replaced(server, hostile):
    assert double(server, hostile, 8) == [1.0], "no file is too long by itself"

    def is_fresh():
        with contextlib.suppress(AssertionError):
            return double(server, hostile, 9) == [0.0]

    harness.wait_until(is_fresh, 30, "the model is ended, and what it wrote is gone")
    assert double(server, hostile, 10) == [20.0]


def test_what_the_operator_does_not_allow_does_not_run(server, upstream, tmp_path):
    fitted, _ = text_pipeline()

    def log(mlflow, name):
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, serialization_format="cloudpickle")

    model = admitted(server, tmp_path, log)
    for runtime, why in (("upstream:nowhere/m", "upstreams.nowhere"), ("ruby", "a runtime is")):
        _, done = endpoint(server, model, runtime, check=False)
        assert done.returncode != 0 and why in done.stderr, done.stderr
    other = admitted(upstream, tmp_path, log)
    _, done = endpoint(upstream, other, check=False)
    assert done.returncode != 0 and "runs no Python models" in done.stderr, done.stderr


def test_another_server_computes_and_the_guard_stays_here(server, upstream, tmp_path):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, labels = load_iris(return_X_y=True)
    fitted = LogisticRegression(max_iter=500).fit(rows, labels)

    def log(mlflow, name):
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, serialization_format="skops")

    there, _ = endpoint(upstream, admitted(upstream, tmp_path, log), "native")
    model = admitted(server, tmp_path, log)
    name, _ = endpoint(server, model, f"upstream:other/{there}")
    answer = ask(server, name, matrix(rows))
    outputs = by_name(answer)
    assert outputs["label"].tolist() == fitted.predict(rows).tolist()
    np.testing.assert_allclose(outputs["probabilities"], fitted.predict_proba(rows), atol=1e-6)
    found = server.cli("audit", "search", "--prediction", answer["parameters"]["prediction_id"], "--json", "--token-file", str(server.token_file))
    assert "endpoints.predict" in found.stdout
    ask(server, name, matrix(rows[:, :3]), 400)
    upstream.cli("endpoint", "delete", there, "--token-file", str(upstream.token_file))
    ask(server, name, matrix(rows), 400)
    gone, done = endpoint(server, model, f"upstream:other/{there}")
    assert "does not answer yet" in done.stderr and "404" in done.stderr, done.stderr
    about = shown(server, gone)
    assert about["ready"] is False and "404" in about["obstacle"], about
