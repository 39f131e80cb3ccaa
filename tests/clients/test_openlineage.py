"""OpenLineage's own client posts its events, Marquez's routes give them back, and walks lead from what they name to models."""

import datetime
import hashlib
import json
import uuid
import xml.etree.ElementTree

import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
from openlineage.client.event_v2 import DatasetEvent, StaticDataset
from openlineage.client.facet_v2 import dataset_version_dataset, ownership_job, parent_run, source_code_location_job
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

import harness
import people

pytestmark = pytest.mark.strongroom_only
PRODUCER = "https://strongroom.example/tests"


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def fresh(word: str) -> str:
    return f"{word}-{uuid.uuid4().hex[:8]}"


def client_of(server, token: str) -> OpenLineageClient:
    auth = ApiKeyTokenProvider({"apiKey": token})
    return OpenLineageClient(transport=HttpTransport(HttpConfig(url=server.url, verify=server.ca, auth=auth)))


@pytest.fixture(scope="module")
def crew(server):
    return {role: people.person(server, role) for role in ("trainer", "viewer", "contributor")}


def as_json(event) -> dict:
    from openlineage.client.serde import Serde

    return json.loads(Serde.to_json(event))


def run_event(state, job: Job, run_id: str, inputs=(), outputs=(), facets=None) -> RunEvent:
    run = Run(runId=run_id, facets=facets or {})
    return RunEvent(
        eventType=state, eventTime=now(), run=run, job=job, producer=PRODUCER, inputs=list(inputs), outputs=list(outputs)
    )


def walk(session, server, subject: str, direction: str, status=200, **more):
    answer = session.get(
        f"{server.url}{people.ADMIN}/lineage", params={"subject": subject, "direction": direction, **more}, timeout=60
    )
    assert answer.status_code == status, f"{subject}: {answer.status_code} {answer.text[:500]}"
    return answer


def labels(walked: dict, kind: str) -> set:
    return {node["label"] or node["name"] for node in walked["nodes"] if node["kind"] == kind}


