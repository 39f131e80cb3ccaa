#!/usr/bin/env python3
"""A full disk and a failing fsync under load: clear 503s, nothing lost, and recovery by itself when the fault goes."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from journal import Lost, Writer, check, harness, new_experiment, verify

BEFORE_SECONDS = 1.0
FAULT_SECONDS = 4.0
RECOVERY_SECONDS_MAX = 15.0
WRITER_COUNT = 4
# A refusal must come in bounded time, not after a client has given up.
ANSWER_SECONDS_MAX = 10.0


def build(folder: pathlib.Path) -> pathlib.Path:
    source = pathlib.Path(__file__).with_name("faulty_disk.c")
    library = folder / "faulty_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="strongroom-disk-") as name:
        folder = pathlib.Path(name)
        library = build(folder)
        failed = 0
        for fault in sys.argv[1:] or ("full", "write", "sync"):
            try:
                said = drill(folder / fault, library, fault)
                print(f"disk drill, {fault}: {said}", flush=True)
            except (Lost, harness.StartError) as problem:
                print(f"FAILED: disk drill, {fault}: {problem}", flush=True)
                failed += 1
        return 1 if failed else 0


def drill(folder: pathlib.Path, library: pathlib.Path, fault: str) -> str:
    folder.mkdir()
    flag = folder / "fault"
    other = folder / "never"
    server = harness.Server(folder / "data")
    server.init()
    # Where every write fails, the file that the server's own messages go to fails too.
    root = folder if fault == "write" else server.data
    server.environment = {
        "LD_PRELOAD": str(library),
        "FAULTY_ROOT": f"{root}/",
        "FAULTY_FULL": str(flag if fault == "full" else other),
        "FAULTY_WRITE": str(flag if fault == "write" else other),
        "FAULTY_SYNC": str(flag if fault == "sync" else other),
    }
    server.start()
    try:
        writers, recovery = under_fault(server, flag)
        runs = [run for writer in writers for run in writer.runs]
        refused = sum(sum(writer.refusals.values()) for writer in writers)
        check(server, runs)
        server.kill()
        server.environment = {}
        server.start()
        seen = check(server, runs)
        said = verify(server)
    except Lost as problem:
        raise Lost(f"{problem}\nthe server's log ends:\n{server.log_end(12)}") from problem
    finally:
        server.kill()
    broken_off = sum(writer.broken_off for writer in writers)
    return f"{refused} clear refusals, {broken_off} uploads broken off, recovered in {recovery:.1f} s, nothing lost of {dict(seen)}; {said}"


def under_fault(server, flag: pathlib.Path):
    experiment = new_experiment(server)
    stop = threading.Event()
    writers = [Writer(server, experiment, seed, stop, on_refusal="go on") for seed in range(WRITER_COUNT)]
    for writer in writers:
        writer.start()
    time.sleep(BEFORE_SECONDS)
    flag.touch()
    time.sleep(FAULT_SECONDS)
    refused = sum(sum(writer.refusals.values()) for writer in writers)
    flag.unlink()
    mended = time.monotonic()
    recovery = wait_for_recovery(writers, mended)
    time.sleep(BEFORE_SECONDS)
    stop.set()
    for writer in writers:
        writer.join(30)
    if server.process.poll() is not None:
        raise Lost(f"the server ended with {server.process.returncode}")
    odd = [text for writer in writers for text in writer.odd]
    if odd:
        raise Lost(f"{len(odd)} answers were not a 503 with Retry-After; the first: {odd[0]}")
    if refused == 0:
        raise Lost("nothing was refused while the disk was broken: the drill did not reach it")
    slowest = max(writer.slowest_seconds for writer in writers)
    if slowest > ANSWER_SECONDS_MAX:
        raise Lost(f"an answer took {slowest:.1f} s")
    return writers, recovery


def wait_for_recovery(writers, mended: float) -> float:
    before = [writer.acknowledged for writer in writers]
    while time.monotonic() - mended < RECOVERY_SECONDS_MAX:
        if all(writer.acknowledged > count + 3 for writer, count in zip(writers, before)):
            return time.monotonic() - mended
        if not any(writer.is_alive() for writer in writers):
            raise Lost(f"every writer lost its connection: {writers[0].ended_by}")
        time.sleep(0.05)
    raise Lost(f"no recovery within {RECOVERY_SECONDS_MAX} s after the fault went")


if __name__ == "__main__":
    assert os.name == "posix"
    sys.exit(main())
