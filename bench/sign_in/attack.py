#!/usr/bin/env python3
"""A log-in under attack: ten thousand guesses a second at one account, and spread over a thousand, from hundreds of addresses.

    attack.py LOADGEN --rounds N [--seconds N] [--rate N]

Meanwhile others ask with their tokens, and the owner logs in again with the browser that is known. Prints one JSON object.
"""

import argparse
import json
import pathlib
import secrets
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "clients"))

import harness  # noqa: E402
import people  # noqa: E402

KNOWN = "__Host-strongroom-known"
OTHERS_PER_SECOND = 100
ACCOUNTS = 1_000
SOURCES = 256
# Between a calm time and an attack: what the one left behind is not the other's.
REST_SECONDS = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loadgen")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=10_000)
    options = parser.parse_args()
    told = {"one": [], "spread": []}
    for round_number in range(1, options.rounds + 1):
        for kind, accounts in (("one", 1), ("spread", ACCOUNTS)):
            # A server of its own each time: what it remembers of one attack must not help it in the next.
            with harness.running() as server:
                told[kind].append(measured(server, options, accounts))
            print(f"round {round_number}, {kind}: {json.dumps(told[kind][-1])}", file=sys.stderr)
    print(json.dumps({kind: middle(rounds) for kind, rounds in told.items()}))


def middle(rounds):
    """The median of each number over the rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def loadgen(server, options, work, *words, token=None):
    command = [options.loadgen, work, "--url", server.url, "--ca", server.ca, "--seconds", str(options.seconds), *words]
    if token:
        command += ["--token-file", token]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return json.loads(output)


def others(server, options, token):
    return loadgen(server, options, "others", "--connections", "8", "--count", str(OTHERS_PER_SECOND), token=token)


def measured(server, options, accounts):
    owner = people.person(server, "viewer")
    token = server.data.parent / "other.token"
    token.write_text(people.person(server, "viewer").token)
    mark = log_in(server, owner)[1][KNOWN]
    calm = said(others(server, options, str(token)))
    before = server.resident_bytes()
    time.sleep(REST_SECONDS)
    words = ["--connections", str(SOURCES), "--count", str(options.rate), "--set", str(accounts)]
    attack = loadgen(server, options, "guess", "--on", owner.name if accounts == 1 else f"victim.{secrets.token_hex(3)}.", *words)
    # The owner is one of those who are guessed at.
    also = loadgen(server, options, "guess", "--on", owner.name, "--connections", "4", "--count", "100") if accounts > 1 else None
    meanwhile = others(server, options, str(token))
    watched = Watched(server, owner, mark, options.seconds)
    beside = said(meanwhile)
    guesses = said(attack)
    if also:
        said(also)
    watched.join()
    return {
        "guesses_per_s": guesses["value"],
        "calm_p99_ms": calm["p99_ms"],
        "p99_ms": beside["p99_ms"],
        "calm_p50_ms": calm["p50_ms"],
        "p50_ms": beside["p50_ms"],
        "others_failed": beside["errors"] + calm["errors"],
        "guessed_right": guesses["statuses"].get("200", 0),
        "owner_tried": watched.tried,
        "owner_logged_in": watched.logged_in,
        "owner_slowest_s": watched.slowest_s,
        "strangers_logged_in": watched.strangers_logged_in,
        "memory_before_mib": before / 2**20,
        "memory_most_mib": watched.most_bytes / 2**20,
    }


def log_in(server, owner, mark=None):
    began = time.monotonic()
    answer = server.session(token=None).post(
        f"{server.url}/login", data={"username": owner.name, "password": owner.password},
        cookies={KNOWN: mark} if mark else {}, allow_redirects=False, timeout=30,
    )
    return answer.headers.get("location") == "/", answer.cookies, time.monotonic() - began


class Watched(threading.Thread):
    """The owner logs in again once a second, with the known browser and, to see that it matters, without; and the server's memory is looked at."""

    def __init__(self, server, owner, mark, seconds):
        super().__init__()
        self.server, self.owner, self.mark, self.until = server, owner, mark, time.monotonic() + seconds - 1
        self.tried = self.logged_in = self.strangers_logged_in = self.most_bytes = 0
        self.slowest_s = 0.0
        self.start()

    def run(self):
        time.sleep(1)
        while time.monotonic() < self.until:
            opened, _, took = log_in(self.server, self.owner, self.mark)
            self.tried += 1
            self.logged_in += opened
            self.slowest_s = max(self.slowest_s, took)
            self.strangers_logged_in += log_in(self.server, self.owner)[0]
            self.most_bytes = max(self.most_bytes, self.server.resident_bytes())
            time.sleep(0.5)


main()
