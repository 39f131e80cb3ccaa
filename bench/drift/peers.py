"""Evidently's and NannyML's defaults on the streams that our side wrote: in which rows does each call drift?

Both look at chunks, as their guides do: here 500 rows (NannyML's reference chunks too, from which its thresholds come).
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import sys
import warnings

# Neither is to send anything anywhere.
os.environ.update(NML_DISABLE_USAGE_LOGGING="1", DO_NOT_TRACK="1")

import pandas as pd  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
CHUNK_ROWS = 500
NUMBERS = ["n0", "n1", "n2", "n3", "n4", "n5"]
NAMES = ["c0", "c1"]


def read(path):
    return pd.read_csv(path, dtype={name: "str" for name in NAMES})


def evidently(reference, stream):
    """The chunks' ends at which the preset says that the data set drifted, and those at which it says so of any column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    definition = DataDefinition(numerical_columns=NUMBERS, categorical_columns=NAMES)
    against = Dataset.from_pandas(reference, data_definition=definition)
    whole, any_column = [], []
    for end in range(CHUNK_ROWS, len(stream) + 1, CHUNK_ROWS):
        chunk = stream.iloc[end - CHUNK_ROWS : end].reset_index(drop=True)
        report = Report([DataDriftPreset()]).run(Dataset.from_pandas(chunk, data_definition=definition), against)
        count = next(one for one in report.dict()["metrics"] if "DriftedColumnsCount" in one["metric_name"])["value"]
        if count["share"] >= 0.5:
            whole.append(end)
        if count["count"] > 0:
            any_column.append(end)
    return {"evidently, half of the columns": whole, "evidently, any column": any_column}


def nannyml(reference, stream):
    """The chunks' ends at which any column's univariate drift is over its threshold; and by reconstruction error."""
    import nannyml as nml

    calculator = nml.UnivariateDriftCalculator(column_names=NUMBERS + NAMES, treat_as_categorical=NAMES, chunk_size=CHUNK_ROWS)
    found = calculator.fit(reference).calculate(stream).filter(period="analysis").to_df()
    alerts = found.loc[:, [column for column in found.columns if column[-1] == "alert"]].any(axis=1)
    ends = found[("chunk", "chunk", "end_index")] + 1
    multivariate = nml.DataReconstructionDriftCalculator(column_names=NUMBERS + NAMES, chunk_size=CHUNK_ROWS)
    rebuilt = multivariate.fit(reference).calculate(stream).filter(period="analysis").to_df()
    over = rebuilt[("reconstruction_error", "alert")]
    own_ends = rebuilt[("chunk", "end_index")] + 1
    return {
        "nannyml, any column": [int(end) for end, alert in zip(ends, alerts) if alert],
        "nannyml, reconstruction": [int(end) for end, alert in zip(own_ends, over) if alert],
    }


def main():
    folder = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2:]
    called = {}
    for path in sorted(folder.glob("*.stream.csv")):
        name = path.name.removesuffix(".stream.csv")
        if wanted and name not in wanted:
            continue
        reference, stream = read(folder / f"{name}.reference.csv"), read(path)
        called[name] = {**evidently(reference, stream), **nannyml(reference, stream)}
    print(json.dumps(called))


main()
