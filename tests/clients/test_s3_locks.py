"""Every way to delete, overwrite, shorten or hide what is locked, tried with every right there is: none may work. And what somebody with the
files in their hands does is found."""

import datetime
import json
import shutil
import sqlite3
import subprocess
import uuid

import pytest
import requests
from botocore.exceptions import ClientError

import harness
import people
from test_s3 import client, code_of

pytestmark = pytest.mark.strongroom_only

# Its tests try what an intruder would: that is noted, and not slowed down here.
CONFIG = '[s3]\nlisten = "127.0.0.1:0"\n[detections]\nrespond_up_to = "note"\n'
FAR = datetime.datetime(2090, 1, 1, tzinfo=datetime.timezone.utc)
BODY = b"the record as it was"


@pytest.fixture(scope="module")
def vault_server():
    with harness.running(config_text=CONFIG) as started:
        yield started


@pytest.fixture(scope="module")
def strong(vault_server):
    """Somebody with every role that there is in the workspace, administrator too."""
    return people.with_every_role(vault_server)


@pytest.fixture(scope="module")
def s3(vault_server, strong):
    return client(vault_server, strong.session())


@pytest.fixture
def locked(s3):
    """A bucket with a version under compliance: its name, key and version."""
    bucket = f"l-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    put = s3.put_object(Bucket=bucket, Key="k", Body=BODY, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)
    return bucket, "k", put["VersionId"]


def intact(s3, bucket, key, version):
    got = s3.get_object(Bucket=bucket, Key=key, VersionId=version)
    assert got["Body"].read() == BODY
    assert got["ObjectLockMode"] == "COMPLIANCE" and got["ObjectLockRetainUntilDate"] >= FAR


def refused(call, **arguments):
    with pytest.raises(ClientError) as problem:
        call(**arguments)
    return problem.value.response["Error"]["Code"]


def test_a_locked_version_is_not_deleted(s3, locked):
    bucket, key, version = locked
    for bypass in (False, True):
        assert refused(s3.delete_object, Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=bypass) == "AccessDenied"
        many = s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key, "VersionId": version}]}, BypassGovernanceRetention=bypass
        )
        assert [error["Code"] for error in many["Errors"]] == ["AccessDenied"]
    intact(s3, *locked)


def test_an_empty_version_id_is_not_the_newest(vault_server, strong, s3, locked):
    bucket, key, _ = locked
    url = client(vault_server, strong.session(), signature_version="s3v4").generate_presigned_url(
        "delete_object", Params={"Bucket": bucket, "Key": key, "VersionId": ""}
    )
    assert requests.delete(url, verify=vault_server.ca, timeout=10).status_code == 400
    intact(s3, *locked)


def test_a_marker_hides_nothing_from_who_names_the_version(s3, locked):
    bucket, key, version = locked
    marker = s3.delete_object(Bucket=bucket, Key=key)
    assert marker["DeleteMarker"]
    assert code_of(s3.get_object, Bucket=bucket, Key=key) == "NoSuchKey"
    intact(s3, *locked)
    listed = s3.list_object_versions(Bucket=bucket)
    assert [one["VersionId"] for one in listed["Versions"]] == [version]
    s3.delete_object(Bucket=bucket, Key=key, VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key=key)["VersionId"] == version


def test_writing_over_it_makes_another_version(s3, locked):
    bucket, key, version = locked
    s3.put_object(Bucket=bucket, Key=key, Body=b"other")
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE", Metadata={"a": "b"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"parts")
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    intact(s3, *locked)
    assert version in [one["VersionId"] for one in s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]]
    # Nor does an upload that is completed again.
    again = s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    assert again["ETag"]
    intact(s3, *locked)


