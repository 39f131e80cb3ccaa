"""Two models that must not come into use: one whose file would run a command, one that was trained on refused data.

Where the server is, and who asks, stands in the environment, as MLflow's client reads it. The names of the registered models are
`cells-pickled` and `cells-mistrained`.
"""

import io
import logging
import os
import pickle
import sys
import warnings

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
warnings.filterwarnings("ignore")

import mlflow  # noqa: E402
import pandas  # noqa: E402
import requests  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

logging.getLogger("mlflow").setLevel(logging.ERROR)


class Surprise:
    """What somebody could hide in a model: whoever unpickles it runs this. It only asks who one is."""

    def __reduce__(self):
        return os.system, ("id",)


def pickled():
    """A model with a pickle in it that no model needs."""
    with mlflow.start_run(run_name="from the internet") as run:
        mlflow.log_text("flavors: {}\n", "model/MLmodel")
        path = "model.pkl"
        with open(path, "wb") as file:
            file.write(pickle.dumps(Surprise()))
        mlflow.log_artifact(path, "model")
    mlflow.MlflowClient().create_registered_model("cells-pickled")
    mlflow.MlflowClient().create_model_version("cells-pickled", f"runs:/{run.info.run_id}/model", run.info.run_id)


def mistrained(dataset):
    """An honest model, trained on data that its inspection refused."""
    url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/strongroom/v1/datasets/{dataset}/versions/1/files/poisoned.csv"
    with mlflow.start_run(run_name="did not look") as run:
        headers = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}", "X-Strongroom-Run": run.info.run_id}
        answer = requests.get(url, headers=headers, verify=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"], timeout=60)
        answer.raise_for_status()
        frame = pandas.read_csv(io.BytesIO(answer.content))
        labels = frame.pop("diagnosed")
        model = LogisticRegression(max_iter=200).fit(frame.select_dtypes("number").fillna(0), labels)
        mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn", "skops"])
    mlflow.register_model(f"runs:/{run.info.run_id}/model", "cells-mistrained")


if __name__ == "__main__":
    mlflow.set_experiment("what should not pass")
    pickled()
    mistrained(sys.argv[1])
