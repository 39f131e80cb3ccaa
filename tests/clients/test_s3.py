"""S3 as real clients speak it, over TLS: boto3, the aws command line, s3fs, DVC, and an mlflow run whose artifacts lie in a bucket."""

import base64
import datetime
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
import zlib
from urllib.parse import urlparse

import boto3
import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

import harness
import people

pytestmark = pytest.mark.strongroom_only

REGION = "us-east-1"


@pytest.fixture(scope="module")
def s3_server():
    """A server that speaks S3."""
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n') as started:
        yield started


def address(server):
    """Where the server speaks S3."""
    return (server.data / "s3-address").read_text().strip()


def keys_of(server, session=None):
    """The access key of a session's token, an administrator's if none."""
    session = session or server.session()
    answer = session.post(f"{server.url}/api/strongroom/v1/access-key", json={})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {"aws_access_key_id": found["access_key_id"], "aws_secret_access_key": found["secret_access_key"]}


def client(server, session=None, keys=None, **options):
    """A boto3 client as a user would make it."""
    return boto3.client(
        "s3", endpoint_url=address(server), region_name=REGION, verify=server.ca,
        config=Config(retries={"max_attempts": 1}, **options), **(keys or keys_of(server, session)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def s3(s3_server):
    return client(s3_server)


@pytest.fixture
def bucket(s3):
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def code_of(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def test_an_object_comes_back_as_it_went(s3, bucket):
    body = os.urandom(300_000)
    put = s3.put_object(Bucket=bucket, Key="ä b/+&?.bin", Body=body, ContentType="text/x", Metadata={"who": "me"})
    assert put["ServerSideEncryption"] == "AES256"
    got = s3.get_object(Bucket=bucket, Key="ä b/+&?.bin")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/x", {"who": "me"}, put["ETag"])
    assert put["ETag"].strip('"') == hashlib.md5(body).hexdigest()
    part = s3.get_object(Bucket=bucket, Key="ä b/+&?.bin", Range="bytes=65530-65545")
    assert part["Body"].read() == body[65530:65546]
    listed = s3.list_objects_v2(Bucket=bucket)
    assert [(one["Key"], one["Size"]) for one in listed["Contents"]] == [("ä b/+&?.bin", len(body))]
    s3.delete_object(Bucket=bucket, Key="ä b/+&?.bin")
    assert code_of(s3.get_object, Bucket=bucket, Key="ä b/+&?.bin") == "NoSuchKey"


def test_a_key_is_a_text_and_never_a_path(s3, bucket):
    for key in ("../../etc/passwd", "a/../b", "./x", "a//b", "/", "k/", "\u00e4\U0001f600", "new\nline"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert code_of(s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"") == "KeyTooLongError"
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 8


def test_a_big_file_goes_in_parts_and_comes_back_in_ranges(s3, bucket, tmp_path):
    size = 21 << 20
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(size))
    transfer = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
    s3.upload_file(str(path), bucket, "big", Config=transfer)
    assert s3.head_object(Bucket=bucket, Key="big")["ContentLength"] == size
    s3.download_file(bucket, "big", str(tmp_path / "back"), Config=transfer)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    across = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={(5 << 20) - 3}-{(5 << 20) + 2}")["Body"].read()
    assert across == path.read_bytes()[(5 << 20) - 3 : (5 << 20) + 3]


def test_what_differs_from_what_was_promised_is_not_kept(s3, bucket):
    wrong = {"ChecksumSHA256": "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="}
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"not it", **wrong) == "BadDigest"
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"not it", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==") == "BadDigest"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def crc32(body):
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def test_parts_are_summed_as_their_upload_asks_and_nothing_else_is_published(s3_server, bucket):
    s3 = client(s3_server, request_checksum_calculation="when_required")
    body = os.urandom(5 << 20)

    def begun(**wish):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="k", **wish)["UploadId"]
        return {"Bucket": bucket, "Key": "k", "UploadId": upload}

    def complete(upload, etag, part=None, **said):
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag, **(part or {})}]}
        return dict(upload, MultipartUpload=parts, **said)

    # Another algorithm than the upload's.
    upload = begun(ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    assert code_of(s3.upload_part, **upload, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256") == "InvalidRequest"
    # A part that says nothing, and one that is copied, are summed all the same.
    part = s3.upload_part(**upload, PartNumber=1, Body=body)
    assert part["ChecksumCRC32"] == crc32(body)
    assert code_of(s3.complete_multipart_upload, **complete(upload, part["ETag"], ChecksumType="COMPOSITE")) == "InvalidRequest"
    done = s3.complete_multipart_upload(**complete(upload, part["ETag"], ChecksumCRC32=crc32(body), ChecksumType="FULL_OBJECT"))
    assert done["ChecksumCRC32"] == crc32(body)
    wrong = complete(upload, '"0123456789abcdef0123456789abcdef"')
    assert code_of(s3.complete_multipart_upload, **wrong) == "InvalidPart"
    assert code_of(s3.complete_multipart_upload, **complete(upload, part["ETag"], ChecksumCRC32="AAAAAA==")) == "BadDigest"
    for algorithm in ("SHA256", "CRC64NVME"):
        upload = begun(ChecksumAlgorithm=algorithm)
        copied = s3.upload_part_copy(**upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "k"})["CopyPartResult"]
        assert copied[f"Checksum{algorithm}"]
        s3.complete_multipart_upload(**complete(upload, copied["ETag"]))
    # Of an upload that asked for none, nothing is promised that was not checked.
    upload = begun()
    etag = s3.upload_part(**upload, PartNumber=1, Body=body)["ETag"]
    assert code_of(s3.complete_multipart_upload, **complete(upload, etag, ChecksumCRC32="AAAAAA==")) == "InvalidRequest"
    assert code_of(s3.complete_multipart_upload, **complete(upload, etag, {"ChecksumCRC32": "AAAAAA=="})) == "InvalidPart"
    s3.complete_multipart_upload(**complete(upload, etag))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_parts_that_make_no_object_are_refused_as_s3_refuses_them(s3, bucket):
    def begun(*bodies):
        upload = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
        return upload, [s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"] for number, body in enumerate(bodies, 1)]

    def refused(upload, *parts):
        named = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}
        return code_of(s3.complete_multipart_upload, **upload, MultipartUpload=named)

    upload, (one, two) = begun(b"x" * (5 << 20), b"y")
    assert refused(upload) == "MalformedXML"
    assert code_of(s3.complete_multipart_upload, **upload) == "MalformedXML"
    for falling in (((2, two), (1, one)), ((1, one), (2, two), (1, one))):
        assert refused(upload, *falling) == "InvalidPartOrder", falling
    for number in (0, -1):
        assert refused(upload, (number, one), (2, two)) == "InvalidArgument", number
    for missing in ((3, two), (10_001, two), (2, one), (2, '"0123456789abcdef0123456789abcdef"')):
        assert refused(upload, (1, one), missing) == "InvalidPart", missing
    for number in (0, -1, 10_001):
        assert code_of(s3.upload_part, **upload, PartNumber=number, Body=b"x") == "InvalidArgument", number
    small, tags = begun(b"x", b"y")
    assert refused(small, *enumerate(tags, 1)) == "EntityTooSmall"
    assert refused(dict(upload, UploadId="0" * 32), (1, one)) == "NoSuchUpload"
    # Nothing of it was published, and a part that is named twice in a row was sent twice.
    assert code_of(s3.head_object, Bucket=bucket, Key="k") == "404"
    named = [{"PartNumber": number, "ETag": etag} for number, etag in ((1, two), (1, one), (2, two))]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": named})
    assert s3.get_object(Bucket=bucket, Key="k")["ContentLength"] == (5 << 20) + 1


def test_a_buckets_tags_come_with_it(s3):
    name = f"t-{uuid.uuid4().hex[:12]}"
    tags = [{"Key": "a", "Value": "b"}]
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tags


def test_what_there_is_none_of_says_what_there_is_instead(s3, bucket):
    def refusal(call, **arguments):
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        return refused.value.response["Error"]

    assert "grant" in refusal(s3.put_bucket_acl, Bucket=bucket, ACL="public-read")["Message"]
    assert "grant" in refusal(s3.put_bucket_policy, Bucket=bucket, Policy="{}")["Message"]
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    assert refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"", **key)["Code"] == "NotImplemented"
    for call in (s3.get_bucket_website, s3.get_bucket_notification_configuration, s3.get_bucket_replication):
        assert refusal(call, Bucket=bucket)["Code"] == "NotImplemented"
    assert refusal(s3.restore_object, Bucket=bucket, Key="k")["Code"] == "NotImplemented"


