"""What somebody did, what came of it, and a file that shows it to others and leaves nothing out."""

import json
import subprocess

import pytest

import harness
from people import person

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A person who did things, an auditor who looks, and the bundle that the auditor wrote."""
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running() as server:
        ada, bob = person(server, "contributor"), person(server, "viewer")
        auditor = person(server, "auditor", on="server")
        from people import grant

        grant(server, auditor.name, "viewer")
        api = f"{server.url}/api/2.0/mlflow"
        session = ada.session()
        experiment = session.post(f"{api}/experiments/create", json={"name": "told"}).json()["experiment_id"]
        run = session.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
        session.post(f"{api}/runs/log-metric", json={"run_id": run, "key": "m", "value": 1.0, "timestamp": 1})
        source = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/model/MLmodel"
        assert session.put(source, data=b"flavors: {}\n").ok
        session.post(f"{api}/registered-models/create", json={"name": "told"})
        made = session.post(f"{api}/model-versions/create", json={"name": "told", "source": f"runs:/{run}/model", "run_id": run})
        assert made.ok, made.text
        assert bob.session().get(f"{api}/runs/get", params={"run_id": run}).ok
        assert session.post(f"{server.url}/api/strongroom/v1/users", json={"name": "x"}).status_code == 403
        file = tmp_path_factory.mktemp("evidence") / "ada.json"
        yield server, ada, auditor, run, file


def cli(server, who, *words, check=True):
    command = [str(harness.binary()), *words, "--url", server.url, "--ca", server.ca, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={"STRONGROOM_TOKEN": who.token, "PATH": "/usr/bin"})
    assert done.returncode == 0 or not check, done.stderr
    return done


def vkey(server) -> str:
    return (server.data / "audit.vkey").read_text().strip()


def check_file(server, path):
    return subprocess.run(
        [str(harness.binary()), "audit", "check-evidence", str(path), "--vkey", vkey(server), "--json"], capture_output=True, text=True, timeout=60
    )


def test_a_timeline_has_each_act_once_in_order(told):
    server, ada, auditor, run, _ = told
    acts = json.loads(cli(server, auditor, "audit", "timeline", "--who", ada.name).stdout)
    verbs = [act["action"] for act in acts]
    for wanted in ("experiments.create", "runs.create", "runs.log", "models.create", "versions.create"):
        assert verbs.count(wanted) == 1, (wanted, verbs)
    assert verbs.index("experiments.create") < verbs.index("runs.create") < verbs.index("runs.log")
    assert [act["at"] for act in acts] == sorted(act["at"] for act in acts)
    by_verb = {act["action"]: act for act in acts}
    assert by_verb["runs.create"]["resource"] == run and by_verb["runs.create"]["status"] == "done"
    assert by_verb["users.create"]["status"] == "refused: forbidden"
    nothing = json.loads(cli(server, auditor, "audit", "timeline", "--who", ada.name, "--to", "2020-01-01T00:00:00Z").stdout)
    assert nothing == []
    assert cli(server, ada, "audit", "timeline", "--who", ada.name, check=False).returncode != 0, "not everybody may look"


def test_what_descends_is_found_and_the_bundle_holds_without_a_server(told):
    server, ada, auditor, run, file = told
    done = cli(server, auditor, "audit", "blast-radius", "--who", ada.name, "--bundle", str(file))
    report = json.loads(done.stdout)
    touched = {(thing["target"], thing["resource"]): thing for thing in report["touched"]}
    assert touched[("run", run)]["changed_count"] >= 2
    assert any(one["kind"] == "model_version" and "told" in one["label"] for one in report["descends"]), report["descends"]
    commands = [one["command"] for one in report["advice"]]
    assert f"strongroom user disable {report['who']}" in commands and any(ada.token_id in command for command in commands)
    shown = json.loads(check_file(server, file).stdout)
    assert shown["ok"] and shown["who"] == report["who"] and shown["own_count"] == len(report["indices"])
    assert shown["count"] > shown["own_count"], "the stretch has everybody's records, so that nothing can be left out"


@pytest.mark.parametrize("how", ["record gone", "record changed", "record of the report gone", "report changed", "seal of another", "checkpoint of another"])
def test_a_bundle_that_was_touched_does_not_hold(told, how, tmp_path):
    server, ada, auditor, _, file = told
    if not file.exists():
        cli(server, auditor, "audit", "blast-radius", "--who", ada.name, "--bundle", str(file))
    bundle = json.loads(file.read_text())
    report = json.loads(bundle["report"])
    match how:
        case "record gone":
            del bundle["records"][len(bundle["records"]) // 2]
        case "record changed":
            bundle["records"][0] = bundle["records"][0].replace('"v":1', '"v":2')
        case "record of the report gone":
            report["indices"] = report["indices"][1:]
            bundle["report"] = json.dumps(report)
        case "report changed":
            report["touched"] = []
            bundle["report"] = json.dumps(report)
        case "seal of another":
            other = tmp_path / "other.json"
            cli(server, auditor, "audit", "blast-radius", "--who", auditor.name, "--bundle", str(other))
            foreign = json.loads(other.read_text())
            bundle["seal_record"], bundle["seal_proof"] = foreign["seal_record"], foreign["seal_proof"]
        case "checkpoint of another":
            bundle["checkpoint"] = bundle["checkpoint"].replace("\n", "\n\n", 1)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(bundle))
    checked = check_file(server, changed)
    assert checked.returncode == 1 and not json.loads(checked.stdout)["ok"], (how, checked.stdout)