@pytest.fixture(scope="module")
def registered(server):
    """A registered model with a version, made by MLflow's own routes."""
    admin, name = server.session(), fresh("ol-model")
    api = f"{server.url}/api/2.0/mlflow"
    experiment = admin.post(f"{api}/experiments/create", json={"name": fresh("ol")}).json()["experiment_id"]
    run = admin.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]
    body = b"weights of " + name.encode()
    files = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts"
    assert admin.put(f"{files}/model/model.txt", data=body).status_code == 200
    assert admin.post(f"{api}/registered-models/create", json={"name": name}).status_code == 200
    source = {"name": name, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
    assert admin.post(f"{api}/model-versions/create", json=source).status_code == 200
    return {"name": name, "run_id": run["run_id"], "sha256": hashlib.sha256(body).hexdigest()}


def test_the_client_posts_and_both_routes_give_it_back(server, crew):
    job = Job(namespace="airflow://prod:8080", name=fresh("prepare"))
    raw, clean = fresh("raw"), fresh("clean")
    run_id = str(uuid.uuid4())
    client = client_of(server, crew["trainer"].token)
    source, target = InputDataset(namespace="s3://lake", name=raw), OutputDataset(namespace="s3://lake", name=clean)
    client.emit(run_event(RunState.START, job, run_id, [source]))
    client.emit(run_event(RunState.COMPLETE, job, run_id, [source], [target]))

    viewer = crew["viewer"].session()
    events = viewer.get(f"{server.url}/api/v1/events/lineage", params={"limit": 100}).json()
    mine = [event for event in events["events"] if event.get("job", {}).get("name") == job.name]
    assert [event["eventType"] for event in mine] == ["COMPLETE", "START"], harness.pretty(events)
    assert events["totalCount"] >= 2 and mine[0]["run"]["runId"] == run_id
    assert "tags" in mine[0]["run"]["facets"] or mine[0]["producer"] == PRODUCER

    node = f"job:{job.namespace}:{job.name}"
    graph = viewer.get(f"{server.url}/api/v1/lineage", params={"nodeId": node, "depth": 2}).json()["graph"]
    by_id = {one["id"]: one for one in graph}
    read, written = f"dataset:s3://lake:{raw}", f"dataset:s3://lake:{clean}"
    assert set(by_id) == {node, read, written}, harness.pretty(graph)
    assert by_id[node]["type"] == "JOB" and by_id[read]["type"] == "DATASET"
    assert by_id[node]["inEdges"] == [{"origin": read, "destination": node}]
    assert by_id[node]["outEdges"] == [{"origin": node, "destination": written}]
    data = by_id[node]["data"]
    assert data["inputs"] == [{"namespace": "s3://lake", "name": raw}] and data["latestRun"]["state"] == "COMPLETED"
    assert data["latestRun"]["id"] == run_id and data["latestRun"]["durationMs"] >= 0
    # The same graph from its dataset.
    again = viewer.get(f"{server.url}/api/v1/lineage", params={"nodeId": read}).json()["graph"]
    assert {one["id"] for one in again} == set(by_id)


def test_a_batch_says_what_it_took(server, crew):
    session = crew["trainer"].session()
    job = Job(namespace="n", name=fresh("batch"))
    good = [as_json(run_event(RunState.COMPLETE, job, str(uuid.uuid4()))) for _ in range(3)]
    answer = session.post(f"{server.url}/api/v1/lineage/batch", json=good)
    assert answer.status_code == 200 and answer.json()["summary"]["successful"] == 3, answer.text
    answer = session.post(f"{server.url}/api/v1/lineage/batch", json=[*good, {"eventTime": now()}])
    assert answer.json()["status"] == "partial_success" and answer.json()["summary"] == {
        "received": 4, "successful": 3, "failed": 1, "retriable": 0, "non_retriable": 1,
    }  # fmt: skip
    assert answer.json()["failed_events"][0]["index"] == 3 and not answer.json()["failed_events"][0]["retriable"]
    # What was sent twice is kept once.
    events = session.get(f"{server.url}/api/v1/events/lineage", params={"limit": 1000}).json()["events"]
    assert len([event for event in events if event.get("job", {}).get("name") == job.name]) == 3
    for bad in ([{}], {"a": 1}, "x"):
        assert session.post(f"{server.url}/api/v1/lineage/batch", json=bad).status_code == 400, bad
    assert session.post(f"{server.url}/api/v1/lineage/batch", json=[{}] * 1_001).status_code == 413


def test_datasets_and_jobs_by_themselves(server, crew):
    client = client_of(server, crew["trainer"].token)
    name = fresh("static")
    data = StaticDataset(namespace="pg://h:5432", name=name)
    client.emit(DatasetEvent(eventTime=now(), producer=PRODUCER, dataset=data))
    job = Job(namespace="n", name=name)
    client.emit(JobEvent(eventTime=now(), producer=PRODUCER, job=job, inputs=[InputDataset(namespace="pg://h:5432", name=name)]))
    found = walk(crew["viewer"].session(), server, f"dataset:pg://h:5432:{name}", "down").json()
    assert found["counts"] == {"job": 1}, harness.pretty(found)


def test_strangers_and_viewers_post_nothing(server, crew):
    event = as_json(run_event(RunState.START, Job(namespace="n", name="j"), str(uuid.uuid4())))
    stranger = server.session(token=None)
    for method, path, arguments in [
        ("POST", "/api/v1/lineage", {"json": event}), ("POST", "/api/v1/lineage/batch", {"json": [event]}),
        ("GET", "/api/v1/lineage", {"params": {"nodeId": "job:n:j"}}), ("GET", "/api/v1/events/lineage", {}),
    ]:  # fmt: skip
        assert stranger.request(method, server.url + path, **arguments).status_code == 401, path
    for path, body in (("/api/v1/lineage", event), ("/api/v1/lineage/batch", [event])):
        answer = crew["viewer"].session().post(server.url + path, json=body)
        assert answer.status_code == 403 and "trainer" in answer.json()["message"], answer.text
    with pytest.raises(Exception, match="403"):
        client_of(server, crew["viewer"].token).emit(run_event(RunState.START, Job(namespace="n", name="j"), str(uuid.uuid4())))
    nobody = people.person(server).session()
    assert nobody.get(f"{server.url}/api/v1/events/lineage").status_code in (403, 404)
    assert nobody.post(f"{server.url}/api/v1/lineage", json=event).status_code in (403, 404)


def nested(levels: int):
    value = 0
    for _ in range(levels):
        value = {"a": value}
    return value


def test_hostile_events_are_refused_clearly(server, crew):
    session = crew["trainer"].session()
    good = as_json(run_event(RunState.START, Job(namespace="n", name="j"), str(uuid.uuid4())))
    cases = [
        ({**good, "eventTime": "yesterday"}, 400, "eventTime"),
        ({**good, "eventTime": None}, 400, "eventTime"),
        ({**good, "run": {"runId": "1"}}, 400, "UUID"),
        ({**good, "run": []}, 400, "run"),
        ({**good, "job": {"namespace": "n", "name": "a\x00b"}}, 400, "control"),
        ({**good, "job": {"namespace": "n", "name": "x" * 5_000}}, 400, "bytes"),
        ({**good, "inputs": "all"}, 400, "inputs"),
        ({**good, "inputs": [{"namespace": "n", "name": str(i)} for i in range(1_001)]}, 413, "1000"),
        ({**good, "extra": nested(60)}, 400, "deep"),
        ({**good, "extra": "x" * (2 * 1024 * 1024)}, 413, "bytes"),
        ({"eventTime": now(), "producer": "p", "schemaURL": "s"}, 400, "dataset"),
    ]
    for event, status, said in cases:
        answer = session.post(f"{server.url}/api/v1/lineage", json=event)
        assert answer.status_code == status and said in answer.json()["message"], (said, answer.status_code, answer.text[:300])
    deep = "[" * 200_000
    kind = {"Content-Type": "application/json"}
    assert session.post(f"{server.url}/api/v1/lineage", data=deep, headers=kind).status_code == 400
    assert session.post(f"{server.url}/api/v1/lineage", data=b"\xff\xfe", headers=kind).status_code == 400
    assert session.post(f"{server.url}/api/v1/lineage", data=json.dumps(good)).status_code == 400, "it must say that it is JSON"


def test_a_cycle_ends(server, crew):
    session, names = crew["trainer"].session(), [fresh("ring") for _ in range(3)]
    for source, target in zip(names, names[1:] + names[:1]):
        job = Job(namespace="n", name=f"{source}-job")
        event = run_event(
            RunState.COMPLETE, job, str(uuid.uuid4()), [InputDataset(namespace="n", name=source)],
            [OutputDataset(namespace="n", name=target)],
        )  # fmt: skip
        assert session.post(f"{server.url}/api/v1/lineage", json=as_json(event)).status_code == 201
    for direction in ("up", "down"):
        found = walk(session, server, f"dataset:n:{names[0]}", direction).json()
        assert labels(found, "dataset") == {f"n:{name}" for name in names[1:]} and not found["truncated"]
        walk(session, server, f"dataset:n:{names[0]}", direction, format="svg")
    graph = session.get(f"{server.url}/api/v1/lineage", params={"nodeId": f"dataset:n:{names[0]}"}).json()["graph"]
    assert len(graph) == 6


def test_walks_lead_from_anything_to_the_model(server, crew, registered):
    """A commit, a person, a file, a dataset's version: each leads down to the registered model, and the model up to each."""
    trainer = crew["trainer"]
    commit, leaked = uuid.uuid4().hex + "00000000", hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    owner = fresh("team:owner")
    git = source_code_location_job.SourceCodeLocationJobFacet(type="git", url="https://git.example/train", version=commit)
    owned = ownership_job.OwnershipJobFacet(owners=[ownership_job.Owner(name=owner)])
    parent_id = str(uuid.uuid4())
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=parent_id), job=parent_run.Job(namespace="airflow", name=fresh("dag"))
    )
    job = Job(namespace="airflow", name=fresh("train"), facets={"sourceCodeLocation": git, "ownership": owned})
    version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=f"sha256:{leaked}")
    source = InputDataset(namespace="s3://lake", name=fresh("customers"), facets={"version": version})
    target = OutputDataset(namespace="mlops", name=f"models:/{registered['name']}/1")
    run_id = str(uuid.uuid4())
    client_of(server, trainer.token).emit(run_event(RunState.COMPLETE, job, run_id, [source], [target], {"parent": parent}))

    viewer = crew["viewer"].session()
    subjects = [
        f"commit:{commit}", f"commit:{commit[:10]}", f"file:{leaked}", f"person:{trainer.name}", f"person:{owner}", f"run:{run_id}",
        f"run:{parent_id}", f"job:airflow:{job.name}", f"dataset:s3://lake:{source.name}",
    ]  # fmt: skip
    for subject in subjects:
        found = walk(viewer, server, subject, "down").json()
        models = [node for node in found["nodes"] if node["kind"] == "model_version"]
        assert [model["label"] for model in models] == [f"{registered['name']} version 1"], (subject, harness.pretty(found))
        assert models[0]["trust"] == "claimed", "nobody saw it"
        text = walk(viewer, server, subject, "down", format="text").text
        assert f"{registered['name']} version 1 [claimed]" in text, text
    # What the server saw itself: the file of the model, and the run that it came out of.
    for subject in (f"file:{registered['sha256']}", f"run:{registered['run_id']}", "person:admin"):
        found = walk(viewer, server, subject, "down").json()
        assert {node["trust"] for node in found["nodes"] if node["label"] == f"{registered['name']} version 1"} == {"observed"}
    up = walk(viewer, server, f"{registered['name']}/1", "up").json()
    assert {"run", "job", "code", "dataset", "person", "owner"} <= set(up["counts"]), harness.pretty(up["counts"])
    trusts = {node["kind"]: node["trust"] for node in up["nodes"] if node["kind"] in ("code", "owner")}
    assert set(trusts.values()) == {"claimed"}
    shallow = walk(viewer, server, f"{registered['name']}/1", "up", depth=1).json()
    assert {node["depth"] for node in shallow["nodes"]} == {1}
    # The model's own lineage knows of it too.
    shown = people.call(server.session(), server, "GET", f"/lineage/{registered['name']}/1")
    assert "git commit" in shown["text"] and "[claimed]" in shown["text"]
    # Marquez shows models as datasets.
    graph = viewer.get(f"{server.url}/api/v1/lineage", params={"nodeId": f"dataset:mlops:models:/{registered['name']}/1"}).json()
    assert f"job:airflow:{job.name}" in {node["id"] for node in graph["graph"]}


