"""Fits models and writes them in every way that their users do: `benign.py FOLDER`.

Every estimator of scikit-learn that can be fitted with little, searches, pipelines, XGBoost, LightGBM, CatBoost, arrays, frames
and torch files. None of the files does anything but hold data, so a scanner that blocks one of them is wrong.
"""

import io
import json
import pathlib
import pickle
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import scipy.sparse
import scipy.special
import scipy.stats
import sklearn
from sklearn.base import clone
from sklearn.utils import all_estimators

import tables
import torch_files

warnings.simplefilter("ignore")
SEED = 7


def data():
    random = np.random.default_rng(SEED)
    rows = np.abs(random.normal(size=(60, 4))) + 0.1
    return rows, (rows[:, 0] > np.median(rows[:, 0])).astype(int), rows @ [1.0, 2.0, 3.0, 4.0]


def filled(name, kind):
    """An estimator with what it needs to be made, or None."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.svm import LinearSVC

    needs = {
        "ClassifierChain": lambda: kind(LogisticRegression()),
        "ColumnTransformer": lambda: kind([("scale", sklearn.preprocessing.StandardScaler(), [0, 1]), ("keep", "passthrough", [2])]),
        "FeatureUnion": lambda: kind([("a", sklearn.preprocessing.StandardScaler()), ("b", sklearn.decomposition.PCA(2))]),
        "FixedThresholdClassifier": lambda: kind(LogisticRegression()),
        "FrozenEstimator": lambda: kind(LogisticRegression().fit(*data()[:2])),
        "GridSearchCV": lambda: kind(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        "HalvingGridSearchCV": lambda: kind(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        "HalvingRandomSearchCV": lambda: kind(LogisticRegression(), {"C": scipy.stats.uniform(0.1, 2)}, cv=2),
        "MultiOutputClassifier": lambda: kind(LogisticRegression()),
        "MultiOutputRegressor": lambda: kind(Ridge()),
        "OneVsOneClassifier": lambda: kind(LinearSVC()),
        "OneVsRestClassifier": lambda: kind(LinearSVC()),
        "OutputCodeClassifier": lambda: kind(LinearSVC()),
        "Pipeline": lambda: kind([("scale", sklearn.preprocessing.StandardScaler()), ("model", LogisticRegression())]),
        "RFE": lambda: kind(LogisticRegression()),
        "RFECV": lambda: kind(LogisticRegression()),
        "RandomizedSearchCV": lambda: kind(LogisticRegression(), {"C": scipy.stats.loguniform(0.1, 2)}, n_iter=2, cv=2),
        "RegressorChain": lambda: kind(Ridge()),
        "SelectFromModel": lambda: kind(LogisticRegression()),
        "SelfTrainingClassifier": lambda: kind(LogisticRegression()),
        "SequentialFeatureSelector": lambda: kind(LogisticRegression()),
        "SparseCoder": lambda: kind(np.eye(4)),
        "StackingClassifier": lambda: kind([("a", LogisticRegression()), ("b", sklearn.tree.DecisionTreeClassifier())]),
        "StackingRegressor": lambda: kind([("a", Ridge())]),
        "TunedThresholdClassifierCV": lambda: kind(LogisticRegression()),
        "VotingClassifier": lambda: kind([("a", LogisticRegression())]),
        "VotingRegressor": lambda: kind([("a", Ridge())]),
    }
    try:
        return needs[name]() if name in needs else kind()
    except TypeError:
        return None


def fitted(name, kind):
    rows, labels, targets = data()
    model = filled(name, kind)
    if model is None:
        return None
    texts = ["a red fox", "a blue sea", "red sea"] * 20
    attempts = [
        (rows, labels), (rows, targets), (rows, np.column_stack([labels, 1 - labels])), (rows, np.column_stack([targets, targets])),
        (rows,), (labels,), (texts,), ([{"a": 1, "b": 2}] * 5,), (rows[:, 0], targets), (np.outer(labels, labels).astype(float), labels),
    ]
    for attempt in attempts:
        try:
            return clone(model).fit(*attempt)
        except Exception:
            continue
    return model


def write(folder, name, model):
    """One object as pickles of all protocols and as joblib's files."""
    for protocol in range(6):
        try:
            (folder / f"{name}.p{protocol}.pkl").write_bytes(pickle.dumps(model, protocol=protocol))
        except Exception as error:
            print(f"{name} protocol {protocol}: {type(error).__name__}", file=sys.stderr)
    try:
        joblib.dump(model, folder / f"{name}.joblib")
        joblib.dump(model, folder / f"{name}.z.joblib", compress=3)
    except Exception as error:
        print(f"{name} joblib: {type(error).__name__}", file=sys.stderr)


