"""The program itself: init, serve, config, the records and the lineage that it shows."""

import json
import os
import signal
import stat
import subprocess
import uuid

import pytest

import harness
import people

pytestmark = pytest.mark.strongroom_only
API = "/api/2.0/mlflow"


def test_init_makes_a_private_token_and_refuses_a_used_folder(tmp_path):
    server = harness.Server(tmp_path / "data")
    server.init()
    assert stat.S_IMODE(os.stat(server.token_file).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(server.data).st_mode) == 0o700
    again = subprocess.run(
        [str(harness.binary()), "init", "--data", str(server.data), "--admin-token-file", str(tmp_path / "other")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode != 0
    assert str(server.data) in again.stderr


def test_serve_says_where_it_listens_and_stops_cleanly(fresh_server):
    assert fresh_server.url.startswith("https://127.0.0.1:")
    fresh_server.process.send_signal(signal.SIGTERM)
    assert fresh_server.process.wait(10) == 0


def test_keys_verify_leaves_the_database_its_locks(tmp_path):
    """It reads every file of the folder. A database that loses its locks by that is put away by the next process that looks at it."""
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running("sqlite") as server:
        for _ in range(2):
            found = json.loads(server.cli("keys", "verify", "--json", "--token-file", str(server.token_file)).stdout)
            assert found["ok"] and found["searched_bytes"] > 0
            server.cli("audit", "verify")
        folder = f"/proc/{server.process.pid}/fd"
        names = {os.path.basename(os.readlink(f"{folder}/{number}")) for number in os.listdir(folder)}
        assert {"strongroom.db", "strongroom.db-wal", "strongroom.db-shm"} <= names, names
        made = server.session().post(f"{server.url}{API}/experiments/create", json={"name": "kept"}, timeout=30)
        assert made.status_code == 200
        server.kill()
        server.start()
        found = server.session().get(f"{server.url}{API}/experiments/get-by-name", params={"experiment_name": "kept"}, timeout=30)
        assert found.status_code == 200, "what was acknowledged is there after a kill"


def test_two_servers_do_not_share_a_folder(fresh_server):
    second = subprocess.run(
        fresh_server.command("serve") + ["--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=30
    )
    assert second.returncode != 0
    assert fresh_server.session().get(f"{fresh_server.url}/health").status_code == 200


def test_config_check_hides_secrets_and_refuses_unknown_keys(tmp_path):
    server = harness.Server(tmp_path / "data")
    server.init()
    file = tmp_path / "c.toml"
    file.write_text('[vault]\ndatabase = "postgres://someone:hunter2@db.example/x"\n')
    command = [str(harness.binary()), "config", "check", "--data", str(server.data), "--config", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "hunter2" not in shown.stdout + shown.stderr
    file.write_text("[server]\nlisten_to = 3\n")
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "listen_to" in refused.stderr


def test_everything_is_there_after_a_restart(fresh_server):
    session = fresh_server.session()
    made = session.post(f"{fresh_server.url}{API}/experiments/create", json={"name": "kept"}).json()
    fresh_server.stop()
    fresh_server.start()
    read = fresh_server.session().get(f"{fresh_server.url}{API}/experiments/get", params=made)
    assert read.json()["experiment"]["name"] == "kept"


def records(server, **query):
    answer = people.call(server.session(), server, "GET", "/audit/records", params={"rows": 500, **query})
    return answer["records"]


def test_every_request_leaves_an_intent_and_an_outcome(server, api):
    name = f"recorded-{uuid.uuid4().hex}"
    experiment = api.post(f"{api.url}{API}/experiments/create", json={"name": name}).json()["experiment_id"]
    run = api.post(f"{api.url}{API}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    secret = f"value-{uuid.uuid4().hex}"
    api.post(f"{api.url}{API}/runs/log-parameter", json={"run_id": run, "key": "k", "value": secret})
    api.get(f"{api.url}{API}/runs/get", params={"run_id": run})
    found = records(server, resource=run)
    kinds = {(record["action"], record["kind"]) for record in found}
    assert ("runs.create", "outcome") in kinds
    for action in ("runs.log", "runs.get"):
        assert {(action, "intent"), (action, "outcome")} <= kinds, kinds
    # Ids, counts and digests only.
    text = json.dumps(found)
    assert name not in text and secret not in text and "127.0.0.1" not in text


def test_a_refusal_is_recorded_too(server):
    nobody = people.person(server)
    answer = nobody.session().post(f"{server.url}{API}/experiments/create", json={"name": "no"})
    assert answer.status_code in (403, 404)
    found = records(server, what="experiments.create", outcome="refused")
    assert found and found[0]["kind"] == "refusal"
    assert nobody.name not in json.dumps(found)


def test_audit_commands(server):
    token = ["--token-file", str(server.token_file)]
    rows = json.loads(server.cli("audit", "search", "--json", "--rows", "5", *token).stdout)
    assert 1 <= len(rows) <= 5
    checkpoint = server.cli("audit", "checkpoint", *token).stdout
    lines = checkpoint.splitlines()
    assert int(lines[1]) > 0 and lines[4].startswith("\u2014 ")
    proof = server.cli("audit", "prove", str(rows[-1]["index"]), *token).stdout
    assert proof.startswith("c2sp.org/tlog-proof@v1")
    exported = server.cli("audit", "export", *token).stdout.splitlines()
    assert exported and all(json.loads(line)["class_uid"] for line in exported[:200])


def test_audit_verify_accepts_the_log(fresh_server):
    api = fresh_server.session()
    for number in range(50):
        api.post(f"{fresh_server.url}{API}/experiments/create", json={"name": f"e{number}"})
    fresh_server.stop()
    done = subprocess.run(
        [str(harness.binary()), "audit", "verify", "--data", str(fresh_server.data)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_lineage_leads_from_a_model_to_its_run_data_and_author(server, mlflow_here):
    import pandas

    mlflow = mlflow_here
    name = f"lineage-{uuid.uuid4().hex[:8]}"
    mlflow.set_experiment(name)
    data = mlflow.data.from_pandas(pandas.DataFrame({"a": [1]}), name="the data")
    with mlflow.start_run(tags={"mlflow.source.git.commit": "0123456789abcdef0123456789abcdef01234567"}) as run:
        mlflow.log_input(data, context="training")
        mlflow.log_text("x", "model/file.txt")
    client = mlflow.MlflowClient()
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{run.info.run_id}/model", run_id=run.info.run_id)
    client.set_registered_model_alias(name, "champion", "1")
    token = ["--token-file", str(server.token_file)]
    text = server.cli("lineage", "show", f"{name}@champion", *token).stdout
    answer = server.cli("lineage", "show", f"{name}@champion", "--json", *token).stdout
    for said in (text, answer):
        assert run.info.run_id in said
        assert data.digest in said
        assert "0123456789abcdef" in said
        assert "observed" in said and "claimed" in said


def with_passphrase(folder, passphrase):
    """A server whose root key is made from a passphrase."""
    config = '[vault.root_key]\nkind = "passphrase"\nvariable = "ROOT_PASSPHRASE"\n'
    return harness.Server(folder / "data", config_text=config, environment={"ROOT_PASSPHRASE": passphrase})


def change_passphrase(server, old, new):
    command = server.command("keys", "change-passphrase", "--new-variable", "NEW_PASSPHRASE", "--json")
    environment = {**os.environ, "ROOT_PASSPHRASE": old, "NEW_PASSPHRASE": new}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_root_passphrase_is_changed_by_command(tmp_path, monkeypatch):
    old, new = "gravel umbrella nine tulip", "seven lanterns under moss"
    monkeypatch.setenv("ROOT_PASSPHRASE", old)
    server = with_passphrase(tmp_path, old)
    server.init()
    server.start()
    made = server.session().post(f"{server.url}{API}/experiments/create", json={"name": "kept"}).json()
    assert change_passphrase(server, old, new).returncode != 0, "a server runs on the folder"
    server.stop()
    salt = server.data / "keys" / "passphrase.salt"
    before = salt.read_text()
    for wrong in (("not the passphrase at all", new), (old, "short"), (old, old)):
        assert change_passphrase(server, *wrong).returncode != 0, wrong
        assert salt.read_text() == before
    done = change_passphrase(server, old, new)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["root_version"] == 2 and json.loads(done.stdout)["rewrapped_count"] > 0
    # Broken off at its very end, with both passphrases in the file: the old one opens nothing, and it can be ended.
    after = salt.read_text()
    salt.write_text(before + after.splitlines()[1] + "\n")
    with pytest.raises(harness.StartError):
        server.start()
    assert change_passphrase(server, old, new).returncode == 0
    assert salt.read_text() == after
    monkeypatch.setenv("ROOT_PASSPHRASE", new)
    server.environment = {"ROOT_PASSPHRASE": new}
    server.start()
    try:
        read = server.session().get(f"{server.url}{API}/experiments/get", params=made)
        assert read.json()["experiment"]["name"] == "kept"
    finally:
        server.stop()
    verified = server.cli("audit", "verify")
    assert "nothing was changed" in verified.stdout
