"""XGBoost's and LightGBM's own files against the libraries."""

import lightgbm
import numpy as np
import pytest
import xgboost
from evaluator import same_labels, same_numbers

XGBOOST = {
    "squared error": ("reg:squarederror", 0, {}),
    "absolute error": ("reg:absoluteerror", 0, {}),
    "pseudo huber": ("reg:pseudohubererror", 0, {}),
    "poisson": ("count:poisson", 0, {}),
    "gamma": ("reg:gamma", 0, {}),
    "tweedie": ("reg:tweedie", 0, {}),
    "logistic regression": ("reg:logistic", 2, {}),
    "binary": ("binary:logistic", 2, {}),
    "binary with base score": ("binary:logistic", 2, {"base_score": 0.2}),
    "hinge": ("binary:hinge", 2, {}),
    "margins": ("binary:logitraw", 2, {}),
    "three classes": ("multi:softprob", 3, {"num_class": 3}),
    "forest": ("multi:softprob", 3, {"num_class": 3, "num_parallel_tree": 3, "subsample": 0.7}),
    "dart": ("binary:logistic", 2, {"booster": "dart", "rate_drop": 0.3}),
    "linear": ("reg:squarederror", 0, {"booster": "gblinear"}),
    "linear classes": ("multi:softprob", 3, {"booster": "gblinear", "num_class": 3}),
}


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("name", XGBOOST)
def test_xgboost(name, suffix, evaluator, rows, tmp_path):
    objective, classes, settings = XGBOOST[name]
    values, target = rows(500, 6, classes)
    if objective in ("count:poisson", "reg:gamma", "reg:tweedie"):
        target = np.exp(target / 2)
    matrix = xgboost.DMatrix(values.astype(np.float32), label=target)
    booster = xgboost.train({"objective": objective, "max_depth": 4, "nthread": 1, **settings}, matrix, 12)
    booster.save_model(tmp_path / f"model.{suffix}")
    theirs = booster.predict(matrix)
    if name == "linear classes":
        # The library's own answer takes one class's base score for all: nothing to agree with.
        assert "not supported" in evaluator.ask(tmp_path, values)["error"]
        return
    ours = evaluator.outputs(tmp_path, values.astype(np.float32))
    if "probabilities" not in ours:
        same_numbers(ours["predictions"], theirs, 1e-5)
    elif theirs.ndim == 1:
        same_numbers(ours["probabilities"][:, 1], theirs, 1e-5)
        same_labels(ours["label"], (theirs > 0.5).astype(int))
    else:
        same_numbers(ours["probabilities"], theirs, 1e-5)
        same_labels(ours["label"], theirs.argmax(axis=1))


def test_xgboost_wrapper_stops_early(evaluator, rows, tmp_path):
    values, target = rows(400, 5, 3)
    model = xgboost.XGBClassifier(n_estimators=60, max_depth=4, learning_rate=0.6, early_stopping_rounds=3, n_jobs=1)
    model.fit(values[:250], target[:250], eval_set=[(values[250:], target[250:])], verbose=False)
    assert model.best_iteration < 50
    model.save_model(tmp_path / "model.ubj")
    ours = evaluator.outputs(tmp_path, values)
    same_numbers(ours["probabilities"], model.predict_proba(values), 1e-5)
    same_labels(ours["label"], model.predict(values))


def test_xgboost_categories(evaluator, rows, tmp_path):
    values, target = rows(600, 4, 2)
    random = np.random.default_rng(3)
    values[:, 1] = random.integers(0, 40, size=len(values))
    values[random.random(len(values)) < 0.1, 1] = np.nan
    target = (np.nan_to_num(values[:, 1]).astype(int) * 7 % 5 > 2).astype(int)
    matrix = xgboost.DMatrix(values, label=target, feature_types=["q", "c", "q", "q"], enable_categorical=True)
    booster = xgboost.train({"objective": "binary:logistic", "max_cat_to_onehot": 3, "nthread": 1}, matrix, 10)
    booster.save_model(tmp_path / "model.json")
    values[:5, 1] = [39, 55, 1e7, 0, np.nan]
    matrix = xgboost.DMatrix(values, feature_types=["q", "c", "q", "q"], enable_categorical=True)
    same_numbers(evaluator.outputs(tmp_path, values)["probabilities"][:, 1], booster.predict(matrix), 1e-5)


LIGHTGBM = {
    "regression": ({"objective": "regression"}, 0),
    "regression of a root": ({"objective": "regression", "reg_sqrt": True}, 0),
    "quantile": ({"objective": "quantile", "alpha": 0.3}, 0),
    "poisson": ({"objective": "poisson"}, 0),
    "tweedie": ({"objective": "tweedie"}, 0),
    "binary": ({"objective": "binary"}, 2),
    "binary, steep": ({"objective": "binary", "sigmoid": 2.5}, 2),
    "binary, zero is missing": ({"objective": "binary", "zero_as_missing": True}, 2),
    "binary, nothing is missing": ({"objective": "binary", "use_missing": False}, 2),
    "cross entropy": ({"objective": "cross_entropy"}, 2),
    "cross entropy lambda": ({"objective": "cross_entropy_lambda"}, 2),
    "three classes": ({"objective": "multiclass", "num_class": 3}, 3),
    "one against all": ({"objective": "multiclassova", "num_class": 3}, 3),
    "forest": ({"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, 0),
    "forest of two classes": ({"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, 2),
    "dart": ({"objective": "binary", "boosting": "dart"}, 2),
}


@pytest.mark.parametrize("name", LIGHTGBM)
def test_lightgbm(name, evaluator, rows, tmp_path):
    settings, classes = LIGHTGBM[name]
    values, target = rows(600, 6, classes)
    random = np.random.default_rng(5)
    values[random.random(values.shape) < 0.1] = 0.0
    if settings["objective"] in ("poisson", "tweedie"):
        target = np.exp(target / 2)
    data = lightgbm.Dataset(values, label=target)
    booster = lightgbm.train({"verbosity": -1, "num_threads": 1, "num_leaves": 12, **settings}, data, 12)
    booster.save_model(tmp_path / "model.lgb")
    values[0, :] = 1e-36
    theirs = booster.predict(values)
    ours = evaluator.outputs(tmp_path, values)
    if "probabilities" not in ours:
        same_numbers(ours["predictions"], theirs, 1e-6)
    elif theirs.ndim == 1:
        same_numbers(ours["probabilities"][:, 1], theirs, 1e-6)
        same_labels(ours["label"], (theirs > 0.5).astype(int))
    else:
        same_numbers(ours["probabilities"], theirs, 1e-6)
        same_labels(ours["label"], theirs.argmax(axis=1))


def test_lightgbm_categories(evaluator, rows, tmp_path):
    values, target = rows(800, 4, 2)
    random = np.random.default_rng(3)
    values[:, 2] = random.integers(0, 60, size=len(values))
    target = (values[:, 2].astype(int) * 7 % 5 > 2).astype(int)
    values[random.random(len(values)) < 0.1, 2] = np.nan
    data = lightgbm.Dataset(values, label=target, categorical_feature=[2])
    booster = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_per_group": 5}, data, 10)
    booster.save_model(tmp_path / "model.txt")
    values[:6, 2] = [59, 70, 1e12, -1, -0.5, 3.7]
    same_numbers(evaluator.outputs(tmp_path, values)["probabilities"][:, 1], booster.predict(values), 1e-6)
