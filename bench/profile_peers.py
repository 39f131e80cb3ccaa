"""Profiles a Parquet file with a peer, or runs any program, and prints what it took as one JSON object.

    profile_peers.py duckdb|polars|whylogs FILE ROWS
    profile_peers.py run PROGRAM ARGUMENTS…

Peers count from after their import on; a program counts whole.
"""

import json
import os
import resource
import subprocess
import sys
import time

NUMBERS = ["id", "customer", "age", "income", "score", "amount"]
OTHERS = ["country", "signed_up", "active", "mail"]
SHARES = [0.05, 0.25, 0.5, 0.75, 0.95]
TOP = 20
BARS = 20


def cpu(who=resource.RUSAGE_SELF):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def duckdb_profile(path, _rows):
    import duckdb

    def work():
        connection = duckdb.connect()
        connection.execute("SET threads = 2")
        table = f"read_parquet('{path}')"
        summary = connection.execute(f"SUMMARIZE SELECT * FROM {table}").fetchall()
        extremes = {row[0]: (row[2], row[3]) for row in summary}
        bars = ", ".join(
            f"histogram({name}, equi_width_bins({extremes[name][0]}::DOUBLE, {extremes[name][1]}::DOUBLE, {BARS}, true))"
            for name in NUMBERS
            if name != "score"
        )
        tops = ", ".join(f"approx_top_k({name}, {TOP})" for name in ("country", "mail"))
        connection.execute(f"SELECT {bars}, {tops} FROM {table}").fetchall()
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    return work


def polars_profile(path, _rows):
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    import polars

    def work():
        table = polars.scan_parquet(path)
        wanted = [polars.len().alias("rows")]
        for name in NUMBERS + OTHERS:
            column = polars.col(name)
            wanted += [column.null_count().alias(f"{name} missing"), column.approx_n_unique().alias(f"{name} distinct")]
            wanted += [column.min().alias(f"{name} min"), column.max().alias(f"{name} max")]
        for name in NUMBERS:
            column = polars.col(name)
            wanted += [column.mean().alias(f"{name} mean"), column.std().alias(f"{name} std")]
            wanted += [column.quantile(share).alias(f"{name} q{share}") for share in SHARES]
        figures = table.select(wanted).collect(engine="streaming").row(0, named=True)
        bars = []
        for name in NUMBERS:
            low, high = float(figures[f"{name} min"]), float(figures[f"{name} max"])
            bar = ((polars.col(name) - low) / (high - low) * BARS).floor().clip(0, BARS - 1)
            bars.append(table.select(bar.alias("bar")).group_by("bar").len())
        tops = [table.group_by(name).len().top_k(TOP, by="len") for name in ("country", "mail")]
        for query in bars + tops:
            query.collect(engine="streaming")
        return figures["rows"]

    return work


def whylogs_profile(path, rows):
    os.environ["WHYLOGS_NO_ANALYTICS"] = "True"
    import pyarrow.parquet
    import whylogs

    def work():
        done = 0
        profile = None
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=100_000):
            frame = batch.to_pandas()
            result = whylogs.log(pandas=frame)
            profile = result.view() if profile is None else profile.merge(result.view())
            done += len(frame)
            if done >= rows:
                break
        profile.to_pandas()
        return done

    return work


PEERS = {"duckdb": duckdb_profile, "polars": polars_profile, "whylogs": whylogs_profile}


def run(words):
    start = time.perf_counter()
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"`{' '.join(words)}` failed: {status}")
    return {
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "wall_seconds": time.perf_counter() - start,
        "peak_bytes": usage.ru_maxrss * 1024,
        "output": output.strip()[-2000:],
    }


def main():
    name, *words = sys.argv[1:]
    if name == "run":
        print(json.dumps(run(words)))
        return
    path, rows = words
    work = PEERS[name](path, int(rows))
    cpu_before, start = cpu(), time.perf_counter()
    done = work()
    print(
        json.dumps(
            {
                "rows": done,
                "cpu_seconds": cpu() - cpu_before,
                "wall_seconds": time.perf_counter() - start,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


main()
