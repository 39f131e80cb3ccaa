"""Asks the peers about files: `peers.py PEER FOLDER [PATTERN]` prints counts of flagged, suspicious, clean and error, and seconds.

Flagged is what the peer's own command would end with an error code for; suspicious is what it tells of but lets pass.
"""

import contextlib
import io
import json
import logging
import pathlib
import sys
import time

logging.disable(logging.CRITICAL)


def picklescan(path):
    from picklescan.scanner import SafetyLevel, scan_file_path

    result = scan_file_path(str(path))
    if result.scan_err:
        return "error"
    if result.infected_files:
        return "flagged"
    return "suspicious" if any(found.safety != SafetyLevel.Innocuous for found in result.globals) else "clean"


def modelscan(path):
    from modelscan.modelscan import ModelScan

    scanner = ModelScan()
    result = scanner.scan(path)
    if result["summary"]["total_issues"] > 0:
        return "flagged"
    return "error" if result["errors"] else "clean"


def fickling(path):
    from fickling.analysis import Severity, check_safety
    from fickling.fickle import Pickled

    with open(path, "rb") as file:
        severity = check_safety(Pickled.load(file)).severity
    if severity >= Severity.LIKELY_OVERTLY_MALICIOUS:
        return "flagged"
    return "suspicious" if severity > Severity.LIKELY_SAFE else "clean"


def main():
    peer, folder = globals()[sys.argv[1]], pathlib.Path(sys.argv[2])
    pattern = sys.argv[3] if len(sys.argv) > 3 else "*"
    told = {"flagged": 0, "suspicious": 0, "clean": 0, "error": 0}
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob(pattern) if path.is_file())
    # Imports are no part of the time.
    with contextlib.suppress(Exception):
        peer(pathlib.Path(__file__))
    start = time.perf_counter()
    for path in paths:
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                answer = peer(path)
        except Exception:
            answer = "error"
        told[answer] += 1
    if told["error"] == len(paths) > 1:
        sys.exit(f"{sys.argv[1]} cannot read a single file: is it installed with all that it imports?")
    print(json.dumps({**told, "files": len(paths), "seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
