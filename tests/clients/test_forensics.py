"""What somebody did, what came of it, and a file that shows it to others and leaves nothing out."""

import json
import secrets
import subprocess

import pytest

import harness
from people import call, grant, new_workspace, person

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A person who did things, an auditor who looks, and the bundle that the auditor wrote."""
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running() as server:
        ada, bob = person(server, "contributor"), person(server, "viewer")
        auditor = person(server, "auditor", on="server")
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


def test_a_time_that_ends_before_it_begins_is_refused_and_not_empty(told):
    server, ada, auditor, _, _ = told
    times = ("--from", "2026-11-02T00:00:00Z", "--to", "2026-11-01T00:00:00Z")
    for command in ("timeline", "blast-radius"):
        refused = cli(server, auditor, "audit", command, "--who", ada.name, *times, check=False)
        assert refused.returncode == 2 and "ends before it begins" in refused.stderr, refused
        for option in ("--from", "--to"):
            wrong = cli(server, auditor, "audit", command, "--who", ada.name, option, "yesterday", check=False)
            assert wrong.returncode == 2 and f"`{option}` must be a time" in wrong.stderr, wrong


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
    assert shown["from_time"] <= shown["to_time"] and (shown["since"], shown["until"]) == (None, None)
    assert shown["not_shown"], "no time was named, and the log has records before and behind"
    words = [line for line in done.stderr.splitlines() if line.startswith("NOT SHOWN: ")]
    assert len(words) == len(shown["not_shown"]) and all(report["who"] in line for line in words), done.stderr
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


def test_the_file_of_the_console_says_what_it_leaves_off(told, tmp_path):
    server, ada, auditor, _, _ = told
    session, file = auditor.session(), tmp_path / "evidence.json"

    def saved(who):
        answer = session.post(f"{server.url}/console/audit/evidence", data={"who": who}, allow_redirects=False)
        assert answer.status_code == 200, answer.text[:400]
        file.write_text(answer.text)
        assert json.loads(check_file(server, file).stdout)["ok"]
        page = session.get(f"{server.url}/console/audit/timeline", params={"who": who})
        assert page.status_code == 200, page.text[:400]
        return json.loads(answer.json()["report"]), page.text

    asked = json.loads(cli(server, auditor, "audit", "blast-radius", "--who", ada.name).stdout)
    report, page = saved(asked["who"])
    assert set(report) == set(asked) - {"descends", "endpoints", "advice"} and report["touched"] == asked["touched"]
    (words,) = report["left_off"]
    assert report["complete"] is False and "was not looked for" in words and "strongroom audit blast-radius" in words
    assert f"Left off: {words}." in page
    looked = json.loads(cli(server, auditor, "audit", "blast-radius", "--who", auditor.name).stdout)["who"]
    report, page = saved(looked)
    assert report["complete"] is True and report["left_off"] == [] and "Left off:" not in page, "nothing descends from looking"


def model_of(session, server, name, run, artifacts):
    api = f"{server.url}/api/2.0/mlflow"
    assert session.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{artifacts}/model/MLmodel", data=b"flavors: {}\n").ok
    session.post(f"{api}/registered-models/create", json={"name": name})
    made = session.post(f"{api}/model-versions/create", json={"name": name, "source": f"runs:/{run}/model", "run_id": run})
    assert made.ok, made.text
    return made.json()["model_version"]["version"]


def blast(server, who):
    return json.loads(server.cli("audit", "blast-radius", "--who", who, "--json", "--token-file", str(server.token_file)).stdout)


@pytest.fixture(scope="module")
def whole():
    """A server where the administrator may look at, and do, everything that a report recommends."""
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running() as server:
        yield server


def test_poisoned_data_leads_to_the_models_trained_on_it(whole):
    """Eve commits data, Ada trains on it and registers what comes out: what Eve did leads to Ada's model."""
    server = whole
    eve, ada = person(server, "contributor"), person(server, "owner")
    name = f"data-{secrets.token_hex(3)}"
    from test_data import commit

    commit(eve.session(), server, name, {"train.csv": b"x,y\n1,2\n"})
    session, api = ada.session(), f"{server.url}/api/2.0/mlflow"
    experiment = session.post(f"{api}/experiments/create", json={"name": secrets.token_hex(4)}).json()["experiment_id"]
    run = session.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    source = f"{server.url}/api/strongroom/v1/datasets/{name}/versions/1/files/train.csv"
    harness.wait_until(lambda: server.session().get(source).ok, 30, "the data is inspected")
    assert server.session().get(source, headers={"X-Strongroom-Run": run}).ok
    model = f"model-{secrets.token_hex(3)}"
    model_of(session, server, model, run, f"{experiment}/{run}/artifacts")
    report = blast(server, eve.name)
    assert {"run", "model_version"} <= {one["kind"] for one in report["descends"]}, report["descends"]
    assert any(one["label"] == f"{model} version 1" for one in report["descends"]), report["descends"]
    assert any(one["command"] == f"strongroom data inspect {name}/1" for one in report["advice"]), report["advice"]


