"""Retention by rules and legal holds: versions of data sets and models, and backups, that nobody deletes before their time; files with the
immutable flag; and a bucket with Object Lock under the server."""

import json
import subprocess
import uuid

import pytest

import harness
import people
from test_data import CLEAN, commit, wait
from test_s3 import address, client, code_of, keys_of
from test_s3_locks import BODY, FAR

pytestmark = pytest.mark.strongroom_only
MLFLOW = "/api/2.0/mlflow"
RULES = """
[[rule]]
name = "kept sets"
kind = "dataset"
match = "kept-*"
mode = "COMPLIANCE"
days = 30

[[rule]]
name = "trials"
kind = "dataset"
match = "trial-*"
mode = "GOVERNANCE"
days = 30

[[rule]]
name = "all models"
kind = "model"
workspace = "default"
mode = "COMPLIANCE"
years = 1

[[rule]]
name = "backups"
kind = "backup"
mode = "COMPLIANCE"
days = 7
"""


@pytest.fixture(scope="module")
def ruled(tmp_path_factory):
    """A server with rules."""
    if harness.external():
        pytest.skip("needs a server of its own")
    folder = tmp_path_factory.mktemp("rules")
    rules = folder / "retention.toml"
    rules.write_text(RULES)
    place = folder / "place"
    place.mkdir()
    # Its tests try what an intruder would: that is noted, and not slowed down here.
    noted = '[detections]\nrespond_up_to = "note"\n'
    config = f'[retention]\nrules = "{rules}"\n[backup]\nto = "{place}"\nkeep = 1\n[s3]\nlisten = "127.0.0.1:0"\n{noted}'
    with harness.running(config_text=config) as server:
        yield server


@pytest.fixture(scope="module")
def strong(ruled):
    """Somebody with every role that there is in the workspace, administrator too."""
    return people.with_every_role(ruled, on_server=("administrator", "backup_operator", "retention_officer")).session()


def kept(session, server, where="kept"):
    answer = session.get(f"{server.url}{people.ADMIN}/retention/{where}")
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["kept"]}


