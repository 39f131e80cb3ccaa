"""S3 as real clients speak it, over TLS: boto3, the aws command line, s3fs, and an mlflow run whose artifacts lie in a bucket."""

import datetime
import hashlib
import io
import json
import os
import subprocess
import sys
import uuid

import boto3
import botocore
import pytest
import requests
from boto3.s3.transfer import TransferConfig
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
