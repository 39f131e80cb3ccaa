"""S3 where a client says more, or less, than what is there: bodies beside a token, checksums behind them, parts and versions of data sets, and
what a token for training may do."""

import hashlib
import json
import random
import uuid

import pytest
import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import harness
import people
from test_s3 import REGION, address, client, code_of, crc32, keys_of

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def s3_server():
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n') as started:
        yield started


@pytest.fixture(scope="module")
def s3(s3_server):
    return client(s3_server)


@pytest.fixture
def bucket(s3):
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def framed(body, *trailers):
    """A body in one unsigned chunk, and what follows it."""
    lines = "".join(f"{name}:{value}\r\n" for name, value in trailers)
    return b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, lines.encode())


def test_a_body_beside_a_token_is_what_its_head_says(s3_server, s3, bucket):
    """What says that it is in chunks must not be kept with their frames, and a digest is compared, whoever signed it."""
    body = b"the bytes as they are"

    def put(key, data=body, **head):
        headers = {"Authorization": f"Bearer {s3_server.token}", **{name.replace("_", "-"): value for name, value in head.items()}}
        return requests.put(f"{address(s3_server)}/{bucket}/{key}", data=data, headers=headers, verify=s3_server.ca, timeout=10)

    chunked = framed(body, ("x-amz-checksum-crc32", crc32(body)))
    told = {"content_encoding": "aws-chunked", "x_amz_decoded_content_length": str(len(body)), "x_amz_trailer": "x-amz-checksum-crc32"}
    for payload in ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"):
        answer = put("framed", chunked, x_amz_content_sha256=payload, **told)
        assert (answer.status_code, "InvalidRequest" in answer.text) == (400, True), answer.text
    wrong = put("wrong", x_amz_content_sha256=hashlib.sha256(b"other").hexdigest())
    assert (wrong.status_code, "XAmzContentSHA256Mismatch" in wrong.text) == (400, True), wrong.text
    assert put("none", x_amz_content_sha256="nonsense").status_code == 400
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    for good in (hashlib.sha256(body).hexdigest(), "UNSIGNED-PAYLOAD"):
        assert put("k", x_amz_content_sha256=good).status_code == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_each_checksum_behind_a_body_is_compared_or_refused(s3_server, s3, bucket):
    body, crc = b"hello world", ("x-amz-checksum-crc32", crc32(b"hello world"))
    sha256 = ("x-amz-checksum-sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=")
    keys = keys_of(s3_server)
    signer = S3SigV4Auth(Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"]), "s3", REGION)

    def put(*trailers, **head):
        told = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(body)),
                "x-amz-trailer": ",".join(name for name, _ in trailers)}  # fmt: skip
        data = framed(body, *trailers)
        asked = AWSRequest("PUT", f"{address(s3_server)}/{bucket}/k", headers={**told, **head}, data=data)
        asked.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        signer.add_auth(asked)
        answer = requests.put(asked.url, data=data, headers=dict(asked.headers), verify=s3_server.ca, timeout=10)
        return answer.status_code, answer.text

    for said in ((crc, sha256), (sha256, crc)):
        status, text = put(*said)
        assert (status, "InvalidRequest" in text) == (400, True), text
    status, text = put(crc, **{"x-amz-sdk-checksum-algorithm": "SHA256"})
    assert (status, "InvalidRequest" in text) == (400, True), text
    assert put(sha256)[0] == 400, "one that differs"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert put(crc, **{"x-amz-sdk-checksum-algorithm": "CRC32"})[0] == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_what_has_a_zero_is_no_name(s3, bucket):
    for call, asked in (
        (s3.get_object, {"Key": "a\0"}), (s3.list_objects_v2, {"Prefix": "a\0"}), (s3.list_object_versions, {"KeyMarker": "a\0"}),
        (s3.get_object, {"Key": "a", "VersionId": "a\0"}), (s3.copy_object, {"Key": "a", "CopySource": {"Bucket": f"{bucket}\0", "Key": "k"}}),
    ):  # fmt: skip
        assert code_of(call, Bucket=bucket, **asked) == "InvalidArgument", asked


