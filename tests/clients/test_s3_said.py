"""S3 where a client says more, or less, than what is there: bodies beside a token, checksums behind them, XML that is not understood, parts and
versions of data sets, and what a token for training may do."""

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
from test_s3 import REGION, address, client, code_of, crc32, keys_of, presigned

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


def by_token(server, method, path, data=b"", **headers):
    """As a client that signs nothing, so that the body is what is written here."""
    told = {"Authorization": f"Bearer {server.token}", **headers}
    return requests.request(method, f"{address(server)}/{path}", data=data, headers=told, verify=server.ca, timeout=10)


NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
ENABLED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


@pytest.mark.parametrize("text", [
    "<Nonsense><Status>Enabled</Status></Nonsense>", ENABLED + ENABLED.replace("Enabled", "Suspended"), ENABLED + "<x/>", ENABLED + "x",
    ENABLED.replace("Status", "status"), ENABLED.replace("</Status>", "</Status><Until>2030</Until>"), f"<!DOCTYPE x>{ENABLED}",
])  # fmt: skip
def test_xml_that_is_not_understood_switches_nothing_on(s3_server, s3, bucket, text):
    refused = by_token(s3_server, "PUT", f"{bucket}?versioning", text)
    assert (refused.status_code, "<Code>MalformedXML</Code>" in refused.text) == (400, True), refused.text
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


@pytest.mark.parametrize("text", [
    ENABLED, ENABLED.replace("<Ver", "<?xml version='1.0' encoding='UTF-8'?>\n<Ver") + "\n", "\ufeff" + ENABLED,
    ENABLED.replace("Configuration>", f'Configuration xmlns="{NAMESPACE}">', 1),
    ENABLED.replace("<V", "<s3:V").replace("</V", "</s3:V").replace("Configuration>", f'Configuration xmlns:s3="{NAMESPACE}">', 1),
    ENABLED.replace("<Status>", "\n <!-- of an SDK --><Status>").replace("</Status>", "</Status><MfaDelete>Disabled</MfaDelete>"),
])  # fmt: skip
def test_xml_is_understood_however_clients_write_it(s3_server, s3, bucket, text):
    done = by_token(s3_server, "PUT", f"{bucket}?versioning", text.encode())
    assert done.status_code == 200, done.text
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_what_is_deleted_is_what_was_named_or_nothing(s3_server, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first, newest = (s3.put_object(Bucket=bucket, Key="k", Body=body)["VersionId"] for body in (b"1", b"2"))
    one = f"<Object><Key>k</Key><VersionId>{first}</VersionId></Object>"
    for text in (
        f"<Delete>{one.replace('VersionId', 'VersionID')}</Delete>", f"<Delete>{one.replace('VersionId', 'versionId')}</Delete>",
        f"<Remove>{one}</Remove>", f"<Delete>{one}</Delete><Delete>{one}</Delete>", f"<Delete>{one}<Only>x</Only></Delete>",
        f"<Delete>{one.replace('</VersionId>', '<ETag>x</ETag></VersionId>')}</Delete>",
    ):  # fmt: skip
        refused = by_token(s3_server, "POST", f"{bucket}?delete", text)
        assert (refused.status_code, "<Code>MalformedXML</Code>" in refused.text) == (400, True), (text, refused.text)
        listed = s3.list_object_versions(Bucket=bucket)
        assert [version["VersionId"] for version in listed["Versions"]] == [newest, first] and "DeleteMarkers" not in listed, text
    assert by_token(s3_server, "POST", f"{bucket}?delete", f"<Delete><Quiet>false</Quiet>{one}</Delete>").status_code == 200
    assert [version["VersionId"] for version in s3.list_object_versions(Bucket=bucket)["Versions"]] == [newest]


def test_the_rest_of_what_is_sent_as_xml_is_read_as_strictly(s3_server, s3):
    bucket = f"b-{uuid.uuid4().hex[:12]}"
    placed = "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>"
    assert by_token(s3_server, "PUT", bucket, placed).status_code == 400
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="p")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="p", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag><ChecksumSha256>x</ChecksumSha256></Part>"
    rule = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"
    for method, path, text in (
        ("PUT", "?object-lock", f"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule.lower()}</ObjectLockConfiguration>"),
        ("PUT", "?object-lock", f"<ObjectLock><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLock>"),
        ("PUT", "?tagging", "<Tagging><TagSet><tag><Key>a</Key><Value>b</Value></tag></TagSet></Tagging>"),
        ("PUT", "?encryption", "<Nonsense/>"), ("PUT", "/k?tagging", "<Tagging><TagSet/><Tag/></Tagging>"),
        ("PUT", "/k?retention", "<Retention><mode>COMPLIANCE</mode></Retention>"), ("PUT", "/k?legal-hold", "<Hold><Status>ON</Status></Hold>"),
        ("POST", f"/p?uploadId={upload}", f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"),
    ):  # fmt: skip
        refused = by_token(s3_server, method, bucket + path, text)
        assert (refused.status_code, "<Code>MalformedXML</Code>" in refused.text) == (400, True), (text, refused.text)
    assert "Rule" not in s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert s3.get_object_legal_hold(Bucket=bucket, Key="k")["LegalHold"]["Status"] == "OFF"
    assert code_of(s3.head_object, Bucket=bucket, Key="p") == "404"


def test_a_range_ends_where_the_object_does_however_far_it_reaches(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    beyond = 99_999_999_999_999_999_999
    for asked, shown in ((f"bytes=0-{beyond}", "bytes 0-9/10"), (f"bytes=4-{beyond}", "bytes 4-9/10"), (f"bytes=-{beyond}", "bytes 0-9/10")):
        got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
        assert (got["ResponseMetadata"]["HTTPStatusCode"], got["ContentRange"]) == (206, shown), asked
    for asked in (f"bytes={beyond}-", f"bytes={beyond}-{beyond}"):
        assert code_of(s3.get_object, Bucket=bucket, Key="k", Range=asked) == "InvalidRange", asked


def test_an_upload_says_how_it_is_summed_and_where_it_went(s3, bucket):
    key = "a b/ä+?.bin"
    plain = s3.create_multipart_upload(Bucket=bucket, Key="plain")["UploadId"]
    summed = s3.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    shown = {one["UploadId"]: one for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]}
    assert (shown[summed]["ChecksumAlgorithm"], shown[summed]["ChecksumType"]) == ("CRC32", "FULL_OBJECT")
    assert "ChecksumAlgorithm" not in shown[plain] and "ChecksumType" not in shown[plain]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=summed, PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=summed, MultipartUpload=parts)
    assert done["Location"].endswith(f"/{bucket}/a%20b/%C3%A4%2B%3F.bin"), done["Location"]