def test_a_retention_is_not_shortened_weakened_or_taken_away(s3, locked):
    bucket, key, version = locked
    sooner = FAR - datetime.timedelta(days=1)
    for bypass in (False, True):
        for retention in (
            {"Mode": "COMPLIANCE", "RetainUntilDate": sooner}, {"Mode": "GOVERNANCE", "RetainUntilDate": FAR},
            {"Mode": "GOVERNANCE", "RetainUntilDate": FAR + datetime.timedelta(days=1)}, {},
        ):  # fmt: skip
            arguments = {"Bucket": bucket, "Key": key, "VersionId": version, "Retention": retention}
            assert refused(s3.put_object_retention, **arguments, BypassGovernanceRetention=bypass) in ("AccessDenied", "MalformedXML")
    intact(s3, *locked)
    longer = FAR + datetime.timedelta(days=1)
    s3.put_object_retention(Bucket=bucket, Key=key, VersionId=version, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": longer})
    intact(s3, *locked)


def test_a_hold_that_is_lifted_leaves_the_retention(s3, locked):
    bucket, key, version = locked
    for status in ("ON", "OFF"):
        s3.put_object_legal_hold(Bucket=bucket, Key=key, VersionId=version, LegalHold={"Status": status})
        assert refused(s3.delete_object, Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
    intact(s3, *locked)


def test_the_bucket_keeps_its_locks_and_versions(s3, locked):
    bucket, key, version = locked
    assert refused(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}) == "InvalidBucketState"
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    rules = {"Rules": [{"ID": "x", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]}
    assert refused(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration=rules) == "NotImplemented"
    # Making it again changes nothing, whatever is asked for.
    assert refused(s3.create_bucket, Bucket=bucket) == "BucketAlreadyOwnedByYou"
    intact(s3, *locked)


def test_tags_and_what_is_said_of_it_do_not_touch_the_bytes(s3, locked):
    bucket, key, version = locked
    s3.put_object_tagging(Bucket=bucket, Key=key, VersionId=version, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(Bucket=bucket, Key=key, VersionId=version)
    intact(s3, *locked)


@pytest.mark.parametrize("until", ["2106-02-07", "2107-01-01", "2140-01-01", "9999-12-31"])
def test_dates_far_ahead_do_not_wrap(s3, locked, until):
    bucket = locked[0]
    at = datetime.datetime.fromisoformat(until).replace(tzinfo=datetime.timezone.utc)
    put = s3.put_object(Bucket=bucket, Key=until, Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=at)
    head = s3.head_object(Bucket=bucket, Key=until, VersionId=put["VersionId"])
    assert head["ObjectLockRetainUntilDate"] == at
    assert refused(s3.delete_object, Bucket=bucket, Key=until, VersionId=put["VersionId"], BypassGovernanceRetention=True) == "AccessDenied"


def test_what_comes_in_parts_or_as_a_folder_is_locked_too(s3, locked):
    bucket = locked[0]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="p", UploadId=upload, PartNumber=1, Body=b"x")
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="p", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    folder = s3.put_object(Bucket=bucket, Key="folder/", Body=b"", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)
    for key, version in (("p", done["VersionId"]), ("folder/", folder["VersionId"])):
        assert refused(s3.delete_object, Bucket=bucket, Key=key, VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"


def test_a_default_is_written_into_each_version(s3):
    bucket = f"d-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    # Taking the rule away takes nothing from what was written under it.
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert refused(s3.delete_object, Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"


def test_governance_takes_the_right_and_the_header_and_is_written_down(vault_server, s3, locked):
    bucket = locked[0]
    owner = people.person(vault_server, "owner")
    theirs = client(vault_server, owner.session())
    put = s3.put_object(Bucket=bucket, Key="g", Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=FAR)
    version = put["VersionId"]
    assert refused(theirs.delete_object, Bucket=bucket, Key="g", VersionId=version) == "AccessDenied"
    assert refused(theirs.delete_object, Bucket=bucket, Key="g", VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
    assert refused(s3.delete_object, Bucket=bucket, Key="g", VersionId=version) == "AccessDenied"
    s3.delete_object(Bucket=bucket, Key="g", VersionId=version, BypassGovernanceRetention=True)
    records = vault_server.session().get(f"{vault_server.url}/api/strongroom/v1/audit/records?rows=1000").json()["records"]
    assert any(record["action"] == "buckets.bypass" and record["kind"] == "outcome" for record in records)
    alerts = vault_server.session().get(f"{vault_server.url}{people.ADMIN}/alerts").json()["alerts"]
    assert any(alert["kind"] == "governance_bypass" and bucket in alert["headline"] for alert in alerts)


def test_locks_by_header_take_the_right_too(vault_server, locked):
    bucket = locked[0]
    contributor = client(vault_server, people.person(vault_server, "contributor").session())
    contributor.put_object(Bucket=bucket, Key="c", Body=b"x")
    for lock in ({"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": FAR}, {"ObjectLockLegalHoldStatus": "ON"}):
        assert refused(contributor.put_object, Bucket=bucket, Key="c", Body=b"x", **lock) == "AccessDenied"
        assert refused(contributor.create_multipart_upload, Bucket=bucket, Key="c", **lock) == "AccessDenied"
        source = {"Bucket": bucket, "Key": "c"}
        assert refused(contributor.copy_object, Bucket=bucket, Key="c2", CopySource=source, **lock) == "AccessDenied"


def test_who_decides_on_locks_sees_them_and_no_bytes(vault_server, locked):
    bucket, key, version = locked
    officer = client(vault_server, people.person(vault_server, "retention_officer").session())
    assert officer.get_object_retention(Bucket=bucket, Key=key, VersionId=version)["Retention"]["Mode"] == "COMPLIANCE"
    assert officer.get_object_legal_hold(Bucket=bucket, Key=key)["LegalHold"]["Status"] == "OFF"
    assert refused(officer.get_object, Bucket=bucket, Key=key) == "AccessDenied"
    nobody = client(vault_server, people.person(vault_server).session())
    assert refused(nobody.get_object_retention, Bucket=bucket, Key=key) in ("AccessDenied", "NoSuchBucket")


def test_the_sweeps_and_the_keys_rotation_leave_it(vault_server, strong, s3, locked):
    session = strong.session()
    for path in ("/objects/sweep", "/keys/rotate", "/keys/rewrap"):
        session.post(f"{vault_server.url}{people.ADMIN}{path}", json={})
    intact(s3, *locked)
    report = vault_server.cli("objects", "verify", "--json", "--token-file", str(vault_server.token_file))
    report = json.loads(report.stdout)
    assert report["checked_count"] > 0 and report["damaged_count"] == 0


def test_the_key_under_it_is_not_destroyed(vault_server, strong, s3, locked):
    asked = strong.session().post(f"{vault_server.url}{people.ADMIN}/keys/destroy", json={"reason": "to be rid of it"})
    assert asked.status_code in (400, 403, 409), asked.text
    assert "retained" in asked.text
    intact(s3, *locked)


def sqlite_only(server):
    if server.engine != "sqlite":
        pytest.skip("edits the database's file")


def test_the_database_itself_refuses_to_let_go(fresh_server_with_s3):
    server, s3, locked = fresh_server_with_s3
    sqlite_only(server)
    server.stop()
    path = server.data / "db" / "strongroom.db"
    assert path.is_file()
    for edit in (
        "DELETE FROM bucket_version", "UPDATE bucket_version SET retain_until = 1", "UPDATE bucket_version SET lock_mode = NULL",
        "UPDATE bucket_version SET version_id = 'x'", "DELETE FROM bucket_part", "UPDATE bucket_part SET sha256 = x'00'",
        "DELETE FROM small_object", "UPDATE small_object SET sealed = zeroblob(8)",
        "UPDATE bucket SET lock_enabled = 0", "UPDATE bucket SET versioning = 'off'", "UPDATE compliance_clock SET at = at - 1",
    ):  # fmt: skip
        with sqlite3.connect(path) as database, pytest.raises(sqlite3.DatabaseError, match="locked|cannot|does not|name|changed"):
            database.execute(edit)
    server.start()
    intact(client(server), *locked)


@pytest.fixture
def fresh_server_with_s3():
    with harness.running(config_text=CONFIG) as server:
        s3 = client(server)
        s3.create_bucket(Bucket="locked-one", ObjectLockEnabledForBucket=True)
        put = s3.put_object(Bucket="locked-one", Key="k", Body=BODY, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)
        yield server, s3, ("locked-one", "k", put["VersionId"])


def test_who_takes_the_triggers_away_is_found_by_verify(fresh_server_with_s3):
    server, s3, locked = fresh_server_with_s3
    sqlite_only(server)
    found = server.session().post(f"{server.url}{people.ADMIN}/objects/verify", json={}).json()
    assert found["damaged_count"] == 0
    server.stop()
    with sqlite3.connect(server.data / "db" / "strongroom.db") as database:
        database.execute("DROP TRIGGER small_object_keeps")
        assert database.execute("UPDATE small_object SET sealed = zeroblob(length(sealed))").rowcount == 1
    server.start()
    found = server.session().post(f"{server.url}{people.ADMIN}/objects/verify", json={}).json()
    assert found["damaged_count"] == 1
    assert code_of(client(server).get_object, Bucket=locked[0], Key=locked[1], VersionId=locked[2]) == "InternalError"


@pytest.mark.parametrize(
    "edit, says",
    [
        ("UPDATE bucket_version SET retain_until = 1", "is retained less"),
        ("UPDATE bucket_version SET lock_mode = 'GOVERNANCE'", "is retained less"),
        ("DELETE FROM bucket_version", "is gone"),
        # Two years; no trigger is in the way of that.
        ("UPDATE compliance_clock SET at = at + 63072000000000", "the compliance clock was set forward, by 7"),
    ],
)
def test_a_lock_that_was_weakened_in_the_database_is_found_by_verify(fresh_server_with_s3, edit, says):
    server, _, locked = fresh_server_with_s3
    sqlite_only(server)
    server.stop()
    whole = server.cli("audit", "verify", check=False)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    with sqlite3.connect(server.data / "db" / "strongroom.db") as database:
        # As an intruder does: the triggers are back afterwards.
        triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            database.execute(f'DROP TRIGGER "{name}"')
        assert database.execute(edit).rowcount == 1
        for _, sql in triggers:
            database.execute(sql)
    found = server.cli("audit", "verify", check=False)
    says = says if "clock" in says else f"version `{locked[2]}` {says}"
    assert found.returncode == 1 and says in found.stdout, found.stdout + found.stderr


def test_a_second_server_on_the_same_data_does_not_start(fresh_server_with_s3):
    server, _, _ = fresh_server_with_s3
    second = server.command("serve") + ["--listen", "127.0.0.1:0"]
    done = subprocess.run(second, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0


def test_an_old_database_under_a_new_log_is_refused(fresh_server_with_s3, tmp_path):
    server, s3, locked = fresh_server_with_s3
    sqlite_only(server)
    server.stop()
    shutil.copytree(server.data / "db", tmp_path / "db")
    server.start()
    s3 = client(server)
    later = s3.put_object(Bucket="locked-one", Key="later", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=FAR)
    server.stop()
    shutil.rmtree(server.data / "db")
    shutil.copytree(tmp_path / "db", server.data / "db")
    with pytest.raises(harness.StartError):
        server.start()
    assert later["VersionId"]
