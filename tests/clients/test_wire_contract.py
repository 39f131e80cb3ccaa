"""The wire contract that stock clients depend on, seen over raw HTTP(S)."""

import json
import math
import uuid

import pytest

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:10]}"


def post(api, path, body, status=200):
    answer = api.post(api.url + API + path, json=body)
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:500]}"
    return answer.json()


def get(api, path, parameters=None, status=200):
    answer = api.get(api.url + API + path, params=parameters or {})
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:500]}"
    return answer.json()


def error(api, path, body, status, code):
    answer = post(api, path, body, status)
    assert answer["error_code"] == code, answer
    assert answer["message"], answer
    return answer["message"]


@pytest.fixture(scope="module")
def experiment(api):
    return post(api, "/experiments/create", {"name": unique("wire")})["experiment_id"]


@pytest.fixture
def run(api, experiment):
    return post(api, "/runs/create", {"experiment_id": experiment, "start_time": 1_700_000_000_000})["run"]["info"]["run_id"]


# 1. JSON


def test_names_are_snake_case_and_int64_are_numbers(api, run):
    info = get(api, "/runs/get", {"run_id": run})["run"]["info"]
    assert info["start_time"] == 1_700_000_000_000
    assert isinstance(info["start_time"], int)
    assert info["lifecycle_stage"] == "active"
    assert info["status"] == "RUNNING"
    assert isinstance(info["experiment_id"], str)
    assert info["run_id"] == info.get("run_uuid", info["run_id"])


def test_nan_and_infinity_travel_as_text_both_ways(api, run):
    for number, text in enumerate(["NaN", "Infinity", "-Infinity"]):
        post(api, "/runs/log-metric", {"run_id": run, "key": f"m{number}", "value": text, "timestamp": 1, "step": 0})
    raw = api.get(api.url + API + "/runs/get", params={"run_id": run}).text
    strict = json.loads(raw, parse_constant=lambda word: pytest.fail(f"`{word}` is not JSON"))
    values = {metric["key"]: metric["value"] for metric in strict["run"]["data"]["metrics"]}
    assert values["m0"] == "NaN"
    for key, sign in (("m1", 1), ("m2", -1)):
        value = float(values[key])
        assert math.copysign(1, value) == sign and (math.isinf(value) or abs(value) > 1e308)


def test_numbers_may_come_as_text(api, run):
    body = {"run_id": run, "key": "text", "value": "1.5", "timestamp": "17", "step": "3"}
    post(api, "/runs/log-metric", body)
    point = get(api, "/metrics/get-history", {"run_id": run, "metric_key": "text", "max_results": 10})["metrics"][0]
    assert (point["value"], point["timestamp"], point["step"]) == (1.5, 17, 3)


def test_unknown_fields_are_ignored(api, experiment):
    post(api, "/runs/search", {"experiment_ids": [experiment], "a_field_of_next_year": {"deep": [1]}})


def test_an_empty_search_answers_an_empty_object(api):
    experiment = post(api, "/experiments/create", {"name": unique("empty")})["experiment_id"]
    assert post(api, "/runs/search", {"experiment_ids": [experiment]}) == {}
    assert get(api, "/registered-models/search", {"filter": f"name = '{unique('none')}'"}) == {}


def test_answers_are_json_with_a_json_type(api, experiment):
    answer = api.get(api.url + API + "/experiments/get", params={"experiment_id": experiment})
    assert answer.headers["content-type"].startswith("application/json")


def test_both_prefixes_and_both_versions_answer_alike(api, experiment):
    first = api.get(f"{api.url}/api/2.0/mlflow/experiments/get", params={"experiment_id": experiment}).json()
    second = api.get(f"{api.url}/ajax-api/2.0/mlflow/experiments/get", params={"experiment_id": experiment}).json()
    assert first == second


# 2. errors


