"""Processor time of one prediction: ours, ONNX Runtime's and the library's own, on one thread, at 1 and 100 rows.

Prints one JSON object: {"rows": [{"work", "ours", "peer", "peer_name", "library"}]}, in µs.
"""

import json
import os
import pathlib
import sys
import tempfile
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import xgboost  # noqa: E402
from onnxmltools import convert_lightgbm, convert_xgboost  # noqa: E402
from onnxmltools.convert.common.data_types import FloatTensorType  # noqa: E402
from skl2onnx import to_onnx  # noqa: E402
from sklearn.datasets import make_classification  # noqa: E402
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "runtime"))
from evaluator import Evaluator, same_labels  # noqa: E402

FEATURES = 20
ROUNDS = 5


def best(act, seconds=0.05):
    """Processor time of one call in µs, the best of some rounds."""
    start = time.thread_time()
    act()
    once = max(time.thread_time() - start, 1e-6)
    repeat = max(1, min(2000, int(seconds / once)))
    results = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        for _ in range(repeat):
            act()
        results.append((time.thread_time() - start) / repeat)
    return min(results) * 1e6


def models(values, target):
    """(name, native file or None, ONNX, the library's own prediction)."""
    sample = values[:1]
    forest = RandomForestClassifier(100, max_depth=10, n_jobs=1, random_state=0).fit(values, target)
    boosting = GradientBoostingClassifier(n_estimators=50, max_depth=3, random_state=0).fit(values, target)
    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(values, target)
    perceptron = make_pipeline(StandardScaler(), MLPClassifier((128, 64), max_iter=15, random_state=0)).fit(values, target)
    for name, model in (("forest-100x10", forest), ("boosting-50x3", boosting), ("logistic", logistic), ("perceptron", perceptron)):
        final = model.steps[-1][1] if hasattr(model, "steps") else model
        yield name, None, to_onnx(model, sample, options={id(final): {"zipmap": False}}), model.predict_proba
    types = [("x", FloatTensorType([None, FEATURES]))]
    xgb = xgboost.XGBClassifier(n_estimators=100, max_depth=6, n_jobs=1).fit(values, target)
    yield "xgboost-300x6", lambda path: xgb.save_model(path / "model.ubj"), convert_xgboost(xgb, initial_types=types), xgb.predict_proba
    lgbm = lightgbm.LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1).fit(values, target)
    save = lambda path: lgbm.booster_.save_model(path / "model.lgb")  # noqa: E731
    yield "lightgbm-300", save, convert_lightgbm(lgbm, initial_types=types, zipmap=False), lgbm.predict_proba


def main():
    values, target = make_classification(2000, FEATURES, n_informative=12, n_classes=3, random_state=0)
    values = values.astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    evaluator, rows = Evaluator(), []
    for name, save, converted, library in models(values, target):
        with tempfile.TemporaryDirectory() as onnx_folder, tempfile.TemporaryDirectory() as native_folder:
            onnx_folder, native_folder = pathlib.Path(onnx_folder), pathlib.Path(native_folder)
            (onnx_folder / "model.onnx").write_bytes(converted.SerializeToString())
            session = onnxruntime.InferenceSession(str(onnx_folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
            given = session.get_inputs()[0].name
            works = [("", onnx_folder)]
            if save:
                save(native_folder)
                works.append((" native", native_folder))
            for count in (1, 100):
                batch = values[:count]
                peer = best(lambda: session.run(None, {given: batch}))
                own = best(lambda: library(batch))
                for suffix, folder in works:
                    answer = evaluator.ask(folder, batch, repeat=2000 if count == 1 else 50)
                    assert "error" not in answer, answer
                    same_labels(answer["outputs"][0]["values"], session.run(None, {given: batch})[0])
                    rows.append({"work": f"{name}{suffix} {count}", "ours": answer["cpu_us"], "peer": peer, "library": own})
    evaluator.close()
    print(json.dumps({"rows": rows}))


main()