def estimators(folder):
    import sklearn.experimental.enable_halving_search_cv
    import sklearn.experimental.enable_iterative_imputer

    count = 0
    for name, kind in all_estimators():
        model = fitted(name, kind)
        if model is not None:
            write(folder, f"sklearn-{name}", model)
            count += 1
    return count


def compositions(folder):
    """What the introspection of single estimators does not show."""
    from sklearn.compose import ColumnTransformer, make_column_selector, TransformedTargetRegressor
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
    from sklearn.gaussian_process import GaussianProcessRegressor, kernels
    from sklearn.metrics import make_scorer, mean_squared_error
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier, KernelDensity, NearestNeighbors
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

    rows, labels, targets = data()
    frame = pd.DataFrame(rows, columns=list("abcd")).assign(word=["x", "y", "z"] * 20)
    frame["kind"] = frame["word"].astype("category")
    columns = ColumnTransformer([
        ("numbers", StandardScaler(), make_column_selector(dtype_include=np.number)),
        ("words", OneHotEncoder(handle_unknown="ignore"), ["word"]), ("kinds", OrdinalEncoder(), ["kind"]),
    ])
    made = {
        "columns": Pipeline([("columns", columns), ("model", GradientBoostingClassifier(n_estimators=5))]).fit(frame, labels),
        "logs": Pipeline([("log", FunctionTransformer(np.log1p, inverse_func=np.expm1)), ("model", RandomForestRegressor(5))]).fit(rows, targets),
        "target": TransformedTargetRegressor(RandomForestRegressor(3), func=np.log1p, inverse_func=np.expm1).fit(rows, targets),
        "search": GridSearchCV(RandomForestRegressor(3), {"max_depth": [2, 3]}, cv=2,
                               scoring=make_scorer(mean_squared_error, greater_is_better=False)).fit(rows, targets),
        "folds": GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [2, 3]}, cv=StratifiedKFold(2, shuffle=True, random_state=1)).fit(rows, labels),
        "best": SelectKBest(f_classif, k=2).fit(rows, labels),
        "mutual": SelectKBest(mutual_info_classif, k=2).fit(rows, labels),
        "process": GaussianProcessRegressor(kernels.RBF() * kernels.ConstantKernel() + kernels.WhiteKernel() + kernels.Matern()).fit(rows, targets),
        "histogram": HistGradientBoostingRegressor(max_iter=5, loss="poisson", random_state=np.random.RandomState(3)).fit(rows, targets),
        "ball": NearestNeighbors(algorithm="ball_tree", metric="haversine").fit(rows[:, :2]),
        "kd": KernelDensity(algorithm="kd_tree").fit(rows),
        "frame": frame, "series": frame["a"], "times": pd.DataFrame({"t": pd.date_range("2026-01-01", periods=5, tz="UTC")}),
        "periods": pd.Series(pd.period_range("2026-01", periods=4, freq="M")), "nullable": pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}),
        "array": rows, "fortran": np.asfortranarray(rows), "objects": np.array(["a", 1, None, [2]], dtype=object),
        "structured": np.array([(1, 2.0, "x")], dtype=[("a", "i4"), ("b", "f8"), ("c", "U3")]), "masked": np.ma.masked_array([1, 2], [True, False]),
        "times64": np.array(["2026-01-01"], dtype="M8[D]"), "texts": np.array(["abc", "d"]), "scalar": np.float32(1), "generator": np.random.default_rng(1),
        "old_generator": np.random.RandomState(1), "sparse": scipy.sparse.csr_matrix(rows), "coo": scipy.sparse.coo_array(rows),
        "spline": scipy.interpolate.CubicSpline(range(5), range(5)), "frozen": scipy.stats.norm(1, 2), "poisson": scipy.stats.poisson(3),
        "python": {"a": [1, 2.5, None, True, b"x", {1, 2}, frozenset([3]), 1 + 2j, 10**30, slice(1, 2), range(3)], "b": bytearray(b"z")},
        "large": {"a": np.zeros(200_000), "b": "x" * 100_000, "c": [np.arange(9)] * 3},
    }
    for name, model in made.items():
        write(folder, f"made-{name}", model)
    for method in ("zlib", "gzip", "bz2", "lzma", "xz", "lz4"):
        try:
            joblib.dump(made["columns"], folder / f"made-columns.{method}.joblib", compress=(method, 3))
        except Exception as error:
            print(f"joblib {method}: {error}", file=sys.stderr)
    joblib.dump(made["objects"], folder / "made-objects-only.joblib")
    np.save(folder / "array.npy", rows)
    np.save(folder / "objects.npy", made["objects"], allow_pickle=True)
    np.savez(folder / "arrays.npz", a=rows, b=labels)
    np.savez_compressed(folder / "packed.npz", a=rows, o=made["objects"])
    return len(made)


