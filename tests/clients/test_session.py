"""A data scientist's whole working session with the newest MLflow client: every call that such a person makes."""

import json
import math
import time
import uuid

import matplotlib
import numpy
import pandas
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

matplotlib.use("Agg")

FEATURES, LABELS = load_breast_cancer(return_X_y=True, as_frame=True)
TRAIN_X, TEST_X, TRAIN_Y, TEST_Y = train_test_split(FEATURES, LABELS, random_state=7)


def fitted():
    return LogisticRegression(max_iter=200).fit(TRAIN_X / TRAIN_X.max(), TRAIN_Y)


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def client(mlflow_here):
    return mlflow_here.MlflowClient()


@pytest.fixture
def experiment(mlflow_here):
    return mlflow_here.set_experiment(unique("session"))


@pytest.fixture(scope="module")
def logged(server):
    """One run with a logged, registered model, which several tests read."""
    import os

    import mlflow

    before = dict(os.environ)
    os.environ.update(server.mlflow_environment())
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    try:
        experiment = mlflow.set_experiment(unique("logged"))
        name = unique("model")
        with mlflow.start_run() as run:
            info = mlflow.sklearn.log_model(
                fitted(),
                name="model",
                input_example=TRAIN_X.head(2),
                registered_model_name=name,
                pip_requirements=["scikit-learn"],
            )
        yield {"run": run, "info": info, "name": name, "experiment": experiment}
    finally:
        os.environ.clear()
        os.environ.update(before)


# --- experiments -----------------------------------------------------------------------------------------------------


def test_set_experiment_makes_and_finds_it(mlflow_here, client):
    name = unique("experiment")
    made = mlflow_here.set_experiment(name)
    again = mlflow_here.set_experiment(name)
    assert made.experiment_id == again.experiment_id
    assert client.get_experiment_by_name(name).lifecycle_stage == "active"
    assert client.get_experiment_by_name(unique("missing")) is None
    location = client.get_experiment(made.experiment_id).artifact_location
    assert location == f"mlflow-artifacts:/{made.experiment_id}"


def test_experiment_tags_rename_delete_restore(client):
    name = unique("experiment")
    identity = client.create_experiment(name, tags={"team": "blue"})
    client.set_experiment_tag(identity, "stage", "trial")
    assert client.get_experiment(identity).tags["stage"] == "trial"
    client.delete_experiment_tag(identity, "stage")
    assert "stage" not in client.get_experiment(identity).tags
    client.rename_experiment(identity, name + "-new")
    assert client.get_experiment(identity).name == name + "-new"
    client.delete_experiment(identity)
    assert client.get_experiment(identity).lifecycle_stage == "deleted"
    client.restore_experiment(identity)
    assert client.get_experiment(identity).lifecycle_stage == "active"


def test_search_experiments_filters_orders_and_pages(client):
    mark = unique("find")
    made = [client.create_experiment(f"{mark}-{number}", tags={"mark": mark}) for number in range(5)]
    found = client.search_experiments(filter_string=f"name LIKE '{mark}%'", order_by=["name ASC"], max_results=2)
    names = [one.name for one in found]
    while found.token:
        found = client.search_experiments(
            filter_string=f"name LIKE '{mark}%'", order_by=["name ASC"], max_results=2, page_token=found.token
        )
        names += [one.name for one in found]
    assert names == [f"{mark}-{number}" for number in range(5)]
    tagged = client.search_experiments(filter_string=f"tags.mark = '{mark}'")
    assert {one.experiment_id for one in tagged} == set(made)


# --- runs ------------------------------------------------------------------------------------------------------------


