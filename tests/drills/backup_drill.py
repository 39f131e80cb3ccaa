#!/usr/bin/env python3
"""kill -9 during backups and restores: what has a manifest is whole, what broke off is gone on with, what is restored is one state.

    backup_drill.py [--rounds N] [--writers N] [--seed N]

Each round kills the server while it makes a backup and clients write; the next server goes on with that backup. Then a restore of it
is killed, no server may start on what it left, and the same words go on with it. What comes out has a record for each change that it
holds, and no record without its change.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import tomllib

from journal import Lost, RunJournal, Writer, check, harness, new_experiment, on_a_server, verify

BACKUP_SECONDS = (0.0, 1.5)
RESTORE_SECONDS = (0.0, 1.5)
END_SECONDS_MAX = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()

    def drill(server) -> str:
        return rounds(server, options, random.Random(options.seed))

    settings = f"{options.rounds} rounds, {options.writers} writers, seed {options.seed}"
    return on_a_server("backup drill", settings, drill)


def command(server, *words) -> list[str]:
    return server.command("backup", *words, "--json", "--token-file", str(server.token_file))


def backup(server, *words, may_fail=False):
    done = subprocess.run(command(server, *words), capture_output=True, text=True, timeout=END_SECONDS_MAX)
    if done.returncode != 0 and not may_fail:
        raise Lost(f"`backup {' '.join(words)}` answered {done.returncode}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout) if done.stdout.strip() else None


def rounds(server, options, chance) -> str:
    place = server.data.parent / "place"
    place.mkdir()
    server.stop()
    settings = server.data / "strongroom.toml"
    told = settings.read_text() if settings.exists() else ""
    settings.write_text(f'{told}\n[backup]\nto = "{place}"\nkeep = 3\n')
    server.start()
    key = server.data.parent / "backup.key"
    backup(server, "key", "export", "--out", str(key))
    experiment = new_experiment(server)
    went_on = broken_restores = 0
    for number in range(options.rounds):
        stop = threading.Event()
        writers = [Writer(server, experiment, chance.getrandbits(32), stop) for _ in range(options.writers)]
        for writer in writers:
            writer.start()
        asked = subprocess.Popen(command(server, "run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(*BACKUP_SECONDS))
        server.kill()
        stop.set()
        asked.wait(30)
        for writer in writers:
            writer.join(20)
        server.start()
        went_on += settle(server)
        newest = backup(server, "run")
        checked = backup(server, "verify", may_fail=True)
        if not checked or not checked["ok"] or checked["sequence"] != newest["sequence"]:
            raise Lost(f"round {number + 1}: backup {newest['sequence']} does not verify: {checked}")
        everything(key, place)
        broken_restores += restore(server, key, place, chance)
        if options.rounds <= 20 or number % 10 == 9:
            print(f"  round {number + 1}: backup {newest['sequence']}, {newest['objects']} objects; {verify(server)}", flush=True)
    return f"{options.rounds} rounds: {went_on} backups gone on with, {broken_restores} restores killed and gone on with, all whole"


def settle(server) -> int:
    """Waits for the backup that was broken off, which this server goes on with."""
    began = time.monotonic()
    went_on = 0
    while True:
        runs = backup(server, "list")
        open_runs = [run for run in runs if run["state"] in ("queued", "running")]
        if not open_runs:
            break
        went_on = 1
        if time.monotonic() - began > END_SECONDS_MAX:
            raise Lost(f"a backup that was broken off is not gone on with: {open_runs}")
        time.sleep(0.1)
    if runs and runs[0]["state"] == "failed":
        raise Lost(f"the backup that was gone on with failed: {runs[0]}")
    return went_on


def everything(key, place):
    """Each manifest that lies there is that of a whole backup."""
    for path in sorted((place / "manifests").iterdir()):
        number = str(int(path.stem))
        words = ["backup", "inspect", "--from", str(place), "--backup-key", str(key), "--sequence", number, "--json"]
        done = subprocess.run([str(harness.binary()), *words], capture_output=True, text=True, timeout=END_SECONDS_MAX)
        if done.returncode != 0:
            raise Lost(f"a half backup verifies, or a whole one does not: {number}: {done.stdout}{done.stderr}")


def restore(server, key, place, chance) -> int:
    into = server.data.parent / "restored"
    words = [str(harness.binary()), "backup", "restore", "--from", str(place), "--into", str(into), "--keys", str(server.data / "keys")]
    words += ["--backup-key", str(key), "--emergency", "a drill", "--json"]
    begun = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        begun.communicate(timeout=chance.uniform(*RESTORE_SECONDS))
        killed = 0
    except subprocess.TimeoutExpired:
        begun.kill()
        begun.communicate()
        killed = 1
        is_finished = (into / "lock").exists() and not (into / "unfinished").exists()
        if into.exists() and not is_finished:
            refuses(into)
        if is_finished:
            clear(into)
    if killed:
        done = subprocess.run(words, capture_output=True, text=True, timeout=END_SECONDS_MAX)
        if done.returncode != 0:
            raise Lost(f"a restore that was broken off is not gone on with: {done.stdout}{done.stderr}")
    compare(server, into)
    clear(into)
    return killed


def clear(into: pathlib.Path):
    """Takes a whole restore away, and on PostgreSQL the database that was made for it."""
    address = tomllib.loads((into / "strongroom.toml").read_text()).get("vault", {}).get("database", "sqlite")
    shutil.rmtree(into)
    name = address.rpartition("/")[2]
    if name.startswith("strongroom_restore_"):
        psql = os.environ.get("STRONGROOM_PSQL", "psql")
        drop = f'DROP DATABASE "{name}" WITH (FORCE)'
        subprocess.run([psql, os.environ[harness.POSTGRES], "-q", "-c", drop], check=True, stdout=subprocess.DEVNULL)


def refuses(into: pathlib.Path):
    words = [str(harness.binary()), "serve", "--data", str(into), "--listen", "127.0.0.1:0"]
    started = subprocess.run(words, capture_output=True, text=True, timeout=30)
    if started.returncode == 0 or "listening" in started.stdout:
        raise Lost("a server starts on a half restore")


def compare(server, into: pathlib.Path):
    """What was restored is one state: each change has its record, each record its change."""
    other = harness.Server(data=into, token=server.token)
    other.token_file.write_text(server.token)
    other.start()
    try:
        session = other.session()
        api = f"{other.url}/api/2.0/mlflow"
        experiments = session.post(f"{api}/experiments/search", json={"max_results": 100}, timeout=30).json()["experiments"]
        runs = []
        for experiment in experiments:
            body = {"experiment_ids": [experiment["experiment_id"]], "max_results": 20}
            found = session.post(f"{api}/runs/search", json=body, timeout=30).json().get("runs", [])
            runs += [RunJournal(run["info"]["run_id"], experiment["experiment_id"]) for run in found]
        check(other, runs)
        verify(other)
    finally:
        other.kill()


if __name__ == "__main__":
    sys.exit(main())
