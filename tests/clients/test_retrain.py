"""Models that the server trains again: in a jail on its machine, and on a real Ray cluster."""

from __future__ import annotations

import json
import pathlib
import socket
import sys
import time

import pytest
import requests

import harness
import people
import ray_cluster
import retrain_code
from test_data import CLEAN, api, commit, fresh, token_file, wait

pytestmark = pytest.mark.strongroom_only

PLAIN = CLEAN.replace("age,city", "size,kind")
JOB_SECONDS_MAX = 240
OVER = ("succeeded", "failed", "cancelled")


def config(**keys) -> str:
    lines = {"python": sys.executable, **keys}
    return "[retrain]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())


@pytest.fixture(scope="module")
def trainer():
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running(config_text=config(memory_bytes_max=3 << 30)) as started:
        yield started


@pytest.fixture(scope="module")
def crew(trainer):
    return {role: people.person(trainer, role) for role in ("contributor", "reviewer", "viewer", "trainer")}


@pytest.fixture(scope="module")
def trusted(trainer, crew):
    return trusted_source(trainer, crew["reviewer"])


def trusted_source(server, reviewer):
    name = fresh("source")
    body = {"name": name, "pattern": f"https://{name}.example/*", "owner": "example", "licence": "CC0-1.0"}
    people.call(reviewer.session(), server, "POST", "/sources", json=body)
    return {"source": f"https://{name}.example/data.csv", "licence": "CC0-1.0", "owner": "example"}


class World:
    """A person with an experiment, admitted data, and a model that was trained on it with code that is known."""

    def __init__(self, server, person, trusted, files: dict[str, str], tmp_path, source_name="train.py"):
        self.server, self.person = server, person
        self.session = person.session()
        self.data = fresh("data")
        commit(self.session, server, self.data, {"train.csv": PLAIN.encode()}, **trusted)
        shown = wait(self.session, server, self.data, 1)
        assert shown["state"] == "admitted", harness.pretty(shown)
        self.model = fresh("model")
        self.experiment = self.mlflow("POST", "/experiments/create", {"name": fresh("retrain")})["experiment_id"]
        tags = [{"key": "mlflow.source.name", "value": source_name}]
        run = self.mlflow("POST", "/runs/create", {"experiment_id": self.experiment, "start_time": 1, "tags": tags})
        self.run = run["run"]["info"]["run_id"]
        for name, text in files.items():
            self.put(self.run, f"code/{name}", text.encode())
        self.put(self.run, "model/MLmodel", b"flavors: {}\n")
        address = f"{server.url}{people.ADMIN}/datasets/{self.data}/versions/1/files/train.csv?run={self.run}"
        assert self.session.get(address).status_code == 200
        self.mlflow("POST", "/runs/log-parameter", {"run_id": self.run, "key": "penalty", "value": "1.0"})
        self.mlflow("POST", "/registered-models/create", {"name": self.model})
        source = f"mlflow-artifacts:/{self.experiment}/{self.run}/artifacts/model"
        self.mlflow("POST", "/model-versions/create", {"name": self.model, "source": source, "run_id": self.run})
        self.arguments = ["--token-file", str(token_file(server, person.token))]

    def mlflow(self, method, path, body=None):
        answer = self.session.request(method, f"{self.server.url}/api/2.0/mlflow{path}", json=body)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def put(self, run, path, data):
        address = f"{self.server.url}/api/2.0/mlflow-artifacts/artifacts/{self.experiment}/{run}/artifacts/{path}"
        answer = self.session.put(address, data=data)
        assert answer.status_code == 200, answer.text

    def cli(self, *words, check=True, timeout=None):
        return self.server.cli(*words, *self.arguments, check=check, timeout=timeout or JOB_SECONDS_MAX)

    def submit(self, status=200, **wish):
        path = f"/models/{self.model}/versions/1/retrain"
        return people.call(self.session, self.server, "POST", path, status=status, json=wish)

    def job(self, id):
        return people.call(self.session, self.server, "GET", f"/models/{self.model}/retrainings/{id}")

    def log(self, id):
        return people.call(self.session, self.server, "GET", f"/models/{self.model}/retrainings/{id}/log")["log"]

    def over(self, id, seconds_max=JOB_SECONDS_MAX):
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            job = self.job(id)
            if job["state"] in OVER:
                return job
            time.sleep(0.2)
        raise AssertionError(f"not over within {seconds_max} s: {harness.pretty(job)}\n{self.log(id)}\n{self.server.log_end()}")

    def report(self, version):
        """The inspection's report on a version of the model."""
        path = f"/models/{self.model}/versions/{version}"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            shown = people.call(self.session, self.server, "GET", path)
            if shown["inspection"] and shown["inspection"]["state"] not in ("queued", "running"):
                break
            time.sleep(0.2)
        return people.call(self.session, self.server, "GET", f"{path}/documents/report.json")