def test_run_with_parameters_metrics_and_tags(mlflow_here, client, experiment):
    with mlflow_here.start_run(run_name="first", tags={"kind": "trial"}, description="what it is") as run:
        mlflow_here.log_param("rate", 0.1)
        mlflow_here.log_params({"depth": 3, "empty": ""})
        mlflow_here.log_metric("loss", 1.5, step=1)
        mlflow_here.log_metric("loss", 0.5, step=2)
        mlflow_here.log_metrics({"accuracy": 0.9, "recall": 0.8}, step=2)
        mlflow_here.set_tag("phase", "one")
        mlflow_here.set_tags({"a": "1", "b": "2"})
    read = client.get_run(run.info.run_id)
    assert read.info.status == "FINISHED"
    assert read.info.run_name == "first"
    assert read.info.end_time >= read.info.start_time
    assert read.data.params == {"rate": "0.1", "depth": "3", "empty": ""}
    assert read.data.metrics == {"loss": 0.5, "accuracy": 0.9, "recall": 0.8}
    assert read.data.tags["phase"] == "one"
    assert read.data.tags["mlflow.note.content"] == "what it is"
    assert read.info.artifact_uri == f"mlflow-artifacts:/{experiment.experiment_id}/{run.info.run_id}/artifacts"
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.value, point.step) for point in history] == [(1.5, 1), (0.5, 2)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -0.0, 5e-324])
def test_metric_values_at_the_edge_come_back(mlflow_here, client, experiment, value):
    with mlflow_here.start_run() as run:
        mlflow_here.log_metric("edge", value)
    read = client.get_run(run.info.run_id).data.metrics["edge"]
    history = client.get_metric_history(run.info.run_id, "edge")
    if math.isnan(value):
        assert math.isnan(read) and math.isnan(history[0].value)
    else:
        # The client itself turns infinities into the largest float when it reads a run.
        assert read == value or (math.isinf(value) and abs(read) >= 1.7976931348623157e308)
        assert len(history) == 1


def test_many_metrics_in_batches_keep_their_order(mlflow_here, client, experiment):
    from mlflow.entities import Metric, Param, RunTag

    with mlflow_here.start_run() as run:
        points = [Metric("curve", float(step) / 3, 1_700_000_000_000 + step, step) for step in range(2_500)]
        for start in range(0, len(points), 1_000):
            client.log_batch(run.info.run_id, metrics=points[start : start + 1_000])
        client.log_batch(
            run.info.run_id,
            params=[Param(f"p{number}", str(number)) for number in range(100)],
            tags=[RunTag(f"t{number}", str(number)) for number in range(100)],
        )
    history = client.get_metric_history(run.info.run_id, "curve")
    assert [point.step for point in history] == list(range(2_500))
    assert [point.value for point in history] == [float(step) / 3 for step in range(2_500)]
    assert len(client.get_run(run.info.run_id).data.params) == 100


def test_a_parameter_is_set_once(mlflow_here, experiment):
    with mlflow_here.start_run():
        mlflow_here.log_param("seed", 1)
        mlflow_here.log_param("seed", 1)
        with pytest.raises(mlflow_here.MlflowException, match="Changing param values is not allowed"):
            mlflow_here.log_param("seed", 2)


def test_failed_and_nested_runs(mlflow_here, client, experiment):
    with pytest.raises(ZeroDivisionError):
        with mlflow_here.start_run() as broken:
            1 / 0  # noqa: B018
    assert client.get_run(broken.info.run_id).info.status == "FAILED"
    with mlflow_here.start_run() as parent:
        with mlflow_here.start_run(nested=True) as child:
            pass
    assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    with mlflow_here.start_run(run_id=parent.info.run_id):
        mlflow_here.log_metric("later", 1)
    assert client.get_run(parent.info.run_id).data.metrics == {"later": 1.0}


