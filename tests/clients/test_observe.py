"""Watching: drift becomes an alert with cause and remedy; a real Prometheus scrapes, a real Alertmanager is told and tells."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest
import requests

import browser as browsers
import harness
import people
import debian

pytestmark = pytest.mark.strongroom_only

SECRET = base64.b64encode(b"a secret of thirty-two bytes....").decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def tools():
    """Debian's `prometheus`, `promtool`, `prometheus-alertmanager` and `amtool`, unpacked into the project's folder."""
    return debian.programs(["prometheus", "prometheus-alertmanager"])


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes webhooks in; refuses the first of each message."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((headers, body))
        seen = [one for one, _ in self.server.got if one["webhook-id"] == headers["webhook-id"]]
        self.send_response(503 if len(seen) == 1 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def hooks():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.got = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@contextlib.contextmanager
def process(*words, **more):
    """A program that ends with the test."""
    started = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)
    try:
        yield started
    finally:
        started.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(10)


@pytest.fixture(scope="module")
def world(tools, tmp_path_factory):
    """A server that judges every second, an Alertmanager, and a receiver of webhooks."""
    folder = tmp_path_factory.mktemp("observe")
    (folder / "secret").write_text(f"whsec_{SECRET}")
    manager_port, cluster = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        hook = stack.enter_context(hooks())
        text = f"""
[observe]
every_s = 1

[[observe.alertmanagers]]
url = "http://127.0.0.1:{manager_port}"
allow_insecure_http = true

[[observe.webhooks]]
url = "http://127.0.0.1:{hook.server_address[1]}/hook"
secret_file = "{folder / 'secret'}"
allow_insecure_http = true
"""
        server = stack.enter_context(harness.running(config_text=text))
        monitor = people.person(server, "monitor", on="server")
        people.grant(server, monitor.name, "monitor")
        (folder / "token").write_text(monitor.token)
        config = {
            "route": {"receiver": "strongroom", "group_wait": "0s", "group_interval": "1s", "group_by": ["alertname"]},
            "receivers": [
                {
                    "name": "strongroom",
                    "webhook_configs": [
                        {
                            "url": f"{server.url}/api/strongroom/v1/alertmanager",
                            "http_config": {
                                "authorization": {"credentials_file": str(folder / "token")},
                                "tls_config": {"ca_file": server.ca},
                            },
                        }
                    ],
                }
            ],
        }
        (folder / "alertmanager.json").write_text(json.dumps(config))
        stack.enter_context(
            process(
                *debian.with_shared_files(tools["prometheus-alertmanager"]),
                f"--config.file={folder / 'alertmanager.json'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{manager_port}",
                f"--cluster.listen-address=127.0.0.1:{cluster}",
            )
        )
        manager = f"http://127.0.0.1:{manager_port}"
        harness.wait_until(lambda: answers(f"{manager}/-/ready"), 20, "the Alertmanager is ready")
        yield {"server": server, "manager": manager, "hook": hook, "folder": folder, "monitor": monitor}


def answers(url) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def endpoint_of(server) -> str:
    """An endpoint over a real model."""
    environment = {**os.environ, **server.mlflow_environment()}
    name = f"iris-{uuid.uuid4().hex[:8]}"
    program = """
import sys, mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
mlflow.set_experiment(sys.argv[1])
features, labels = load_iris(return_X_y=True)
with mlflow.start_run():
    mlflow.sklearn.log_model(LogisticRegression(max_iter=500).fit(features, labels), name="model",
                             registered_model_name=sys.argv[1], serialization_format="skops")
