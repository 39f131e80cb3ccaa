"""Answers for one model over one connection, which also brings the model's files.

It runs locked in: it reaches nothing but this connection, reads nothing but its interpreter and its libraries, and writes nothing that
stays. A frame is the length of a head (4 bytes), the length of a body (8 bytes, both little-endian), a head in JSON, a body.
"""

import json
import os
import shutil
import socket
import struct
import sys
import tempfile

import numpy as np

import strongroom_probe as probe

BODY_BYTES_MAX = 8 << 30
DTYPES = {"f32": np.dtype("<f4"), "f64": np.dtype("<f8"), "i64": np.dtype("<i8"), "bool": np.dtype("?")}
MLFLOW_TYPES = {
    "boolean": ("bool", np.bool_),
    "integer": ("i64", np.int32),
    "long": ("i64", np.int64),
    "float": ("f32", np.float32),
    "double": ("f64", np.float64),
    "string": ("text", object),
    "datetime": ("text", "datetime64[ns]"),
}


class Refused(Exception):
    """The request does not fit the model."""


def read_exactly(link, count):
    parts = bytearray()
    while len(parts) < count:
        piece = link.recv(min(count - len(parts), 1 << 20))
        if not piece:
            sys.exit(0)
        parts += piece
    return bytes(parts)


def receive(link):
    head_length, body_length = struct.unpack("<IQ", read_exactly(link, 12))
    if body_length > BODY_BYTES_MAX:
        sys.exit("a frame is too long")
    head = json.loads(read_exactly(link, head_length))
    return head, read_exactly(link, body_length)


def send(link, head, body=b""):
    head = json.dumps(head).encode()
    link.sendall(struct.pack("<IQ", len(head), len(body)) + head)
    link.sendall(body)