def test_run_tags_update_delete_restore(mlflow_here, client, experiment):
    run = client.create_run(experiment.experiment_id, run_name="plain")
    client.set_tag(run.info.run_id, "one", "1")
    client.delete_tag(run.info.run_id, "one")
    assert "one" not in client.get_run(run.info.run_id).data.tags
    client.update_run(run.info.run_id, status="KILLED", name="renamed")
    read = client.get_run(run.info.run_id)
    assert (read.info.status, read.info.run_name) == ("KILLED", "renamed")
    client.set_terminated(run.info.run_id)
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    with pytest.raises(mlflow_here.MlflowException):
        client.log_metric(run.info.run_id, "late", 1)
    client.restore_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_search_runs_filters_orders_and_pages(mlflow_here, client, experiment):
    for number in range(12):
        with mlflow_here.start_run(run_name=f"run-{number}", tags={"parity": "even" if number % 2 == 0 else "odd"}):
            mlflow_here.log_param("number", number)
            mlflow_here.log_metric("score", number / 10)
    table = mlflow_here.search_runs(
        experiment_ids=[experiment.experiment_id], filter_string="metrics.score > 0.45", order_by=["metrics.score DESC"]
    )
    assert list(table["metrics.score"]) == [1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    even = client.search_runs([experiment.experiment_id], "tags.parity = 'even' and params.number != '4'")
    assert {run.data.params["number"] for run in even} == {"0", "2", "6", "8", "10"}
    like = client.search_runs([experiment.experiment_id], "attributes.run_name LIKE 'run-1%'")
    assert {run.info.run_name for run in like} == {"run-1", "run-10", "run-11"}
    token, seen = None, []
    while True:
        page = client.search_runs(
            [experiment.experiment_id], order_by=["params.number ASC"], max_results=5, page_token=token
        )
        seen += [run.data.params["number"] for run in page]
        token = page.token
        if not token:
            break
    assert seen == sorted(str(number) for number in range(12))


def test_search_runs_sees_deleted_ones_when_asked(mlflow_here, client, experiment):
    from mlflow.entities import ViewType

    run = client.create_run(experiment.experiment_id)
    client.delete_run(run.info.run_id)
    ids = [experiment.experiment_id]
    assert client.search_runs(ids) == []
    assert [one.info.run_id for one in client.search_runs(ids, run_view_type=ViewType.DELETED_ONLY)] == [run.info.run_id]
    assert len(client.search_runs(ids, run_view_type=ViewType.ALL)) == 1


def test_a_bad_filter_says_what_is_wrong(mlflow_here, client, experiment):
    with pytest.raises(mlflow_here.MlflowException) as caught:
        client.search_runs([experiment.experiment_id], "this is no filter")
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


# --- artifacts -------------------------------------------------------------------------------------------------------


def test_every_kind_of_artifact(mlflow_here, client, experiment, tmp_path):
    import matplotlib.pyplot as plot

    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.bin").write_bytes(bytes(range(256)) * 1000)
    single = tmp_path / "naïve name.txt"
    single.write_text("späce")
    figure, axes = plot.subplots()
    axes.plot([1, 2])
    with mlflow_here.start_run() as run:
        mlflow_here.log_text("hello", "notes/hello.txt")
        mlflow_here.log_dict({"k": [1, 2]}, "config.json")
        mlflow_here.log_artifact(str(single))
        mlflow_here.log_artifacts(str(folder), artifact_path="folder")
        mlflow_here.log_figure(figure, "plots/figure.png")
        mlflow_here.log_image(numpy.zeros((8, 8, 3), dtype=numpy.uint8), "plots/image.png")
        mlflow_here.log_table({"question": ["q"], "answer": ["a"]}, "table.json")
        mlflow_here.log_table({"question": ["r"], "answer": ["b"]}, "table.json")
    identity = run.info.run_id
    top = {entry.path: entry for entry in client.list_artifacts(identity)}
    assert set(top) == {"notes", "config.json", "naïve name.txt", "folder", "plots", "table.json"}
    assert top["folder"].is_dir and not top["config.json"].is_dir
    assert {entry.path for entry in client.list_artifacts(identity, "folder")} == {"folder/a.txt", "folder/deep"}
    deep = client.list_artifacts(identity, "folder/deep")
    assert [(entry.path, entry.file_size) for entry in deep] == [("folder/deep/b.bin", 256_000)]
    copied = tmp_path / "copied"
    copied.mkdir()
    client.download_artifacts(identity, "folder", str(copied))
    assert (copied / "folder" / "deep" / "b.bin").read_bytes() == bytes(range(256)) * 1000
    assert mlflow_here.artifacts.load_text(f"runs:/{identity}/notes/hello.txt") == "hello"
    assert mlflow_here.artifacts.load_dict(f"runs:/{identity}/config.json") == {"k": [1, 2]}
    assert mlflow_here.artifacts.load_image(f"runs:/{identity}/plots/image.png").size == (8, 8)
    assert len(mlflow_here.load_table("table.json", run_ids=[identity])) == 2
    whole = mlflow_here.artifacts.download_artifacts(run_id=identity, artifact_path="", dst_path=str(tmp_path / "all"))
    assert (tmp_path / "all" / "naïve name.txt").read_text() == "späce", whole


def test_an_artifact_is_overwritten_and_deleted(mlflow_here, client, experiment):
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    with mlflow_here.start_run() as run:
        mlflow_here.log_text("old", "file.txt")
        mlflow_here.log_text("new", "file.txt")
        mlflow_here.log_text("other", "keep/file.txt")
    uri = f"runs:/{run.info.run_id}/file.txt"
    assert mlflow_here.artifacts.load_text(uri) == "new"
    get_artifact_repository(run.info.artifact_uri).delete_artifacts("file.txt")
    assert {entry.path for entry in client.list_artifacts(run.info.run_id)} == {"keep"}


def test_empty_and_large_artifacts(mlflow_here, client, experiment, tmp_path):
    import hashlib
    import os as system

    (tmp_path / "empty").write_bytes(b"")
    large = system.urandom(1 << 20) * 24
    (tmp_path / "large.bin").write_bytes(large)
    with mlflow_here.start_run() as run:
        mlflow_here.log_artifact(str(tmp_path / "empty"))
        mlflow_here.log_artifact(str(tmp_path / "large.bin"))
    got = client.download_artifacts(run.info.run_id, "large.bin", str(tmp_path / "." ))
    with open(got, "rb") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(large).digest()
    sizes = {entry.path: entry.file_size for entry in client.list_artifacts(run.info.run_id)}
    assert sizes["large.bin"] == len(large)
    assert sizes["empty"] in (0, None)


# --- inputs, autolog, models -----------------------------------------------------------------------------------------


def test_datasets_are_inputs_of_a_run(mlflow_here, client, experiment):
    dataset = mlflow_here.data.from_pandas(TRAIN_X.head(20), source="breast-cancer.csv", name="breast cancer")
    with mlflow_here.start_run() as run:
        mlflow_here.log_input(dataset, context="training", tags={"split": "a"})
    inputs = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert len(inputs) == 1
    assert inputs[0].dataset.name == "breast cancer"
    assert inputs[0].dataset.digest == dataset.digest
    assert {tag.key: tag.value for tag in inputs[0].tags} == {"mlflow.data.context": "training", "split": "a"}
    found = client.search_runs([experiment.experiment_id], f"datasets.digest = '{dataset.digest}'")
    assert [one.info.run_id for one in found] == [run.info.run_id]


def test_autolog_of_a_fit(mlflow_here, client, experiment):
    mlflow_here.sklearn.autolog(log_datasets=True, silent=True)
    try:
        with mlflow_here.start_run() as run:
            LogisticRegression(max_iter=50, C=0.3).fit(TRAIN_X / TRAIN_X.max(), TRAIN_Y)
    finally:
        mlflow_here.sklearn.autolog(disable=True)
    read = client.get_run(run.info.run_id)
    assert read.data.params["C"] == "0.3"
    assert "training_accuracy_score" in read.data.metrics
    assert read.inputs.dataset_inputs
    assert read.outputs.model_outputs
    model = client.get_logged_model(read.outputs.model_outputs[0].model_id)
    assert str(model.status) == "READY"
    assert model.source_run_id == run.info.run_id


def test_logged_model_is_searched_tagged_and_loaded(mlflow_here, client, logged):
    identity = logged["info"].model_id
    model = client.get_logged_model(identity)
    assert model.name == "model"
    assert str(model.status) == "READY"
    client.set_logged_model_tags(identity, {"checked": "yes", "other": "1"})
    client.delete_logged_model_tag(identity, "other")
    assert client.get_logged_model(identity).tags["checked"] == "yes"
    assert "other" not in client.get_logged_model(identity).tags
    found = mlflow_here.search_logged_models(
        experiment_ids=[logged["experiment"].experiment_id], filter_string="tags.checked = 'yes'", output_format="list"
    )
    assert [one.model_id for one in found] == [identity]


@pytest.mark.parametrize("spelling", ["alias", "version", "run", "logged", "latest"])
def test_load_model_every_way_and_predict(mlflow_here, client, logged, spelling):
    client.set_registered_model_alias(logged["name"], "champion", "1")
    uri = {
        "alias": f"models:/{logged['name']}@champion",
        "version": f"models:/{logged['name']}/1",
        "run": f"runs:/{logged['run'].info.run_id}/model",
        "logged": f"models:/{logged['info'].model_id}",
        "latest": f"models:/{logged['name']}/latest",
    }[spelling]
    scaled = TEST_X / TRAIN_X.max()
    expected = fitted().predict(scaled)
    flavour = mlflow_here.sklearn.load_model(uri)
    assert (flavour.predict(scaled) == expected).all()
    generic = mlflow_here.pyfunc.load_model(uri)
    assert (generic.predict(scaled) == expected).all()


def test_evaluate_writes_metrics(mlflow_here, client, logged):
    mlflow_here.set_experiment(experiment_id=logged["experiment"].experiment_id)
    data = (TEST_X / TRAIN_X.max()).assign(label=TEST_Y)
    with mlflow_here.start_run() as run:
        result = mlflow_here.models.evaluate(
            f"models:/{logged['name']}/1",
            data,
            targets="label",
            model_type="classifier",
            evaluators="default",
            evaluator_config={"log_model_explainability": False},
        )
    assert result.metrics["accuracy_score"] > 0.9
    assert client.get_run(run.info.run_id).data.metrics["accuracy_score"] == pytest.approx(result.metrics["accuracy_score"])


# --- the registry ----------------------------------------------------------------------------------------------------


def test_register_model_from_a_logged_model_and_from_a_run(mlflow_here, client, logged):
    name = unique("registered")
    first = mlflow_here.register_model(f"models:/{logged['info'].model_id}", name)
    second = mlflow_here.register_model(f"runs:/{logged['run'].info.run_id}/model", name)
    assert (int(first.version), int(second.version)) == (1, 2)
    read = client.get_model_version(name, "2")
    assert read.status == "READY"
    assert read.run_id == logged["run"].info.run_id
    assert client.get_model_version_download_uri(name, "1")


def test_registered_models_end_to_end(mlflow_here, client, logged):
    name = unique("registry")
    client.create_registered_model(name, tags={"team": "blue"}, description="a model")
    with pytest.raises(mlflow_here.MlflowException) as caught:
        client.create_registered_model(name)
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.set_registered_model_tag(name, "tier", "gold")
    client.delete_registered_model_tag(name, "team")
    client.update_registered_model(name, description="better words")
    read = client.get_registered_model(name)
    assert (read.description, read.tags) == ("better words", {"tier": "gold"})
    source = f"runs:/{logged['run'].info.run_id}/model"
    for number in range(3):
        client.create_model_version(name, logged["info"].model_uri, run_id=logged["run"].info.run_id, description=str(number))
    assert source
    client.update_model_version(name, "2", description="the second")
    client.set_model_version_tag(name, "2", "audited", "yes")
    client.set_model_version_tag(name, "2", "gone", "soon")
    client.delete_model_version_tag(name, "2", "gone")
    version = client.get_model_version(name, "2")
    assert (version.description, version.tags) == ("the second", {"audited": "yes"})
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "challenger", "3")
    assert client.get_model_version_by_alias(name, "champion").version == version.version
    assert client.get_registered_model(name).aliases == {"champion": "2", "challenger": "3"}
    client.delete_registered_model_alias(name, "challenger")
    client.transition_model_version_stage(name, "1", "Staging")
    client.transition_model_version_stage(name, "2", "Production")
    client.transition_model_version_stage(name, "3", "Production", archive_existing_versions=True)
    assert client.get_model_version(name, "2").current_stage == "Archived"
    latest = client.get_latest_versions(name, stages=["Production", "Staging"])
    assert {(one.version, one.current_stage) for one in latest} == {("1", "Staging"), ("3", "Production")} or {
        (int(one.version), one.current_stage) for one in latest
    } == {(1, "Staging"), (3, "Production")}
    versions = client.search_model_versions(f"name = '{name}'")
    assert [int(one.version) for one in versions] == [3, 2, 1]
    tagged = client.search_model_versions(f"name = '{name}' and tags.audited = 'yes'")
    assert [int(one.version) for one in tagged] == [2]
    by_run = client.search_model_versions(f"run_id = '{logged['run'].info.run_id}' and name = '{name}'")
    assert len(by_run) == 3
    client.delete_model_version(name, "3")
    with pytest.raises(mlflow_here.MlflowException):
        client.get_model_version(name, "3")
    client.rename_registered_model(name, name + "-renamed")
    assert client.get_model_version(name + "-renamed", "1").name == name + "-renamed"
    found = client.search_registered_models(f"name LIKE '{name}%'")
    assert [one.name for one in found] == [name + "-renamed"]
    client.delete_registered_model(name + "-renamed")
    assert list(client.search_registered_models(f"name LIKE '{name}%'")) == []