@pytest.fixture
def trainer(whole, monkeypatch):
    """Somebody who trains and registers, and the `mlflow` module that acts as them on the server."""
    ada = person(whole, "owner")
    for key, value in whole.mlflow_environment(ada.token).items():
        monkeypatch.setenv(key, value)
    import mlflow

    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    yield ada, mlflow
    while mlflow.active_run():
        mlflow.end_run()


def test_poisoned_data_leads_to_the_endpoint_that_answers_with_it(whole, trainer):
    """Eve commits data; Ada's second version is trained on it, her first is not; an endpoint goes from the first to the second and is asked."""
    from sklearn.linear_model import LogisticRegression
    from test_data import commit, read, wait, waive
    from test_guard import COLUMNS, TRAINING_ROWS, rows
    from test_models import wait as wait_for_model
    from test_serving import ask, tensor

    server, (ada, mlflow), admin = whole, trainer, whole.session()
    eve, reviewer = person(server, "contributor"), person(server, "reviewer")
    data, model, endpoint = (f"{kind}-{secrets.token_hex(3)}" for kind in ("data", "model", "live"))
    features = rows(TRAINING_ROWS, 1)
    labels = (features[:, 0] > 0).astype(int)
    lines = [",".join(map(str, [*row, label])) for row, label in zip(features, labels)]
    commit(eve.session(), server, data, {"rows.csv": "\n".join([",".join([*COLUMNS, "y"]), *lines]).encode()}, roles={"label": "y"})
    if wait(eve.session(), server, data, 1)["state"] == "quarantined":
        waive(reviewer.session(), server, data, 1)
    mlflow.set_experiment(f"exp-{secrets.token_hex(3)}")
    for version, is_from_eve in ((1, False), (2, True)):
        with mlflow.start_run() as run:
            if is_from_eve:
                seen = read(ada.session(), server, data, 1, "rows.csv", **{"X-Strongroom-Run": run.info.run_id})
                assert seen.status_code == 200, seen.text
            fitted = LogisticRegression().fit(features, labels)
            mlflow.sklearn.log_model(fitted, name="model", registered_model_name=model, serialization_format="skops")
        shown = wait_for_model(admin, server, model, version)
        assert shown["state"] == "admitted", harness.pretty(shown)
    call(admin, server, "POST", "/endpoints", json={"name": endpoint, "model": model, "version": "1"})
    before = blast(server, eve.name)
    assert endpoint not in before["endpoints"], "what answers is not trained on Eve's data"
    call(admin, server, "POST", f"/endpoints/{endpoint}", json={"version": "2"})
    prediction = ask(admin, server, endpoint, {"inputs": [tensor(features[:1])]})["parameters"]["prediction_id"]
    as_admin = ["--json", "--token-file", str(server.token_file)]
    listed = json.loads(server.cli("predictions", "list", "--endpoint", endpoint, *as_admin).stdout)
    assert [row["prediction"] for row in listed] == [prediction]

    report = blast(server, eve.name)
    assert report["endpoints"] == [endpoint], harness.pretty(report)
    descends = {(one["kind"], one["label"]): one for one in report["descends"]}
    assert any(one["kind"] == "run" and one["name"] == run.info.run_id for one in report["descends"]), harness.pretty(report["descends"])
    assert {("model_version", f"{model} version 2"), ("endpoint", endpoint)} <= set(descends), harness.pretty(report["descends"])
    assert ("model_version", f"{model} version 1") not in descends
    assert descends["endpoint", endpoint]["trust"] == "observed" and descends["endpoint", endpoint]["from"].startswith("data-id:")
    commands = [one["command"] for one in report["advice"]]
    assert f"strongroom endpoint rollback {endpoint}" in commands and f"strongroom data inspect {data}/1" in commands, commands
    for root in (f"data:{data}/1", f"data:{data}/1#row=17"):
        walked = call(admin, server, "GET", "/lineage", params={"subject": root, "direction": "down"})
        assert [(one["name"], one["trust"]) for one in walked["endpoints"]] == [(endpoint, "observed")], harness.pretty(walked)
        onward = json.loads(server.cli("trace", root, "--forward", "--rows", "10", *as_admin).stdout)
        assert [row["prediction"] for row in onward["predictions"]] == [prediction], harness.pretty(onward)

    server.cli("endpoint", "rollback", endpoint, "--token-file", str(server.token_file))
    after = blast(server, eve.name)
    assert after["endpoints"] == [], "it answers with the first version again"
    assert ("endpoint", endpoint) in {(one["kind"], one["label"]) for one in after["descends"]}, "that it answered so stays known"
    assert not any(endpoint in one["command"] for one in after["advice"]), after["advice"]