def unpack(head, body):
    """Lays the files where only memory holds them, where the machine has such a place."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="model-", dir=place)
    begin = 0
    for file in head["files"]:
        path = os.path.normpath(os.path.join(folder, file["path"]))
        if not path.startswith(folder + os.sep):
            sys.exit("a file lies outside of the model's folder")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(body[begin : begin + file["size"]])
        begin += file["size"]
    return folder


def tensors(head, body):
    """The inputs of a request: pairs of a name and an array."""
    begin, found = 0, []
    for one in head["inputs"]:
        count = int(np.prod(one["shape"], dtype=np.int64))
        if one["type"] == "text":
            texts = []
            for _ in range(count):
                (length,) = struct.unpack_from("<I", body, begin)
                begin += 4
                texts.append(body[begin : begin + length].decode())
                begin += length
            array = np.array(texts, dtype=object)
        else:
            dtype = DTYPES[one["type"]]
            array = np.frombuffer(body, dtype, count, begin)
            begin += count * dtype.itemsize
        found.append((one["name"], array.reshape(one["shape"])))
    return found


def packed(outputs):
    """The head and the body of an answer."""
    heads, body = [], bytearray()
    for name, role, array in outputs:
        array = np.asarray(array)
        if array.dtype.kind == "f":
            kind = "f32" if array.dtype.itemsize == 4 else "f64"
        elif array.dtype.kind in "iu":
            kind = "i64"
        elif array.dtype.kind == "b":
            kind = "bool"
        else:
            kind = "text"
        heads.append({"name": name, "role": role, "type": kind, "shape": list(array.shape)})
        if kind == "text":
            for value in array.reshape(-1):
                text = str(value).encode()
                body += struct.pack("<I", len(text)) + text
        else:
            body += np.ascontiguousarray(array, DTYPES[kind]).tobytes()
    return {"said": "outputs", "outputs": heads}, bytes(body)


def port(name, kind, shape, columns=(), role=None):
    return {"name": name, "type": kind, "shape": shape, "columns": list(columns), **({"role": role} if role else {})}


def mlmodel(folder):
    path = os.path.join(folder, "MLmodel")
    if not os.path.exists(path):
        return {}
    import yaml

    with open(path) as file:
        return yaml.safe_load(file) or {}


class Columns:
    """What a model takes, by the names and types that its `MLmodel` or the model itself gives."""

    def __init__(self, names, types, width):
        self.names, self.types, self.width = names, types, width

    @classmethod
    def of(cls, about, model=None):
        signature = (about.get("signature") or {}).get("inputs")
        columns = json.loads(signature) if signature else []
        if columns and all(column.get("type") in MLFLOW_TYPES and column.get("name") for column in columns):
            return cls([column["name"] for column in columns], [column["type"] for column in columns], len(columns))
        names = getattr(model, "feature_names_in_", None)
        if names is not None:
            return cls([str(name) for name in names], None, len(names))
        width = getattr(model, "n_features_in_", None)
        if width is None and len(columns) == 1 and columns[0].get("type") == "tensor":
            shape = columns[0]["tensor-spec"]["shape"]
            width = shape[1] if len(shape) == 2 and shape[1] > 0 else None
        return cls(None, None, width)

    def ports(self):
        if self.names and self.types and any(kind in ("string", "boolean", "datetime") for kind in self.types):
            return [port(name, MLFLOW_TYPES[kind][0], [None, 1]) for name, kind in zip(self.names, self.types)]
        return [port("input", "f64", [None, self.width], self.names or [])]

    def frame(self, found):
        """The request as the model takes it."""
        if not self.names:
            if len(found) == 1:
                array = found[0][1]
            else:
                array = np.column_stack([one.reshape(len(one), -1) for _, one in found])
            if self.width is not None and array.ndim == 2 and array.shape[1] != self.width:
                raise Refused(f"{self.width} columns are expected, there are {array.shape[1]}")
            return array
        import pandas as pd

        if len(found) == 1 and found[0][1].ndim == 2 and found[0][1].shape[1] == len(self.names) and found[0][0] not in self.names:
            frame = pd.DataFrame(found[0][1], columns=self.names)
        else:
            given = dict(found)
            missing = [name for name in self.names if name not in given]
            unknown = [name for name in given if name not in self.names]
            if missing:
                raise Refused(f"the column `{missing[0]}` is missing")
            if unknown:
                raise Refused(f"the model knows no column `{unknown[0]}`")
            frame = pd.DataFrame({name: given[name].reshape(-1) for name in self.names})
        for name, kind in zip(self.names, self.types or ()):
            wanted = MLFLOW_TYPES[kind][1]
            try:
                cast = frame[name].astype(wanted)
            except (TypeError, ValueError, OverflowError) as error:
                raise Refused(f"the column `{name}` is not {kind}") from error
            if kind in ("integer", "long") and frame[name].dtype.kind == "f" and not (cast == frame[name]).all():
                raise Refused(f"the column `{name}` holds what is no {kind}")
            frame[name] = cast
        return frame


class Sklearn:
    """An estimator with its classes and chances."""

    kind = "python_sklearn"

    def __init__(self, folder, about):
        flavor = about["flavors"]["sklearn"]
        path = os.path.join(folder, flavor["pickled_model"])
        if flavor.get("serialization_format") == "skops":
            import skops.io

            self.model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
        else:
            import cloudpickle as pickle

            with open(path, "rb") as file:
                self.model = pickle.load(file)
        self.columns = Columns.of(about, self.model)
        self.example = probe.example_of(folder, about, self.columns.names, self.columns.width)
        self.chances = hasattr(self.model, "predict_proba")
        self.classes = [str(one) for one in getattr(self.model, "classes_", [])] if self.chances else []

    def convert(self):
        """The model as ONNX, whose input is one matrix, as ours is; and rows that both should be asked about."""
        try:
            import skl2onnx
            from skl2onnx.common.data_types import FloatTensorType
        except ImportError as error:
            raise Refused("skl2onnx is not installed in the Python of `serving.python`") from error
        if len(self.columns.ports()) != 1 or not self.columns.width:
            raise Refused("its columns are not all numbers")
        if self.columns.width > probe.COLUMN_COUNT_MAX:
            raise Refused(f"it takes more than {probe.COLUMN_COUNT_MAX} columns")
        options = {"zipmap": False} if self.chances else None
        kind = [("input", FloatTensorType([None, self.columns.width]))]
        converted = skl2onnx.to_onnx(self.model, initial_types=kind, options=options)
        rows = probe.rows(self.model, self.example, self.columns.width)
        return probe.with_missing_ways(converted, self.model).SerializeToString(), np.ascontiguousarray(rows, "<f8")

    def about(self):
        if not self.chances:
            return self.columns.ports(), [port("prediction", "f64", [None], role="value")]
        first = np.asarray(self.model.classes_)
        kind = "i64" if first.dtype.kind in "iu" else "text"
        label = port("label", kind, [None], role="label")
        return self.columns.ports(), [label, port("probabilities", "f64", [None, len(first)], role="probabilities")]

    def predict(self, found):
        frame = self.columns.frame(found)
        try:
            answer = np.asarray(self.model.predict(frame))
            chances = self.model.predict_proba(frame) if self.chances else None
        except ValueError as error:
            # scikit-learn refuses such values: that is the request's fault, not the model's.
            if any(array.dtype.kind == "f" and not np.isfinite(array).all() for _, array in found):
                raise Refused("a value is missing or infinite, which this model does not take") from error
            raise
        if chances is None:
            return [("prediction", "value", answer)]
        return [("label", "label", answer), ("probabilities", "probabilities", chances)]


class Onnx:
    """A network that ONNX Runtime computes."""

    kind = "python_onnx"
    TYPES = {
        "tensor(float)": ("f32", np.float32),
        "tensor(double)": ("f64", np.float64),
        "tensor(int64)": ("i64", np.int64),
        "tensor(int32)": ("i64", np.int32),
        "tensor(bool)": ("bool", np.bool_),
        "tensor(string)": ("text", object),
    }
    classes = []

    def __init__(self, path):
        try:
            import onnxruntime
        except ImportError as error:
            raise Refused("ONNX Runtime is not installed in the Python of `serving.python`: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs, self.outputs = self.session.get_inputs(), self.session.get_outputs()
        unknown = [one for one in [*self.inputs, *self.outputs] if one.type not in self.TYPES]
        if unknown:
            raise Refused(f"`{unknown[0].name}` is a {unknown[0].type}; export classifiers with `zipmap=False`")

    def about(self):
        def shape(one):
            known = [size if isinstance(size, int) and size > 0 else None for size in one.shape]
            return [None, *known[1:]]

        inputs = [port(one.name, self.TYPES[one.type][0], shape(one)) for one in self.inputs]
        return inputs, [port(one.name, self.TYPES[one.type][0], shape(one), role=self.role(one)) for one in self.outputs]

    def role(self, one):
        if "label" in one.name:
            return "label"
        return "probabilities" if "probabilit" in one.name else "value"

    def predict(self, found):
        given = dict(found)
        feed = {}
        for one in self.inputs:
            array = found[0][1] if len(self.inputs) == 1 and len(found) == 1 else given.get(one.name)
            if array is None:
                raise Refused(f"the input `{one.name}` is missing")
            feed[one.name] = np.asarray(array, self.TYPES[one.type][1])
        try:
            answers = self.session.run(None, feed)
        except Exception as error:
            if type(error).__name__ == "InvalidArgument":
                raise Refused(str(error)) from error
            raise
        return [(one.name, self.role(one), answer) for one, answer in zip(self.outputs, answers)]


class Pyfunc:
    """Any model that MLflow loads."""

    kind = "python_pyfunc"
    classes = []

    def __init__(self, folder, about):
        import mlflow.pyfunc

        self.model = mlflow.pyfunc.load_model(folder)
        self.columns = Columns.of(about)

    def about(self):
        return self.columns.ports(), [port("prediction", "f64", [None], role="value")]

    def predict(self, found):
        answer = self.model.predict(self.columns.frame(found))
        if hasattr(answer, "columns"):
            return [(str(name), "value", answer[name].to_numpy()) for name in answer.columns]
        return [("prediction", "value", np.asarray(answer))]


def load(folder):
    about = mlmodel(folder)
    flavors = about.get("flavors") or {}
    networks = [name for name in sorted(os.listdir(folder)) if name.endswith(".onnx")]
    if "sklearn" in flavors:
        return Sklearn(folder, about)
    if len(networks) == 1 and ("onnx" in flavors or not flavors):
        return Onnx(os.path.join(folder, networks[0]))
    if "python_function" in flavors:
        return Pyfunc(folder, about)
    raise Refused("it holds neither an `MLmodel` with `sklearn` or `python_function` nor one `.onnx` file")


def main():
    link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head, body = receive(link)
    folder = unpack(head, body)
    del body
    try:
        model = load(folder)
        inputs, outputs = model.about()
    except Refused as why:
        send(link, {"said": "refused", "why": str(why)})
        return
    except Exception as error:
        send(link, {"said": "failed", "why": f"the model cannot be loaded: {type(error).__name__}: {error}"})
        raise
    if isinstance(model, (Sklearn, Onnx)):
        shutil.rmtree(folder, ignore_errors=True)
    send(link, {"said": "ready", "kind": model.kind, "inputs": inputs, "outputs": outputs, "classes": model.classes})
    while True:
        head, body = receive(link)
        try:
            if head["ask"] == "convert":
                if not hasattr(model, "convert"):
                    raise Refused("models of its kind are not converted")
                converted, rows = model.convert()
                said = {"said": "converted", "rows": rows.shape[0], "columns": rows.shape[1]}
                send(link, said, converted + rows.tobytes())
                continue
            said, values = packed(model.predict(tensors(head, body)))
        except Refused as why:
            said, values = {"said": "refused", "why": str(why)}, b""
        except Exception as error:
            said, values = {"said": "failed", "why": f"{type(error).__name__}: {error}"}, b""
        send(link, said, values)


main()
