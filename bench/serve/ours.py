"""Registers the ONNX models of `models.py` with a real client: `ours.py FOLDER`, the server in the environment."""

from __future__ import annotations

import pathlib
import sys

import mlflow
import onnx

folder = pathlib.Path(sys.argv[1])
mlflow.set_experiment("bench-serve")
for name in ("lr", "forest"):
    model = onnx.load(folder / name / "onnx" / "model.onnx")
    with mlflow.start_run():
        mlflow.onnx.log_model(model, name="model", registered_model_name=f"bench-{name}", save_as_external_data=False)
    mlflow.MlflowClient().set_registered_model_alias(f"bench-{name}", "champion", "1")
