#!/usr/bin/env python3
"""How long a whole restore takes: objects are put by S3, backed up, and restored in a drill; beside it, `cp` of the same files.

    recovery.py --gigabytes N --folder FOLDER

Prints one JSON object. The drill's time is that of `backup drill`: all that a restore does until a server could be started on it, the
proof that every object opens under its key and that the log verifies among it. `cp` copies the same objects, database and log, and waits
until they are on the disk, as a restore does.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import boto3
from botocore.config import Config

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "clients"))

import harness  # noqa: E402

MIB = 1 << 20
# Of each gigabyte: a dozen checkpoints, some hundred shards, and many small files.
SIZES = [(64 * MIB, 12), (MIB, 200), (64 << 10, 800)]
CLIENTS = 4
COPIES = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=int, required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    options = parser.parse_args()
    place = options.folder / "place"
    place.mkdir(parents=True)
    config = f'[s3]\nlisten = "127.0.0.1:0"\n[backup]\nto = "{place}"\n'
    server = harness.Server(options.folder / "data", config_text=config)
    server.init()
    server.start()
    try:
        print(json.dumps(measure(server, options)))
    finally:
        server.kill()


def measure(server, options):
    count, size = put(server, options.gigabytes)
    made = run(server, "backup", "run")
    # The same files that the restore writes, in two halves: one copy before it and one or two after, so that neither has the colder disk.
    copies = [copy(server, options.folder)]
    drilled = run(server, "backup", "drill")
    while len(copies) < COPIES:
        copies.append(copy(server, options.folder))
    copied_bytes = drilled["bytes"]
    return {
        "gigabytes": options.gigabytes, "objects": count, "put_bytes": size, "restored_bytes": copied_bytes,
        "backup_s": made["took_ms"] / 1e3, "recovery_s": drilled["took_ms"] / 1e3, "copies_s": copies,
        "copy_s": sorted(copies)[len(copies) // 2],
    }  # fmt: skip


def put(server, gigabytes):
    answer = server.session().post(f"{server.url}/api/strongroom/v1/access-key", json={}).json()
    s3 = boto3.client(
        "s3", endpoint_url=(server.data / "s3-address").read_text().strip(), region_name="us-east-1", verify=server.ca,
        aws_access_key_id=answer["access_key_id"], aws_secret_access_key=answer["secret_access_key"],
        config=Config(signature_version="s3v4", max_pool_connections=CLIENTS),
    )  # fmt: skip
    s3.create_bucket(Bucket="bench")
    block = random.Random(20_261_126).randbytes(64 * MIB)

    def one(task):
        key, size, turn = task
        # Each object is another one: where it begins in the block differs.
        s3.put_object(Bucket="bench", Key=key, Body=turn.to_bytes(8, "big") + block[: size - 8])
        return size

    tasks = [(f"{gigabyte}/{size}/{turn}", size, turn) for gigabyte in range(gigabytes) for size, count in SIZES for turn in range(count)]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        sizes = list(pool.map(one, tasks))
    return len(sizes), sum(sizes)


def run(server, *words):
    done = server.cli(*words, "--json", "--token-file", str(server.token_file), timeout=3600)
    return json.loads(done.stdout)


def copy(server, folder):
    """Seconds that `cp` takes for the objects, the database and the log, until they are on the disk."""
    target = folder / "copy"
    target.mkdir()
    parts = [str(server.data / name) for name in ("objects", "db", "audit")]
    began = time.monotonic()
    subprocess.run(["cp", "-a", "--reflink=never", *parts, str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)
    took = time.monotonic() - began
    shutil.rmtree(target)
    os.sync()
    return took


if __name__ == "__main__":
    main()