def test_error_codes_and_their_statuses(api, experiment):
    name = unique("twice")
    post(api, "/experiments/create", {"name": name})
    error(api, "/experiments/create", {"name": name}, 400, "RESOURCE_ALREADY_EXISTS")
    error(api, "/experiments/create", {}, 400, "INVALID_PARAMETER_VALUE")
    error(api, "/runs/search", {"experiment_ids": [experiment], "filter": "nonsense ! "}, 400, "INVALID_PARAMETER_VALUE")
    missing = get(api, "/experiments/get-by-name", {"experiment_name": unique("missing")}, 404)
    assert missing["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    missing = get(api, "/runs/get", {"run_id": uuid.uuid4().hex}, 404)
    assert missing["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_a_body_that_is_not_json_is_a_clear_400(api):
    answer = api.post(api.url + API + "/experiments/create", data="{not json", headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error_code"] in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


@pytest.mark.strongroom_only
def test_an_unknown_endpoint_is_an_mlflow_error(api):
    answer = api.get(api.url + API + "/no/such/thing")
    assert answer.status_code == 404
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"


@pytest.mark.strongroom_only
def test_without_credentials_the_text_is_mlflows(server):
    answer = server.session(token=None).post(server.url + API + "/experiments/search", json={"max_results": 1})
    assert answer.status_code == 401
    assert "You are not authenticated." in answer.text
    assert answer.headers.get("www-authenticate")


# 4. parameters


def test_delete_reads_a_json_body(api):
    name = unique("model")
    post(api, "/registered-models/create", {"name": name})
    answer = api.delete(api.url + API + "/registered-models/delete", json={"name": name})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {}


def test_repeated_query_parameters_are_a_list(api):
    mark = unique("list")
    for number in range(3):
        post(api, "/registered-models/create", {"name": f"{mark}-{number}"})
    answer = get(
        api,
        "/registered-models/search",
        [("filter", f"name LIKE '{mark}%'"), ("order_by", "name DESC"), ("order_by", "last_updated_timestamp ASC")],
    )
    assert [model["name"] for model in answer["registered_models"]] == [f"{mark}-{number}" for number in (2, 1, 0)]


def test_get_latest_versions_takes_get_and_post(api):
    name = unique("latest")
    post(api, "/registered-models/create", {"name": name})
    assert post(api, "/registered-models/get-latest-versions", {"name": name}) == {}
    assert get(api, "/registered-models/get-latest-versions", {"name": name}) == {}


# 5. limits


@pytest.mark.parametrize(
    ("field", "count"), [("metrics", 1_001), ("params", 101), ("tags", 101)]
)
def test_batches_over_their_limit_are_refused(api, run, field, count):
    entry = {
        "metrics": lambda number: {"key": "k", "value": number, "timestamp": number, "step": number},
        "params": lambda number: {"key": f"k{number}", "value": "v"},
        "tags": lambda number: {"key": f"k{number}", "value": "v"},
    }[field]
    message = error(
        api, "/runs/log-batch", {"run_id": run, field: [entry(number) for number in range(count)]}, 400, "INVALID_PARAMETER_VALUE"
    )
    assert field.rstrip("s") in message.lower() or field in message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/runs/log-parameter", {"key": "k" * 251, "value": "v"}),
        ("/runs/set-tag", {"key": "k" * 251, "value": "v"}),
        ("/runs/log-metric", {"key": "k" * 251, "value": 1, "timestamp": 1, "step": 0}),
    ],
)
def test_keys_over_their_limit_are_refused(api, run, path, body):
    message = error(api, path, {"run_id": run, **body}, 400, "INVALID_PARAMETER_VALUE")
    assert "exceed" in message.lower() or "length" in message.lower()


@pytest.mark.parametrize(
    ("path", "kind", "limit"), [("/runs/log-parameter", "params", 6_000), ("/runs/set-tag", "tags", 8_000)]
)
def test_values_over_their_limit_are_cut_or_refused(api, run, path, kind, limit):
    answer = api.post(api.url + API + path, json={"run_id": run, "key": "long", "value": "v" * (limit + 1)})
    if answer.status_code == 400:
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        return
    assert answer.status_code == 200
    entries = get(api, "/runs/get", {"run_id": run})["run"]["data"][kind]
    assert [len(entry["value"]) for entry in entries if entry["key"] == "long"] == [limit]


@pytest.mark.parametrize("key", ["..", "a/../b", "./a", "/a", "a//b", ""])
def test_keys_that_are_paths_are_refused(api, run, key):
    body = {"run_id": run, "key": key, "value": 1, "timestamp": 1, "step": 0}
    error(api, "/runs/log-metric", body, 400, "INVALID_PARAMETER_VALUE")


def test_too_many_results_are_refused(api, experiment):
    error(api, "/runs/search", {"experiment_ids": [experiment], "max_results": 50_001}, 400, "INVALID_PARAMETER_VALUE")


def test_a_bad_page_token_is_refused(api, experiment):
    body = {"experiment_ids": [experiment], "page_token": "not a token"}
    error(api, "/runs/search", body, 400, "INVALID_PARAMETER_VALUE")


# 6. the search grammar

SEARCHES = [
    ("metrics.score > 0.5", {"c"}),
    ("metrics.score >= 0.5", {"b", "c"}),
    ("metrics.score < 0.5", {"a"}),
    ("metrics.score <= 0.5 and metrics.score > 0.1", {"b"}),
    ("metrics.score = 0.5", {"b"}),
    ("metrics.score != 0.5", {"a", "c"}),
    ("metrics.`odd name` = 1", {"a"}),
    ('metrics."odd name" = 1', {"a"}),
    ("params.kind = 'tree'", {"a", "b"}),
    ('params.kind = "tree"', {"a", "b"}),
    ("params.kind != 'tree'", {"c"}),
    ("params.kind LIKE 't%'", {"a", "b"}),
    ("params.kind ILIKE 'T%'", {"a", "b"}),
    ("params.kind LIKE 'T%'", set()),
    ("tags.team = 'blue' AND params.kind = 'tree'", {"a"}),
    ("tag.team = 'blue'", {"a", "c"}),
    ("attributes.run_name = 'a'", {"a"}),
    ("attr.run_name LIKE '%'", {"a", "b", "c"}),
    ("run.run_name = 'b'", {"b"}),
    ("attributes.status = 'RUNNING'", {"a", "b", "c"}),
    ("attributes.status != 'RUNNING'", set()),
    ("attributes.start_time > 1700000000000", {"b", "c"}),
    ("start_time <= 1700000000000", {"a"}),
    ("attributes.end_time > 0", set()),
    ("params.missing = 'x'", set()),
]


@pytest.fixture(scope="module")
def searched(api):
    experiment = post(api, "/experiments/create", {"name": unique("search")})["experiment_id"]
    rows = [("a", 0.1, "tree", "blue"), ("b", 0.5, "tree", "red"), ("c", 0.9, "linear", "blue")]
    for number, (name, score, kind, team) in enumerate(rows):
        body = {"experiment_id": experiment, "run_name": name, "start_time": 1_700_000_000_000 + number}
        run = post(api, "/runs/create", body)["run"]["info"]["run_id"]
        metrics = [{"key": "score", "value": score, "timestamp": 1, "step": 0}]
        if name == "a":
            metrics.append({"key": "odd name", "value": 1, "timestamp": 1, "step": 0})
        batch = {
            "run_id": run,
            "metrics": metrics,
            "params": [{"key": "kind", "value": kind}],
            "tags": [{"key": "team", "value": team}],
        }
        post(api, "/runs/log-batch", batch)
    return experiment


def test_run_ids_may_be_a_list(api, searched):
    ids = [run["info"]["run_id"] for run in post(api, "/runs/search", {"experiment_ids": [searched]})["runs"]]
    for operator, wanted in (("IN", ids[:2]), ("NOT IN", ids[2:])):
        text = f"attributes.run_id {operator} ('{ids[0]}', '{ids[1]}')"
        found = post(api, "/runs/search", {"experiment_ids": [searched], "filter": text})
        assert [run["info"]["run_id"] for run in found["runs"]] == wanted


@pytest.mark.parametrize(("filter_text", "names"), SEARCHES)
def test_run_filters(api, searched, filter_text, names):
    found = post(api, "/runs/search", {"experiment_ids": [searched], "filter": filter_text})
    assert {run["info"]["run_name"] for run in found.get("runs", [])} == names


@pytest.mark.parametrize(
    "filter_text",
    [
        "metrics.score > 'a'",
        "params.kind = tree",
        "params.kind > 'tree'",
        "metrics.score LIKE '1'",
        "metrics.score = 0.5 OR metrics.score = 0.1",
        "(metrics.score = 0.5)",
        "unknown.key = 'x'",
        "attributes.nothing = 'x'",
        "metrics.score = ",
        "= 3",
        "metrics.score == 0.5",
        "params.kind = 'tree",
        "params.kind = 'tree'; DROP TABLE run",
        "attributes.run_name IN ('a', 3)",
    ],
)
def test_bad_run_filters_are_a_400(api, searched, filter_text):
    error(api, "/runs/search", {"experiment_ids": [searched], "filter": filter_text}, 400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["metrics.score DESC"], ["c", "b", "a"]),
        (["metrics.score ASC"], ["a", "b", "c"]),
        (["params.kind ASC", "metrics.score DESC"], ["c", "b", "a"]),
        (["attributes.start_time ASC"], ["a", "b", "c"]),
        (["metrics.`odd name` ASC"], ["a", "c", "b"]),
        ([], ["c", "b", "a"]),
    ],
)
def test_run_order(api, searched, order, names):
    found = post(api, "/runs/search", {"experiment_ids": [searched], "order_by": order})
    assert [run["info"]["run_name"] for run in found["runs"]] == names


