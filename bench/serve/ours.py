"""Registers the ONNX models of `models.py` with a real client: `ours.py FOLDER`, the server in the environment.

Their runs read the training data from the server, so that the guard has something to compare queries with.
"""

from __future__ import annotations

import os
import pathlib
import sys

import mlflow
import onnx
import requests

folder = pathlib.Path(sys.argv[1])
mlflow.set_experiment("bench-serve")
for name in ("lr", "forest"):
    model = onnx.load(folder / name / "onnx" / "model.onnx")
    with mlflow.start_run() as run:
        url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/strongroom/v1/datasets/bench/versions/1/files/training.csv"
        headers = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}", "X-Strongroom-Run": run.info.run_id}
        requests.get(url, headers=headers, verify=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"], timeout=60).raise_for_status()
        mlflow.onnx.log_model(model, name="model", registered_model_name=f"bench-{name}", save_as_external_data=False)
    mlflow.MlflowClient().set_registered_model_alias(f"bench-{name}", "champion", "1")
