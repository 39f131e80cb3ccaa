#!/usr/bin/env python3
"""kill -9 while keys are rotated and objects put: no acknowledged object is lost or unreadable, and each rotation goes on to its end.

    keys_drill.py [--rounds N] [--writers N] [--seed N]

Each round puts objects and rotates the workspace's key, kills the server at a random moment, and then kills `keys rotate-root`, which
works without one. The next `rotate`, `rewrap` and `rotate-root` go on with what was broken off; then everything opens.
"""

import json
import subprocess
import sys
import threading
import time

from journal import Lost, verify
from s3_drill import Putter, all_whole, client_of, drilled, whole

LOAD_SECONDS = (0.05, 1.2)
ROOT_SECONDS = (0.0, 0.6)
END_SECONDS_MAX = 300


def main() -> int:
    return drilled("keys drill", __doc__, 3, rounds)


class Rotator(threading.Thread):
    """Rotates the workspace's key again and again, until the server is gone."""

    def __init__(self, server, stop: threading.Event):
        super().__init__(daemon=True)
        self.command = server.command("keys", "rotate", "--json", "--token-file", str(server.token_file))
        self.stopping = stop
        self.done = 0

    def run(self):
        while not self.stopping.is_set():
            ended = subprocess.run(self.command, capture_output=True, timeout=END_SECONDS_MAX)
            if ended.returncode != 0:
                return
            self.done += 1


def keys(server, *words) -> dict:
    done = server.cli("keys", *words, "--json", "--token-file", str(server.token_file), check=False, timeout=END_SECONDS_MAX)
    if done.returncode != 0:
        raise Lost(f"`keys {' '.join(words)}` answered {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def rounds(server, options, chance) -> str:
    everything: list[tuple] = []
    s3 = client_of(server)
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="versions", ObjectLockEnabledForBucket=True)
    total = rotated = went_on = roots_killed = 0
    for number in range(options.rounds):
        stop = threading.Event()
        putters = [Putter(server, chance.getrandbits(32), stop) for _ in range(options.writers)]
        rotator = Rotator(server, stop)
        for thread in (*putters, rotator):
            thread.start()
        time.sleep(chance.uniform(*LOAD_SECONDS))
        server.kill()
        stop.set()
        for thread in (*putters, rotator):
            thread.join(60)
        for putter in putters:
            if putter.odd:
                raise Lost(putter.odd)
        rotated += rotator.done
        roots_killed += kill_root(server, chance)
        server.start()
        s3 = client_of(server)
        fresh = [name for putter in putters for name in putter.acknowledged]
        total += len(fresh)
        # Before the rotation goes on: what it left half-done is read all the same.
        for bucket, key, version in fresh + chance.sample(everything, min(5, len(everything))):
            whole(s3, bucket, key, version)
        everything += fresh
        left = keys(server, "rewrap")["rewrapped_count"]
        went_on += left > 0
        if keys(server, "rewrap")["rewrapped_count"] != 0:
            raise Lost("a rotation that was broken off does not come to its end")
        checked = keys(server, "verify", "--all")
        for bucket, key, version in chance.sample(everything, min(5, len(everything))):
            whole(s3, bucket, key, version)
        if options.rounds <= 20 or number % 10 == 9:
            print(f"  round {number + 1}: {len(fresh)} acknowledged, {left} keys wrapped afterwards; {checked}; {verify(server)}", flush=True)
    checked_count = all_whole(server, s3, everything)
    return (
        f"nothing lost in {options.rounds} rounds; {total} acknowledged objects, {rotated} rotations whole and {went_on} gone on with, "
        f"{roots_killed} rotations of the root killed and gone on with, {checked_count} parts verified"
    )


def kill_root(server, chance) -> int:
    """Kills `keys rotate-root` at a random moment; the next one goes on, whatever the first had done."""
    command = server.command("keys", "rotate-root", "--json")
    begun = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        begun.wait(chance.uniform(*ROOT_SECONDS))
        killed = 0
    except subprocess.TimeoutExpired:
        begun.kill()
        begun.wait()
        killed = 1
    ended = subprocess.run(command, capture_output=True, text=True, timeout=END_SECONDS_MAX)
    if ended.returncode != 0:
        raise Lost(f"`keys rotate-root` does not go on: {ended.stdout}{ended.stderr}")
    return killed


if __name__ == "__main__":
    sys.exit(main())
