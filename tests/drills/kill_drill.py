#!/usr/bin/env python3
"""kill -9 at random moments under load: nothing acknowledged is lost, and records and changes match.

    kill_drill.py [--rounds N] [--writers N] [--seed N]
"""

import argparse
import random
import sys
import threading
import time

from journal import Lost, Writer, check, new_experiment, on_a_server, verify

LOAD_SECONDS = (0.05, 1.2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()

    def drill(server) -> str:
        total = rounds(server, options, random.Random(options.seed))
        return f"nothing lost in {options.rounds} rounds; {total} acknowledged changes"

    settings = f"{options.rounds} rounds, {options.writers} writers, seed {options.seed}"
    return on_a_server("kill drill", settings, drill)


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