def wider(folder):
    """What programs around scikit-learn write, from the libraries that are installed; other values of pandas' and Python's own."""
    import datetime
    import pathlib
    import uuid
    import zoneinfo

    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import FunctionTransformer

    rows, labels, targets = data()
    frame = pd.DataFrame(rows, columns=list("abcd"))
    made = {
        "categories": HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]).fit(np.column_stack([labels, rows]), labels),
        "functions": [FunctionTransformer(one) for one in (np.reshape, np.column_stack, scipy.special.logit, pd.to_numeric, pd.get_dummies)],
        "words": TfidfVectorizer(tokenizer=str.split, token_pattern=None).fit(["a b", "b c"]),
        "gaps": pd.DataFrame({"x": pd.array([1, None], dtype="Int64"), "y": pd.array(["u", None], dtype="string")}),
        "intervals": [pd.cut(frame["a"], 3), pd.Interval(0, 1), pd.Period("2026-01", "M"), pd.NA],
        "zones": frame.assign(t=pd.date_range("2026-01-01", periods=60, tz="Europe/Berlin")),
        "few": pd.DataFrame.sparse.from_spmatrix(scipy.sparse.eye(3).tocsr()), "polynomial": np.polynomial.Polynomial([1, 2]),
        "python-more": [..., type(None), uuid.UUID(int=7), pathlib.PurePosixPath("a/b"), datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))],
        "values": scipy.stats.rv_discrete(values=([1, 2], [0.5, 0.5])), "normal": scipy.stats.multivariate_normal(np.zeros(2), np.eye(2)),
        "wide": pd.DataFrame(np.zeros((2, 300)), columns=[f"c{one}" for one in range(300)]).to_records(),
        "pointers": np.zeros(2, dtype=[("a", [("b", "O"), ("c", "f4", (2, 2))]), ("d", "O", (2,)), ("e", "M8[ns]")]),
    }
    try:
        from imblearn.ensemble import BalancedRandomForestClassifier
        from imblearn.over_sampling import SMOTE
        from imblearn.pipeline import Pipeline

        made["balanced"] = Pipeline([("more", SMOTE()), ("model", BalancedRandomForestClassifier(3))]).fit(rows, labels)
    except ImportError:
        print("imbalanced-learn is not installed", file=sys.stderr)
    try:
        import statsmodels.api

        made["squares"] = statsmodels.api.OLS(targets, rows).fit()
        made["general"] = statsmodels.api.GLM(labels, rows, family=statsmodels.api.families.Binomial()).fit()
    except ImportError:
        print("statsmodels is not installed", file=sys.stderr)
    for name, model in made.items():
        write(folder, f"wider-{name}", model)
    return len(made)


