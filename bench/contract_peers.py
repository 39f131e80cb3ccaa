"""The thirty rules of `contract-30-rules.odcs.yaml` as a suite of Great Expectations over a Parquet file's first rows.

    contract_peers.py great-expectations FILE ROWS

Counts from after the import on: reading the file and validating it. Prints what it took as one JSON object.
"""

import json
import os
import resource
import sys
import time

COUNTRIES = (
    "AT AU BE BG BR CA CH CL CN CZ DE DK EE ES FI FR GB GR HU IE IL IN IS IT JP KR LT LU LV MX NL NO NZ PL PT RO SE SG TR US"
).split()


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def expectations(gxe, pandas):
    def between(column, low=None, high=None, **more):
        return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, **more)

    def there(column, mostly=1.0):
        return gxe.ExpectColumnValuesToNotBeNull(column=column, mostly=mostly)

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1001),
        there("id"),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        between("id", low=1_000_000),
        there("customer"),
        between("customer", low=0),
        between("customer", high=999_999),
        there("age", 0.95),
        between("age", low=18),
        between("age", high=95),
        there("income", 0.9),
        between("income", low=0, strict_min=True),
        between("income", high=10_000_000),
        between("score", low=0, mostly=0.99),
        between("score", high=1, mostly=0.99),
        there("amount"),
        between("amount", low=0),
        between("amount", high=1000),
        gxe.ExpectColumnMeanToBeBetween(column="amount", min_value=400, max_value=600),
        there("country"),
        gxe.ExpectColumnValueLengthsToBeBetween(column="country", min_value=2),
        gxe.ExpectColumnValueLengthsToBeBetween(column="country", max_value=2),
        gxe.ExpectColumnValuesToMatchRegex(column="country", regex="^[A-Z]{2}$"),
        gxe.ExpectColumnValuesToBeInSet(column="country", value_set=COUNTRIES),
        there("signed_up"),
        between("signed_up", low=pandas.Timestamp("2020-09-13")),
        between("signed_up", high=pandas.Timestamp("2026-01-01")),
        there("active", 0.95),
        there("mail"),
        gxe.ExpectColumnValuesToMatchRegex(column="mail", regex=r"^[a-z0-9]+@[a-z0-9]+\.org$"),
    ]


def great_expectations(path, rows):
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas
    import pyarrow.parquet

    def work():
        file = pyarrow.parquet.ParquetFile(path)
        batches, count = [], 0
        for batch in file.iter_batches(batch_size=100_000):
            batches.append(batch.slice(0, rows - count))
            count += batches[-1].num_rows
            if count >= rows:
                break
        frame = pyarrow.Table.from_batches(batches).to_pandas()
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
        batch = asset.add_batch_definition_whole_dataframe("b").get_batch(batch_parameters={"dataframe": frame})
        suite = gx.ExpectationSuite(name="s", expectations=expectations(gxe, pandas))
        result = batch.validate(suite)
        broken = [one.expectation_config.type for one in result.results if not one.success]
        if broken:
            raise SystemExit(f"expectations that should hold are broken: {broken}")
        return count

    return work


def main():
    name, path, rows = sys.argv[1:4]
    work = {"great-expectations": great_expectations}[name](path, int(rows))
    start, began = cpu(), time.monotonic()
    count = work()
    taken = {"cpu_seconds": cpu() - start, "wall_seconds": time.monotonic() - began, "rows": count}
    taken["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