def test_a_picture_is_whole_and_safe(server, crew):
    job = Job(namespace="n", name=f"<script>alert('{fresh('x')}')</script>")
    event = run_event(RunState.COMPLETE, job, str(uuid.uuid4()), [InputDataset(namespace="n", name="a&b")])
    assert crew["trainer"].session().post(f"{server.url}/api/v1/lineage", json=as_json(event)).status_code == 201
    answer = walk(crew["viewer"].session(), server, f"job:n:{job.name}", "down", format="svg")
    assert answer.headers["Content-Type"] == "image/svg+xml" and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    root = xml.etree.ElementTree.fromstring(answer.text)
    tags = {element.tag.rsplit("}", 1)[-1] for element in root.iter()}
    assert tags <= {"svg", "title", "rect", "text", "path", "g"}, tags


def test_the_command_line_walks(server, registered):
    token = ("--token-file", str(server.token_file))
    text = server.cli("lineage", "up", f"{registered['name']}/1", *token).stdout
    assert "stems from" in text and "came out of run" in text, text
    found = json.loads(server.cli("lineage", "down", f"run:{registered['run_id']}", "--format", "json", *token).stdout)
    assert f"{registered['name']} version 1" in labels(found, "model_version")
    svg = server.cli("lineage", "down", f"run:{registered['run_id']}", "--format", "svg", *token).stdout
    xml.etree.ElementTree.fromstring(svg)
    missing = server.cli("lineage", "down", "commit:0000000", *token, check=False)
    assert missing.returncode != 0 and "commit" in missing.stderr