def test_search_registered_models_pages(client):
    mark = unique("page")
    for number in range(7):
        client.create_registered_model(f"{mark}-{number}")
    names, token = [], None
    while True:
        page = client.search_registered_models(f"name LIKE '{mark}%'", max_results=3, order_by=["name ASC"], page_token=token)
        names += [one.name for one in page]
        token = page.token
        if not token:
            break
    assert names == [f"{mark}-{number}" for number in range(7)]


def test_copy_a_model_version(mlflow_here, client, logged):
    copied = client.copy_model_version(f"models:/{logged['name']}/1", unique("copy"))
    assert int(copied.version) == 1
    assert mlflow_here.pyfunc.load_model(f"models:/{copied.name}/1") is not None


# --- what the client asks beside ---------------------------------------------------------------------------------------


def test_times_are_close_to_now(client, experiment):
    run = client.create_run(experiment.experiment_id)
    assert abs(run.info.start_time / 1000 - time.time()) < 60
    assert abs(client.get_experiment(experiment.experiment_id).creation_time / 1000 - time.time()) < 120


def test_async_logging_arrives(mlflow_here, client, experiment):
    with mlflow_here.start_run() as run:
        for step in range(30):
            mlflow_here.log_metric("async", step, step=step, synchronous=False)
        mlflow_here.flush_async_logging()
    assert len(client.get_metric_history(run.info.run_id, "async")) == 30


def test_unicode_and_quotes_survive(mlflow_here, client, experiment):
    texts = {"emoji": "🚀", "quotes": "it's \"so\"", "sql": "'; DROP TABLE run; --", "newline": "a\nb", "rtl": "שלום"}
    with mlflow_here.start_run() as run:
        mlflow_here.log_params(texts)
        mlflow_here.set_tags({f"tag.{key}": value for key, value in texts.items()})
    read = client.get_run(run.info.run_id)
    assert read.data.params == texts
    for key, value in texts.items():
        assert read.data.tags[f"tag.{key}"] == value
    found = client.search_runs([experiment.experiment_id], "params.emoji = '🚀'")
    assert len(found) == 1


def test_dataframe_of_runs(mlflow_here, experiment):
    with mlflow_here.start_run():
        mlflow_here.log_metric("m", 1)
    table = mlflow_here.search_runs([experiment.experiment_id])
    assert isinstance(table, pandas.DataFrame)
    assert len(json.loads(table.to_json(orient="records", date_format="iso"))) == 1
