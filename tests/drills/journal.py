"""Writers that remember what the server acknowledged, and the check that all of it is there, with its records."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import pathlib
import random
import sys
import tempfile
import threading
import time
import uuid

import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import harness  # noqa: E402

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
RECORDS = "/api/strongroom/v1/audit/records"
REQUEST_SECONDS_MAX = 15
RECORD_PAGE_ROWS = 500


def on_a_server(name: str, settings: str, drill, config_text: str = "") -> int:
    """Runs `drill` on a fresh server, says what it gave or what was lost, and gives the code to end with."""
    engine = os.environ.get(harness.ENGINE, "sqlite")
    print(f"{name}: {settings}, {engine}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strongroom-drill-")))
        database = stack.enter_context(harness.fresh_database()) if engine == "postgres" else None
        server = harness.Server(folder / "data", engine, database, config_text)
        server.init()
        server.start()
        stack.callback(server.kill)
        try:
            said = drill(server)
        except (Lost, harness.StartError) as problem:
            print(f"FAILED: {problem}\nthe server's log ends:\n{server.log_end()}", flush=True)
            return 1
    print(f"{name}: {said}", flush=True)
    return 0


class Lost(AssertionError):
    """Something acknowledged is not there, or a record and a change do not match."""


class RunJournal:
    """What was acknowledged, and what was only sent, of one run."""

    def __init__(self, run_id: str, experiment: str):
        self.run_id = run_id
        self.experiment = experiment
        self.metrics: dict[int, float] = {}
        self.tags: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.sent = collections.Counter()


class Writer(threading.Thread):
    """One client that writes until the server is gone or it is told to stop."""

    def __init__(self, server: harness.Server, experiment: str, seed: int, stop: threading.Event, on_refusal: str = "end"):
        super().__init__(daemon=True)
        self.server = server
        self.session = server.session()
        self.experiment = experiment
        self.random = random.Random(seed)
        self.stop_event = stop
        self.on_refusal = on_refusal
        self.runs: list[RunJournal] = []
        self.acknowledged = 0
        self.refusals = collections.Counter()
        self.slowest_seconds = 0.0
        self.broken_off = 0
        self.odd: list[str] = []
        self.ended_by = ""

    def run(self):
        try:
            while not self.stop_event.is_set():
                if not self.runs or self.random.random() < 0.03:
                    self.create_run()
                else:
                    self.write(self.runs[-1])
        except requests.RequestException as problem:
            self.ended_by = repr(problem)  # the server was killed

    def ask(self, method: str, path: str, **arguments):
        """Sends one request; gives the answer if it was acknowledged."""
        start = time.monotonic()
        try:
            answer = self.session.request(method, self.server.url + path, timeout=REQUEST_SECONDS_MAX, **arguments)
        except requests.ConnectionError:
            # An upload may be refused before it was read whole: its sender sees a closed connection, and asks again.
            if self.on_refusal == "end" or method != "PUT":
                raise
            self.broken_off += 1
            time.sleep(0.02)
            return None
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - start)
        if answer.status_code == 200:
            self.acknowledged += 1
            return answer
        self.refusals[answer.status_code] += 1
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            self.odd.append(f"{method} {path}: {answer.status_code} {dict(answer.headers)} {answer.text[:300]}")
        if self.on_refusal == "end":
            self.odd.append(f"refused while nothing was broken: {method} {path} {answer.status_code} {answer.text[:300]}")
            raise requests.ConnectionError
        time.sleep(0.02)
        return None

    def create_run(self):
        answer = self.ask("POST", f"{API}/runs/create", json={"experiment_id": self.experiment, "start_time": 1})
        if answer is not None:
            self.runs.append(RunJournal(answer.json()["run"]["info"]["run_id"], self.experiment))

    def write(self, run: RunJournal):
        kind = self.random.choices(["metric", "tag", "file"], [8, 3, 2])[0]
        run.sent[kind] += 1
        number = run.sent[kind]
        if kind == "metric":
            value = self.random.random()
            body = {"run_id": run.run_id, "key": "m", "value": value, "timestamp": number, "step": number}
            if self.ask("POST", f"{API}/runs/log-metric", json=body) is not None:
                run.metrics[number] = value
        elif kind == "tag":
            body = {"run_id": run.run_id, "key": f"drill.{number}", "value": uuid.uuid4().hex}
            if self.ask("POST", f"{API}/runs/set-tag", json=body) is not None:
                run.tags[body["key"]] = body["value"]
        else:
            content = self.random.randbytes(self.random.choice([0, 1, 1_000, 65_536, 200_000]))
            path = f"{FILES}/{run.experiment}/{run.run_id}/artifacts/file-{number}.bin"
            if self.ask("PUT", path, data=content) is not None:
                run.files[f"file-{number}.bin"] = hashlib.sha256(content).hexdigest()


def new_experiment(server: harness.Server) -> str:
    answer = server.session().post(f"{server.url}{API}/experiments/create", json={"name": f"drill-{uuid.uuid4().hex[:8]}"})
    answer.raise_for_status()
    return answer.json()["experiment_id"]


def check(server: harness.Server, runs: list[RunJournal]) -> collections.Counter:
    """Compares what was acknowledged, what is there and what the log says.

    Acknowledged ⊆ there; and for each run the number of changes that are there equals the number of `done` outcomes.
    """
    session = server.session()
    seen = collections.Counter()
    for run in runs:
        read = get(session, server, f"{API}/runs/get", {"run_id": run.run_id})["run"]
        there = {
            "runs.create": 1,
            "metric": compare_metrics(session, server, run),
            "tag": compare_tags(read, run),
            "file": compare_files(session, server, run),
        }
        outcomes = done_outcomes(session, server, run.run_id)
        expected = {
            "runs.create": there["runs.create"],
            "runs.log": there["metric"],
            "runs.tag": there["tag"],
            "artifacts.write": there["file"],
        }
        for action, count in expected.items():
            if outcomes[action] != count:
                raise Lost(f"run {run.run_id}: {count} changes by {action}, but {outcomes[action]} records of them as done")
        seen.update(runs=1, metrics=there["metric"], tags=there["tag"], files=there["file"])
    return seen


def compare_metrics(session, server, run) -> int:
    parameters = {"run_id": run.run_id, "metric_key": "m", "max_results": 25_000}
    answer = get(session, server, f"{API}/metrics/get-history", parameters)
    there = {int(point["step"]): point["value"] for point in answer.get("metrics", [])}
    for step, value in run.metrics.items():
        if there.get(step) != value:
            raise Lost(f"run {run.run_id}: metric step {step} was acknowledged as {value}, but is {there.get(step)}")
    return len(there)


def compare_tags(read, run) -> int:
    there = {tag["key"]: tag["value"] for tag in read["data"].get("tags", []) if tag["key"].startswith("drill.")}
    for key, value in run.tags.items():
        if there.get(key) != value:
            raise Lost(f"run {run.run_id}: tag {key} was acknowledged, but is {there.get(key)}")
    return len(there)


def compare_files(session, server, run) -> int:
    listed = get(session, server, f"{API}/artifacts/list", {"run_id": run.run_id}).get("files", [])
    for name, digest in run.files.items():
        answer = session.get(f"{server.url}{FILES}/{run.experiment}/{run.run_id}/artifacts/{name}", timeout=REQUEST_SECONDS_MAX)
        if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != digest:
            raise Lost(f"run {run.run_id}: {name} was acknowledged, but answers {answer.status_code} or other bytes")
    return len(listed)


def done_outcomes(session, server, run_id: str) -> collections.Counter:
    """How many changes to this run the log calls done, by action."""
    counts = collections.Counter()
    parameters = {"resource": run_id, "rows": RECORD_PAGE_ROWS}
    while True:
        answer = get(session, server, RECORDS, parameters)
        for record in answer["records"]:
            if record["kind"] == "outcome" and record["status"] == "done":
                counts[record["action"]] += 1
        after = answer.get("next")
        if not after:
            return counts
        parameters["after"] = after


def get(session, server, path: str, parameters: dict) -> dict:
    answer = session.get(server.url + path, params=parameters, timeout=60)
    if answer.status_code != 200:
        raise Lost(f"{path} {parameters}: {answer.status_code} {answer.text[:400]}")
    return answer.json()


def verify(server: harness.Server) -> str:
    """`strongroom audit verify`; its last line."""
    done = harness.subprocess.run(
        [str(harness.binary()), "audit", "verify", "--data", str(server.data)], capture_output=True, text=True, timeout=120
    )
    if done.returncode != 0:
        raise Lost(f"the log does not verify: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")
    lines = done.stdout.strip().splitlines()
    return lines[-1] if lines else "verified"
