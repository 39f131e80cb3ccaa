#!/usr/bin/env python3
"""How long the server takes over each page of the console, over a folder that `fill_console` filled.

    pages.py DATA_FOLDER TOKEN_FILE --times N [--rest SECONDS]

Before that it waits until nothing is left to be inspected or indexed. Prints one JSON object.
"""

import argparse
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "clients"))

import harness  # noqa: E402
import people  # noqa: E402
import test_data  # noqa: E402
import test_serving  # noqa: E402

OFFICES = [("reviewer", "workspace"), ("auditor", "server"), ("administrator", "server"), ("monitor", "server"), ("key_custodian", "server")]
# Enough for each chart of an endpoint's page.
PREDICTION_COUNT = 1_000
LINK = re.compile(rb'<tbody>\s*<tr>.*?<a href="([^"]+)"', re.DOTALL)
# Name, page, and whether the first link of its table is the page that is meant.
PAGES = [
    ("home", "/console", False),
    ("experiments", "/console/experiments", False),
    ("runs", "/console/experiments/0", False),
    ("runs-by-metric", "/console/experiments/0?filter=metrics.loss%20%3E%200.5&sort=metrics.loss%20ASC", False),
    ("run", "/console/experiments/0", True),
    ("data", "/console/data", False),
    ("models", "/console/models", False),
    ("models-waiting", "/console/models?state=quarantined", False),
    ("model-version", "/console/models", True),
    ("lineage", "/console/lineage?subject=model%3Amodel-00001%2F1", False),
    ("endpoints", "/console/endpoints", False),
    ("endpoint", "/console/endpoints/{endpoint}", False),
    ("alerts", "/console/alerts", False),
    ("detections", "/console/detections", False),
    ("log", "/console/audit", False),
    ("log-of-a-verb", "/console/audit?what=models.create", False),
    ("log-not-found", "/console/audit?what=models.delete&outcome=failed", False),
    ("log-since", "/console/audit?from=2020-01-01T00%3A00%3A00Z", False),
    ("log-text", "/console/audit?text=model-00001", False),
    ("log-text-not-found", "/console/audit?text=nothing-that-any-record-says", False),
    ("timeline", "/console/audit/timeline", False),
    ("timeline-of-one", "/console/audit/timeline?who={filler}", False),
    ("record", "/console/audit/1000", False),
    ("vault", "/console/vault", False),
    ("access", "/console/access", False),
    ("access-review", "/console/access/review", False),
    ("access-paths", "/console/access/paths", False),
    ("people", "/console/people", False),
    ("one-person", "/console/people/{seer}", False),
    ("rules", "/console/detections/rules", False),
    ("predictions", "/console/predictions", False),
    ("erasure", "/console/erasure", False),
    ("promotion", "/console/models/{model}/1/promote?alias=champion", False),
    ("served-version", "/console/models/{model}/1", False),
    ("compare-models", "/console/compare/models?version=model-00001%2F1&version=model-00002%2F1", False),
    ("compare-runs", "/console/compare?run={run}&run={other_run}", False),
    ("curve", "/console/curve?key=loss&run={run}&run={other_run}", False),
    ("data-version", "/console/data/{data}/2", False),
    ("data-diff", "/console/data/{data}/2/diff?against=1", False),
    ("account", "/account", False),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("token", type=pathlib.Path)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--rest", type=float, default=5.0, help="what the server gets to settle in")
    options = parser.parse_args()
    server = harness.Server(data=options.data)
    server.token = options.token.read_text().strip()
    server.start()
    try:
        print(json.dumps(measured(server, options)))
    finally:
        server.stop()


def measured(server, options):
    waited = settle(server, options.rest)
    seer = people.person(server, "owner")
    for role, on in OFFICES:
        people.grant(server, seer.name, role, on)
    session = server.session(token=None)
    named = filled_in(server, seer)
    answer = session.post(f"{server.url}/login", data={"username": seer.name, "password": seer.password}, headers={"Sec-Fetch-Site": "same-origin"}, allow_redirects=False)
    assert answer.status_code == 303 and session.cookies, f"{answer.status_code} {answer.text[:400]}"
    pages = {}
    for name, path, is_behind in PAGES:
        if is_behind:
            found = LINK.search(session.get(f"{server.url}{path}").content)
            assert found, f"{path} has no row with a link"
            path = found.group(1).decode().replace("&amp;", "&")
        pages[name] = page(session, server, path.format(**named) if not is_behind else path, options.times)
        print(f"{name}: {json.dumps(pages[name])}", file=sys.stderr, flush=True)
    return {"pages": pages, "settled_s": waited, "memory_mib": server.resident_bytes() / 2**20}


def filled_in(server, seer):
    """What pages are of that no list leads to: runs, accounts, two versions of a data set, and an endpoint, made here."""
    session = server.session()
    found = session.post(f"{server.url}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"], "max_results": 2})
    run, other_run = (one["info"]["run_id"] for one in found.json()["runs"])
    ids = {"filler": people.call(session, server, "GET", "/me")["id"], "seer": people.call(seer.session(), server, "GET", "/me")["id"]}
    committer, name = people.person(server, "contributor").session(), "bench"
    for number in (1, 2):
        rows = "".join(f"{row},{row * number % 97}\n" for row in range(1_000))
        test_data.commit(committer, server, name, {"a.csv": f"row,number\n{rows}".encode()})
        test_data.wait(committer, server, name, number)
    return {**ids, "run": run, "other_run": other_run, "data": name, **served(server, session)}


def served(server, session):
    """A real model behind an endpoint that has answered."""
    os.environ.update(server.mlflow_environment())
    import mlflow

    made = test_serving.serve(server, mlflow)
    for at in range(PREDICTION_COUNT):
        rows = made["features"][at % 150 : at % 150 + 1]
        test_serving.ask(session, server, made["endpoint"], {"inputs": [test_serving.tensor(rows)]})
    return {"endpoint": made["endpoint"], "model": made["model"]}


def page(session, server, path, times):
    took, size = [], 0
    for _ in range(times):
        began = time.perf_counter()
        answer = session.get(f"{server.url}{path}")
        took.append((time.perf_counter() - began) * 1_000)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:400]}"
        size = len(answer.content)
    took.sort()
    at = lambda share: took[min(len(took) - 1, int(len(took) * share))]  # noqa: E731
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "most_ms": took[-1], "bytes": size}


def settle(server, rest):
    """Until the server computes next to nothing for a while: what was registered is inspected, the log is indexed."""
    began, calm_since = time.monotonic(), None
    before = cpu_seconds(server.process.pid)
    while calm_since is None or time.monotonic() - calm_since < rest:
        time.sleep(1)
        now = cpu_seconds(server.process.pid)
        is_calm, before = now - before < 0.1, now
        if not is_calm:
            calm_since = None
        elif calm_since is None:
            calm_since = time.monotonic()
        assert time.monotonic() - began < 3_600, "the server did not come to rest within an hour"
    return time.monotonic() - began - rest


def cpu_seconds(pid):
    """Of the server and of its children that it waited for: `utime`, `stime`, `cutime`, `cstime`."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / 100


if __name__ == "__main__":
    main()