@pytest.fixture
def world(trainer, crew, trusted, tmp_path):
    return World(trainer, crew["contributor"], trusted, {"train.py": retrain_code.TRAIN}, tmp_path)


def records(server, resource):
    found = people.call(server.session(), server, "GET", f"/audit/records?rows=500&resource={resource}")
    return found["records"]


def full_origin(world, job):
    """The new version's origin is known whole, and all of it was executed by the server."""
    version = job["made_version"]
    origin = world.report(version)["origin"]
    assert (origin["known_count"], origin["observed_count"], origin["executed_count"]) == (4, 4, 3), harness.pretty(origin)
    assert origin["run"] == {"name": job["run_id"], "trust": "executed"}
    assert {"name": f"sha256:{job['spec']['code']['manifest_sha256']}", "trust": "executed"} in origin["code"]
    assert origin["data"] == [{"name": job["data"], "trust": "executed", "context": "training", "state": "admitted"}]
    found = people.call(world.session, world.server, "GET", f"/models/{world.model}/versions/{version}/findings")
    kinds = {finding["id"] for finding in found["findings"]}
    assert not {kind for kind in kinds if kind.startswith("origin.")}, kinds
    return origin


def test_a_model_is_trained_again_without_some_rows(world):
    done = world.cli(
        "model", "retrain", f"{world.model}/1", "--without-rows", "3,17-20", "--reason", "labels were flipped",
        "--entry", "train.py --penalty {penalty}", "-p", "penalty=0.5", "--wait", "--json", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + world.server.log_end()
    job = json.loads(done.stdout)
    log = world.log(job["job"])
    assert job["state"] == "succeeded" and job["exit_code"] == 0, harness.pretty(job) + log
    assert job["data"] == f"{world.data}@2" and job["made_version"] == 2
    assert "trained on 395 rows with penalty 0.5" in log
    full_origin(world, job)
    confinement = job["confinement"]
    assert confinement["namespaces"] and confinement["seccomp"] and confinement["limits"] and confinement["missing"] == []
    assert confinement["landlock_abi"] >= 3
    run = world.mlflow("GET", f"/runs/get?run_id={job['run_id']}")["run"]
    assert run["info"]["status"] == "FINISHED" and run["info"]["experiment_id"] == world.experiment
    params = {param["key"]: param["value"] for param in run["data"]["params"]}
    assert params["penalty"] == "0.5" and params["rows"] == "395"
    assert {metric["key"] for metric in run["data"]["metrics"]} == {"accuracy"}
    version = world.mlflow("GET", f"/model-versions/get?name={world.model}&version=2")["model_version"]
    assert version["run_id"] == job["run_id"]
    standing = people.call(world.session, world.server, "GET", f"/models/{world.model}/versions/2")
    me = people.call(world.session, world.server, "GET", "/me")
    assert standing["submitter"] == me["id"], "it is whoever asked's, who so cannot decide on it"
    text = world.cli("lineage", "show", f"{world.model}/2").stdout
    assert f"code sha256 {job['spec']['code']['manifest_sha256']} [executed]" in text, text
    submitted = [record for record in records(world.server, job["job"]) if record["action"] == "retraining.submit"]
    assert any(job["spec_sha256"] in json.dumps(record) for record in submitted), "the record holds the specification's digest"
    # What was made can be made again, from the version that was made: its code and its start are known.
    again = people.call(world.session, world.server, "POST", f"/models/{world.model}/versions/2/retrain", json={})
    job = world.over(again["job"])
    assert job["state"] == "succeeded" and job["made_version"] == 3, harness.pretty(job) + world.log(job["job"])
    assert job["spec"]["entry"] == ["train.py", "--penalty", "{penalty}"] and job["spec"]["parameters"]["penalty"] == "0.5"
    listed = people.call(world.session, world.server, "GET", "/retrainings")["jobs"]
    assert {again["job"]} <= {job["job"] for job in listed}


def test_a_job_reaches_nothing_but_the_server_and_its_token_nothing_but_its_errand(trainer, crew, trusted, tmp_path):
    world = World(trainer, crew["contributor"], trusted, {"train.py": retrain_code.PROBE}, tmp_path)
    other = fresh("other")
    commit(world.session, trainer, other, {"o.csv": PLAIN.encode()}, **trusted)
    assert wait(world.session, trainer, other, 1)["state"] == "admitted"
    own = {address[4][0] for address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with socket.create_server(("0.0.0.0", 0)) as listener:
        parameters = {
            "folder": str(trainer.data), "port": str(listener.getsockname()[1]), "pid": str(trainer.process.pid),
            "hosts": " ".join(own), "other_data": f"/api/strongroom/v1/datasets/{other}/versions/1/files/o.csv",
        }  # fmt: skip
        job = world.over(world.submit(parameters=parameters)["job"])
    log = world.log(job["job"])
    assert "logged no model" in job["fault"] and job["exit_code"] == 0, harness.pretty(job) + log
    line = next(line for line in log.splitlines() if line.startswith("PROBE "))
    probe = json.loads(line.removeprefix("PROBE "))
    assert probe["worked"] == [], harness.pretty(probe)
    assert "HTTPError 40" in probe["what"]["other_data"] and "HTTPError 40" in probe["what"]["models"], harness.pretty(probe)
    # The log does not give the token away; and it is dead, as the record says.
    assert "TOKEN [secret]" in log
    run = world.mlflow("GET", f"/runs/get?run_id={job['run_id']}")["run"]
    assert run["info"]["status"] == "FINISHED"
    tokens = people.call(world.session, trainer, "GET", "/tokens")["tokens"]
    assert not [token for token in tokens if job["job"] in token["label"]], "no token of the job lives"
    found = people.call(trainer.session(), trainer, "GET", "/audit/records?rows=1000&what=tokens.create_for")["records"]
    assert found, "the token's making is in the log"


def test_what_comes_of_a_job_is_its_programs_alone(trainer, crew, trusted, tmp_path):
    """Whoever asked holds the run, but cannot put a model of their own in place of what the program makes."""
    waits = "import time\nprint('waits', flush=True)\ntime.sleep(5)\n"
    files = {"train.py": waits + retrain_code.TRAIN, "idle.py": waits}
    world = World(trainer, crew["contributor"], trusted, files, tmp_path)

    def attempts(run):
        api = f"{trainer.url}/api/2.0"
        body = {"experiment_id": world.experiment, "name": "model", "source_run_id": run}
        yield world.session.post(f"{api}/mlflow/logged-models", json=body)
        yield world.session.put(f"{api}/mlflow-artifacts/artifacts/{world.experiment}/{run}/artifacts/model/MLmodel", data=b"flavors: {}\n")
        for made in world.mlflow("POST", "/logged-models/search", {"experiment_ids": [world.experiment]}).get("models", []):
            assert made["info"]["source_run_id"] == run, harness.pretty(made)
            place = f"{api}/mlflow-artifacts/artifacts/{world.experiment}/models/{made['info']['model_id']}/artifacts"
            yield world.session.put(f"{place}/MLmodel", data=b"flavors: {}\n")

    def claim(**words):
        """A version of other files, which only says that it is what the job made."""
        source = f"mlflow-artifacts:/{world.experiment}/{world.run}/artifacts/model"
        made = world.mlflow("POST", "/model-versions/create", {"name": world.model, "source": source, **words})
        return int(made["model_version"]["version"])

    for entry, state in (("idle.py", "failed"), ("train.py", "succeeded")):
        id = world.submit(entry=entry)["job"]
        harness.wait_until(lambda: "waits" in world.log(id), 60, "the job runs")
        run = world.job(id)["run_id"]
        for answer in attempts(run):
            assert answer.status_code == 403 and "a run of your own" in answer.text, answer.text
        said = claim(run_id=run)
        job = world.over(id)
        assert job["state"] == state and job["made_version"] != said, harness.pretty(job)
    full_origin(world, job)
    logged = world.mlflow("POST", "/logged-models/search", {"experiment_ids": [world.experiment]})["models"][0]["info"]["model_id"]
    for version in (said, claim(run_id=run), claim(model_id=logged), claim(run_id=run, model_id=logged)):
        origin = world.report(version)["origin"]
        assert origin["executed_count"] == 0 and origin["run"]["trust"] != "executed", harness.pretty(origin)
    answers = list(attempts(run))
    assert len(answers) == 3 and {answer.status_code for answer in answers} == {403}, answers


def test_a_token_is_dead_once_the_job_is_over(trainer, crew, trusted, tmp_path):
    """The job hands its token to the test while it runs, by a tag of its run."""
    script = """
import mlflow, os, time
token = os.environ["MLFLOW_TRACKING_TOKEN"]
half = len(token) // 2
mlflow.MlflowClient().set_tag(os.environ["MLFLOW_RUN_ID"], "half.a", token[:half])
mlflow.MlflowClient().set_tag(os.environ["MLFLOW_RUN_ID"], "half.b", token[half:])
time.sleep(4)
"""
    world = World(trainer, crew["contributor"], trusted, {"train.py": script}, tmp_path)
    id = world.submit()["job"]
    halves, status = {}, None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(halves) < 2:
        run = world.job(id)["run_id"]
        if run:
            tags = world.mlflow("GET", f"/runs/get?run_id={run}")["run"]["data"]["tags"]
            halves = {tag["key"]: tag["value"] for tag in tags if tag["key"].startswith("half.")}
        time.sleep(0.1)
    token = halves["half.a"] + halves["half.b"]
    holder = trainer.session(token)
    ask = lambda path: holder.get(f"{trainer.url}{path}").status_code
    assert ask(f"/api/2.0/mlflow/runs/get?run_id={run}") == 200, "it lives while the job does"
    assert ask(f"/api/2.0/mlflow/registered-models/get?name={world.model}") in (403, 404)
    body = {"name": world.model, "source": f"runs:/{run}/model", "run_id": run}
    created = holder.post(f"{trainer.url}/api/2.0/mlflow/model-versions/create", json=body)
    assert created.status_code in (403, 404), "the program registers nothing: the server does"
    world.over(id)
    assert ask(f"/api/2.0/mlflow/runs/get?run_id={run}") == 401


def test_a_job_is_stopped_with_all_that_it_began(trainer, crew, trusted, tmp_path):
    world = World(trainer, crew["contributor"], trusted, {"train.py": retrain_code.SLEEP}, tmp_path)
    id = world.submit()["job"]
    harness.wait_until(lambda: "sleeps" in world.log(id), 60, "the job runs")
    assert processes("time.sleep(3600)")
    world.cli("retrain", "cancel", world.model, id)
    job = world.over(id, 30)
    assert job["state"] == "cancelled" and job["made_version"] is None, harness.pretty(job)
    assert world.mlflow("GET", f"/runs/get?run_id={job['run_id']}")["run"]["info"]["status"] == "KILLED"
    harness.wait_until(lambda: not processes("time.sleep(3600)"), 10, "nothing of the job is left")
    assert not (trainer.data / "retrain" / id).exists(), "its folder is gone"
    again = people.call(world.session, trainer, "POST", f"/models/{world.model}/retrainings/{id}/cancel", status=409, json={})
    assert again["error_code"]


def processes(part: str) -> list[int]:
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if part.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


@pytest.mark.any_database("the sandbox has none")
def test_time_memory_and_disk_are_limited(crew, tmp_path):
    keys = {"seconds_max": 20, "memory_bytes_max": 512 << 20, "folder_bytes_max": 16 << 20}
    with harness.running(config_text=config(**keys)) as server:
        contributor, reviewer = people.person(server, "contributor"), people.person(server, "reviewer")
        trusted = trusted_source(server, reviewer)
        files = {"sleep.py": retrain_code.SLEEP, "memory.py": retrain_code.MEMORY, "hoard.py": retrain_code.HOARD}
        files |= {"nameless.py": retrain_code.NAMELESS, "beyond.py": retrain_code.BEYOND}
        world = World(server, contributor, trusted, files, tmp_path, source_name="nothing")
        assert "entry" in world.submit(status=400)["message"], "nobody knows what to start"
        jobs = {name: world.submit(entry=f"{name}.py")["job"] for name in ("memory", "hoard", "nameless", "beyond", "sleep")}
        memory = world.over(jobs["memory"], 60)
        assert memory["state"] == "failed" and "MemoryError" in world.log(jobs["memory"]), harness.pretty(memory)
        for name in ("hoard", "nameless", "beyond"):
            hoard = world.over(jobs[name], 60)
            assert "folder_bytes_max" in (hoard["fault"] or ""), harness.pretty(hoard) + world.log(jobs[name])
        sleep = world.over(jobs["sleep"], 60)
        assert "seconds_max" in sleep["fault"], harness.pretty(sleep)
        harness.wait_until(lambda: not processes("time.sleep(3600)"), 10, "nothing of the jobs is left")


def test_a_job_that_the_server_left_behind_has_failed_and_its_token_is_dead(tmp_path):
    with harness.running(config_text=config()) as server:
        contributor, reviewer = people.person(server, "contributor"), people.person(server, "reviewer")
        world = World(server, contributor, trusted_source(server, reviewer), {"train.py": retrain_code.SLEEP}, tmp_path)
        id = world.submit()["job"]
        harness.wait_until(lambda: "sleeps" in world.log(id), 60, "the job runs")
        server.kill()
        harness.wait_until(lambda: not processes("time.sleep(3600)"), 10, "the job ends with the server")
        server.start()
        job = world.over(id, 30)
        assert job["state"] == "failed" and "interrupted" in job["fault"], harness.pretty(job)

        def tokens():
            return [token for token in people.call(world.session, server, "GET", "/tokens")["tokens"] if id in token["label"]]

        # The job is ended first, and its token in the moment after.
        harness.wait_until(lambda: not tokens(), 10, "its token is revoked")
        assert not (server.data / "retrain" / id).exists()


def test_who_may_have_what_trained(trainer, crew, trusted, world, tmp_path):
    path = f"/models/{world.model}/versions/1/retrain"
    for role in ("viewer", "trainer"):
        people.call(crew[role].session(), trainer, "POST", path, status=403, json={})
    # Somebody else's code and data: each is asked for as the caller.
    stranger = people.person(trainer, "contributor", on="registered_model", resource=world.model)
    people.call(stranger.session(), trainer, "POST", path, status=(403, 404), json={})
    narrow = people.mint(world.session, trainer, scopes=["retraining.*", "datasets.get"], lifetime_s=600)
    refused = people.call(trainer.session(narrow["secret"]), trainer, "POST", path, status=403, json={})
    assert "would need" in refused["message"]
    for wish, status in (
        ({"entry": "other.py"}, 400), ({"entry": "train.py {nothing}"}, 400), ({"on": "ray"}, 409), ({"on": "moon"}, 400),
        ({"data": "nothing@1"}, 404), ({"code": {"run_id": "nothing"}}, 404), ({"request": "nothing"}, 409),
        ({"parameters": {"x": "y" * 7_000}}, 400), ({"unknown": 1}, 400),
    ):  # fmt: skip
        people.call(world.session, trainer, "POST", path, status=status, json=wish)


def test_code_that_changed_does_not_run_and_data_that_waits_is_waited_for(trainer, crew, trusted, world):
    # Uncommitted sources are not trusted, so this version waits for a reviewer.
    commit(world.session, trainer, world.data, {"train.csv": (PLAIN + "1,kind1,1\n").encode()})
    shown = wait(world.session, trainer, world.data, 2)
    assert shown["state"] != "admitted", harness.pretty(shown)
    first, second = (world.submit(data=f"{world.data}@2")["job"] for _ in range(2))
    time.sleep(3)
    assert world.job(first)["state"] == "queued"
    world.put(world.run, "code/train.py", (retrain_code.TRAIN + "\nprint('changed')\n").encode())
    people.call(world.session, trainer, "POST", f"/models/{world.model}/retrainings/{second}/cancel", json={})
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    path = f"/{world.data}/versions/2/waive"
    api(crew["reviewer"].session(), trainer, "POST", path, json={"reason": "a test", "until": until})
    job = world.over(first)
    assert job["state"] == "failed" and "not what it was" in job["fault"], harness.pretty(job)
    assert world.job(second)["state"] == "cancelled"


def test_requests_that_cleaning_left_are_taken(trainer, crew, world, tmp_path):
    world.cli("data", "clean", f"{world.data}@1", "--rows", "3", "--reason", "row 3 is poisoned", "--retrain", "--wait", check=False)
    wanted = lambda: [
        request for request in people.call(world.session, trainer, "GET", "/retrain-requests")["requests"]
        if request["model"] == f"{world.model}/1"
    ]  # fmt: skip
    request = wanted()[0]
    assert request["state"] == "queued" and request["replaced_by"] == f"{world.data}@2", harness.pretty(request)
    code = tmp_path / "code"
    (code / "__pycache__").mkdir(parents=True)
    (code / "start.py").write_text(retrain_code.TRAIN)
    done = world.cli(
        "model", "retrain", f"{world.model}/1", "--request", request["id"], "--code", str(code), "--entry", "python start.py",
        "--wait", "--json", check=False,
    )  # fmt: skip
    job = json.loads(done.stdout)
    assert done.returncode == 0 and job["data"] == f"{world.data}@2", done.stderr + harness.pretty(job) + world.log(job["job"])
    assert [file["path"] for file in job["spec"]["code"]["files"]] == ["start.py"]
    assert wanted()[0]["state"] == "done"
    full_origin(world, job)


# Runs a program in which no call makes namespaces, as in many containers: a seccomp filter that everything below it inherits.
NO_NAMESPACES = """#!{python}
import ctypes, os, platform, struct, sys
unshare = {{"x86_64": 272, "aarch64": 97}}[platform.machine()]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, unshare), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("HBBI", *step) for step in steps)
libc = ctypes.CDLL(None, use_errno=True)
kept = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(kept))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
os.execv({binary!r}, [{binary!r}, *sys.argv[1:]])
"""


def test_without_a_sandbox_nothing_runs(tmp_path, monkeypatch):
    """Where the kernel lets nobody make namespaces, jobs are refused unless the operator wants them all the same."""
    wrapper = tmp_path / "strongroom"
    wrapper.write_text(NO_NAMESPACES.format(python=sys.executable, binary=str(harness.binary())))
    wrapper.chmod(0o755)
    monkeypatch.setenv(harness.BINARY, str(wrapper))
    for insecure in (False, True):
        with harness.running(config_text=config(allow_insecure_unsandboxed=insecure)) as server:
            contributor, reviewer = people.person(server, "contributor"), people.person(server, "reviewer")
            world = World(server, contributor, trusted_source(server, reviewer), {"train.py": "print('it ran')"}, tmp_path)
            job = world.over(world.submit()["job"], 60)
            if insecure:
                assert "it ran" in world.log(job["job"]) and "namespaces" in job["confinement"]["missing"][0], harness.pretty(job)
                # What does not need them holds all the same.
                assert job["confinement"]["landlock_abi"] >= 3 and job["confinement"]["seccomp"]
            else:
                assert "sandbox cannot be built" in job["fault"] and "it ran" not in world.log(job["job"]), harness.pretty(job)


@pytest.mark.any_database("a cluster knows nothing of it")
def test_a_ray_cluster_trains_and_the_origin_is_whole(tmp_path_factory, tmp_path):
    with ray_cluster.running(tmp_path_factory.getbasetemp()) as (address, token):
        secret = tmp_path / "ray.token"
        secret.write_text(token)
        text = (
            f"[retrain.ray]\naddress = \"{address}\"\ntoken_file = \"{secret}\"\nallow_insecure = true\n"
            f"python = \"{sys.executable}\"\n"
        )  # fmt: skip
        with harness.running(config_text=text) as server:
            contributor, reviewer = people.person(server, "contributor"), people.person(server, "reviewer")
            trusted = trusted_source(server, reviewer)
            files = {"train.py": retrain_code.TRAIN, "sleep.py": retrain_code.SLEEP, "fail.py": "raise SystemExit(7)"}
            world = World(server, contributor, trusted, files, tmp_path)
            job = world.over(world.submit(entry="train.py --penalty {penalty}", parameters={"penalty": "0.25"})["job"])
            log = world.log(job["job"])
            assert job["state"] == "succeeded" and job["on"] == "ray", harness.pretty(job) + log + server.log_end()
            assert "trained on 400 rows with penalty 0.25" in log and job["confinement"]["ray"]
            full_origin(world, job)
            tokens = people.call(world.session, server, "GET", "/tokens")["tokens"]
            assert not [found for found in tokens if job["job"] in found["label"]]
            known = requests.get(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
            assert not [found for found in known if job["job"] in json.dumps(found)], "the cluster has forgotten it, token and all"
            failed = world.over(world.submit(entry="fail.py")["job"])
            assert failed["state"] == "failed" and "on the cluster" in failed["fault"], harness.pretty(failed)
            id = world.submit(entry="sleep.py")["job"]
            harness.wait_until(lambda: "sleeps" in world.log(id), 120, "the job runs on the cluster")
            world.cli("retrain", "cancel", world.model, id)
            assert world.over(id, 90)["state"] == "cancelled"
            # Another token than the cluster's is refused, and that is said.
            secret.write_text("wrong")
            refused = world.over(world.submit()["job"], 60)
            assert "token" in refused["fault"], harness.pretty(refused)
