#!/usr/bin/env python3
"""kill -9 at random moments under load: nothing acknowledged is lost, and records and changes match.

    kill_drill.py [--rounds N] [--writers N] [--seed N]
"""

import argparse
import contextlib
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

from journal import Lost, Writer, check, harness, new_experiment, verify

LOAD_SECONDS = (0.05, 1.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    engine = os.environ.get(harness.ENGINE, "sqlite")
    print(f"kill drill: {options.rounds} rounds, {options.writers} writers, {engine}, seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strongroom-drill-")))
        database = stack.enter_context(harness.fresh_database()) if engine == "postgres" else None
        server = harness.Server(folder / "data", engine, database)
        server.init()
        server.start()
        stack.callback(server.kill)
        try:
            total = rounds(server, options, chance)
        except (Lost, harness.StartError) as problem:
            print(f"FAILED: {problem}\nthe server's log ends:\n{server.log_end()}", flush=True)
            return 1
    print(f"kill drill: nothing lost in {options.rounds} rounds; {total} acknowledged changes", flush=True)
    return 0


def rounds(server, options, chance) -> int:
    experiment = new_experiment(server)
    everything = []
    total = 0
    for number in range(options.rounds):
        stop = threading.Event()
        writers = [Writer(server, experiment, chance.getrandbits(32), stop) for _ in range(options.writers)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(*LOAD_SECONDS))
        server.kill()
        stop.set()
        for writer in writers:
            writer.join(20)
            if writer.odd:
                raise Lost(writer.odd[0])
        before = time.monotonic()
        server.start()
        started = time.monotonic() - before
        fresh = [run for writer in writers for run in writer.runs]
        acknowledged = sum(writer.acknowledged for writer in writers)
        total += acknowledged
        # The last round's runs, and a few old ones: a restart must not lose what an earlier one kept.
        seen = check(server, fresh + chance.sample(everything, min(3, len(everything))))
        everything += fresh
        said = verify(server)
        if options.rounds <= 20 or number % 10 == 9:
            print(f"  round {number + 1}: {acknowledged} acknowledged, checked {dict(seen)}, restart {started:.2f} s; {said}", flush=True)
    check(server, everything)
    return total


if __name__ == "__main__":
    sys.exit(main())
