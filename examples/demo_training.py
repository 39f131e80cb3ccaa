"""A training like many: several kinds of model and a parameter sweep on a public data set, followed with MLflow.

There is nothing of Strongroom in here. Where the server is, and who asks, stands in the environment:
MLFLOW_TRACKING_URI, MLFLOW_TRACKING_TOKEN and MLFLOW_TRACKING_SERVER_CERT_PATH.
"""

import logging
import os
import pathlib
import time
import warnings

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
warnings.filterwarnings("ignore")

import mlflow  # noqa: E402
import sklearn.datasets  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from sklearn.datasets import load_breast_cancer  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, f1_score, roc_auc_score  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)
NAME = "breast-cancer"
# Models are saved in the skops format, which loads only types that are named: no pickle anywhere.
TRUSTED_TYPES = [
    "_loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.tree._tree.Tree",
]
START = time.monotonic()


def say(text):
    print(f"      [{time.monotonic() - START:5.1f} s] {text}", flush=True)


def sweep():
    """Every model of the sweep: a family, its parameters and how to make it."""
    for strength in (0.01, 0.1, 1.0, 10.0):
        yield "logistic", {"C": strength}, make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
    for depth in (2, 4, 8):
        for trees in (20, 60):
            parameters = {"max_depth": depth, "n_estimators": trees}
            yield "forest", parameters, RandomForestClassifier(random_state=7, **parameters)
    for rate in (0.05, 0.2):
        parameters = {"learning_rate": rate, "n_estimators": 40}
        yield "boosting", parameters, GradientBoostingClassifier(random_state=7, **parameters)


def scores(model, features, labels):
    chances = model.predict_proba(features)[:, 1]
    guesses = model.predict(features)
    return {
        "accuracy": accuracy_score(labels, guesses),
        "f1": f1_score(labels, guesses),
        "auc": roc_auc_score(labels, chances),
    }


def log_learning_curve(model, features, labels):
    """One metric with a history: the score after each step of boosting."""
    for step, chances in enumerate(model.staged_predict_proba(features)):
        mlflow.log_metric("auc_by_step", roc_auc_score(labels, chances[:, 1]), step=step)


def log_confusion(model, features, labels):
    display = ConfusionMatrixDisplay.from_estimator(model, features, labels)
    mlflow.log_figure(display.figure_, "plots/confusion.png")


def main():
    say(f"the server is {os.environ['MLFLOW_TRACKING_URI']}")
    mlflow.set_experiment("breast cancer screening")
    data = load_breast_cancer(as_frame=True)
    train, test = train_test_split(data.frame, random_state=7, stratify=data.frame["target"])
    train_x, train_y = train.drop(columns="target"), train["target"]
    test_x, test_y = test.drop(columns="target"), test["target"]
    # The file that scikit-learn ships is the source, so that the record leads back to it.
    source = str(pathlib.Path(sklearn.datasets.__file__).parent / "data" / "breast_cancer.csv")
    train_set = mlflow.data.from_pandas(train, source=source, name="breast-cancer", targets="target")
    test_set = mlflow.data.from_pandas(test, source=source, name="breast-cancer-held-out", targets="target")

    with mlflow.start_run(run_name="sweep", description="three families of models, twelve settings"):
        for number, (family, parameters, model) in enumerate(sweep(), 1):
            with mlflow.start_run(run_name=f"{family}-{number}", nested=True, tags={"family": family}):
                mlflow.log_params({"family": family, **parameters})
                mlflow.log_input(train_set, context="training")
                mlflow.log_input(test_set, context="testing")
                model.fit(train_x, train_y)
                measured = scores(model, test_x, test_y)
                mlflow.log_metrics(measured)
                if family == "boosting":
                    log_learning_curve(model, test_x, test_y)
                log_confusion(model, test_x, test_y)
                mlflow.log_dict({"columns": list(train_x.columns)}, "columns.json")
                signature = infer_signature(train_x, model.predict(train_x))
                mlflow.sklearn.log_model(
                    model,
                    name="model",
                    signature=signature,
                    pip_requirements=["scikit-learn", "skops"],
                    skops_trusted_types=TRUSTED_TYPES,
                )
            say(f"run {number:2}: {family:9} {str(parameters):45} auc {measured['auc']:.4f}")

    say("once more with autolog, which writes down what the code does not")
    mlflow.sklearn.autolog(log_models=False, silent=True)
    with mlflow.start_run(run_name="autologged", tags={"family": "logistic"}):
        LogisticRegression(max_iter=2_000).fit(train_x / train_x.max(), train_y)
    mlflow.sklearn.autolog(disable=True)

    best = mlflow.search_runs(
        filter_string="metrics.auc > 0.9 and tags.family != 'none'", order_by=["metrics.auc DESC"], max_results=3
    )
    for _, row in best.iterrows():
        say(f"among the best: {row['tags.mlflow.runName']:14} auc {row['metrics.auc']:.4f}")

    version = mlflow.register_model(f"runs:/{best.iloc[0]['run_id']}/model", NAME)
    client = mlflow.MlflowClient()
    client.update_model_version(NAME, version.version, description="the best of the sweep")
    client.set_model_version_tag(NAME, version.version, "validated", "held-out")
    client.set_registered_model_alias(NAME, "champion", version.version)
    say(f"registered {NAME} version {version.version} as @champion")

    champion = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    guesses = champion.predict(test_x)
    say(f"loaded @champion back: {accuracy_score(test_y, guesses):.4f} accurate on {len(test_y)} held-out cases")
    runs = mlflow.search_runs(search_all_experiments=True)
    say(f"{len(runs)} runs, {len(client.search_model_versions())} model version are on the server")


if __name__ == "__main__":
    main()
