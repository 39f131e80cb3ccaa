"""Tables, series and the values around them that models hold, from pandas, pyarrow, polars, statsmodels, NumPy and Python."""

import sys

import numpy as np
import pandas as pd

SEED = 11


def frames():
    """Each kind of column that pandas has without pyarrow, indexes and offsets."""
    random = np.random.default_rng(SEED)
    rows = pd.DataFrame(random.normal(size=(40, 3)), columns=list("abc")).assign(kind=["u", "v"] * 20)
    times = pd.date_range("2026-01-01", periods=3)
    return {
        "described": rows.describe(), "grouped": rows.groupby("kind").agg(["mean", "max"]), "pivot": rows.pivot_table(index="kind"),
        "texts": pd.Series(["a", "b", None]), "texts-of-python": pd.Series(["a", None], dtype=pd.StringDtype("python")),
        "labelled": pd.DataFrame({"a": [1, 2]}, index=["u", "v"]), "no-rows": pd.DataFrame({"a": pd.Series([], dtype="object")}),
        "ordered": pd.Series(pd.Categorical(["low", "high"], ["low", "high"], ordered=True)), "numbered": pd.Series(pd.Categorical([1, 2])),
        "intervals": pd.Series(pd.interval_range(0, 3)), "interval-index": pd.interval_range(0, 3), "quarters": pd.period_range("2026", periods=3, freq="Q"),
        "sparse": pd.Series(pd.arrays.SparseArray([0, 0, 1])), "sparse-gaps": pd.Series(pd.arrays.SparseArray([np.nan, 1.0])),
        "zones": pd.DataFrame({"t": times.tz_localize("Europe/Berlin")}, index=times.tz_localize("UTC")), "fixed": pd.Timestamp("2026-01-01", tz="+02:00"),
        "durations": pd.Series(pd.to_timedelta([1, 2], unit="D")), "duration-index": pd.to_timedelta([1, 2], unit="D"),
        "levels": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", "n"])),
        "wide-levels": pd.DataFrame(np.zeros((2, 2)), columns=pd.MultiIndex.from_product([["a"], ["b", "c"]])),
        "nullable": [pd.Series([1, None], dtype=kind) for kind in ("Int8", "UInt16", "Int32", "UInt64", "Float32", "boolean")],
        "scalars": [pd.Timestamp("2026"), pd.Timedelta(1, "D"), pd.Period("2026", "M"), pd.Interval(0, 1), pd.NaT, pd.NA],
        "offsets": [pd.offsets.MonthEnd(), pd.offsets.BDay(), pd.offsets.Week(weekday=1), pd.DateOffset(months=1), pd.offsets.Hour(2)],
    }


def arrow():
    """Columns that pyarrow backs, and its own tables."""
    import pyarrow as pa

    typed = lambda values, kind: pd.Series(values, dtype=pd.ArrowDtype(kind))
    table = pa.table({"a": [1, 2], "b": ["x", None], "c": [1.5, None]})
    times = pd.date_range("2026-01-01", periods=3)
    return {
        "texts": pd.DataFrame({"a": [1.0, 2.0], "w": ["x", "ö"]}), "texts-gaps": pd.Series(["a", None, ""], dtype="string[pyarrow]"),
        "texts-nan": pd.Series(["a", None], dtype=pd.StringDtype("pyarrow", na_value=np.nan)), "texts-none": pd.Series([], dtype="string[pyarrow]"),
        "many": pd.DataFrame({"t": [f"word {one}" for one in range(20_000)], "n": np.arange(20_000)}),
        "backed": pd.DataFrame({"a": [1, 2, None], "b": ["x", None, "y"], "c": [1.5, None, 2.0], "d": [True, None, False]}).convert_dtypes(dtype_backend="pyarrow"),
        "part": pd.Series(range(50), dtype="int64[pyarrow]")[7:31], "times": typed(times, pa.timestamp("ns")), "zones": typed(times.tz_localize("UTC"), pa.timestamp("us", tz="UTC")),
        "dates": typed([None, times[0].date()], pa.date32()), "prices": typed([None], pa.decimal128(10, 2)), "blobs": typed([b"a", None], pa.binary()),
        "categories": typed(["a", "b", None, "a"], pa.dictionary(pa.int32(), pa.string())),
        "table": table, "batch": table.to_batches()[0], "schema": table.schema, "noted": table.replace_schema_metadata({"k": "v"}), "chunks": table["b"],
        "kinds": [pa.int64(), pa.list_(pa.int8()), pa.struct([("a", pa.int8())]), pa.map_(pa.string(), pa.int8()), pa.binary(3)],
    }


