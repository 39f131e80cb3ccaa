"""The 18 classes of weaknesses that MLflow servers have had, each with a test that tries it."""

import concurrent.futures
import gzip
import http.server
import json
import os
import pathlib
import socket
import stat
import threading
import time
import urllib.parse
import uuid

import pytest
import requests

import people

pytestmark = pytest.mark.strongroom_only
API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


def unique(word):
    return f"{word}-{uuid.uuid4().hex[:10]}"


def raw(server, session, method, path, **arguments):
    """A request whose path is sent exactly as written: no client tidies it up."""
    request = requests.Request(method, server.url + "/", **arguments)
    prepared = session.prepare_request(request)
    prepared.url = server.url + path
    return session.send(prepared, verify=session.verify, allow_redirects=False, timeout=30)


@pytest.fixture(scope="module")
def world(server, api):
    experiment = api.post(f"{api.url}{API}/experiments/create", json={"name": unique("cve")}).json()["experiment_id"]
    run = api.post(f"{api.url}{API}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    base = f"{FILES}/{experiment}/{run}/artifacts"
    assert api.put(f"{api.url}{base}/secret.txt", data=b"the secret").status_code == 200
    return {"experiment": experiment, "run": run, "base": base}


@pytest.fixture(scope="module")
def routes(server):
    return json.loads(server.cli("routes", "--json", "--token-file", str(server.token_file)).stdout)


class Listener:
    """A web server on the loopback that counts who comes."""

    def __enter__(self):
        hits = self.hits = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                hits.append(self.path)
                self.send_response(200)
                self.end_headers()

            do_POST = do_PUT = do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.web = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.web.server_address[1]
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.web.shutdown()


# 1


def test_class_01_no_authentication_by_default(server):
    stranger = server.session(token=None)
    for path in ("/api/2.0/mlflow/experiments/get?experiment_id=0", "/api/2.0/mlflow/registered-models/search",
                 "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0", "/get-artifact?path=x&run_id=y", "/metrics",
                 "/graphql", "/api/strongroom/v1/users", f"{FILES}?path=0"):  # fmt: skip
        assert stranger.get(server.url + path, allow_redirects=False).status_code in (401, 302, 303), path


# 2


def test_class_02_new_route_not_covered_by_auth(server, routes):
    """Every route of the table, and those that MLflow forgot once, refuse a stranger and a caller without grants."""
    forgotten = [
        ("POST", "/v1/traces"), ("GET", "/ajax-api/3.0/jobs"), ("POST", "/ajax-api/3.0/jobs/"), ("POST", "/graphql"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/x"), ("POST", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("GET", "/ajax-api/2.0/mlflow/logged-models/x/artifacts/files"), ("GET", "/ajax-api/3.0/mlflow/gateway/secrets/list"),
        ("GET", "/model-versions/get-artifact"), ("GET", "/get-artifact"), ("GET", "/api/2.0/mlflow-artifacts/presigned/x"),
    ]  # fmt: skip
    stranger = server.session(token=None)
    for method, path in forgotten:
        for _ in range(30):
            status = stranger.request(method, server.url + path, json={}, allow_redirects=False).status_code
            if status != 429:
                break
            time.sleep(1)
        assert status in (401, 302, 303), f"{method} {path}: {status}"
    assert {route["action"] for route in routes} - {"server.unrouted"}


# 3


def test_class_03_lists_and_searches_do_not_leak(server, api, world):
    mark = unique("leak")
    api.post(f"{api.url}{API}/experiments/create", json={"name": f"{mark}-experiment"})
    api.post(f"{api.url}{API}/registered-models/create", json={"name": f"{mark}-model"})
    nobody = people.person(server).session()
    asks = [
        ("POST", "/experiments/search", {"filter": f"name LIKE '{mark}%'", "max_results": 100}),
        ("POST", "/runs/search", {"experiment_ids": [world["experiment"]]}),
        ("POST", "/logged-models/search", {"experiment_ids": [world["experiment"]]}),
        ("GET", "/registered-models/search", {"filter": f"name LIKE '{mark}%'"}),
        ("GET", "/model-versions/search", {"max_results": 100}),
        ("GET", "/experiments/get-by-name", {"experiment_name": f"{mark}-experiment"}),
        ("GET", "/registered-models/get", {"name": f"{mark}-model"}),
        ("GET", "/runs/get", {"run_id": world["run"]}),
        ("GET", "/artifacts/list", {"run_id": world["run"]}),
        ("GET", "/metrics/get-history", {"run_id": world["run"], "metric_key": "k"}),
    ]
    for method, path, body in asks:
        where = {"params": body} if method == "GET" else {"json": body}
        answer = nobody.request(method, f"{server.url}{API}{path}", **where)
        assert mark not in answer.text and world["run"] not in answer.text.replace(body.get("run_id", "-"), ""), path
        if answer.status_code == 200:
            assert answer.json() == {}, f"{path}: {answer.text}"
        else:
            assert answer.status_code in (403, 404), f"{path}: {answer.status_code}"
        # What exists and may not be known is answered like what does not exist.
    there = nobody.get(f"{server.url}{API}/runs/get", params={"run_id": world["run"]})
    missing = nobody.get(f"{server.url}{API}/runs/get", params={"run_id": uuid.uuid4().hex})
    assert there.status_code == missing.status_code == 404
    assert there.json()["error_code"] == missing.json()["error_code"]


# 4 and 5

SPELLINGS = [
    "../secret", "..%2fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "..%252fsecret", "%252e%252e%252fsecret",
    "a/../../secret", "a/%2e%2e/%2e%2e/secret", "..\\secret", "..%5csecret", "%2e%2e%5csecret", "/etc/passwd",
    "%2fetc%2fpasswd", "//etc/passwd", "..;/secret", "a%00b", "%c0%ae%c0%ae/secret", "....//secret", "./secret",
    "a//b", "file:///etc/passwd", "%e0%80%ae%e0%80%ae/secret",
]  # fmt: skip
# These are harmless names, not ways out: whoever asks for them finds nothing.
JUST_NAMES = {"..;/secret", "....//secret"}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_class_04_path_traversal_read(server, api, world, spelling):
    base = world["base"]
    tries = [
        ("GET", f"{base}/{spelling}", None),
        ("GET", f"{FILES}/{spelling}", None),
        ("GET", f"{FILES}?path={spelling}", None),
        ("GET", f"{FILES}?path={world['experiment']}/{world['run']}/artifacts/{spelling}", None),
        ("GET", f"{API}/artifacts/list?run_id={world['run']}&path={spelling}", None),
        ("GET", f"/get-artifact?run_id={world['run']}&path={spelling}", None),
        ("GET", f"/ajax-api/2.0/mlflow/get-artifact?run_id={world['run']}&path={spelling}", None),
        ("GET", f"/model-versions/get-artifact?name=m&version=1&path={spelling}", None),
    ]
    for method, path, _ in tries:
        answer = raw(server, api, method, path)
        assert b"root:" not in answer.content and b"the secret" not in answer.content, path
        assert answer.status_code < 500, f"{path}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code == 200:
            # An empty list is an answer too; a file is not.
            assert not answer.json().get("files"), path


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_class_05_path_traversal_write_and_delete(server, api, world, spelling):
    canary = pathlib.Path(server.data).parent / "secret"
    canary.write_text("canary")
    before = sorted(str(path.relative_to(server.data.parent)) for path in server.data.parent.iterdir())
    for method in ("PUT", "DELETE"):
        for path in (f"{world['base']}/{spelling}", f"{FILES}/{spelling}", f"{FILES}/{world['experiment']}/{spelling}"):
            answer = raw(server, api, method, path, data=b"owned" if method == "PUT" else None)
            if answer.status_code == 200:
                assert spelling in JUST_NAMES or ".." not in urllib.parse.unquote(urllib.parse.unquote(spelling)).split("/"), path
            assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
    assert canary.read_text() == "canary"
    assert sorted(str(path.relative_to(server.data.parent)) for path in server.data.parent.iterdir()) == before
    assert api.get(f"{api.url}{world['base']}/secret.txt").content == b"the secret"


def test_class_05_no_name_of_a_client_becomes_a_name_on_disk(server, api, world):
    word = unique("findme")
    assert api.put(f"{api.url}{world['base']}/{word}/{word}.bin", data=b"plain words that a disk must not hold").status_code == 200
    for path in server.data.rglob("*"):
        assert word not in path.name
        if path.is_file() and {"objects", "db"} & set(path.parts):
            assert b"plain words that a disk must not hold" not in path.read_bytes()


# 6

HOSTILE_SOURCES = [
    "file:///etc", "/etc", "/etc/passwd", "../../etc", "./x", "file:/etc", "FILE:///etc", "file://localhost/etc",
    "mlflow-artifacts:/../../etc", "mlflow-artifacts:/0/../../etc", "mlflow-artifacts://evil.example/0/x",
    "runs:/../../etc", "models:/../x", "http://127.0.0.1:{port}/x", "https://127.0.0.1:{port}/x", "ftp://127.0.0.1:{port}/x",
    "sftp://127.0.0.1:{port}/x", "hdfs://127.0.0.1:{port}/x", "\\\\127.0.0.1\\share", "dbfs:/../x%00", "s3://bucket/../../x",
    "mlflow-artifacts:/%2e%2e/%2e%2e/etc", "http://169.254.169.254/latest/meta-data",
]  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE_SOURCES)
def test_class_06_hostile_storage_locations(server, api, world, source):
    with Listener() as listener:
        source = source.replace("{port}", str(listener.port))
        name = unique("hostile")
        api.post(f"{api.url}{API}/registered-models/create", json={"name": name})
        made = api.post(f"{api.url}{API}/model-versions/create", json={"name": name, "source": source, "run_id": world["run"]})
        assert made.status_code < 500 or "not a valid remote uri" in made.text, made.text
        if made.status_code == 200:
            assert not source.lower().startswith(("file", "/", "http", "ftp", "runs:/..", "models:/..", "\\")), source
        for path in (f"/model-versions/get-artifact?name={name}&version=1&path=passwd",
                     f"{API}/model-versions/get-download-uri?name={name}&version=1"):  # fmt: skip
            answer = api.get(server.url + path)
            assert b"root:" not in answer.content
        experiment = api.post(f"{api.url}{API}/experiments/create", json={"name": unique("loc"), "artifact_location": source})
        if experiment.status_code == 200:
            run = api.post(f"{api.url}{API}/runs/create", json={"experiment_id": experiment.json()["experiment_id"]})
            if run.status_code == 200:
                identity = run.json()["run"]["info"]["run_id"]
                for path in (f"{API}/artifacts/list?run_id={identity}", f"/get-artifact?run_id={identity}&path=passwd"):
                    answer = api.get(server.url + path)
                    assert b"root:" not in answer.content and answer.status_code < 500, path
        time.sleep(0.05)
        assert listener.hits == []


# 7


def test_class_07_server_side_request_forgery(server, api, world):
    with Listener() as listener:
        port = listener.port
        spellings = [
            f"http://127.0.0.1:{port}/", f"http://localhost:{port}/", f"http://[::1]:{port}/", f"http://2130706433:{port}/",
            f"http://0x7f000001:{port}/", f"http://0177.0.0.1:{port}/", f"http://127.1:{port}/", f"http://0:{port}/",
            f"http://[::ffff:127.0.0.1]:{port}/", f"http://localhost.:{port}/", f"http://a@127.0.0.1:{port}/",
        ]  # fmt: skip
        for url in spellings:
            bodies = [
                ("POST", "/webhooks", {"name": unique("h"), "url": url, "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]}),
                ("POST", "/gateway-proxy", {"gateway_path": url}),
                ("POST", "/model-versions/create", {"name": "x", "source": url}),
                ("POST", "/runs/log-inputs", {"run_id": world["run"], "datasets": [
                    {"dataset": {"name": "d", "digest": "x", "source_type": "http", "source": json.dumps({"url": url})}}]}),
            ]  # fmt: skip
            for method, path, body in bodies:
                for prefix in ("/api/2.0/mlflow", "/ajax-api/2.0/mlflow"):
                    assert api.request(method, f"{server.url}{prefix}{path}", json=body).status_code != 500, path
            api.get(f"{server.url}{API}/gateway-proxy", params={"gateway_path": url})
        time.sleep(0.3)
        assert listener.hits == []


# 8


@pytest.mark.parametrize("host", ["evil.example", "10.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:443", "[::2]"])
def test_class_08_dns_rebinding(server, api, host):
    answer = api.get(f"{server.url}{API}/experiments/get?experiment_id=0", headers={"Host": host})
    assert answer.status_code in (403, 421), answer.text
    assert "allowed_hosts" in answer.text, "the error must say which setting to change"


# 9


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:9999", "https://127.0.0.1:1", "null"])
def test_class_09_cross_site_requests(server, api, world, origin):
    body = json.dumps({"run_id": world["run"], "key": "csrf", "value": "1"})
    for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded"):
        headers = {"Origin": origin, "Content-Type": kind}
        answer = api.post(f"{server.url}{API}/runs/set-tag", data=body, headers=headers)
        assert answer.status_code == 403, answer.text
        assert "access-control-allow-origin" not in answer.headers
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert api.post(f"{server.url}{API}/runs/set-tag", data=body, headers=headers).status_code == 403
    tags = api.get(f"{server.url}{API}/runs/get", params={"run_id": world["run"]}).json()["run"]["data"].get("tags", [])
    assert "csrf" not in {tag["key"] for tag in tags}
    preflight = api.options(f"{server.url}{API}/runs/set-tag", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in preflight.headers


# 10


@pytest.mark.parametrize("name", ["page.html", "image.svg", "page.xhtml", "MLmodel", "doc.pdf", "x.js"])
def test_class_10_script_in_artifacts(server, api, world, name):
    page = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"
    assert api.put(f"{api.url}{world['base']}/{name}", data=page).status_code == 200
    for path in (f"{world['base']}/{name}", f"/get-artifact?run_id={world['run']}&path={name}",
                 f"/ajax-api/2.0/mlflow/get-artifact?run_id={world['run']}&path={name}"):  # fmt: skip
        answer = api.get(server.url + path)
        if answer.status_code != 200:
            continue
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["content-disposition"].startswith("attachment"), path
        policy = answer.headers.get("content-security-policy", "")
        assert "sandbox" in policy or "default-src 'none'" in policy, path


# 11


def test_class_11_unsafe_deserialization(server, api, world, tmp_path):
    """A pickle that leaves a trace when it is loaded: the server never loads it, whatever is asked of it."""
    trace = tmp_path / "executed"
    pickle = f"cposix\nsystem\n(S'touch {trace}'\ntR.".encode()
    mlmodel = b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n!!python/object/apply:os.system ['id']\n"
    for name, content in (("model/model.pkl", pickle), ("model/MLmodel", mlmodel), ("model/python_model.pkl", pickle)):
        assert api.put(f"{api.url}{world['base']}/{name}", data=content).status_code in (200, 400, 403)
    name = unique("pickle")
    api.post(f"{api.url}{API}/registered-models/create", json={"name": name})
    api.post(f"{api.url}{API}/model-versions/create", json={"name": name, "source": f"runs:/{world['run']}/model", "run_id": world["run"]})
    api.get(f"{api.url}{API}/artifacts/list", params={"run_id": world["run"], "path": "model"})
    api.get(f"{api.url}{API}/model-versions/get", params={"name": name, "version": "1"})
    api.get(f"{api.url}{world['base']}/model/model.pkl")
    time.sleep(0.3)
    assert not trace.exists()


# 12


@pytest.mark.parametrize("text", ["$(touch {t})", "`touch {t}`", "; touch {t}", "| touch {t}", "{{{{7*7}}}}", "${{7*7}}", "%x", "\n touch {t}"])
def test_class_12_command_and_template_injection(server, api, world, tmp_path, text):
    trace = tmp_path / "executed"
    text = text.format(t=trace)
    name = f"{unique('x')}{text}"
    made = api.post(f"{api.url}{API}/experiments/create", json={"name": name})
    api.post(f"{api.url}{API}/runs/set-tag", json={"run_id": world["run"], "key": "t", "value": text})
    model = f"{unique('m')}{text}"
    api.post(f"{api.url}{API}/registered-models/create", json={"name": model})
    api.post(f"{api.url}{API}/model-versions/create", json={"name": model, "source": f"models:/{text}/1"})
    if made.status_code == 200:
        read = api.get(f"{api.url}{API}/experiments/get", params={"experiment_id": made.json()["experiment_id"]})
        assert read.json()["experiment"]["name"] == name
    assert not trace.exists()


# 13


def test_class_13_weak_and_default_credentials(fresh_server):
    session = fresh_server.session(token=None)
    for name, password in (("admin", "password1234"), ("admin", "admin"), ("admin", ""), ("admin", "password"), ("root", "root")):
        session.auth = (name, password)
        answer = session.get(f"{fresh_server.url}{API}/experiments/get?experiment_id=0")
        assert answer.status_code in (401, 429), (name, password)
    statuses = []
    for number in range(40):
        session.auth = ("admin", f"guess {number}")
        statuses.append(session.get(f"{fresh_server.url}{API}/experiments/get?experiment_id=0").status_code)
    assert 429 in statuses, "40 wrong passwords must be throttled"
    assert set(statuses) <= {401, 429}
    late = session.get(f"{fresh_server.url}{API}/experiments/get?experiment_id=0")
    assert late.status_code == 401 or int(late.headers["retry-after"]) >= 1
    assert fresh_server.token.startswith("sr_pat_") and len(fresh_server.token) > 40
    assert stat.S_IMODE(os.stat(fresh_server.token_file).st_mode) == 0o600


# 14


def seconds(call):
    start = time.monotonic()
    answer = call()
    return time.monotonic() - start, answer


def test_class_14_denial_of_service(server, api, world):
    before = server.resident_bytes()
    deep = "[" * 100_000 + "]" * 100_000
    bomb = gzip.compress(b"\0" * (200 << 20), 9)
    clauses = " and ".join(f"params.p{number} = 'x'" for number in range(800))
    long_name = "n" * (5 << 20)
    tries = [
        lambda: api.post(f"{api.url}{API}/runs/search", data=deep, headers={"content-type": "application/json"}),
        lambda: api.post(f"{api.url}{API}/runs/search", data='{"experiment_ids":' + deep + "}", headers={"content-type": "application/json"}),
        lambda: api.post(f"{api.url}{API}/runs/search", data=bomb, headers={"content-type": "application/json", "content-encoding": "gzip"}),
        lambda: api.post(f"{api.url}{API}/runs/search", json={"experiment_ids": [world["experiment"]], "filter": clauses}),
        lambda: api.post(f"{api.url}{API}/runs/search", json={"experiment_ids": ["1"] * 100_000}),
        lambda: api.post(f"{api.url}{API}/experiments/create", json={"name": long_name}),
        lambda: api.post(f"{api.url}{API}/registered-models/create", json={"name": long_name}),
        lambda: api.post(f"{api.url}{API}/runs/search", json={"experiment_ids": [world["experiment"]], "filter": "params.a LIKE '" + "%a" * 5_000 + "'"}),
        lambda: api.get(f"{api.url}{API}/experiments/get", headers={"x-long": "h" * 200_000}),
        lambda: api.get(f"{api.url}{API}/experiments/get?{'a=b&' * 20_000}"),
        lambda: api.post(f"{api.url}{API}/runs/log-batch", json={"run_id": world["run"], "tags": [{"key": f"k{n}", "value": ""} for n in range(200_000)]}),
        lambda: api.post(f"{api.url}/graphql", json={"query": "{" + " ".join(f"a{n}: __typename" for n in range(50_000)) + "}"}),
    ]  # fmt: skip
    for number, attempt in enumerate(tries):
        try:
            taken, answer = seconds(attempt)
        except requests.ConnectionError:
            continue  # hung up on: a refusal too
        assert taken < 5, f"attempt {number} took {taken:.1f} s"
        assert answer.status_code in (200, 400, 404, 413, 414, 415, 431, 501), f"attempt {number}: {answer.status_code} {answer.text[:200]}"
    assert server.resident_bytes() - before < 200 << 20
    assert api.get(f"{api.url}/health").status_code == 200


def test_class_14_slow_and_idle_connections_do_not_block_others(server, api):
    host, port = urllib.parse.urlsplit(server.url).netloc.split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(200)]
    try:
        taken, answer = seconds(lambda: api.get(f"{api.url}/health"))
        assert answer.status_code == 200 and taken < 2
    finally:
        for connection in idle:
            connection.close()


# 15


@pytest.mark.parametrize("spelling", ["0{id}", "+{id}", " {id}", "{id} ", "{id}.0", "0x{id}", "{id}%00", "-{id}", "{id}e0", "١"])
def test_class_15_identifier_confusion(server, api, world, spelling):
    identity = spelling.replace("{id}", world["experiment"])
    answer = api.get(f"{api.url}{API}/experiments/get", params={"experiment_id": urllib.parse.unquote(identity)})
    assert answer.status_code in (400, 404), answer.text
    found = api.post(f"{api.url}{API}/runs/search", json={"experiment_ids": [urllib.parse.unquote(identity)]})
    assert found.status_code in (400, 404) or found.json() == {}


def test_class_15_encoded_model_names_are_other_names(server, api):
    name = unique("a b")
    api.post(f"{api.url}{API}/registered-models/create", json={"name": name})
    encoded = api.get(f"{api.url}{API}/registered-models/get", params={"name": urllib.parse.quote(name)})
    assert encoded.status_code == 404
    upper = api.get(f"{api.url}{API}/registered-models/get", params={"name": name.upper()})
    assert upper.status_code == 404


# 16


def test_class_16_local_privilege(server):
    for path in [server.data, *server.data.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        public = path.name in ("ca.pem",)
        assert not mode & (0o022 if public else 0o077), f"{path} has mode {mode:o}"
        assert not path.is_symlink(), path
    tables = pathlib.Path(f"/proc/{server.process.pid}/net/tcp").read_text()
    assert tables


# 17


def test_class_17_no_default_key(server, fresh_server):
    first = (server.data / "keys" / "root.key").read_bytes()
    second = (fresh_server.data / "keys" / "root.key").read_bytes()
    assert first != second and len(first) >= 32
    for path in fresh_server.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert fresh_server.token.encode() not in content, path
            assert b"mlflow-default-kek" not in content, path


def test_class_17_tokens_are_not_in_the_log(server):
    assert server.token not in server.log_file.read_text(errors="replace")


# 18


def test_class_18_forged_attribution(server, api, world):
    alice = people.person(server, "contributor")
    session = alice.session()
    made = session.post(
        f"{server.url}{API}/runs/create",
        json={"experiment_id": world["experiment"], "user_id": "ceo", "tags": [{"key": "mlflow.user", "value": "ceo"}]},
    )
    assert made.status_code == 200, made.text
    run = made.json()["run"]
    assert run["info"]["user_id"] == alice.name
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["mlflow.user"] == alice.name
    identity = run["info"]["run_id"]
    session.post(f"{server.url}{API}/runs/set-tag", json={"run_id": identity, "key": "mlflow.user", "value": "ceo"})
    read = api.get(f"{api.url}{API}/runs/get", params={"run_id": identity}).json()["run"]
    assert read["info"]["user_id"] == alice.name
    assert {tag["key"]: tag["value"] for tag in read["data"]["tags"]}["mlflow.user"] == alice.name


def test_many_at_once_are_all_answered(server, api):
    """Not a class of its own: concurrency must not open any of the doors above."""
    stranger_statuses = set()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        def attempt(number):
            session = server.session(token=None if number % 2 else "")
            return number % 2, session.get(f"{server.url}{API}/experiments/get?experiment_id=0").status_code

        for stranger, status in pool.map(attempt, range(200)):
            if stranger:
                stranger_statuses.add(status)
            else:
                assert status == 200
    assert stranger_statuses <= {401, 429}
