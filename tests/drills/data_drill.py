#!/usr/bin/env python3
"""kill -9 during commits and inspections of data sets: what was committed is whole, what broke off is not admitted.

    data_drill.py [--rounds N] [--seed N]

Every version is committed without an origin, for which the built-in policy asks for a waiver that nobody gives: so whatever is
admitted was admitted by accident.
"""

import argparse
import contextlib
import hashlib
import random
import sys
import threading
import time

import requests

from journal import Lost, on_a_server, verify

LOAD_SECONDS = (0.05, 1.5)
INSPECTION_SECONDS_MAX = 600
ROWS = 20_000
API = "/api/strongroom/v1/datasets"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()

    def drill(server) -> str:
        kept = rounds(server, options.rounds, random.Random(options.seed))
        ended = end(server, kept)
        return f"{len(kept)} committed versions whole, {ended} inspections ended, none admitted"

    return on_a_server("data drill", f"{options.rounds} rounds, seed {options.seed}", drill)


class Committer(threading.Thread):
    """Commits one version after the other, until the server is gone."""

    def __init__(self, server, seed: int, stop: threading.Event):
        super().__init__(daemon=True)
        self.server, self.chance, self.stop = server, random.Random(seed), stop
        self.kept: dict[tuple[str, int], str] = {}
        self.name = f"drill-{seed:08x}"

    def run(self):
        session = self.server.session()
        with contextlib.suppress(requests.RequestException):
            while not self.stop.is_set():
                self.commit(session)

    def commit(self, session):
        base = f"{self.server.url}{API}/{self.name}/versions"
        opened = session.post(base, json={}, timeout=20)
        if opened.status_code != 200:
            return
        at = f"{base}/{opened.json()['id']}"
        lines = ["a,b"] + [f"{self.chance.random()},{self.chance.randrange(9)}" for _ in range(self.chance.randrange(ROWS))]
        for number in range(self.chance.randrange(1, 4)):
            session.put(f"{at}/files/{number}.csv", data="\n".join(lines), timeout=20)
        done = session.post(f"{at}/commit", json={}, timeout=20)
        if done.status_code == 200:
            self.kept[(self.name, done.json()["version"])] = done.json()["manifest_sha256"]


def rounds(server, count: int, chance) -> dict:
    kept: dict[tuple[str, int], str] = {}
    for number in range(count):
        stop = threading.Event()
        committers = [Committer(server, chance.getrandbits(32), stop) for _ in range(2)]
        for committer in committers:
            committer.start()
        time.sleep(chance.uniform(*LOAD_SECONDS))
        server.kill()
        stop.set()
        for committer in committers:
            committer.join(30)
            kept |= committer.kept
        server.start()
        session = server.session()
        fresh = {key: digest for committer in committers for key, digest in committer.kept.items()}
        for key, digest in fresh.items():
            look(server, session, key, digest)
        nothing_admitted(server, session)
        said = verify(server)
        if count <= 20 or number % 10 == 9:
            print(f"  round {number + 1}: {len(fresh)} committed; {said}", flush=True)
    return kept


def look(server, session, key, digest) -> dict:
    """A version that was acknowledged is there, whole, and not admitted."""
    name, number = key
    shown = session.get(f"{server.url}{API}/{name}/versions/{number}", timeout=20)
    if shown.status_code != 200 or shown.json()["manifest_sha256"] != digest:
        raise Lost(f"{name}@{number}: {shown.status_code} {shown.text[:300]}")
    if shown.json()["state"] not in ("quarantined", "inspecting"):
        raise Lost(f"{name}@{number} is {shown.json()['state']}")
    return shown.json()


def nothing_admitted(server, session):
    after = ""
    while True:
        page = session.get(f"{server.url}{API}?rows=1000{after}", timeout=20).json()
        wrong = [row["name"] for row in page["datasets"] if row["admitted"] is not None]
        if wrong:
            raise Lost(f"admitted by accident: {wrong}")
        if "next" not in page:
            return
        after = f"&after={page['next']}"


def end(server, kept: dict) -> int:
    """Every inspection ends, with a report or a clear failure; every file is what its manifest says."""
    session = server.session()
    deadline = time.monotonic() + INSPECTION_SECONDS_MAX + len(kept)
    ended = 0
    for key, digest in kept.items():
        shown = look(server, session, key, digest)
        while shown["inspection"]["state"] in ("queued", "running"):
            if time.monotonic() > deadline:
                raise Lost(f"{key} is still {shown['inspection']}")
            time.sleep(0.2)
            shown = look(server, session, key, digest)
        ended += 1
        whole(server, session, key)
    return ended


def whole(server, session, key):
    at = f"{server.url}{API}/{key[0]}/versions/{key[1]}"
    for file in session.get(f"{at}/manifest", timeout=20).json()["files"]:
        body = session.get(f"{at}/files/{file['path']}", timeout=60).content
        if hashlib.sha256(body).hexdigest() != file["sha256"]:
            raise Lost(f"{key}: {file['path']} is not what its manifest says")


if __name__ == "__main__":
    sys.exit(main())
