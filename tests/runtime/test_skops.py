"""scikit-learn's models as skops writes them, against scikit-learn."""

import numpy as np
import pytest
import skops.io
from evaluator import same_labels, same_numbers
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

COLUMNS = 6
WITH_MISSING = {
    "tree": lambda: DecisionTreeClassifier(max_depth=6),
    "forest": lambda: RandomForestClassifier(15, max_depth=7, n_jobs=1),
    "extra trees": lambda: ExtraTreesClassifier(15, max_depth=7, n_jobs=1),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=15),
    "imputed logistic": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "imputed boosting": lambda: make_pipeline(SimpleImputer(strategy="median"), GradientBoostingClassifier(n_estimators=12)),
}
COMPLETE = {
    "logistic": lambda: LogisticRegression(max_iter=50),
    "ranges": lambda: make_pipeline(MinMaxScaler(clip=True), LogisticRegression()),
    "robust": lambda: make_pipeline(RobustScaler(), LogisticRegression()),
    "greatest": lambda: make_pipeline(MaxAbsScaler(), LogisticRegression()),
    "normalised": lambda: make_pipeline(StandardScaler(with_mean=False), Normalizer(), LogisticRegression()),
    "components": lambda: make_pipeline("passthrough", StandardScaler(), PCA(3), LogisticRegression()),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=15),
    "boosting from zero": lambda: GradientBoostingClassifier(n_estimators=15, init="zero"),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", [*WITH_MISSING, *COMPLETE])
def test_classifiers(name, classes, evaluator, rows, tmp_path):
    values, target = rows(400, COLUMNS, classes, missing=0.15 if name in WITH_MISSING else 0)
    make = WITH_MISSING.get(name) or COMPLETE[name]
    model = make().fit(values, np.array(["ant", "bee", "käfer"])[target] if classes == 3 else target)
    skops.io.dump(model, tmp_path / "model.skops")
    ours = evaluator.outputs(tmp_path, values)
    same_numbers(ours["probabilities"], model.predict_proba(values), 1e-6)
    same_labels(ours["label"], model.predict(values))


def test_exponential_loss(evaluator, rows, tmp_path):
    values, target = rows(300, COLUMNS, 2, missing=0)
    model = GradientBoostingClassifier(n_estimators=10, loss="exponential").fit(values, target)
    skops.io.dump(model, tmp_path / "model.skops")
    same_numbers(evaluator.outputs(tmp_path, values)["probabilities"], model.predict_proba(values), 1e-6)


def test_one_against_rest(evaluator, rows, tmp_path):
    values, target = rows(300, COLUMNS, 2, missing=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="liblinear")).fit(values, target)
    skops.io.dump(model, tmp_path / "model.skops")
    same_numbers(evaluator.outputs(tmp_path, values)["probabilities"], model.predict_proba(values), 1e-6)


REGRESSORS = {
    "linear": (lambda: LinearRegression(), 0),
    "no intercept": (lambda: LinearRegression(fit_intercept=False), 0),
    "ridge": (lambda: make_pipeline(StandardScaler(), Ridge()), 0),
    "lasso": (lambda: Lasso(alpha=0.1), 0),
    "elastic net": (lambda: ElasticNet(alpha=0.1), 0),
    "tree": (lambda: DecisionTreeRegressor(max_depth=6), 0.15),
    "forest": (lambda: RandomForestRegressor(15, max_depth=7, n_jobs=1), 0.15),
    "extra trees": (lambda: ExtraTreesRegressor(15, max_depth=7, n_jobs=1), 0.15),
    "boosting": (lambda: GradientBoostingRegressor(n_estimators=20), 0),
    "boosting, huber": (lambda: GradientBoostingRegressor(n_estimators=20, loss="huber"), 0),
    "histograms": (lambda: HistGradientBoostingRegressor(max_iter=15), 0.15),
    "histograms, poisson": (lambda: HistGradientBoostingRegressor(max_iter=15, loss="poisson"), 0.15),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, evaluator, rows, tmp_path):
    make, missing = REGRESSORS[name]
    values, target = rows(400, COLUMNS, 0, missing=missing)
    if "poisson" in name:
        target = np.exp(target / 3)
    model = make().fit(values, target)
    skops.io.dump(model, tmp_path / "model.skops")
    same_numbers(evaluator.outputs(tmp_path, values)["predictions"], model.predict(values), 1e-6)


def test_names_of_features(evaluator, rows, tmp_path):
    import pandas

    values, target = rows(300, 3, 2, missing=0)
    frame = pandas.DataFrame(values, columns=["age", "height", "weight"])
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)
    skops.io.dump(model, tmp_path / "model.skops")
    shuffled = {name: frame[[name]].to_numpy() for name in ["weight", "age", "height"]}
    same_numbers(evaluator.outputs(tmp_path, shuffled)["probabilities"], model.predict_proba(frame), 1e-6)
    del shuffled["age"]
    assert "`age` is missing" in evaluator.ask(tmp_path, shuffled)["error"]