def post(session, server, path, body, status=200):
    answer = session.post(f"{server.url}{people.ADMIN}/retention/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def mlflow(session, server, path, body, status=200, method="POST"):
    answer = session.request(method, f"{server.url}{MLFLOW}{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def registered(session, server):
    """A model's version with one file: its name, the file's address, the run."""
    experiment = mlflow(session, server, "/experiments/create", {"name": uuid.uuid4().hex})["experiment_id"]
    run = mlflow(session, server, "/runs/create", {"experiment_id": experiment})["run"]["info"]
    url = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts/model/model.bin"
    assert session.put(url, data=b"weights").status_code == 200
    name = f"m-{uuid.uuid4().hex[:8]}"
    mlflow(session, server, "/registered-models/create", {"name": name})
    source = f"{run['artifact_uri']}/model"
    mlflow(session, server, "/model-versions/create", {"name": name, "source": source, "run_id": run["run_id"]})
    return name, url, run["run_id"]


def test_a_version_of_a_data_set_is_retained_from_its_commit_on(ruled, strong):
    name = f"kept-{uuid.uuid4().hex[:8]}"
    commit(strong, ruled, name, {"a.csv": CLEAN.encode()})
    one = kept(strong, ruled)[f"{name}@1"]
    assert (one["kind"], one["rule"], one["mode"], one["in_force"]) == ("dataset", "kept sets", "COMPLIANCE", True)
    assert one["enforced_by"] == "software"
    which = {"kind": "dataset", "name": f"{name}@1"}
    post(strong, ruled, "bypass", {**which, "reason": "please"}, status=403)
    post(strong, ruled, "extend", {**which, "mode": "COMPLIANCE", "until": "2026-12-01T00:00:00Z"}, status=403)
    post(strong, ruled, "extend", {**which, "mode": "GOVERNANCE", "until": "2090-01-01T00:00:00Z"}, status=403)
    longer = post(strong, ruled, "extend", {**which, "mode": "COMPLIANCE", "until": "2090-01-01T00:00:00Z"})
    assert longer["until"].startswith("2090-01-01")
    # What opens it is not destroyed either, and an inspection that ends does not loosen it.
    asked = strong.post(f"{ruled.url}{people.ADMIN}/keys/destroy", json={"reason": "to be rid of it"})
    assert asked.status_code in (403, 409) and "retained" in asked.text, asked.text
    wait(strong, ruled, name, 1)
    assert kept(strong, ruled)[f"{name}@1"]["until"].startswith("2090-01-01")
    other = f"free-{uuid.uuid4().hex[:8]}"
    commit(strong, ruled, other, {"a.csv": CLEAN.encode()})
    assert f"{other}@1" not in kept(strong, ruled)


def test_governance_ends_with_a_right_a_reason_and_an_alert(ruled, strong):
    name = f"trial-{uuid.uuid4().hex[:8]}"
    commit(strong, ruled, name, {"a.csv": CLEAN.encode()})
    which = {"kind": "dataset", "name": f"{name}@1"}
    owner = people.person(ruled, "owner").session()
    post(owner, ruled, "bypass", {**which, "reason": "please"}, status=403)
    post(strong, ruled, "bypass", {**which, "reason": " "}, status=400)
    assert post(strong, ruled, "bypass", {**which, "reason": "collected without consent"})["mode"] is None
    assert not kept(strong, ruled)[f"{name}@1"]["in_force"]
    alerts = ruled.session().get(f"{ruled.url}{people.ADMIN}/alerts").json()["alerts"]
    found = [alert for alert in alerts if alert["kind"] == "governance_bypass" and f"{name}@1" in alert["headline"]]
    assert found and found[0]["severity"] == "critical" and "collected without consent" in found[0]["headline"]


def test_a_model_and_its_files_stay_whatever_is_tried(ruled, strong):
    name, file, run = registered(strong, ruled)
    assert kept(strong, ruled)[f"{name}/1"]["mode"] == "COMPLIANCE"
    refused = mlflow(strong, ruled, "/model-versions/delete", {"name": name, "version": "1"}, status=403, method="DELETE")
    assert "all models" in refused["message"], refused
    mlflow(strong, ruled, "/registered-models/delete", {"name": name}, status=403, method="DELETE")
    assert strong.put(file, data=b"other").status_code == 403
    assert strong.delete(file).status_code == 403
    assert strong.delete(file.rsplit("/", 1)[0]).status_code == 403
    mlflow(strong, ruled, "/runs/delete", {"run_id": run})
    assert strong.get(file).content == b"weights"
    # A new name changes nothing, and what is beside it goes as always.
    mlflow(strong, ruled, "/registered-models/rename", {"name": name, "new_name": f"{name}-x"})
    mlflow(strong, ruled, "/model-versions/delete", {"name": f"{name}-x", "version": "1"}, status=403, method="DELETE")
    post(strong, ruled, "hold", {"kind": "model", "name": f"{name}/1", "hold": True})
    post(strong, ruled, "hold", {"kind": "model", "name": f"{name}/1", "hold": False})
    mlflow(strong, ruled, "/registered-models/delete", {"name": f"{name}-x"}, status=403, method="DELETE")


def test_a_models_files_in_a_bucket_stay_too(ruled, strong):
    s3 = client(ruled, strong)
    bucket, name = f"m-{uuid.uuid4().hex[:10]}", f"m-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    location = f"s3://{bucket}/art"
    experiment = mlflow(strong, ruled, "/experiments/create", {"name": uuid.uuid4().hex, "artifact_location": location})
    run = mlflow(strong, ruled, "/runs/create", {"experiment_id": experiment["experiment_id"]})["run"]["info"]
    key = run["artifact_uri"].removeprefix(f"s3://{bucket}/") + "/model/model.bin"
    beside = key.replace("/model/model.bin", "/model-beside/x")
    s3.put_object(Bucket=bucket, Key=key, Body=b"weights")
    s3.put_object(Bucket=bucket, Key=beside, Body=b"x")
    mlflow(strong, ruled, "/registered-models/create", {"name": name})
    for source in (f"{run['artifact_uri']}/model", "s3://elsewhere/model"):
        mlflow(strong, ruled, "/model-versions/create", {"name": name, "source": source})
    shown = kept(strong, ruled)
    assert [shown[f"{name}/{number}"]["files"] for number in (1, 2)] == ["held", "none held"]
    assert code_of(s3.put_object, Bucket=bucket, Key=key, Body=b"other") == "AccessDenied"
    assert code_of(s3.delete_object, Bucket=bucket, Key=key) == "AccessDenied"
    errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})["Errors"]
    assert [error["Code"] for error in errors] == ["AccessDenied"]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"weights"
    s3.delete_object(Bucket=bucket, Key=beside)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A server without rules, and somebody with every role."""
    if harness.external():
        pytest.skip("needs a server of its own")
    place = tmp_path_factory.mktemp("bare") / "place"
    place.mkdir()
    config = f'[backup]\nto = "{place}"\nkeep = 1\n[s3]\nlisten = "127.0.0.1:0"\n[detections]\nrespond_up_to = "note"\n'
    with harness.running(config_text=config) as server:
        server.place = place
        server.strong = people.with_every_role(server, on_server=("administrator", "backup_operator", "retention_officer")).session()
        yield server


def hold(server, kind, name, on=True, status=200):
    return post(server.strong, server, "hold", {"kind": kind, "name": name, "hold": on}, status=status)


def test_a_version_of_a_data_set_is_held_without_a_rule(bare):
    name = f"free-{uuid.uuid4().hex[:8]}"
    commit(bare.strong, bare, name, {"a.csv": CLEAN.encode()})
    assert "NAME@3" in hold(bare, "dataset", f"{name}@2", status=404)["message"]
    hold(bare, "dataset", f"{name}@1", on=False, status=404)
    assert hold(bare, "dataset", f"{name}@1")["legal_hold"]
    one = kept(bare.strong, bare)[f"{name}@1"]
    assert (one["rule"], one["mode"], one["legal_hold"], one["in_force"]) == (None, None, True, True)
    wait(bare.strong, bare, name, 1)
    asked = bare.strong.post(f"{bare.url}{people.ADMIN}/keys/destroy", json={"reason": "to be rid of it"})
    assert asked.status_code in (403, 409) and "retained" in asked.text, asked.text
    assert not hold(bare, "dataset", one["id"], on=False)["legal_hold"]
    assert f"{name}@1" not in kept(bare.strong, bare)
    hold(bare, "dataset", f"{name}@1", on=False, status=404)


def test_a_version_of_a_model_is_held_without_a_rule(bare):
    name, file, _ = registered(bare.strong, bare)
    assert hold(bare, "model", f"{name}/1")["files"] == "held"
    refused = mlflow(bare.strong, bare, "/model-versions/delete", {"name": name, "version": "1"}, status=403, method="DELETE")
    assert "legal hold" in refused["message"] and "rule" not in refused["message"], refused
    mlflow(bare.strong, bare, "/registered-models/delete", {"name": name}, status=403, method="DELETE")
    assert [bare.strong.put(file, data=b"other").status_code, bare.strong.delete(file).status_code] == [403, 403]
    # Another model gets the name: that one is meant from then on, and the first is held still.
    mlflow(bare.strong, bare, "/registered-models/rename", {"name": name, "new_name": f"{name}-x"})
    mlflow(bare.strong, bare, "/registered-models/create", {"name": name})
    mlflow(bare.strong, bare, "/model-versions/create", {"name": name, "source": "s3://elsewhere/model"})
    first = kept(bare.strong, bare)[f"{name}/1"]["id"]
    second = hold(bare, "model", f"{name}/1")
    assert second["id"] != first and second["files"] == "none held"
    for one in (name, f"{name}-x"):
        mlflow(bare.strong, bare, "/model-versions/delete", {"name": one, "version": "1"}, status=403, method="DELETE")
    hold(bare, "model", f"{name}/1", on=False)
    hold(bare, "model", first, on=False)
    for one in (name, f"{name}-x"):
        mlflow(bare.strong, bare, "/model-versions/delete", {"name": one, "version": "1"}, method="DELETE")
    assert bare.strong.put(file, data=b"other").status_code == 200


def test_a_backup_is_held_without_a_rule(bare):
    def run():
        made = bare.cli("backup", "run", "--json", "--token-file", str(bare.token_file))
        assert json.loads(made.stdout)["state"] == "done", made.stdout

    run()
    hold(bare, "backup", f"{bare.place}#1")
    hold(bare, "backup", f"{bare.place}#7", status=404)
    run()
    run()
    assert json.loads(bare.cli("backup", "verify", "1", "--json", "--token-file", str(bare.token_file)).stdout)["ok"]
    hold(bare, "backup", f"{bare.place}#1", on=False)
    run()
    assert bare.cli("backup", "verify", "1", "--json", "--token-file", str(bare.token_file), check=False).returncode != 0


def test_backups_outlive_the_number_that_is_kept(ruled):
    def run():
        made = ruled.cli("backup", "run", "--json", "--token-file", str(ruled.token_file))
        assert json.loads(made.stdout)["state"] == "done", made.stdout

    run()
    run()
    run()
    inspected = ruled.cli("backup", "verify", "1", "--json", "--token-file", str(ruled.token_file))
    assert json.loads(inspected.stdout)["ok"], inspected.stdout
    officer = people.person(ruled, "retention_officer", on="server").session()
    found = kept(officer, ruled, "server")
    assert len(found) == 3 and all(one["kind"] == "backup" and one["in_force"] for one in found.values())


def test_the_command_line_says_what_is_retained_by_which_rule(ruled, strong):
    name = f"kept-{uuid.uuid4().hex[:8]}"
    commit(strong, ruled, name, {"a.csv": CLEAN.encode()})
    listed = ruled.cli("retention", "list", "--token-file", str(ruled.token_file))
    line = next(line for line in listed.stdout.splitlines() if f"{name}@1" in line)
    assert "kept sets" in line and "COMPLIANCE" in line and "software" in line


def test_damaged_rules_keep_the_server_from_starting(tmp_path):
    rules = tmp_path / "retention.toml"
    rules.write_text('[[rule]]\nname = "x"\nkind = "dataset"\nmode = "SOMETIMES"\ndays = 1\n')
    if harness.external():
        pytest.skip("needs a server of its own")
    with pytest.raises(harness.StartError):
        with harness.running("sqlite", config_text=f'[retention]\nrules = "{rules}"\n'):
            pass


# The immutable flag.


def immutable(path):
    shown = subprocess.run(["lsattr", "-d", str(path)], capture_output=True, text=True, check=True).stdout
    return "i" in shown.split()[0]


@pytest.fixture
def flagged(tmp_path):
    """A server that sets the flag, where that can be: what is left when it goes can be deleted."""
    if harness.external():
        pytest.skip("needs a server of its own")
    probe = tmp_path / "probe"
    probe.write_text("x")
    can = subprocess.run(["chattr", "+i", str(probe)], capture_output=True, text=True)
    subprocess.run(["chattr", "-i", str(probe)], capture_output=True)
    if can.returncode != 0:
        pytest.skip(f"no immutable flag here: {can.stderr.strip()}")
    text = '[s3]\nlisten = "127.0.0.1:0"\n[vault]\nimmutable_files = true\n'
    with harness.running("sqlite", config_text=text) as server:
        try:
            yield server
        finally:
            server.stop()
            subprocess.run(["chattr", "-R", "-i", str(server.data)], capture_output=True)


@pytest.mark.any_database("its server has SQLite")
def test_files_under_compliance_are_immutable_and_the_status_says_so(flagged):
    s3 = client(flagged)
    s3.create_bucket(Bucket="locked-one", ObjectLockEnabledForBucket=True)
    # What is small lies in the database, not in a file of its own.
    body = b"the record as it was" * 2_000
    s3.put_object(Bucket="locked-one", Key="free", Body=b"y" * 50_000)
    before = {path for path in (flagged.data / "objects" / "stored").rglob("*") if path.is_file()}
    put = s3.put_object(Bucket="locked-one", Key="k", Body=body, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)
    (fresh,) = {path for path in (flagged.data / "objects" / "stored").rglob("*") if path.is_file()} - before
    # The job looks each minute, and at start.
    harness.wait_until(lambda: immutable(fresh), 100, "the file is immutable")
    assert not any(immutable(path) for path in before)
    with pytest.raises(PermissionError):
        fresh.unlink()
    with pytest.raises(PermissionError):
        fresh.write_bytes(b"other")
    session = flagged.session()
    assert session.get(f"{flagged.url}{people.ADMIN}/retention").json()["enforced_by"] == "flag"
    assert s3.get_object(Bucket="locked-one", Key="k", VersionId=put["VersionId"])["Body"].read() == body


# A bucket with Object Lock under the server.


@pytest.fixture
def backend(monkeypatch):
    """A second server of ours as the store, with a bucket that has Object Lock: its address, and somebody who may do everything there."""
    if harness.external():
        pytest.skip("needs servers of its own")
    with harness.running("sqlite", config_text='[s3]\nlisten = "127.0.0.1:0"\n[detections]\nrespond_up_to = "note"\n') as store:
        person = people.person(store, "contributor")
        store.officer = people.grant(store, person.name, "retention_officer")
        keys = keys_of(store, person.session())
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["aws_access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["aws_secret_access_key"])
        s3 = client(store, keys=keys)
        s3.create_bucket(Bucket="worm", ObjectLockEnabledForBucket=True)
        s3.create_bucket(Bucket="plain")
        yield store, s3


def over(store, bucket, lock="true"):
    return (
        '[s3]\nlisten = "127.0.0.1:0"\n[vault.objects]\nkind = "s3"\nregion = "us-east-1"\n'
        f'bucket = "{bucket}"\nendpoint = "{address(store)}"\nca = "{store.ca}"\nprefix = "p"\nobject_lock = {lock}\n'
    )


def locks(s3):
    """Key, mode and date of what is locked in the bucket, but for the probes."""
    found = {}
    for version in s3.list_object_versions(Bucket="worm").get("Versions", []):
        head = s3.head_object(Bucket="worm", Key=version["Key"], VersionId=version["VersionId"])
        if not version["Key"].startswith("p/probe"):
            found[version["Key"]] = (head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate"), head.get("ObjectLockLegalHoldStatus"))
    return found


@pytest.mark.any_database("its servers have SQLite")
def test_locks_are_passed_through_to_the_bucket_and_read_back(backend):
    store, below = backend
    with harness.running("sqlite", config_text=over(store, "worm")) as server:
        assert server.session().get(f"{server.url}{people.ADMIN}/retention").json()["enforced_by"] == "backend"
        s3 = client(server)
        s3.create_bucket(Bucket="above", ObjectLockEnabledForBucket=True)
        s3.put_object(Bucket="above", Key="free", Body=b"x")
        before = locks(below)
        put = s3.put_object(Bucket="above", Key="k", Body=BODY, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)
        now = locks(below)
        (key,) = set(now) - set(before)
        assert now[key][:2] == ("COMPLIANCE", FAR)
        assert all(mode is None for mode, _, _ in before.values())
        # Not even with every right in the store.
        (version,) = [one["VersionId"] for one in below.list_object_versions(Bucket="worm", Prefix=key)["Versions"]]
        assert code_of(below.delete_object, Bucket="worm", Key=key, VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
        longer = FAR.replace(year=2095)
        s3.put_object_retention(
            Bucket="above", Key="k", VersionId=put["VersionId"], Retention={"Mode": "COMPLIANCE", "RetainUntilDate": longer}
        )
        assert locks(below)[key][1] == longer
        s3.put_object_legal_hold(Bucket="above", Key="k", VersionId=put["VersionId"], LegalHold={"Status": "ON"})
        assert locks(below)[key][2] == "ON"
        # In parts, each of which is an object of its own.
        before = locks(below)
        upload = s3.create_multipart_upload(Bucket="above", Key="p", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)["UploadId"]
        parts = []
        for number, body in ((1, b"a" * (5 << 20)), (2, b"b")):
            part = s3.upload_part(Bucket="above", Key="p", UploadId=upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        s3.complete_multipart_upload(Bucket="above", Key="p", UploadId=upload, MultipartUpload={"Parts": parts})
        now = locks(below)
        fresh = set(now) - set(before)
        assert len(fresh) == 2 and all(now[one][:2] == ("COMPLIANCE", FAR) for one in fresh)
        # What nothing holds goes for good, not behind a marker.
        count = len(below.list_object_versions(Bucket="worm", Prefix="p/").get("Versions", []))
        free = s3.list_object_versions(Bucket="above", Prefix="free")["Versions"][0]["VersionId"]
        s3.delete_object(Bucket="above", Key="free", VersionId=free)
        left = below.list_object_versions(Bucket="worm", Prefix="p/")
        assert len(left.get("Versions", [])) == count - 1 and not left.get("DeleteMarkers")


@pytest.mark.any_database("its servers have SQLite")
def test_a_store_that_cannot_hold_refuses_the_write(backend):
    store, below = backend
    with harness.running("sqlite", config_text=over(store, "worm")) as server:
        s3 = client(server)
        s3.create_bucket(Bucket="above", ObjectLockEnabledForBucket=True)
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": FAR}
        # The server's account in the store may write there from now on, and retain nothing.
        gone = store.session().delete(f"{store.url}{people.ADMIN}/grants/{store.officer['id']}")
        assert gone.status_code == 200, gone.text
        assert code_of(s3.put_object, Bucket="above", Key="k", Body=BODY, **lock) == "ServiceUnavailable"
        assert "Versions" not in s3.list_object_versions(Bucket="above")
        assert locks(below) == {} or all(mode is None for mode, _, _ in locks(below).values())
        put = s3.put_object(Bucket="above", Key="k", Body=BODY)
        retention = {"Mode": "COMPLIANCE", "RetainUntilDate": FAR}
        assert code_of(s3.put_object_retention, Bucket="above", Key="k", Retention=retention) == "ServiceUnavailable"
        assert "ObjectLockMode" not in s3.head_object(Bucket="above", Key="k", VersionId=put["VersionId"])


def test_a_bucket_without_object_lock_is_refused_at_start(backend):
    store, _ = backend
    with pytest.raises(harness.StartError, match="does not enforce Object Lock"):
        with harness.running("sqlite", config_text=over(store, "plain")):
            pass
    with harness.running("sqlite", config_text=over(store, "plain", lock="false")) as server:
        assert server.session().get(f"{server.url}{people.ADMIN}/retention").json()["enforced_by"] == "software"