def test_a_file_of_a_data_set_is_its_own_only_part_and_version(s3_server, s3, tmp_path):
    name, table = f"set-{uuid.uuid4().hex[:8]}", tmp_path / "t.csv"
    table.write_text("a,b\n" + "".join(f"{row},x\n" for row in range(100)))
    words = ("data", "commit", name, str(table), "--source", "https://example.org/t", "--licence", "CC0-1.0", "--owner", "t")
    s3_server.cli(*words, "--token-file", str(s3_server.token_file))
    file, size = {"Bucket": "datasets", "Key": f"{name}@1/t.csv"}, table.stat().st_size
    whole = s3.get_object(**file, PartNumber=1)
    assert (whole["Body"].read(), whole["ContentRange"]) == (table.read_bytes(), f"bytes 0-{size - 1}/{size}")
    # Who reads part by part would else have the file once for each.
    for part in (0, 2):
        assert code_of(s3.get_object, **file, PartNumber=part) == "InvalidPart"
    assert code_of(s3.get_object, **file, PartNumber=1, Range="bytes=0-1") == "InvalidRequest"
    assert s3.get_object(**file, VersionId="null")["ContentLength"] == size
    assert code_of(s3.get_object, **file, VersionId="2") == "NoSuchVersion"
    assert code_of(s3.head_object, **file, VersionId="2") == "404"
    part = s3.head_object(**file, Range="bytes=2-4")
    assert (part["ContentLength"], part["ContentRange"]) == (3, f"bytes 2-4/{size}")
    assert code_of(s3.head_object, **file, Range=f"bytes={size}-") == "416"
    for path in ("", "t.csv/", "../t.csv", "a//t.csv", "a\nb"):
        assert code_of(s3.get_object, Bucket="datasets", Key=f"{name}@1/{path}") == "NoSuchKey", path


def admitted_set(server, folder):
    """A version of a data set that passed its inspection: its name, and its one file."""
    admin, name = server.session(), f"in-{uuid.uuid4().hex[:8]}"
    source = {"name": name, "pattern": f"https://{name}.example/*", "owner": "example", "licence": "CC0-1.0"}
    people.call(admin, server, "POST", "/sources", json=source)
    drawn, table = random.Random(1), folder / "t.csv"
    table.write_text("size,kind,churned\n" + "".join(f"{drawn.randint(1, 999)},k{row % 5},{row % 2}\n" for row in range(400)))
    words = ("data", "commit", name, str(table), "--source", f"https://{name}.example/d.csv", "--licence", "CC0-1.0", "--owner", "e", "--wait")
    server.cli(*words, "--token-file", str(server.token_file))
    shown = people.call(admin, server, "GET", f"/datasets/{name}/versions/1")
    assert shown["state"] == "admitted", harness.pretty(shown)
    return name, table


def test_a_training_token_reads_its_version_by_s3_and_nothing_else(s3_server, bucket, tmp_path):
    import pandas

    name, table = admitted_set(s3_server, tmp_path)
    admin = s3_server.session()
    made = admin.post(f"{s3_server.url}/api/2.0/mlflow/experiments/create", json={"name": uuid.uuid4().hex}).json()
    words = ("data", "token", f"{name}@1", "--experiment", made["experiment_id"], "--ttl", "30m", "--json")
    minted = json.loads(s3_server.cli(*words, "--token-file", str(s3_server.token_file)).stdout)
    training = s3_server.session(minted["secret"])
    keys = keys_of(s3_server, training)
    theirs, key = client(s3_server, keys=keys), f"{name}@1/t.csv"
    assert theirs.head_object(Bucket="datasets", Key=key)["ContentLength"] == table.stat().st_size
    assert [one["Key"] for one in theirs.list_objects_v2(Bucket="datasets", Prefix=f"{name}@1/")["Contents"]] == [key]
    options = {
        "key": keys["aws_access_key_id"], "secret": keys["aws_secret_access_key"],
        "client_kwargs": {"endpoint_url": address(s3_server), "region_name": REGION, "verify": s3_server.ca},
    }  # fmt: skip
    assert pandas.read_csv(f"s3://datasets/{key}", storage_options=options).equals(pandas.read_csv(table))
    form = {"Action": "AssumeRoleWithWebIdentity", "WebIdentityToken": minted["secret"], "RoleSessionName": "t"}
    assert requests.post(address(s3_server) + "/", data=form, verify=s3_server.ca, timeout=10).status_code == 200
    other, _ = admitted_set(s3_server, tmp_path)
    for call, asked in (
        (theirs.get_object, {"Bucket": "datasets", "Key": f"{other}@1/t.csv"}), (theirs.list_objects_v2, {"Bucket": bucket}),
        (theirs.list_objects_v2, {"Bucket": "datasets", "Prefix": f"{other}@1/"}), (theirs.put_object, {"Bucket": bucket, "Key": "k", "Body": b"x"}),
        (theirs.list_buckets, {}), (theirs.create_bucket, {"Bucket": f"b-{uuid.uuid4().hex[:12]}"}),
    ):  # fmt: skip
        assert code_of(call, **asked) in ("AccessDenied", "NoSuchKey", "NoSuchBucket"), asked
