#!/usr/bin/env python3
"""kill -9 while objects are put and multipart uploads completed: no acknowledged object is lost, none is there by half, and an upload goes on.

    s3_drill.py [--rounds N] [--writers N] [--seed N]
"""

import argparse
import random
import sys
import threading
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from journal import Lost, on_a_server, verify

LOAD_SECONDS = (0.05, 1.5)
PART_BYTES = 5 << 20
LAST_PART_BYTES = 40_000
# Sizes around what is kept how, and around the edges of segments.
SIZES = (0, 1, 1_024, 65_536, 65_537, 300_000)


def body_of(name: str, size: int) -> bytes:
    """What an object of this name holds: whoever reads it can tell whether it is whole."""
    return random.Random(name).randbytes(size)


def client_of(server):
    answer = server.session().post(f"{server.url}/api/strongroom/v1/access-key", json={})
    key = answer.json()
    return boto3.client(
        "s3", endpoint_url=(server.data / "s3-address").read_text().strip(), region_name="us-east-1", verify=server.ca,
        aws_access_key_id=key["access_key_id"], aws_secret_access_key=key["secret_access_key"],
        config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20),
    )  # fmt: skip


class Putter(threading.Thread):
    """Puts objects and completes uploads until the server is gone."""

    def __init__(self, server, seed: int, stop: threading.Event):
        super().__init__(daemon=True)
        self.s3 = client_of(server)
        self.chance = random.Random(seed)
        self.stopping = stop
        self.seed = seed
        # (bucket, key, version): size
        self.acknowledged: dict[tuple, int] = {}
        # upload: (key, entity tags of the acknowledged parts)
        self.open_uploads: dict[str, tuple] = {}
        self.odd: str | None = None

    def run(self):
        number = 0
        while not self.stopping.is_set():
            number += 1
            try:
                if self.chance.random() < 0.2:
                    self.upload(f"parts/{self.seed}/{number}")
                else:
                    self.put(number)
            except (BotoCoreError, ClientError, OSError) as problem:
                code = getattr(problem, "response", {}).get("Error", {}).get("Code")
                if code and code not in ("ServiceUnavailable", "SlowDown"):
                    self.odd = f"a put was answered {code}: {problem}"
                return

    def put(self, number: int):
        size = self.chance.choice(SIZES)
        if self.chance.random() < 0.3:
            # One key again and again: each version stays.
            key = f"hot/{self.seed % 3}/{size}"
            version = self.s3.put_object(Bucket="versions", Key=key, Body=body_of(key, size))["VersionId"]
            self.acknowledged["versions", key, version] = size
        else:
            key = f"{self.seed}/{number}/{size}"
            self.s3.put_object(Bucket="plain", Key=key, Body=body_of(key, size))
            self.acknowledged["plain", key, None] = size

    def upload(self, key: str):
        key = f"{key}/{PART_BYTES + LAST_PART_BYTES}"
        body = body_of(key, PART_BYTES + LAST_PART_BYTES)
        upload = self.s3.create_multipart_upload(Bucket="plain", Key=key)["UploadId"]
        parts = []
        for index, piece in enumerate((body[:PART_BYTES], body[PART_BYTES:]), 1):
            tag = self.s3.upload_part(Bucket="plain", Key=key, UploadId=upload, PartNumber=index, Body=piece)["ETag"]
            parts.append({"PartNumber": index, "ETag": tag})
        self.open_uploads[upload] = (key, parts)
        self.s3.complete_multipart_upload(Bucket="plain", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        self.acknowledged["plain", key, None] = len(body)
        del self.open_uploads[upload]


def whole(s3, bucket: str, key: str, version: str | None) -> None:
    """The object is there, and all of it."""
    named = {"VersionId": version} if version else {}
    try:
        found = s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()
    except ClientError as problem:
        raise Lost(f"{bucket}/{key} ({version}): {problem}") from problem
    if found != body_of(key, int(key.rsplit("/", 1)[1])):
        raise Lost(f"{bucket}/{key} ({version}) has {len(found)} bytes that are not those that were sent")


def rounds(server, options, chance) -> tuple[int, int, int]:
    everything: list[tuple] = []
    s3 = client_of(server)
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="versions", ObjectLockEnabledForBucket=True)
    total = resumed = 0
    for number in range(options.rounds):
        stop = threading.Event()
        putters = [Putter(server, chance.getrandbits(32), stop) for _ in range(options.writers)]
        for putter in putters:
            putter.start()
        time.sleep(chance.uniform(*LOAD_SECONDS))
        server.kill()
        stop.set()
        for putter in putters:
            putter.join(30)
            if putter.odd:
                raise Lost(putter.odd)
        server.start()
        s3 = client_of(server)
        fresh = [name for putter in putters for name in putter.acknowledged]
        total += len(fresh)
        for bucket, key, version in fresh + chance.sample(everything, min(5, len(everything))):
            whole(s3, bucket, key, version)
        everything += fresh
        # What was not acknowledged may be there, but then it is whole.
        for putter in putters:
            for prefix in (f"{putter.seed}/", f"parts/{putter.seed}/"):
                for one in s3.list_objects_v2(Bucket="plain", Prefix=prefix).get("Contents", []):
                    whole(s3, "plain", one["Key"], None)
            for upload, (key, parts) in putter.open_uploads.items():
                s3.complete_multipart_upload(Bucket="plain", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
                whole(s3, "plain", key, None)
                resumed += 1
        if options.rounds <= 20 or number % 10 == 9:
            print(f"  round {number + 1}: {len(fresh)} acknowledged, {resumed} uploads resumed so far; {verify(server)}", flush=True)
    return total, resumed, all_whole(server, s3, everything)


def all_whole(server, s3, everything) -> int:
    """Every object is read once more, and the server looks for damage itself. Gives how many parts it looked at."""
    for bucket, key, version in everything:
        whole(s3, bucket, key, version)
    damaged = server.session().post(f"{server.url}/api/strongroom/v1/objects/verify", json={}).json()
    if damaged["damaged_count"]:
        raise Lost(f"`objects verify` finds damage: {damaged}")
    return damaged["checked_count"]


def drilled(name: str, description: str, writer_count: int, drill) -> int:
    """A drill from the command line, on a server that speaks S3: `drill(server, options, chance)` says how it went."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--writers", type=int, default=writer_count)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    settings = f"{options.rounds} rounds, {options.writers} writers, seed {options.seed}"
    return on_a_server(name, settings, lambda server: drill(server, options, random.Random(options.seed)), '[s3]\nlisten = "127.0.0.1:0"\n')


def main() -> int:
    def drill(server, options, chance) -> str:
        total, resumed, checked = rounds(server, options, chance)
        return f"nothing lost in {options.rounds} rounds; {total} acknowledged objects, {resumed} uploads resumed, {checked} parts verified"

    return drilled("S3 drill", __doc__, 4, drill)


if __name__ == "__main__":
    sys.exit(main())