def test_a_bad_order_is_a_400(api, searched):
    error(api, "/runs/search", {"experiment_ids": [searched], "order_by": ["metrics.score SIDEWAYS"]}, 400, "INVALID_PARAMETER_VALUE")


# 7. the registry


def test_versions_count_up_and_a_deleted_number_does_not_come_back(api, run):
    name = unique("numbers")
    post(api, "/registered-models/create", {"name": name})
    artifact = get(api, "/runs/get", {"run_id": run})["run"]["info"]["artifact_uri"]
    body = {"name": name, "source": f"{artifact}/model", "run_id": run}
    versions = [post(api, "/model-versions/create", body)["model_version"] for _ in range(2)]
    assert [str(version["version"]) for version in versions] == ["1", "2"]
    assert versions[0]["status"] == "READY"
    answer = api.delete(api.url + API + "/model-versions/delete", json={"name": name, "version": "1"})
    assert answer.status_code == 200
    gone = get(api, "/model-versions/get", {"name": name, "version": "1"}, 404)
    assert gone["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert str(post(api, "/model-versions/create", body)["model_version"]["version"]) == "3"


def test_prompts_are_hidden_from_searches(api):
    name = unique("prompt")
    post(api, "/registered-models/create", {"name": name, "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]})
    assert get(api, "/registered-models/search", {"filter": f"name = '{name}'"}) == {}
    asked = {"filter": f"name = '{name}' AND tags.`mlflow.prompt.is_prompt` = 'true'"}
    assert len(get(api, "/registered-models/search", asked)["registered_models"]) == 1


# 8. artifacts


def test_artifact_uris_go_through_the_server(api, run, experiment):
    info = get(api, "/runs/get", {"run_id": run})["run"]["info"]
    assert info["artifact_uri"] == f"mlflow-artifacts:/{experiment}/{run}/artifacts"


def test_artifact_bytes_round_trip_with_ranges(api, run, experiment):
    body = bytes(range(256)) * 1_024
    base = f"{api.url}{FILES}/{experiment}/{run}/artifacts"
    assert api.put(f"{base}/deep/file.bin", data=body).status_code == 200
    whole = api.get(f"{base}/deep/file.bin")
    assert whole.content == body
    listed = api.get(f"{api.url}{FILES}", params={"path": f"{experiment}/{run}/artifacts/deep"}).json()
    assert [(file["path"], file["is_dir"], int(file["file_size"])) for file in listed["files"]] == [("file.bin", False, len(body))]
    by_run = get(api, "/artifacts/list", {"run_id": run, "path": "deep"})
    assert [file["path"] for file in by_run["files"]] == ["deep/file.bin"]
    assert by_run["root_uri"].startswith("mlflow-artifacts:/")
    assert api.get(f"{base}/missing").status_code == 404
    assert api.delete(f"{base}/deep/file.bin").status_code == 200
    assert api.get(f"{base}/deep/file.bin").status_code == 404


@pytest.mark.strongroom_only
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=65535-65536", 65_535, 65_536), ("bytes=200000-", 200_000, 262_143), ("bytes=-10", 262_134, 262_143)],
)
def test_ranges_of_an_artifact(api, run, experiment, asked, first, last):
    body = bytes(range(256)) * 1_024
    url = f"{api.url}{FILES}/{experiment}/{run}/artifacts/range.bin"
    assert api.put(url, data=body).status_code == 200
    part = api.get(url, headers={"range": asked})
    assert part.status_code == 206
    assert part.content == body[first : last + 1]
    assert part.headers["content-range"] == f"bytes {first}-{last}/{len(body)}"
    beyond = api.get(url, headers={"range": "bytes=999999-"})
    assert beyond.status_code == 416


@pytest.mark.strongroom_only
def test_artifacts_are_never_shown_as_pages(api, run, experiment):
    url = f"{api.url}{FILES}/{experiment}/{run}/artifacts/page.html"
    assert api.put(url, data=b"<script>alert(1)</script>").status_code == 200
    answer = api.get(url)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    # Where the address does not end with the file's name, a browser is told it.
    by_page = api.get(f"{api.url}/get-artifact", params={"run_uuid": run, "path": "page.html"})
    assert by_page.headers["content-disposition"] == 'attachment; filename="page.html"', by_page.text


# 9–11. what clients ask before they log in


def test_server_info_health_and_version_answer_everyone(server):
    stranger = server.session(token=None)
    info = stranger.get(f"{server.url}/api/3.0/mlflow/server-info")
    assert info.status_code == 200 and isinstance(info.json(), dict)
    health = stranger.get(f"{server.url}/health")
    assert (health.status_code, health.text) == (200, "OK")
    version = stranger.get(f"{server.url}/version")
    assert version.status_code == 200 and version.text.count(".") >= 2


@pytest.mark.strongroom_only
def test_an_unknown_workspace_is_not_found(api):
    body = {"max_results": 1}
    answer = api.post(api.url + API + "/experiments/search", json=body, headers={"X-MLFLOW-WORKSPACE": "nowhere"})
    assert answer.status_code == 404, answer.text


@pytest.mark.strongroom_only
def test_what_is_not_supported_says_so(api):
    answer = api.get(f"{api.url}/api/3.0/mlflow/gateway/endpoints/list")
    assert answer.status_code in (404, 501)
    assert answer.json()["error_code"] in ("NOT_IMPLEMENTED", "ENDPOINT_NOT_FOUND")
