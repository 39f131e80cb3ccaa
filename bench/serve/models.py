"""Makes two models and the requests about them: `models.py FOLDER`.

FOLDER/{lr,forest}/ holds model.onnx and model.joblib, FOLDER/mlflow-{lr,forest} an MLflow model,
FOLDER/{oip,mlflow}-{1,100}.json requests of 1 and 100 rows.
"""

from __future__ import annotations

import json
import pathlib
import sys

import joblib
import mlflow.sklearn
import numpy as np
import skl2onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression


def main(folder: pathlib.Path) -> None:
    rows, labels = make_classification(4_000, 20, n_informative=10, n_classes=3, random_state=7)
    fitted = {
        "lr": LogisticRegression(max_iter=1_000).fit(rows, labels),
        "forest": RandomForestClassifier(100, max_depth=10, random_state=7, n_jobs=1).fit(rows, labels),
    }
    for name, model in fitted.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        joblib.dump(model, folder / name / "model.joblib")
        settings = {"name": name, "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "model.joblib", "version": "1"}}
        (folder / name / "model-settings.json").write_text(json.dumps(settings))
        exported = skl2onnx.to_onnx(model, rows[:1].astype(np.float32), options={"zipmap": False}, target_opset={"": 18, "ai.onnx.ml": 3})
        (folder / name / "onnx").mkdir(exist_ok=True)
        (folder / name / "onnx" / "model.onnx").write_bytes(exported.SerializeToString())
        mlflow.sklearn.save_model(model, str(folder / f"mlflow-{name}"), serialization_format="pickle")
    header = ",".join([*(f"x{place}" for place in range(20)), "label"])
    table = np.column_stack([rows.round(6), labels])
    np.savetxt(folder / "training.csv", table, fmt=["%.6f"] * 20 + ["%d"], delimiter=",", header=header, comments="")
    for count in (1, 100):
        asked = rows[:count].round(6)
        tensor = {"name": "X", "shape": list(asked.shape), "datatype": "FP64", "data": asked.reshape(-1).tolist()}
        (folder / f"oip-{count}.json").write_text(json.dumps({"inputs": [tensor]}))
        (folder / f"mlflow-{count}.json").write_text(json.dumps({"inputs": asked.tolist()}))


main(pathlib.Path(sys.argv[1]))