def test_subjects_and_parameters_are_checked(server, crew):
    viewer = crew["viewer"].session()
    for subject, status in (("what:x", 400), ("file:12", 400), ("commit:abc", 400), ("run:none", 404), ("job:n:none", 404)):
        walk(viewer, server, subject, "down", status=status)
    walk(viewer, server, "run:none", "sideways", status=400)
    walk(viewer, server, "run:none", "down", status=400, format="pdf")
    for query in ({"nodeId": "run:x"}, {}, {"nodeId": "job:n:x", "depth": "-1"}):
        assert viewer.get(f"{server.url}/api/v1/lineage", params=query).status_code == 400, query
    for query in ({"limit": "x"}, {"limit": "100000"}, {"after": "x"}, {"sortDirection": "up"}):
        assert viewer.get(f"{server.url}/api/v1/events/lineage", params=query).status_code == 400, query


def test_events_by_time(server, crew):
    session, name = crew["trainer"].session(), fresh("times")
    for hour in range(4):
        event = as_json(run_event(RunState.START, Job(namespace="n", name=name), str(uuid.uuid4())))
        event["eventTime"] = f"1999-01-01T0{hour}:00:00Z"
        assert session.post(f"{server.url}/api/v1/lineage", json=event).status_code == 201
    between = {"after": "1999-01-01T01:00:00Z", "before": "1999-01-01T03:00:00.000Z"}
    answer = session.get(f"{server.url}/api/v1/events/lineage", params={**between, "sortDirection": "asc"}).json()
    assert [event["eventTime"][11:13] for event in answer["events"]] == ["01", "02"] and answer["totalCount"] == 2
    page = session.get(f"{server.url}/api/v1/events/lineage", params={**between, "limit": 1, "offset": 1}).json()
    assert [event["eventTime"][11:13] for event in page["events"]] == ["01"] and page["totalCount"] == 2
