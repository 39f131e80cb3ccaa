"""Data sets: committed, inspected by the real worker, decided by people, read for training."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
import uuid

import pytest

import harness
import people

pytestmark = pytest.mark.strongroom_only
PREFIX = "/datasets"
# The worker is a process of its own; a small file takes it well under a second on an idle machine.
INSPECTION_SECONDS_MAX = 120
CLEAN = "age,city,churned\n" + "".join(f"{20 + n % 50},city{n % 7},{n % 2}\n" for n in range(400))


def fresh(prefix: str = "set") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def api(session, server, method, path, status=200, **arguments):
    return people.call(session, server, method, f"{PREFIX}{path}", status=status, **arguments)


def put(session, server, name, version, path, data: bytes):
    url = f"{server.url}{people.ADMIN}{PREFIX}/{name}/versions/{version}/files/{path}"
    answer = session.put(url, data=data)
    assert answer.status_code == 200, answer.text
    assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()


def commit(session, server, name, files: dict[str, bytes], **wish) -> dict:
    opened = api(session, server, "POST", f"/{name}/versions", json={})
    for path, data in files.items():
        put(session, server, name, opened["id"], path, data)
    return api(session, server, "POST", f"/{name}/versions/{opened['id']}/commit", json=wish)


def wait(session, server, name, version) -> dict:
    """The version once its inspection is over."""
    deadline = time.monotonic() + INSPECTION_SECONDS_MAX
    while time.monotonic() < deadline:
        shown = api(session, server, "GET", f"/{name}/versions/{version}")
        if shown["inspection"]["state"] not in ("queued", "running"):
            return shown
        time.sleep(0.1)
    raise AssertionError(f"not inspected within {INSPECTION_SECONDS_MAX} s: {harness.pretty(shown)}\n{server.log_end()}")


def read(session, server, name, version, path, **headers):
    return session.get(f"{server.url}{people.ADMIN}{PREFIX}/{name}/versions/{version}/files/{path}", headers=headers)


def waive(session, server, name, version, status=200):
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    return api(session, server, "POST", f"/{name}/versions/{version}/waive", status=status, json={"reason": "a test", "until": until})


@pytest.fixture(scope="module")
def crew(server):
    roles = ("contributor", "reviewer", "trainer", "viewer")
    return {role: people.person(server, role) for role in roles}


@pytest.fixture(scope="module")
def trusted(server, crew):
    """A pattern of addresses that the register trusts."""
    name = fresh("source")
    body = {"name": name, "pattern": f"https://{name}.example/*", "owner": "example", "licence": "CC0-1.0"}
    people.call(crew["reviewer"].session(), server, "POST", "/sources", json=body)
    return f"https://{name}.example/data.csv"


@pytest.fixture(scope="module")
def admitted(server, crew, trusted):
    """A version that passed."""
    name, session = fresh("admitted"), crew["contributor"].session()
    wish = {"source": trusted, "licence": "CC0-1.0", "owner": "example", "roles": {"label": "churned"}}
    commit(session, server, name, {"train.csv": CLEAN.encode()}, **wish)
    shown = wait(session, server, name, 1)
    if shown["state"] != "admitted":
        findings = api(session, server, "GET", f"/{name}/versions/1/findings")
        assert shown["verdict"] == "waiver", harness.pretty([shown, findings])
        waive(crew["reviewer"].session(), server, name, 1)
    return name


def test_a_version_without_origin_waits_for_a_waiver_of_somebody_else(server, crew):
    name, committer = fresh(), crew["contributor"].session()
    done = commit(committer, server, name, {"a.csv": CLEAN.encode()})
    assert done["version"] == 1
    shown = wait(committer, server, name, 1)
    assert (shown["state"], shown["verdict"]) == ("quarantined", "waiver"), harness.pretty(shown)
    assert "source" in shown["unknown"] and shown["row_count"] == 400
    found = api(committer, server, "GET", f"/{name}/versions/1/findings")["findings"]
    assert "provenance.source_unknown" in [finding["id"] for finding in found]
    for role in ("viewer", "trainer"):
        refused = read(crew[role].session(), server, name, 1, "a.csv")
        assert refused.status_code == 403 and "quarantined" in refused.text, refused.text
    assert read(crew["reviewer"].session(), server, name, 1, "a.csv").content == CLEAN.encode()
    waive(committer, server, name, 1, status=403)
    waive(crew["viewer"].session(), server, name, 1, status=403)
    assert waive(crew["reviewer"].session(), server, name, 1)["state"] == "admitted"
    assert read(crew["viewer"].session(), server, name, 1, "a.csv").content == CLEAN.encode()


def test_what_cannot_be_read_is_refused(server, crew, trusted):
    name, session = fresh(), crew["contributor"].session()
    commit(session, server, name, {"a.parquet": b"PAR1" + b"\x00" * 64 + b"PAR1"}, source=trusted, licence="CC0-1.0")
    shown = wait(session, server, name, 1)
    assert shown["state"] == "refused", harness.pretty(shown)
    refused = api(crew["reviewer"].session(), server, "POST", f"/{name}/versions/1/admit", status=409, json={"reason": "please"})
    assert refused["error_code"] == "RESOURCE_CONFLICT"


def test_ranges_documents_and_the_archive(server, crew, admitted):
    session = crew["viewer"].session()
    part = read(session, server, admitted, "admitted", "train.csv", Range="bytes=0-15")
    assert (part.status_code, part.content) == (206, CLEAN.encode()[:16])
    base = f"{server.url}{people.ADMIN}{PREFIX}/{admitted}/versions/1"
    report = session.get(f"{base}/documents/report.json")
    shown = api(session, server, "GET", f"/{admitted}/versions/1")
    assert hashlib.sha256(report.content).hexdigest() == shown["inspection"]["report_sha256"]
    page = session.get(f"{base}/documents/report.html")
    assert page.headers["content-security-policy"].startswith("sandbox")
    envelope = session.get(f"{base}/documents/attestation.json").json()
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    croissant = session.get(f"{base}/documents/croissant.json")
    assert croissant.headers["content-type"] == "application/ld+json" and croissant.json()["name"] == admitted
    session = crew["contributor"].session()
    archive = tarfile.open(fileobj=io.BytesIO(session.get(f"{base}/export").content))
    assert {"manifest.txt", "report.json", "attestation.json", "croissant.json", "data/train.csv"} <= set(archive.getnames())
    assert archive.extractfile("croissant.json").read() == croissant.content
    manifest = archive.extractfile("manifest.txt").read()
    assert hashlib.sha256(manifest).hexdigest() == shown["manifest_sha256"]


def test_a_training_token_reads_one_version_and_writes_one_experiment(server, crew, admitted, monkeypatch):
    owner = people.person(server, "owner")
    session = owner.session()
    make = lambda name: session.post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": name}).json()["experiment_id"]
    mine, other = make(fresh("train")), make(fresh("other"))
    minted = server.cli(
        "data", "token", f"{admitted}@1", "--experiment", mine, "--ttl", "30m", "--json",
        "--token-file", str(token_file(server, owner.token)),
    )
    minted = json.loads(minted.stdout)
    training = server.session(minted["secret"])
    assert read(training, server, admitted, 1, "train.csv").status_code == 200
    quarantined = fresh()
    commit(crew["contributor"].session(), server, quarantined, {"a.csv": b"x\n1\n"})
    assert read(training, server, quarantined, 1, "a.csv").status_code in (403, 404)
    assert read(session, server, quarantined, 1, "a.csv").status_code == 200, "its owner may"
    run = lambda experiment: training.post(f"{server.url}/api/2.0/mlflow/runs/create", json={"experiment_id": experiment})
    assert run(mine).status_code == 200
    assert run(other).status_code in (403, 404)
    for path in ("/datasets", "/tokens", "/grants"):
        assert training.get(f"{server.url}{people.ADMIN}{path}").status_code in (403, 404), path
    assert training.post(f"{server.url}/api/2.0/mlflow/registered-models/create", json={"name": fresh("m")}).status_code in (403, 404)


def token_file(server, token: str):
    path = server.data.parent / f"{uuid.uuid4().hex}.token"
    path.write_text(token)
    path.chmod(0o600)
    return path


def test_what_a_run_reads_is_in_the_lineage_of_its_model(server, crew, admitted, mlflow_here, tmp_path):
    import pandas

    mlflow = mlflow_here
    mlflow.set_experiment(fresh("lineage"))
    admin = server.session()
    url = f"{server.url}{people.ADMIN}{PREFIX}/{admitted}/versions/1/files/train.csv"
    with mlflow.start_run() as run:
        answer = admin.get(url, headers={"X-Strongroom-Run": run.info.run_id})
        assert answer.status_code == 200, answer.text
        frame = pandas.read_csv(io.BytesIO(answer.content))
        mlflow.log_input(mlflow.data.from_pandas(frame, source=url, name="train"), context="training")
        path = tmp_path / "model.txt"
        path.write_text("weights")
        mlflow.log_artifact(str(path), "model")
    client = mlflow.MlflowClient()
    name = fresh("model")
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)
    shown = people.call(admin, server, "GET", f"/lineage/{name}/1")
    data = [entry for entry in shown["training_data"] + shown["other_data"] if entry.get("name") == f"{admitted}@1"]
    assert data and all(entry["trust"] == "observed" for entry in data), harness.pretty(shown)
    kinds = {node["kind"] for node in shown["nodes"]}
    assert {"data_version", "data_source", "inspection"} <= kinds, kinds
    assert f"{admitted}@1" in shown["text"]


def test_a_version_from_the_artifacts_of_a_run(server, mlflow_here, tmp_path):
    mlflow = mlflow_here
    mlflow.set_experiment(fresh("from-run"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").write_text(CLEAN)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "out"), "data")
    name, admin = fresh("from-run"), server.session()
    done = api(admin, server, "POST", f"/{name}/from-run", json={"run_id": run.info.run_id, "path": "data"})
    shown = wait(admin, server, name, done["version"])
    assert shown["run_id"] == run.info.run_id and shown["file_count"] == 1
    manifest = api(admin, server, "GET", f"/{name}/versions/1/manifest")
    assert manifest["files"] == [{"path": "a.csv", "size_bytes": len(CLEAN), "sha256": hashlib.sha256(CLEAN.encode()).hexdigest()}]
    with mlflow.start_run() as run:
        mlflow.log_table({"size": list(range(300)), "kind": [f"k{n % 3}" for n in range(300)]}, "tables/sizes.json")
    done = api(admin, server, "POST", f"/{name}/from-run", json={"run_id": run.info.run_id, "path": "tables"})
    shown = wait(admin, server, name, done["version"])
    assert shown["row_count"] == 300, harness.pretty(shown)
    missing = api(admin, server, "POST", f"/{name}/from-run", status=404, json={"run_id": run.info.run_id, "path": "nothing"})
    assert missing["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_the_command_line_from_commit_to_clean(server, crew, trusted, tmp_path):
    name = fresh("cli")
    admin = ["--token-file", str(server.token_file)]
    contributor = ["--token-file", str(token_file(server, crew["contributor"].token))]
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text(CLEAN)
    (folder / "b.csv").write_text(CLEAN)
    done = server.cli("data", "commit", name, str(folder), "--source", trusted, "--licence", "CC0-1.0", "--wait", "--json", *contributor, check=False)
    shown = json.loads(done.stdout)
    assert done.returncode == (0 if shown["state"] == "admitted" else 3), done.stderr
    server.cli("data", "findings", f"{name}@1", "--details", *contributor)
    if shown["state"] != "admitted":
        server.cli("data", "waive", f"{name}@1", "--reason", "a test", "--days", "1", *admin)
    server.cli("data", "fetch", f"{name}@1", "--to", str(tmp_path / "out"), *contributor)
    assert (tmp_path / "out" / "a.csv").read_text() == CLEAN
    server.cli("data", "clean", f"{name}@1", "--rows", "0-1,400", "--reason", "a test", "--wait", *contributor, check=False)
    cleaned = json.loads(server.cli("data", "show", f"{name}@2", "--json", *contributor).stdout)
    removed = cleaned["parents"][0].pop("removed")
    assert cleaned["parents"] == [{"version": 1, "how": "cleaned"}] and cleaned["row_count"] == 797, harness.pretty(cleaned)
    assert (removed["row_count"], removed["of_row_count"], removed["why"]) == (3, 800, "a test")
    listed = json.loads(server.cli("data", "report", f"{name}@2", "--part", "removed", *contributor).stdout)
    assert listed["rows"] == [[0, 1], [400, 400]]
    diff = json.loads(server.cli("data", "diff", f"{name}@2", "--json", *contributor).stdout)
    assert diff["row_count"] == {"before": 800, "after": 797} and diff["files"]["changed"] == 2
    assert name in server.cli("data", "list", *contributor).stdout
    refused = server.cli("data", "show", f"{name}@9", *contributor, check=False)
    assert refused.returncode == 4, refused.stderr


def test_csv_files_are_read_as_their_committer_says(server, tmp_path):
    name, admin = fresh("csv"), ["--token-file", str(server.token_file)]
    file = tmp_path / "texts.csv"
    # Nothing tells whether the first record names the columns, and `~` parts fields in no other table.
    file.write_text("".join(f"This is text number {n}.~{('spam', 'ham')[n % 2]}\n" for n in range(300)))
    server.cli("data", "commit", name, str(file), "--wait", *admin, check=False)
    found = api(server.session(), server, "GET", f"/{name}/versions/1")
    assert (found["row_count"], found["column_count"], found["csv"]) == (299, 1, {}), harness.pretty(found)
    noted = [finding["detail"] for finding in api(server.session(), server, "GET", f"/{name}/versions/1/findings")["findings"]]
    assert any("say that there is no header" in detail for detail in noted), noted
    server.cli("data", "commit", name, str(file), "--no-header", "--delimiter", "~", "--label", "column_2", "--wait", *admin, check=False)
    said = api(server.session(), server, "GET", f"/{name}/versions/2")
    assert (said["row_count"], said["column_count"], said["csv"]) == (300, 2, {"header": False, "delimiter": "~"}), harness.pretty(said)
    noted = [finding["detail"] for finding in api(server.session(), server, "GET", f"/{name}/versions/2/findings")["findings"]]
    assert not any("header" in detail for detail in noted), noted
    counted = server.cli("data", "query", f"{name}@2", "SELECT COUNT(*) AS n FROM data WHERE column_2 = 'spam'", *admin)
    assert "150" in counted.stdout
    server.cli("data", "clean", f"{name}@2", "--rows", "0", "--reason", "a test", "--wait", *admin, check=False)
    cleaned = api(server.session(), server, "GET", f"/{name}/versions/3")
    assert (cleaned["row_count"], cleaned["csv"]) == (299, said["csv"]), harness.pretty(cleaned)
    fetched = server.cli("data", "fetch", f"{name}@3", "--to", str(tmp_path / "out"), "--json", *admin)
    assert json.loads(fetched.stdout)["csv"] == said["csv"]
    assert (tmp_path / "out" / "texts.csv").read_text() == file.read_text().split("\n", 1)[1]
    for wrong in (["--delimiter", "x"], ["--header", "--no-header"]):
        assert server.cli("data", "commit", name, str(file), *wrong, *admin, check=False).returncode == 2
    wish = {"format": "parquet", "csv": {"header": True}}
    opened = api(server.session(), server, "POST", f"/{name}/versions", json={})
    put(server.session(), server, name, opened["id"], "a.csv", b"x\n1\n")
    api(server.session(), server, "POST", f"/{name}/versions/{opened['id']}/commit", status=400, json=wish)


def test_a_killed_server_admits_nothing_and_takes_up_what_it_left(fresh_server):
    server = fresh_server
    session = server.session()
    name = fresh()
    commit(session, server, name, {"a.csv": CLEAN.encode()})
    server.kill()
    server.start()
    shown = wait(session, server, name, 1)
    assert shown["inspection"]["state"] == "done" and shown["state"] == "quarantined", harness.pretty(shown)
    server.cli("audit", "verify")