def test_a_version_without_an_id_is_called_null_where_there_are_versions(s3, bucket):
    key = {"Bucket": bucket, "Key": "k"}
    assert "VersionId" not in s3.put_object(**key, Body=b"1") and "VersionId" not in s3.head_object(**key)
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        for call in (s3.head_object, s3.get_object, s3.get_object_tagging):
            assert call(**key)["VersionId"] == "null", (status, call)
    assert s3.put_object(**key, Body=b"2")["VersionId"] == "null"
    assert s3.put_object_tagging(**key, Tagging={"TagSet": []})["VersionId"] == "null"
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource=key)
    assert (copied["VersionId"], copied["CopySourceVersionId"]) == ("null", "null")


def test_tags_are_whole_and_none_is_reserved(s3, bucket):
    key = {"Bucket": bucket, "Key": "k"}
    for bad in ("a=%zz", "%z=1", "a=1%"):
        assert code_of(s3.put_object, **key, Body=b"x", Tagging=bad) == "InvalidArgument", bad
    reserved = {"TagSet": [{"Key": "aws:a", "Value": "1"}]}
    assert code_of(s3.put_object, **key, Body=b"x", Tagging="aws%3Aa=1") == "InvalidTag"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    s3.put_object(**key, Body=b"x", Tagging="a=1%25")
    assert code_of(s3.put_object_tagging, **key, Tagging=reserved) == "InvalidTag"
    assert code_of(s3.put_bucket_tagging, Bucket=bucket, Tagging=reserved) == "InvalidTag"
    assert s3.get_object_tagging(**key)["TagSet"] == [{"Key": "a", "Value": "1%"}]


def test_who_says_twice_who_they_are_is_nobody(s3_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    get = presigned(s3_server, "get_object", Bucket=bucket, Key="k")
    for authorization in (f"Bearer {s3_server.token}", "Bearer nonsense", "Basic YTpi", "AWS4-HMAC-SHA256 Credential=a"):
        refused = requests.get(get, headers={"Authorization": authorization}, verify=s3_server.ca, timeout=10)
        assert (refused.status_code, "<Code>InvalidArgument</Code>" in refused.text) == (400, True), refused.text
    assert requests.get(get, verify=s3_server.ca, timeout=10).content == b"x"


def test_a_copy_onto_itself_changes_something_or_is_refused(s3, bucket):
    key = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**key, Body=b"x", Tagging="a=1")
    for told in ({}, {"MetadataDirective": "COPY"}, {"TaggingDirective": "COPY"}):
        assert code_of(s3.copy_object, **key, CopySource=key, **told) == "InvalidRequest", told
    for told in ({"MetadataDirective": "SOME"}, {"TaggingDirective": "SOME"}):
        assert code_of(s3.copy_object, **key, CopySource=key, **told) == "InvalidArgument", told
    for told in ({"StorageClass": "STANDARD"}, {"MetadataDirective": "REPLACE", "Metadata": {"a": "b"}}, {"ServerSideEncryption": "AES256"}):
        s3.copy_object(**key, CopySource=key, **told)
    assert code_of(s3.copy_object, **key, CopySource=key, StorageClass="GLACIER") == "NotImplemented"
    got = s3.get_object(**key)
    assert (got["Body"].read(), got["Metadata"]) == (b"x", {"a": "b"})
    assert s3.get_object_tagging(**key)["TagSet"] == [{"Key": "a", "Value": "1"}]


def test_an_object_has_no_metadata_that_nobody_gave_it(s3_server, s3, bucket):
    """What answers say of caches is copied with an object by clients that copy part by part."""
    key = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**key, Body=b"x")
    assert "CacheControl" not in s3.head_object(**key) and "CacheControl" not in s3.get_object(**key)
    # Browsers open an address that was signed beforehand.
    get = presigned(s3_server, "get_object", **key)
    assert requests.get(get, verify=s3_server.ca, timeout=10).headers["Cache-Control"] == "no-store"
    assert by_token(s3_server, "GET", bucket).headers["Cache-Control"] == "no-store", "lists are no objects"
    s3.put_object(**key, Body=b"x", CacheControl="max-age=60")
    assert s3.head_object(**key)["CacheControl"] == "max-age=60"