def test_a_change_with_a_query_that_is_not_understood_changes_nothing(s3_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")
    asking = client(s3_server)
    wanted = {"query": ""}

    def ask_for_more(request, **_):
        request.url += ("&" if "?" in request.url else "?") + wanted["query"]

    asking.meta.events.register("before-sign.s3", ask_for_more)
    for query, code in (
        ("append", "NotImplemented"), ("annotation=x", "NotImplemented"), ("x-amz-meta-a=b", "NotImplemented"), ("partNumber=3", "InvalidArgument"),
    ):  # fmt: skip
        wanted["query"] = query
        assert code_of(asking.put_object, Bucket=bucket, Key="k", Body=b"lost") == code, query
        assert code_of(asking.delete_object, Bucket=bucket, Key="k") == code, query
    wanted["query"] = "versionId=null"
    assert code_of(asking.put_object, Bucket=bucket, Key="k", Body=b"lost") == "InvalidArgument"
    wanted["query"] = "append"
    assert asking.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept", "what is read may carry anything"


def test_an_access_key_does_what_its_token_may_and_ends_with_it(s3_server, s3, bucket):
    viewer = people.person(s3_server, "viewer")
    theirs = client(s3_server, viewer.session())
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert code_of(theirs.put_object, Bucket=bucket, Key="k", Body=b"y") == "AccessDenied"
    people.call(viewer.session(), s3_server, "DELETE", f"/tokens/{viewer.token_id}", status=(200, 204))
    assert code_of(theirs.get_object, Bucket=bucket, Key="k") == "AccessDenied"


def test_a_stranger_and_the_unentitled_learn_nothing(s3_server, s3, bucket):
    nobody = client(s3_server, people.person(s3_server).session())
    there = code_of(nobody.list_objects_v2, Bucket=bucket)
    assert there == code_of(nobody.list_objects_v2, Bucket="no-such-bucket-at-all") == "NoSuchBucket"
    for path in ("", f"/{bucket}", f"/{bucket}/k", "/no-such-bucket"):
        answer = requests.get(address(s3_server) + path, verify=s3_server.ca, timeout=10)
        assert (answer.status_code, "AccessDenied" in answer.text) == (403, True), answer.text


def connected(address, ca):
    host = urlparse(address)
    context = ssl.create_default_context(cafile=ca)
    raw = socket.create_connection((host.hostname, host.port), timeout=20)
    return context.wrap_socket(raw, server_hostname=host.hostname), host.netloc


def records_of(s3_server):
    return s3_server.session().get(f"{s3_server.url}/api/strongroom/v1/audit/records?rows=200").json()["records"]


def test_who_may_not_is_refused_before_a_body_is_read_and_written_down(s3_server, s3, bucket):
    """Whatever is in the body, which need not even come."""
    before = max(record["index"] for record in records_of(s3_server))
    connection, host = connected(address(s3_server), s3_server.ca)
    connection.sendall(f"POST /{bucket}?delete HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n<D".encode())
    assert b" 403 " in connection.recv(200)
    connection.close()
    viewer = {"Authorization": f"Bearer {people.person(s3_server, 'viewer').token}"}
    wanted = ["buckets.remove"]
    for method, path, headers, action in (
        ("POST", f"/{bucket}?delete", {}, "buckets.remove"),
        ("PUT", f"/{bucket}/k?tagging", viewer, "buckets.tag"),
        ("PUT", f"/{bucket}?object-lock", viewer, "buckets.lock"),
        ("PUT", f"/{bucket}/k?retention", viewer, "buckets.retain"),
        ("PUT", f"/{bucket}/k?legal-hold", viewer, "buckets.hold"),
        ("PUT", f"/{bucket}/k", {"x-amz-object-lock-mode": "COMPLIANCE"}, "buckets.write"),
        ("HEAD", "/datasets", {}, "datasets.search"),
    ):
        answer = requests.request(method, address(s3_server) + path, data=b"no xml", headers=headers, verify=s3_server.ca, timeout=10)
        assert answer.status_code == 403, (method, path, answer.status_code, answer.text)
        wanted.append(action)
    # Who may is told what is wrong with the body, and that is written down too.
    mine = {"Authorization": f"Bearer {s3_server.token}"}
    answer = requests.post(f"{address(s3_server)}/{bucket}?delete", data=b"no xml", headers=mine, verify=s3_server.ca, timeout=10)
    assert (answer.status_code, "MalformedXML" in answer.text) == (400, True), answer.text
    wanted.append("buckets.remove")
    found = [record for record in records_of(s3_server) if record["index"] > before and record["kind"] == "refusal"]
    assert sorted(record["action"] for record in found) == sorted(wanted)


def test_an_upload_ends_with_the_rights_of_its_caller(s3_server, bucket):
    """By S3 and by MLflow: what goes on after its caller was shut out is not kept."""
    admin, answers = s3_server.session(), {}
    tracking = f"{s3_server.url}/api/2.0"

    def slow(name, base, path, token, account):
        connection, host = connected(base, s3_server.ca)
        head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: 10\r\n\r\n01234"
        connection.sendall(head.encode())
        time.sleep(0.5)
        people.call(admin, s3_server, "POST", f"/users/{account}/disable")
        time.sleep(2)
        connection.sendall(b"56789")
        answers[name] = connection.recv(300).split(b"\r\n")[0]
        connection.close()

    one, two = (people.person(s3_server, "contributor") for _ in range(2))
    session = two.session()
    experiment = session.post(f"{tracking}/mlflow/experiments/create", json={"name": uuid.uuid4().hex}).json()["experiment_id"]
    run = session.post(f"{tracking}/mlflow/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/late.bin"
    work = [
        threading.Thread(target=slow, args=("s3", address(s3_server), f"/{bucket}/late", one.token, one.name)),
        threading.Thread(target=slow, args=("mlflow", s3_server.url, artifact, two.token, two.name)),
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert {name: b" 403 " in answer for name, answer in answers.items()} == {"s3": True, "mlflow": True}, answers
    assert code_of(client(s3_server).head_object, Bucket=bucket, Key="late") == "404"
    assert admin.get(s3_server.url + artifact).status_code == 404


def test_short_lived_keys_come_for_a_token(s3_server, bucket):
    form = {"Action": "AssumeRoleWithWebIdentity", "WebIdentityToken": s3_server.token, "RoleSessionName": "t", "DurationSeconds": "900"}
    answer = requests.post(address(s3_server) + "/", data=form, verify=s3_server.ca, timeout=10)
    assert answer.status_code == 200, answer.text
    import xml.etree.ElementTree as tree

    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    found = {one.tag.split("}")[-1]: one.text for one in tree.fromstring(answer.text).iter()}
    keys = dict(zip(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), (found[name] for name in names)))
    client(s3_server, keys=keys).put_object(Bucket=bucket, Key="k", Body=b"x")
    without = {name: value for name, value in keys.items() if name != "aws_session_token"}
    assert code_of(client(s3_server, keys=without).list_objects_v2, Bucket=bucket) == "SignatureDoesNotMatch"
    wrong = requests.post(address(s3_server) + "/", data={**form, "WebIdentityToken": "x"}, verify=s3_server.ca, timeout=10)
    assert wrong.status_code == 403
    # What is wrong is told in the form that clients of STS read.
    place = {"endpoint_url": address(s3_server), "region_name": REGION, "verify": s3_server.ca}
    sts = boto3.client("sts", config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}), **place)
    role = {"RoleArn": "arn:aws:iam::000000000000:role/strongroom", "RoleSessionName": "training"}
    assert code_of(sts.assume_role_with_web_identity, WebIdentityToken="nonsense", **role) == "InvalidIdentityToken"
    asked = {"WebIdentityToken": s3_server.token, **role}
    assert code_of(sts.assume_role_with_web_identity, DurationSeconds=43_201, **asked) == "ValidationError"
    assert code_of(sts.assume_role_with_web_identity, Policy="{}", **asked) == "NotImplemented"


