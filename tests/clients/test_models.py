"""Models: registered by the real client, inspected by the real worker, promoted only when they are admitted."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pickle
import subprocess
import time
import uuid
import zipfile

import pytest

import harness
import people
from test_data import commit as commit_data, read as read_data, token_file, wait as wait_for_data

pytestmark = pytest.mark.strongroom_only
PREFIX = "/models"
INSPECTION_SECONDS_MAX = 120


def fresh(prefix: str = "model") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def api(session, server, method, path, status=200, **arguments):
    return people.call(session, server, method, f"{PREFIX}{path}", status=status, **arguments)


def wait(session, server, name, version) -> dict:
    """The version once its inspection is over."""
    deadline = time.monotonic() + INSPECTION_SECONDS_MAX
    while time.monotonic() < deadline:
        shown = api(session, server, "GET", f"/{name}/versions/{version}")
        if not shown["inspection"] or shown["inspection"]["state"] not in ("queued", "running"):
            return shown
        time.sleep(0.1)
    raise AssertionError(f"not inspected within {INSPECTION_SECONDS_MAX} s: {harness.pretty(shown)}\n{server.log_end()}")


def finding_ids(session, server, name, version) -> list[str]:
    return [finding["id"] for finding in api(session, server, "GET", f"/{name}/versions/{version}/findings")["findings"]]


class Touch:
    """What an attacker's pickle does: here it only asks for a function's name, which is never called."""

    def __reduce__(self):
        import os

        return os.system, ("true",)


def logged(mlflow, folder, files: dict[str, bytes]) -> str:
    """A run with these files as its model; its source."""
    folder.mkdir(exist_ok=True)
    for path, data in files.items():
        (folder / path).write_bytes(data)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "model")
    return f"runs:/{run.info.run_id}/model"


def register(mlflow, source: str, name: str) -> str:
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    return client.create_model_version(name, source, source.split("/")[1]).version


def is_refused(mlflow, name, version) -> str:
    """No alias, no active stage, no files: what the server says."""
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    for act in (
        lambda: client.set_registered_model_alias(name, "champion", version),
        lambda: client.transition_model_version_stage(name, version, "Production"),
    ):
        with pytest.raises(MlflowException) as told:
            act()
        assert "refused" in str(told.value) or "quarantine" in str(told.value), told.value
    return str(told.value)


@pytest.mark.parametrize("form", ["skops", "cloudpickle"])
def test_a_real_model_is_admitted_and_promoted_as_ever(server, mlflow_here, form):
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    mlflow, name = mlflow_here, fresh("iris")
    mlflow.set_experiment(fresh("exp"))
    features, labels = load_iris(return_X_y=True)
    with mlflow.start_run():
        fitted = LogisticRegression(max_iter=500).fit(features, labels)
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, serialization_format=form)
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "champion", "1")
    shown = wait(server.session(), server, name, 1)
    assert shown["state"] == "admitted" and shown["may_be_promoted"], harness.pretty(
        [shown, api(server.session(), server, "GET", f"/{name}/versions/1/findings")]
    )
    assert client.get_model_version(name, "1").status == "READY"
    loaded = mlflow.sklearn.load_model(f"models:/{name}@champion")
    assert (loaded.predict(features) == fitted.predict(features)).all()


def test_a_malicious_pickle_is_refused_by_each_way_in(server, mlflow_here, tmp_path):
    mlflow = mlflow_here
    mlflow.set_experiment(fresh("exp"))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Touch()))
    for what, data in {"plain": pickle.dumps(Touch()), "protocol0": pickle.dumps(Touch(), 0), "torch": inner.getvalue()}.items():
        name = fresh(what)
        version = register(mlflow, logged(mlflow, tmp_path / what, {"MLmodel": b"flavors: {}\n", "model.pkl": data}), name)
        assert "file.blocked" in finding_ids_after(server, name, version)
        is_refused(mlflow, name, version)
        assert mlflow.MlflowClient().get_model_version(name, version).status == "FAILED_REGISTRATION"
        from mlflow.exceptions import MlflowException

        with pytest.raises(MlflowException, match="may do harm"):
            mlflow.MlflowClient().get_model_version_download_uri(name, version)


def finding_ids_after(server, name, version):
    wait(server.session(), server, name, version)
    return finding_ids(server.session(), server, name, version)


def test_a_model_of_refused_data_is_refused(server, mlflow_here, tmp_path):
    mlflow, admin, data = mlflow_here, server.session(), fresh("bad")
    mlflow.set_experiment(fresh("exp"))
    commit_data(admin, server, data, {"a.csv": b"a,b\n1,2\n3,4\n"})
    wait_for_data(admin, server, data, 1)
    with mlflow.start_run() as run:
        read_data(admin, server, data, 1, "a.csv", **{"X-Strongroom-Run": run.info.run_id})
        (tmp_path / "weights.txt").write_text("tree\n")
        (tmp_path / "MLmodel").write_text("flavors: {}\n")
        mlflow.log_artifacts(str(tmp_path), "model")
    people.call(admin, server, "POST", f"/datasets/{data}/versions/1/refuse", json={"reason": "a test"})
    name = fresh()
    version = register(mlflow, f"runs:/{run.info.run_id}/model", name)
    assert "origin.data_refused" in finding_ids_after(server, name, version)
    is_refused(mlflow, name, version)


def test_what_cannot_be_judged_waits_for_a_waiver_of_somebody_else(server, mlflow_here, tmp_path):
    mlflow = mlflow_here
    mlflow.set_experiment(fresh("exp"))
    name = fresh()
    version = register(mlflow, logged(mlflow, tmp_path / "m", {"model.odd": b"\x93odd bytes of no known format\x00\xff" * 9}), name)
    shown = wait(server.session(), server, name, version)
    assert (shown["state"], shown["verdict"]) == ("quarantined", "waiver"), harness.pretty(shown)
    assert "waive" in is_refused(mlflow, name, version)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    body = {"reason": "read line by line", "until": until}
    own = api(server.session(), server, "POST", f"/{name}/versions/{version}/waive", status=403, json=body)
    assert "another reviewer" in own["message"]
    reviewer = people.person(server, "reviewer").session()
    assert api(reviewer, server, "POST", f"/{name}/versions/{version}/waive", json=body)["state"] == "admitted"
    client = mlflow.MlflowClient()
    client.set_registered_model_alias(name, "champion", version)
    assert client.get_model_version(name, version).status_message == f"admitted until {until}: read line by line"
    # Other bytes under the same name, of which the same is found, are not what the reviewer read.
    (tmp_path / "m" / "model.odd").write_bytes(b"\x93quite other bytes of no known format\x00\xff" * 9)
    client.log_artifact(client.get_model_version(name, version).run_id, str(tmp_path / "m" / "model.odd"), "model")
    with pytest.raises(mlflow.exceptions.MlflowException, match="not those that were inspected"):
        client.get_model_version_download_uri(name, version)
    api(server.session(), server, "POST", f"/{name}/versions/{version}/inspect", json={})
    shown = wait(server.session(), server, name, version)
    assert (shown["state"], shown["may_be_promoted"]) == ("quarantined", False), harness.pretty(shown)


def test_files_that_come_after_a_label_are_not_handed_out_uninspected(server, mlflow_here, tmp_path):
    mlflow, name = mlflow_here, fresh("late")
    mlflow.set_experiment(fresh("exp"))
    client = mlflow.MlflowClient()
    with mlflow.start_run() as run:
        version = register(mlflow, f"runs:/{run.info.run_id}/model", name)
    client.set_registered_model_alias(name, "champion", version)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Touch()))
    client.log_artifact(run.info.run_id, str(tmp_path / "model.pkl"), "model")
    with pytest.raises(mlflow.exceptions.MlflowException, match="never inspected"):
        mlflow.artifacts.download_artifacts(f"models:/{name}@champion", dst_path=str(tmp_path))
    api(server.session(), server, "POST", f"/{name}/versions/{version}/inspect", json={})
    assert "file.blocked" in finding_ids_after(server, name, version)


def test_the_command_line_from_list_to_rollback(server, mlflow_here, tmp_path):
    mlflow, name = mlflow_here, fresh("cli")
    mlflow.set_experiment(fresh("exp"))
    admin = ["--token-file", str(server.token_file)]
    reviewer = ["--token-file", str(token_file(server, people.person(server, "reviewer").token))]
    for number in range(3):
        files = {"MLmodel": b"flavors: {}\n", "model.odd": bytes([number]) * 300 if number == 1 else b"{}"}
        register(mlflow, logged(mlflow, tmp_path / str(number), files), name)
        wait(server.session(), server, name, number + 1)
    assert name in server.cli("model", "list", *admin).stdout
    shown = json.loads(server.cli("model", "show", f"{name}/2", "--json", *admin).stdout)
    if shown["state"] != "admitted":
        server.cli("model", "waive", f"{name}/2", "--reason", "a test", "--days", "1", *reviewer)
    for number in (1, 3):
        state = json.loads(server.cli("model", "show", f"{name}/{number}", "--json", *admin).stdout)["state"]
        if state != "admitted":
            server.cli("model", "waive", f"{name}/{number}", "--reason", "a test", "--days", "1", *reviewer)
    server.cli("model", "promote", f"{name}/3", "--alias", "champion", *admin)
    assert "version 2 again" in server.cli("model", "rollback", name, "--alias", "champion", *admin).stdout
    assert server.cli("model", "verify", f"{name}@champion", *admin).returncode == 0
    page = tmp_path / "page.html"
    server.cli("model", "report", f"{name}/1", "--document", "page", "--to", str(page), *admin)
    assert name in page.read_text()
    server.cli("model", "refuse", f"{name}/2", "--reason", "a test", *admin)
    verified = server.cli("model", "verify", f"{name}@champion", *admin, check=False)
    assert verified.returncode == 3 and "refused" in verified.stdout


def test_an_unsigned_model_is_refused_where_signatures_are_required(server, mlflow_here, tmp_path):
    mlflow, admin, name = mlflow_here, ["--token-file", str(server.token_file)], fresh("signed")
    mlflow.set_experiment(fresh("exp"))
    session, client = server.session(), mlflow.MlflowClient()
    source = logged(mlflow, tmp_path / "m", {"MLmodel": b"flavors: {}\n", "weights.json": b"{}"})
    first = register(mlflow, source, name)
    assert "signature.none" in finding_ids_after(server, name, first)
    # The server's counter-signature of the admitted version serves as the signature that travels with the files.
    key, bundle = tmp_path / "key.pem", tmp_path / "model.sig"
    for paper, to in (("signing-key.pem", key), ("model.sig", bundle)):
        server.cli("model", "paper", f"{name}/1", "--paper", paper, "--to", str(to), *admin)
    try:
        shown = server.cli("model", "signers", "set", "--required", "--key", f"us={key}", *admin).stdout
        assert "a signature is required" in shown and "us" in shown
        second = register(mlflow, source, name)
        assert "signature.missing" in finding_ids_after(server, name, second)
        assert "refused" in is_refused(mlflow, name, second)

        client.log_artifact(source.split("/")[1], str(bundle), "model")
        third = register(mlflow, source, name)
        assert not [found for found in finding_ids_after(server, name, third) if found.startswith("signature.")]
        client.set_registered_model_alias(name, "champion", third)

        (tmp_path / "weights.json").write_bytes(b"{ }")
        client.log_artifact(source.split("/")[1], str(tmp_path / "weights.json"), "model")
        fourth = register(mlflow, source, name)
        assert "signature.invalid" in finding_ids_after(server, name, fourth)
        is_refused(mlflow, name, fourth)
        # The files of the third are no longer those that were inspected.
        assert server.cli("model", "verify", f"{name}/{third}", *admin, check=False).returncode == 3
    finally:
        (tmp_path / "signers.toml").write_text("required = false\n")
        server.cli("model", "signers", "set", str(tmp_path / "signers.toml"), *admin)
    wrong = server.cli("model", "signers", "set", "--required", *admin, check=False)
    assert wrong.returncode != 0 and "nobody's counts" in wrong.stderr
    assert people.call(session, server, "GET", "/signers")["signers"]["required"] is False


def verify_bundle(*words) -> subprocess.CompletedProcess:
    """A command that needs no server and no data folder."""
    return subprocess.run([harness.binary(), "verify-bundle", *map(str, words)], capture_output=True, text=True, timeout=60)


def test_evidence_holds_offline_with_receipts_of_the_log(server, mlflow_here, tmp_path):
    mlflow, admin, name = mlflow_here, ["--token-file", str(server.token_file)], fresh("evidence")
    mlflow.set_experiment(fresh("exp"))
    source, card_of_mine = logged(mlflow, tmp_path / "m", {"MLmodel": b"flavors: {}\n", "weights.json": b"{}"}), b"# A perfect model\n"
    forged = base64.b64encode(card_of_mine).decode()
    mlflow.MlflowClient().log_param(source.split("/")[1], "note", hashlib.sha256(card_of_mine).hexdigest())
    mlflow.MlflowClient().log_metric(source.split("/")[1], "diverged", float("nan"))
    version = register(mlflow, source, name)
    wait(server.session(), server, name, version)
    key, evidence = tmp_path / "key.pem", tmp_path / "evidence.json"
    for paper, to in (("signing-key.pem", key), ("evidence.json", evidence)):
        server.cli("model", "paper", f"{name}/1", "--paper", paper, "--to", str(to), *admin)
    trusted = ["--key", str(key), "--log-key", str(server.data / "audit.vkey"), "--json"]
    report = json.loads(verify_bundle(evidence, *trusted).stdout)
    receipts = [claim for claim in report["claims"] if claim["what"].startswith("receipt")]
    assert len(receipts) == 7 and all("in the log" in claim["detail"] for claim in receipts), harness.pretty(report)

    card = tmp_path / "card.md"
    server.cli("model", "paper", f"{name}/1", "--paper", "card.md", "--to", str(card), *admin)
    assert "| diverged | NaN |" in card.read_text(), card.read_text()
    assert "Executed: elsewhere" in card.read_text() and report["root_sha256"] in card.read_text(), card.read_text()

    bundle = json.loads(evidence.read_text())
    resized = [{**bundle["files"][0], "size_bytes": 1_000_000}, *bundle["files"][1:]]
    retyped = [{**bundle["documents"][0], "media_type": "text/html"}, *bundle["documents"][1:]]
    cardless = [receipt for receipt in bundle["receipts"] if receipt["of"] != {"document": "card.md"}]
    for member, value, said in (
        ("receipts", [], "receipt of signature 0"),
        ("receipts", cardless, "receipt of `card.md`"),
        ("name", "models:/another/1", "name"),
        ("files", resized, "sizes of files"),
        ("documents", retyped, f"document `{retyped[0]['name']}`"),
        ("attestations", bundle["attestations"][:2], "all parts"),
    ):
        evidence.write_text(json.dumps({**bundle, member: value}))
        changed = verify_bundle(evidence, *trusted)
        failed = [claim["what"] for claim in json.loads(changed.stdout)["claims"] if claim["state"] == "fails"]
        assert changed.returncode == 3 and said in failed, changed.stdout
    # The papers change places: each is named, but not as the other.
    first, second = (dict(document) for document in bundle["documents"][:2])
    first["content"], second["content"] = second["content"], first["content"]
    evidence.write_text(json.dumps({**bundle, "documents": [first, second, *bundle["documents"][2:]]}))
    swapped = json.loads(verify_bundle(evidence, *trusted).stdout)
    assert {f"document `{one['name']}`" for one in (first, second)} <= {c["what"] for c in swapped["claims"] if c["state"] == "fails"}
    # A run's parameter names another card by its digest, and the provenance tells of all parameters.
    documents = [{**one, "content": forged if one["name"] == "card.md" else one["content"]} for one in bundle["documents"]]
    evidence.write_text(json.dumps({**bundle, "documents": documents, "receipts": cardless}))
    chosen = verify_bundle(evidence, *trusted)
    failed = [claim["what"] for claim in json.loads(chosen.stdout)["claims"] if claim["state"] == "fails"]
    assert chosen.returncode == 3 and failed == ["receipt of `card.md`", "all parts", "document `card.md`"], chosen.stdout
    evidence.write_text(json.dumps({**bundle, "keys": []}))
    keyed = verify_bundle(evidence, *trusted)
    assert keyed.returncode == 2 and "unknown field `keys`" in keyed.stderr, keyed.stderr
    bundle["receipts"][0]["record"] = bundle["receipts"][0]["record"][:-8] + "AAAAAAA="
    evidence.write_text(json.dumps(bundle))
    broken = verify_bundle(evidence, *trusted)
    assert broken.returncode == 3, broken.stdout
    stranger = ["--key", str(key), "--json"]
    unchecked = json.loads(verify_bundle(evidence, *stranger).stdout)
    assert {claim["state"] for claim in unchecked["claims"] if claim["what"].startswith("receipt")} == {"unchecked"}


def test_a_folder_is_submitted_and_what_was_admitted_comes_out_again(server, mlflow_here, tmp_path):
    admin, name = ["--token-file", str(server.token_file)], fresh("submitted")
    folder = tmp_path / "in"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights ü.json").write_text("{}")
    submitted = json.loads(server.cli("model", "submit", str(folder), "--name", name, "--wait", "--json", *admin).stdout)
    assert (submitted["state"], submitted["version"]) == ("admitted", 1), harness.pretty(submitted)
    out = tmp_path / "out"
    server.cli("model", "export", f"{name}/1", "--to", str(out), *admin)
    for path in ("MLmodel", "data/weights ü.json"):
        assert (out / "model" / path).read_bytes() == (folder / path).read_bytes()
    assert json.loads((out / "bom.json").read_text())["bomFormat"] == "CycloneDX"
    trusted = ["--key", str(out / "signing-key.pem"), "--log-key", str(server.data / "audit.vkey")]
    held = verify_bundle(out / "evidence.json", *trusted)
    assert held.returncode == 0, held.stdout + held.stderr
    again = server.cli("model", "export", f"{name}/1", "--to", str(out), *admin, check=False)
    assert again.returncode != 0 and "already" in again.stderr

    (folder / "model.pkl").write_bytes(pickle.dumps(Touch()))
    refused = server.cli("model", "submit", str(folder), "--name", name, "--wait", "--json", *admin, check=False)
    assert refused.returncode == 3 and json.loads(refused.stdout)["state"] == "refused", refused.stderr
    kept = server.cli("model", "export", f"{name}/2", "--to", str(tmp_path / "no"), *admin, check=False)
    assert kept.returncode != 0 and "refused" in kept.stderr and not (tmp_path / "no").exists()