def test_every_command_that_is_recommended_works(whole):
    """Bob registers a version in a workspace of its own, gives a right and makes a token of a service: each command is run as it stands."""
    server = whole
    workspace = new_workspace(server)
    bob, friend = person(server, "owner", workspace=workspace), person(server)
    head = {"X-MLFLOW-WORKSPACE": workspace}
    session, api = bob.session(), f"{server.url}/api/2.0/mlflow"
    session.headers.update(head)
    experiment = session.post(f"{api}/experiments/create", json={"name": "x"}).json()["experiment_id"]
    run = session.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    model_of(session, server, "told", run, f"{experiment}/{run}/artifacts")
    given = call(session, server, "POST", "/grants", json={"principal": friend.name, "role": "viewer", "resource_kind": "workspace", "justification": "t"})
    maker = person(server, "administrator", on="server").session()
    call(maker, server, "POST", "/services", json={"name": "robot"})
    made = call(maker, server, "POST", "/services/robot/tokens", json={"label": "x", "scopes": [], "lifetime_s": 600})
    grant(server, "robot", "owner", workspace=workspace)
    robot = server.session(made["secret"])
    robot.headers.update(head)
    assert robot.post(f"{api}/experiments/create", json={"name": "by-robot"}).ok
    for who, who_session, verb in ((bob.name, session, "user disable"), ("robot", robot, "service disable")):
        report = blast(server, who)
        commands = [one["command"] for one in report["advice"]]
        assert report["complete"] is (report["left_off"] == [])
        assert any(command.startswith(f"strongroom {verb}") for command in commands), commands
        assert any(command.startswith("strongroom token revoke --any") for command in commands), commands
        if who == bob.name:
            assert f"strongroom grant revoke {given['id']} --workspace {workspace}" in commands, commands
            assert any(one["kind"] == "unknown" for one in report["descends"]) or report["complete"]
            roots = {one["from"] for one in report["descends"]}
            assert any(root.startswith("run:") for root in roots), report["descends"]
        assert who_session.get(f"{server.url}/api/strongroom/v1/me").ok
        for command in commands:
            done = server.cli(*command.split()[1:], "--token-file", str(server.token_file), check=False)
            assert done.returncode == 0, (command, done.stderr)
        harness.wait_until(lambda: who_session.get(f"{server.url}/api/strongroom/v1/me").status_code == 401, 5, "the token ends")