def boosters(folder):
    rows, labels, targets = data()
    count = 0
    try:
        import xgboost

        for name in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier"):
            model = getattr(xgboost, name)(n_estimators=5).fit(rows, labels)
            write(folder, f"xgboost-{name}", model)
            count += 1
        write(folder, "xgboost-Booster", model.get_booster())
        model.save_model(folder / "xgboost.json")
        model.save_model(folder / "xgboost.ubj")
        (folder / "xgboost-raw.ubj").write_bytes(model.get_booster().save_raw("ubj"))
    except ImportError:
        print("xgboost is not installed", file=sys.stderr)
    try:
        import lightgbm

        for name, wanted in (("LGBMClassifier", labels), ("LGBMRegressor", targets)):
            model = getattr(lightgbm, name)(n_estimators=5, verbose=-1, min_child_samples=2).fit(rows, wanted)
            write(folder, f"lightgbm-{name}", model)
            count += 1
        write(folder, "lightgbm-Booster", model.booster_)
        model.booster_.save_model(folder / "lightgbm.txt")
        (folder / "lightgbm.json").write_text(json.dumps(model.booster_.dump_model()))
    except ImportError:
        print("lightgbm is not installed", file=sys.stderr)
    try:
        import catboost

        for name, wanted in (("CatBoostClassifier", labels), ("CatBoostRegressor", targets)):
            model = getattr(catboost, name)(iterations=5, verbose=False, allow_writing_files=False).fit(rows, wanted)
            write(folder, f"catboost-{name}", model)
            count += 1
        model.save_model(str(folder / "catboost.cbm"))
        model.save_model(str(folder / "catboost.json"), format="json")
    except ImportError:
        print("catboost is not installed", file=sys.stderr)
    return count


def other_formats(folder):
    """Formats that are no pickles, from the libraries that are installed."""
    rows, labels, _ = data()
    try:
        import safetensors.numpy

        safetensors.numpy.save_file({"a": rows, "b": labels}, folder / "model.safetensors", metadata={"format": "np"})
    except ImportError:
        pass
    try:
        import skops.io

        skops.io.dump(sklearn.linear_model.LogisticRegression().fit(rows, labels), folder / "model.skops")
        skops.io.dump(sklearn.ensemble.RandomForestClassifier(3).fit(rows, labels), folder / "forest.skops")
    except ImportError:
        pass
    try:
        import onnx
        from onnx import TensorProto, helper

        weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value("x")], [value("y")], [weight])
        onnx.save(helper.make_model(graph), folder / "model.onnx")
    except ImportError:
        pass
    try:
        import gguf

        writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
        writer.add_block_count(1)
        writer.add_tensor("token_embd.weight", rows.astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    except ImportError:
        pass
    try:
        import h5py

        config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [
            {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 3}, "registered_name": None}]}}
        with h5py.File(folder / "model.h5", "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = "3.12.0"
            file.create_group("model_weights/d").create_dataset("kernel", data=rows)
        torch_files.keras(folder / "model.keras", config)
    except ImportError:
        pass


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"estimators": estimators(folder), "compositions": compositions(folder), "boosters": boosters(folder), "wider": wider(folder)}
    counts["tables"] = tables.write_all(folder, write)
    counts["torch"] = torch_files.benign(folder)
    other_formats(folder)
    counts["files"] = sum(1 for _ in folder.iterdir())
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