"""
    done = subprocess.run([sys.executable, "-c", program, name], env=environment,
                          capture_output=True, text=True, timeout=180)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    admin = ["--token-file", str(server.token_file)]
    inspected = lambda: server.session().get(f"{server.url}/api/strongroom/v1/models/{name}/versions/1", timeout=10).json()["state"] == "admitted"  # noqa: E731
    harness.wait_until(inspected, 60, "the model is admitted")
    server.cli("endpoint", "create", name, "--model", f"{name}/1", *admin)
    return name


def register_again(server, name: str) -> None:
    """The same model once more, as version 2, inspected and let in."""
    session, api = server.session(), f"{server.url}/api/2.0/mlflow"
    first = session.get(f"{api}/model-versions/get", params={"name": name, "version": "1"}, timeout=10).json()["model_version"]
    body = {"name": name, "source": first["source"], "run_id": first.get("run_id", "")}
    if first.get("model_id"):
        body["model_id"] = first["model_id"]
    made = session.post(f"{api}/model-versions/create", json=body, timeout=10)
    assert made.status_code == 200, made.text
    state = lambda: people.call(session, server, "GET", f"/models/{name}/versions/2")["state"] == "admitted"  # noqa: E731
    harness.wait_until(state, 60, "version 2 is admitted")


def ask(session, server, endpoint, rows) -> str:
    import numpy as np

    rows = np.asarray(rows)
    body = {"inputs": [{"name": "input", "shape": list(rows.shape), "datatype": "FP64", "data": rows.tolist()}]}
    answer = session.post(f"{server.url}/v2/models/{endpoint}/infer", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()["parameters"]["prediction_id"]


def alerts(server, state="open"):
    return people.call(server.session(), server, "GET", f"/alerts?state={state}")["alerts"]


def test_drift_is_told_with_its_cause_and_remedies_and_reaches_everybody(world):
    import numpy as np

    server, session = world["server"], world["server"].session()
    endpoint, random = endpoint_of(server), np.random.default_rng(1)
    usual = lambda count: random.normal([5.8, 3.0, 3.7, 1.2], [0.8, 0.4, 1.7, 0.7], (count, 4))  # noqa: E731
    for _ in range(5):
        ask(session, server, endpoint, usual(500))
    time.sleep(2.5)
    assert not [one for one in alerts(server) if one["subject"] == endpoint]
    shifted = usual(400)
    shifted[:, 2] += 5
    prediction = ask(session, server, endpoint, shifted)
    drift = lambda: [one for one in alerts(server) if one["subject"] == endpoint and one["kind"] == "drift"]  # noqa: E731
    harness.wait_until(drift, 15, "the drift is noticed")
    admin = ["--token-file", str(server.token_file)]
    shown = json.loads(server.cli("alerts", "show", drift()[0]["id"], "--json", *admin).stdout)
    assert shown["columns"][0]["column"] == "2" and shown["certainty"] > 0.99, shown
    assert shown["since"] <= shown["opened_at"] and shown["remedies"] and shown["origin"], shown
    assert "remedy" in server.cli("alerts", "show", shown["id"], *admin).stdout
    # The Alertmanager has it, and tells it back; the webhook is tried again after its refusal, and is signed.
    told = lambda: [one for one in requests.get(f"{world['manager']}/api/v2/alerts", timeout=5).json()  # noqa: E731
                    if one["labels"].get("subject") == endpoint]  # fmt: skip
    harness.wait_until(told, 20, "the Alertmanager is told")
    assert told()[0]["annotations"]["summary"] == shown["headline"]
    harness.wait_until(lambda: [one for one in alerts(server) if one["kind"] == "external"], 20, "it comes back")
    # Other alerts may be told too, if this machine is busy.
    mine = lambda: [one for one in list(world["hook"].got) if json.loads(one[1])["data"]["id"] == shown["id"]]  # noqa: E731
    harness.wait_until(lambda: len(mine()) >= 2, 60, "the webhook is tried again")
    headers, body = mine()[1]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(base64.b64decode(SECRET), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == mine()[0][0]["webhook-id"]
    # Labels find the rows of the prediction.
    labels = [{"prediction": prediction, "row": row, "label": 0} for row in range(50)]
    assert people.call(session, server, "POST", f"/endpoints/{endpoint}/labels", json={"labels": labels})["stored"] == 50
    # A remedy gives nobody a right: a viewer may not, and what cannot be done is said.
    remedy = shown["remedies"][0]
    viewer = people.person(server, "viewer")
    people.call(viewer.session(), server, "POST", f"/remedies/{remedy['id']}/run", json={}, status=403)
    health = {one["name"]: one for one in people.call(session, server, "GET", "/health")["health"]}
    assert health[endpoint]["state"] == "degraded" and "drifted" in health[endpoint]["reasons"][0]
    assert endpoint in server.cli("health", *admin).stdout
    resolved = json.loads(server.cli("alerts", "resolve", shown["id"], "--json", *admin).stdout)
    assert resolved["state"] == "resolved"


def test_rolling_back_is_a_remedy(world):
    import numpy as np

    server, session = world["server"], world["server"].session()
    endpoint, random = endpoint_of(server), np.random.default_rng(2)
    usual = lambda count: random.normal([5.8, 3.0, 3.7, 1.2], [0.8, 0.4, 1.7, 0.7], (count, 4))  # noqa: E731
    for _ in range(5):
        ask(session, server, endpoint, usual(500))
    register_again(server, endpoint)
    # What a version is compared with is learnt minute by minute; the next one begins in another minute.
    time.sleep(60 - time.time() % 60 + 0.5)
    admin = ["--token-file", str(server.token_file)]
    server.cli("endpoint", "update", endpoint, "--model", f"{endpoint}/2", *admin)
    for _ in range(5):
        ask(session, server, endpoint, usual(500))
    shifted = usual(400)
    shifted[:, 0] += 3
    ask(session, server, endpoint, shifted)
    drift = lambda: [one for one in alerts(server) if one["subject"] == endpoint and one["kind"] == "drift"]  # noqa: E731
    harness.wait_until(drift, 15, "the drift is noticed")
    shown = people.call(session, server, "GET", f"/alerts/{drift()[0]['id']}")
    assert "version 2" in shown["causes"][0]["words"] or "answer with 2" in shown["causes"][0]["words"], shown["causes"]
    remedy = shown["remedies"][0]
    assert remedy["command"] == f"strongroom endpoint update {endpoint} --model {endpoint}/1"
    deployer = people.person(server, "deployer")
    missing = browsers.missing()
    assert missing is None, missing
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(deployer.name, deployer.password)
        browser.go(f"/console/alerts/{shown['id']}")
        assert "answer with 2" in browser.text() or "version 2" in browser.text()
        browser.sure("form[action*='/remedies/'] button")
        assert "answers with 1" in browser.text() and deployer.name not in browser.find("h1").text
    assert json.loads(server.cli("endpoint", "show", endpoint, "--json", *admin).stdout)["answers_with"] == 1
    # What was done is not done twice, and its record stays.
    again = people.call(session, server, "POST", f"/remedies/{remedy['id']}/run", json={}, status=409)
    assert "run already" in again["message"] and "answers with 1" in again["message"], again
    kept = people.call(session, server, "GET", f"/alerts/{shown['id']}")["remedies"][0]
    assert "answers with 1" in kept["result"], kept
    assert json.loads(server.cli("endpoint", "show", endpoint, "--json", *admin).stdout)["answers_with"] == 1
    records = json.dumps(people.call(session, server, "GET", "/audit/records?rows=200"))
    assert "remedies.run" in records and "endpoints.update" in records and "remedies.done" in records


def test_promtool_finds_nothing_wrong_and_prometheus_scrapes(world, tools):
    server, folder = world["server"], world["folder"]
    assert requests.get(f"{server.url}/metrics", verify=server.ca, timeout=10).status_code == 401
    nobody = people.person(server).session()
    assert nobody.get(f"{server.url}/metrics", timeout=10).status_code in (403, 404)
    text = world["monitor"].session().get(f"{server.url}/metrics", timeout=10).text
    checked = subprocess.run([tools["promtool"], "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "strongroom_endpoint_latency_seconds_bucket{" in text
    assert not any(person in text for person in (world["monitor"].name, "admin"))
    rules = folder / "rules.yml"
    rules.write_text(server.cli("observe", "rules").stdout)
    checked = subprocess.run([tools["promtool"], "check", "rules", rules], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0 and "SUCCESS" in checked.stdout, checked.stdout + checked.stderr
    host, port = server.url.removeprefix("https://"), free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [world["manager"].removeprefix("http://")]}]}]},
        "scrape_configs": [
            {
                "job_name": "strongroom",
                "scheme": "https",
                "authorization": {"credentials_file": str(folder / "token")},
                "tls_config": {"ca_file": server.ca},
                "static_configs": [{"targets": [host]}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    words = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with process(tools["prometheus"], *words, f"--web.listen-address=127.0.0.1:{port}"):
        address = f"http://127.0.0.1:{port}"
        harness.wait_until(lambda: answers(f"{address}/-/ready"), 30, "Prometheus is ready")

        def value(query):
            found = requests.get(f"{address}/api/v1/query", params={"query": query}, timeout=5).json()["data"]["result"]
            return float(found[0]["value"][1]) if found else None

        harness.wait_until(lambda: value("up") == 1, 20, "the server is scraped")
        harness.wait_until(lambda: (value("sum(strongroom_endpoint_requests_total)") or 0) > 0, 20, "requests are counted")
        loaded = requests.get(f"{address}/api/v1/rules", timeout=5).json()["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in loaded} <= {"ok", "unknown"} and len(loaded) == 6
