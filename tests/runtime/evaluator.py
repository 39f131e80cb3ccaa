"""The native runtime as a child process, and how its answers are compared."""

import json
import math
import os
import subprocess

import numpy as np

BINARY = os.environ["STRONGROOM_RUNTIME_PREDICT"]
TYPES = {"float32": "f32", "float64": "f64", "int64": "i64"}


class Evaluator:
    """One process for all cases: a line of JSON in, a line out."""

    def __init__(self):
        self.process = subprocess.Popen([BINARY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def ask(self, folder, inputs, repeat=0):
        """`inputs` is an array, or a dict of arrays by name."""
        if not isinstance(inputs, dict):
            inputs = {"": inputs}
        tensors = [tensor(name, array) for name, array in inputs.items()]
        self.process.stdin.write(json.dumps({"folder": str(folder), "inputs": tensors, "repeat": repeat}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def outputs(self, folder, inputs):
        answer = self.ask(folder, inputs)
        assert "error" not in answer, answer["error"]
        return {
            output["name"]: np.array([math.nan if value is None else value for value in output["values"]]).reshape(output["shape"])
            for output in answer["outputs"]
        }


def tensor(name, array):
    array = np.asarray(array)
    kind = TYPES.get(str(array.dtype), "text")
    flat = array.ravel().tolist()
    if kind in ("f32", "f64"):
        flat = [None if math.isnan(value) else value for value in flat]
    return {"name": name, "type": kind, "shape": list(array.shape), "values": flat}


def same_numbers(ours, theirs, tolerance):
    """Equal up to the tolerance, relative to the greatest magnitude where that is above 1."""
    theirs = np.asarray(theirs, dtype=np.float64)
    ours = np.asarray(ours, dtype=np.float64).reshape(theirs.shape)
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    scale = max(1.0, float(np.nanmax(np.abs(theirs), initial=0.0)))
    worst = float(np.nanmax(np.abs(ours - theirs), initial=0.0)) / scale
    assert worst <= tolerance, f"off by {worst}"


def same_labels(ours, theirs):
    assert [str(label) for label in np.ravel(ours)] == [str(label) for label in np.ravel(theirs)]