def polars():
    import polars as pl

    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, None], "d": [[1], [2]], "e": [{"u": 1}, {"u": 2}]})
    return {"frame": frame, "series": frame["b"], "none": pl.DataFrame(), "schema": frame.schema, "categories": pl.Series(["a", "b"], dtype=pl.Categorical)}


def statistics():
    """Results of statsmodels, but for those with a formula or a compiled filter in them."""
    import statsmodels.api as sm
    import statsmodels.tsa.api as tsa

    random = np.random.default_rng(SEED)
    rows = np.abs(random.normal(size=(80, 3))) + 0.1
    target, counts, coin = rows.sum(axis=1) + random.normal(size=80) / 9, random.poisson(3, 80), random.integers(0, 2, 80)
    months = pd.Series(random.normal(size=120).cumsum() + 50, index=pd.date_range("2020-01-31", periods=120, freq="ME"))
    named = pd.DataFrame(rows, columns=list("abc"))
    return {
        "least": sm.OLS(target, sm.add_constant(named)).fit(), "weighted": sm.WLS(target, rows, weights=rows[:, 0]).fit(), "robust": sm.RLM(target, rows).fit(),
        "quantiles": sm.QuantReg(target, rows).fit(), "counts": sm.GLM(counts, rows, family=sm.families.Poisson()).fit(), "logit": sm.Logit(coin, rows).fit(disp=0),
        "poisson": sm.Poisson(counts, rows).fit(disp=0), "negative": sm.NegativeBinomial(counts, rows).fit(disp=0), "many": sm.MNLogit(random.integers(0, 3, 80), rows).fit(disp=0),
        "winters": tsa.ExponentialSmoothing(months, trend="add", seasonal="add", seasonal_periods=12).fit(), "autoregression": tsa.AutoReg(months, 2).fit(),
        "vectors": tsa.VAR(named.set_axis(pd.date_range("2026-01-01", periods=80))).fit(2), "seasons": tsa.seasonal_decompose(months),
    }


def values():
    """Other values of NumPy's and Python's own."""
    import array
    import ipaddress
    import math
    import operator
    import random

    from sklearn.preprocessing import FunctionTransformer

    return {
        "numpy": [np.ma.masked, np.ma.masked_array([1, 2], [1, 0]), np.char.array(["a"]), np.rec.fromarrays([[1], [2]], names="a,b"), np.asmatrix([[1]])],
        "letters": [np.array(["abc", "d"]), np.str_("a"), np.array(["a", None], dtype=object)], "norm": FunctionTransformer(np.linalg.norm),
        "python": [array.array("d", [1, 2]), random.Random(1), ipaddress.ip_network("10.0.0.0/8"), operator.itemgetter("a", "b"), operator.add, math.log, len, max],
        "taken": FunctionTransformer(operator.itemgetter("a")),
    }


def write_all(folder, write):
    count = 0
    for part in (frames, arrow, polars, statistics, values):
        try:
            made = part()
        except ImportError as error:
            print(error, file=sys.stderr)
            continue
        for name, value in made.items():
            write(folder, f"{part.__name__}-{name}", value)
        count += len(made)
    return count