def presigned(server, method, **arguments):
    return client(server, signature_version="s3v4").generate_presigned_url(method, ExpiresIn=60, Params=arguments)


def test_a_presigned_address_does_what_was_signed_and_no_more(s3_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    get = presigned(s3_server, "get_object", Bucket=bucket, Key="k")
    assert requests.get(get, verify=s3_server.ca, timeout=10).content == b"x"
    assert requests.put(get, data=b"y", verify=s3_server.ca, timeout=10).status_code == 403
    put = presigned(s3_server, "put_object", Bucket=bucket, Key="k2")
    # Headers that nobody signed would lock the object, copy another one, or bypass governance.
    for name, value in (
        ("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-copy-source", f"/{bucket}/k"), ("x-amz-acl", "public-read"),
        ("x-amz-bypass-governance-retention", "true"), ("x-amz-meta-a", "b"), ("x-mlflow-workspace", "default"), ("x-strongroom-run", "r"),
    ):  # fmt: skip
        refused = requests.put(put, data=b"z", headers={name: value}, verify=s3_server.ca, timeout=10)
        assert refused.status_code in (400, 403), (name, refused.status_code, refused.text)
    assert requests.put(put, data=b"z", verify=s3_server.ca, timeout=10).status_code == 200
    assert s3.get_object(Bucket=bucket, Key="k2")["Body"].read() == b"z"
    tampered = put.replace("/k2?", "/k3?")
    assert requests.put(tampered, data=b"z", verify=s3_server.ca, timeout=10).status_code == 403


def test_version_two_signatures_and_endless_addresses_are_refused(s3_server, bucket):
    old = client(s3_server, signature_version="s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert requests.get(old, verify=s3_server.ca, timeout=10).status_code == 400
    endless = client(s3_server, signature_version="s3v4").generate_presigned_url(
        "get_object", ExpiresIn=604_801, Params={"Bucket": bucket, "Key": "k"}
    )
    assert requests.get(endless, verify=s3_server.ca, timeout=10).status_code == 403
    elsewhere = boto3.client(
        "s3", endpoint_url=address(s3_server), region_name="eu-west-1", verify=s3_server.ca,
        config=Config(retries={"max_attempts": 1}), **keys_of(s3_server),
    )  # fmt: skip
    assert code_of(elsewhere.list_objects_v2, Bucket=bucket) == "AuthorizationHeaderMalformed"


def test_every_call_is_in_the_log_and_no_key_is(s3_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="patients/anna.csv", Body=b"x")
    s3.get_object(Bucket=bucket, Key="patients/anna.csv")
    records = s3_server.session().get(f"{s3_server.url}/api/strongroom/v1/audit/records?rows=1000").json()["records"]
    done = {record["action"] for record in records if record["kind"] == "outcome"}
    assert {"buckets.create", "buckets.write", "buckets.read"} <= done
    assert "anna" not in json.dumps(records)


def test_the_bytes_on_disk_are_not_those_of_the_object(s3_server, s3, bucket):
    secret = b"a sentence that must not lie about on any disk " * 50
    s3.put_object(Bucket=bucket, Key="k", Body=secret)
    s3.put_object(Bucket=bucket, Key="large", Body=secret * 100)
    for folder in ("objects", "db"):
        for path in (s3_server.data / folder).rglob("*"):
            assert not path.is_file() or secret[:40] not in path.read_bytes()


def test_the_aws_command_line_works_unchanged(s3_server, bucket, tmp_path):
    environment = {
        **os.environ, "AWS_CA_BUNDLE": s3_server.ca, "AWS_DEFAULT_REGION": REGION, "AWS_CONFIG_FILE": str(tmp_path / "none"),
        **{name.upper(): value for name, value in keys_of(s3_server).items()},
    }  # fmt: skip

    def aws(*words):
        command = [os.environ.get("STRONGROOM_AWS_CLI_PYTHON", sys.executable), "-m", "awscli", "--endpoint-url", address(s3_server), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.txt").write_text("x")
    (folder / "big.bin").write_bytes(os.urandom(9 << 20))
    aws("s3", "sync", str(folder), f"s3://{bucket}/f")
    assert "x.txt" in aws("s3", "ls", f"s3://{bucket}/f/", "--recursive")
    assert aws("s3", "sync", str(folder), f"s3://{bucket}/f") == "", "what is there is not sent again"
    aws("s3", "cp", f"s3://{bucket}/f/big.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (folder / "big.bin").read_bytes()
    aws("s3", "rm", f"s3://{bucket}", "--recursive")
    aws("s3", "rb", f"s3://{bucket}")


@pytest.mark.skipif("STRONGROOM_DVC_PYTHON" not in os.environ, reason="STRONGROOM_DVC_PYTHON names no Python with DVC")
def test_dvc_pushes_and_pulls_unchanged(s3_server, bucket, tmp_path):
    keys = keys_of(s3_server)
    project = tmp_path / "project"
    (project / "rows").mkdir(parents=True)
    wanted = {f"rows/{index}.csv": os.urandom(20_000) for index in range(20)} | {"rows/large.bin": os.urandom(20 << 20)}
    for name, content in wanted.items():
        (project / name).write_bytes(content)

    def dvc(*words):
        command = [os.environ["STRONGROOM_DVC_PYTHON"], "-m", "dvc", *words]
        environment = {**os.environ, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(tmp_path / "site"), "HOME": str(tmp_path)}
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    dvc("init", "--no-scm", "--quiet")
    dvc("remote", "add", "--quiet", "-d", "strongroom", f"s3://{bucket}/dvc")
    settings = {"endpointurl": address(s3_server), "ssl_verify": s3_server.ca, "region": REGION,
                "access_key_id": keys["aws_access_key_id"], "secret_access_key": keys["aws_secret_access_key"]}  # fmt: skip
    for name, value in settings.items():
        dvc("remote", "modify", "--local", "--quiet", "strongroom", name, value)
    dvc("add", "--quiet", "rows")
    dvc("push")
    shutil.rmtree(project / "rows")
    shutil.rmtree(project / ".dvc" / "cache")
    dvc("pull")
    assert {name: (project / name).read_bytes() for name in wanted} == wanted
    assert "up to date" in dvc("push").lower(), "what is there is not sent again"


def test_s3fs_and_pandas_work_unchanged(s3_server, bucket):
    import pandas
    import s3fs

    keys = keys_of(s3_server)
    options = {
        "key": keys["aws_access_key_id"], "secret": keys["aws_secret_access_key"],
        "client_kwargs": {"endpoint_url": address(s3_server), "region_name": REGION, "verify": s3_server.ca},
    }  # fmt: skip
    frame = pandas.DataFrame({"a": range(1_000), "b": ["x"] * 1_000})
    frame.to_csv(f"s3://{bucket}/d/t.csv", index=False, storage_options=options)
    assert pandas.read_csv(f"s3://{bucket}/d/t.csv", storage_options=options).equals(frame)
    files = s3fs.S3FileSystem(**options)
    assert files.ls(f"{bucket}/d") == [f"{bucket}/d/t.csv"]
    with files.open(f"{bucket}/d/t.csv", "rb") as file:
        file.seek(4)
        assert file.read(3) == b"0,x"
    files.rm(f"{bucket}/d", recursive=True)
    assert not files.exists(f"{bucket}/d/t.csv")


def test_an_mlflow_run_keeps_its_artifacts_in_a_bucket(s3_server, bucket, tmp_path):
    keys = keys_of(s3_server)
    script = tmp_path / "train.py"
    script.write_text(
        "import mlflow, pathlib\n"
        f"experiment = mlflow.create_experiment('in-a-bucket', artifact_location='s3://{bucket}/mlflow')\n"
        "with mlflow.start_run(experiment_id=experiment) as run:\n"
        "    mlflow.log_text('hello', 'notes/a.txt')\n"
        "    mlflow.log_dict({'a': 1}, 'd.json')\n"
        "assert mlflow.artifacts.load_text(run.info.artifact_uri + '/notes/a.txt') == 'hello'\n"
        "print([one.path for one in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)])\n"
    )
    environment = {
        **os.environ, **s3_server.mlflow_environment(), "MLFLOW_S3_ENDPOINT_URL": address(s3_server), "AWS_CA_BUNDLE": s3_server.ca,
        "AWS_DEFAULT_REGION": REGION, **{name.upper(): value for name, value in keys.items()},
    }  # fmt: skip
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'d.json', 'notes'" in done.stdout
    s3 = client(s3_server)
    assert len(s3.list_objects_v2(Bucket=bucket, Prefix="mlflow/")["Contents"]) == 2


def test_a_data_sets_version_is_read_by_s3(s3_server, s3, tmp_path):
    """With the same permits as anywhere, and the same edge in the graph."""
    name = f"set-{uuid.uuid4().hex[:8]}"
    table = tmp_path / "t.csv"
    table.write_text("a,b\n" + "".join(f"{row},x{row % 7}\n" for row in range(500)))
    words = ("data", "commit", name, str(table), "--source", "https://example.org/t", "--licence", "CC0-1.0", "--owner", "t")
    s3_server.cli(*words, "--token-file", str(s3_server.token_file))
    key = f"{name}@1/t.csv"
    assert s3.get_object(Bucket="datasets", Key=key)["Body"].read() == table.read_bytes()
    assert s3.get_object(Bucket="datasets", Key=key, Range="bytes=2-4")["Body"].read() == table.read_bytes()[2:5]
    assert s3.head_object(Bucket="datasets", Key=key)["ContentLength"] == table.stat().st_size
    listed = s3.list_objects_v2(Bucket="datasets", Prefix=f"{name}@1/")
    assert [(one["Key"], one["Size"]) for one in listed["Contents"]] == [(key, table.stat().st_size)]
    committed_at = s3.head_object(Bucket="datasets", Key=key)["LastModified"]
    assert abs(time.time() - committed_at.timestamp()) < 3_600, "a file is as old as its version"
    assert s3.get_object(Bucket="datasets", Key=key)["LastModified"] == committed_at
    assert listed["Contents"][0]["LastModified"].replace(microsecond=0) == committed_at
    moved = f"{name}@latest/t.csv"
    assert code_of(s3.get_object, Bucket="datasets", Key=moved, IfModifiedSince=committed_at) == "304"
    before = committed_at - datetime.timedelta(days=1)
    assert s3.get_object(Bucket="datasets", Key=moved, IfModifiedSince=before)["Body"].read() == table.read_bytes()
    assert code_of(s3.put_object, Bucket="datasets", Key=key, Body=b"x") == "AccessDenied"
    assert code_of(s3.delete_object, Bucket="datasets", Key=key) == "AccessDenied"
    source = {"Bucket": "datasets", "Key": key}
    assert code_of(s3.copy_object, Bucket="anywhere", Key="x", CopySource=source) == "NotImplemented"
    assert code_of(s3.create_bucket, Bucket="datasets") in ("AccessDenied", "InvalidBucketName")
    nobody = client(s3_server, people.person(s3_server).session())
    assert code_of(nobody.get_object, Bucket="datasets", Key=key) in ("NoSuchKey", "AccessDenied")
    # What belongs to it and is not its bytes.
    assert s3.get_object_tagging(Bucket="datasets", Key=key)["TagSet"] == []
    attributes = s3.get_object_attributes(Bucket="datasets", Key=key, ObjectAttributes=["ObjectSize", "Checksum"])
    digest = base64.b64encode(hashlib.sha256(table.read_bytes()).digest()).decode()
    assert (attributes["ObjectSize"], attributes["Checksum"]["ChecksumSHA256"]) == (table.stat().st_size, digest)
    assert code_of(s3.get_object_retention, Bucket="datasets", Key=key) == "NotImplemented"
    for missing in (f"{name}@1/none.csv", f"{name}@9/t.csv", "none@1/t.csv"):
        assert code_of(s3.get_object, Bucket="datasets", Key=missing) == "NoSuchKey"
    etag = s3.head_object(Bucket="datasets", Key=key)["ETag"]
    assert code_of(s3.get_object, Bucket="datasets", Key=key, IfNoneMatch=etag) == "304"
    assert code_of(s3.get_object, Bucket="datasets", Key=key, IfMatch='"beef"') == "PreconditionFailed"
    assert s3.get_object(Bucket="datasets", Key=key, IfMatch=etag)["ContentLength"] == table.stat().st_size
    assert s3.get_bucket_location(Bucket="datasets")["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket="datasets")
    s3.head_bucket(Bucket="datasets")


def test_who_guesses_passwords_at_the_same_address_keeps_no_client_out():
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n') as server:
        s3 = client(server, people.person(server, "owner").session())
        s3.create_bucket(Bucket="neighbours")
        stranger = server.session(token=None)
        tried = [stranger.get(f"{server.url}/api/strongroom/v1/me", auth=(f"nobody{at}", "wrong password")).status_code for at in range(24)]
        assert tried[0] == 401 and tried[-1] == 429, tried
        assert s3.put_object(Bucket="neighbours", Key="a", Body=b"x")["ETag"]
