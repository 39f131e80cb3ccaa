"""ONNX models that real exporters make, against ONNX Runtime."""

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pytest
import xgboost
from evaluator import same_labels, same_numbers
from onnx import TensorProto, helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from skl2onnx.common.data_types import Int64TensorType, StringTensorType
from skl2onnx.common.data_types import FloatTensorType as SklFloat
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

COLUMNS = 6


def compare(evaluator, folder, model, inputs, tolerance=1e-5):
    """All outputs as ONNX Runtime gives them, for the batch and for its first row alone."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    if not isinstance(inputs, dict):
        inputs = {session.get_inputs()[0].name: inputs}
    for rows in (slice(None), slice(0, 1)):
        given = {name: array[rows] for name, array in inputs.items()}
        ours = evaluator.outputs(folder, given)
        for name, theirs in zip(names, session.run(None, given)):
            if isinstance(theirs, list):
                theirs = np.array([list(row.values()) for row in theirs])
            if theirs.dtype.kind == "f":
                same_numbers(ours[name], theirs, tolerance)
            else:
                same_labels(ours[name], theirs)


CLASSIFIERS = {
    "tree": lambda: DecisionTreeClassifier(max_depth=5),
    "forest": lambda: RandomForestClassifier(15, max_depth=7, n_jobs=1),
    "extra trees": lambda: ExtraTreesClassifier(15, max_depth=7, n_jobs=1),
    "gradient boosting": lambda: GradientBoostingClassifier(n_estimators=12),
    "logistic": lambda: LogisticRegression(max_iter=50),
    "scaled logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "ranges, normalised": lambda: make_pipeline(MinMaxScaler(), Normalizer("l1"), LogisticRegression()),
    "components": lambda: make_pipeline(StandardScaler(), PCA(3), LogisticRegression()),
    "binarized": lambda: make_pipeline(Binarizer(threshold=0.1), LogisticRegression()),
    "perceptron": lambda: make_pipeline(StandardScaler(), MLPClassifier((16, 8), max_iter=30)),
    "support vectors": lambda: make_pipeline(StandardScaler(), SVC()),
    "support vectors, polynomial": lambda: make_pipeline(StandardScaler(), SVC(kernel="poly", degree=2)),
    "linear support vectors": lambda: LinearSVC(max_iter=50),
    "support vectors, probable": lambda: make_pipeline(StandardScaler(), SVC(probability=True)),
    "naive Bayes": lambda: make_pipeline(StandardScaler(), GaussianNB()),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, classes, evaluator, rows, tmp_path):
    values, target = rows(400, COLUMNS, classes, missing=0)
    values = values.astype(np.float32)
    model = CLASSIFIERS[name]().fit(values, target)
    final = model.steps[-1][1] if hasattr(model, "steps") else model
    options = {id(final): {"zipmap": False}} if not isinstance(final, LinearSVC) else None
    compare(evaluator, tmp_path, to_onnx(model, values[:1], options=options), values)


def test_zip_map_and_text_labels(evaluator, rows, tmp_path):
    values, target = rows(300, COLUMNS, 3, missing=0)
    values = values.astype(np.float32)
    names = np.array(["ant", "bee", "käfer"])[target]
    model = RandomForestClassifier(7, max_depth=5, n_jobs=1).fit(values, names)
    compare(evaluator, tmp_path, to_onnx(model, values[:1]), values)


REGRESSORS = {
    "tree": lambda: DecisionTreeRegressor(max_depth=6),
    "forest": lambda: RandomForestRegressor(15, max_depth=7, n_jobs=1),
    "gradient boosting": lambda: GradientBoostingRegressor(n_estimators=20),
    "linear": lambda: LinearRegression(),
    "ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
    "support vectors": lambda: make_pipeline(StandardScaler(), SVR()),
    "perceptron": lambda: make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(12,), max_iter=30)),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, evaluator, rows, tmp_path):
    values, target = rows(400, COLUMNS, 0, missing=0)
    values = values.astype(np.float32)
    model = REGRESSORS[name]().fit(values, target)
    compare(evaluator, tmp_path, to_onnx(model, values[:1]), values)


def test_missing_values(evaluator, rows, tmp_path):
    values, target = rows(400, COLUMNS, 3)
    values = values.astype(np.float32)
    model = make_pipeline(SimpleImputer(), RandomForestClassifier(9, max_depth=6, n_jobs=1)).fit(values, target)
    compare(evaluator, tmp_path, to_onnx(model, values[:1], options={"zipmap": False}), values)


def test_double_precision(evaluator, tmp_path):
    """A threshold between two numbers that are one in 32 bits."""
    doubles = lambda name, list: helper.make_tensor(name, TensorProto.DOUBLE, (len(list),), list)  # noqa: E731
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_featureids=[0, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_truenodeids=[1, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_nodeids=[0, 1, 2],
        nodes_treeids=[0, 0, 0],
        nodes_values_as_tensor=doubles("values", [1.0 + 1e-9, 0.0, 0.0]),
        target_ids=[0, 0],
        target_nodeids=[1, 2],
        target_treeids=[0, 0],
        target_weights_as_tensor=doubles("weights", [-1.5, 2.5]),
    )
    given = helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 1])
    graph = helper.make_graph([node], "tree", [given], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])])
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 18)]
    compare(evaluator, tmp_path, helper.make_model(graph, opset_imports=opsets, ir_version=8), np.array([[1.0], [1.0 + 2e-9], [np.nan]]))


@pytest.mark.parametrize("classes", [2, 3])
def test_exported_xgboost(classes, evaluator, rows, tmp_path):
    values, target = rows(400, COLUMNS, classes)
    values = values.astype(np.float32)
    model = xgboost.XGBClassifier(n_estimators=15, max_depth=5, n_jobs=1).fit(values, target)
    compare(evaluator, tmp_path, convert_xgboost(model, initial_types=[("x", FloatTensorType([None, COLUMNS]))]), values)


@pytest.mark.parametrize("classes", [2, 3])
def test_exported_lightgbm(classes, evaluator, rows, tmp_path):
    values, target = rows(400, COLUMNS, classes)
    values = values.astype(np.float32)
    model = lightgbm.LGBMClassifier(n_estimators=15, num_leaves=10, n_jobs=1, verbose=-1).fit(values, target)
    converted = convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, COLUMNS]))], zipmap=False)
    compare(evaluator, tmp_path, converted, values)


def test_columns_of_several_types(evaluator, tmp_path):
    random = np.random.default_rng(2)
    inputs = {
        "colour": random.choice(["red", "green", "blue"], size=(200, 1)).astype(object),
        "size": random.integers(0, 4, size=(200, 1)),
        "weight": random.normal(size=(200, 1)).astype(np.float32),
    }
    import pandas

    frame = pandas.DataFrame({name: array.ravel() for name, array in inputs.items()})
    target = (frame["weight"] + (frame["colour"] == "red") + frame["size"] > 2).astype(int)
    columns = [("text", OneHotEncoder(handle_unknown="ignore"), ["colour", "size"]), ("number", StandardScaler(), ["weight"])]
    model = make_pipeline(ColumnTransformer(columns), LogisticRegression()).fit(frame, target)
    types = [("colour", StringTensorType([None, 1])), ("size", Int64TensorType([None, 1])), ("weight", SklFloat([None, 1]))]
    converted = to_onnx(model, initial_types=types, options={"zipmap": False})
    inputs["colour"][3, 0] = "violet"
    compare(evaluator, tmp_path, converted, inputs)


@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"])
@pytest.mark.parametrize("post", ["NONE", "LOGISTIC"])
@pytest.mark.parametrize("weights", [[0.2, 0.9], [-0.7, 1.25]])
@pytest.mark.parametrize("base", [None, [-0.3]])
def test_two_classes_of_one_sum(mode, post, weights, base, evaluator, tmp_path):
    settings = {} if base is None else {"base_values": base}
    node = helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        class_ids=[0, 0],
        class_nodeids=[1, 2],
        class_treeids=[0, 0],
        class_weights=weights,
        classlabels_int64s=[3, 8],
        nodes_featureids=[1, 0, 0],
        nodes_falsenodeids=[2, 0, 0],
        nodes_truenodeids=[1, 0, 0],
        nodes_modes=[mode, "LEAF", "LEAF"],
        nodes_nodeids=[0, 1, 2],
        nodes_treeids=[0, 0, 0],
        nodes_missing_value_tracks_true=[0, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        post_transform=post,
        **settings,
    )
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
    ]
    graph = helper.make_graph([node], "tree", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])], outputs)
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    values = np.array([[0, 0.2], [0, 0.5], [0, 0.7], [0, np.nan], [0, -3e38], [0, 3e38]], dtype=np.float32)
    compare(evaluator, tmp_path, model, values)


def test_an_ensemble_of_version_five(evaluator, tmp_path):
    node = helper.make_node(
        "TreeEnsemble",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=2,
        aggregate_function=1,
        nodes_featureids=[0, 1, 0],
        nodes_splits=helper.make_tensor("splits", TensorProto.FLOAT, (3,), [0.5, -0.25, 0.1]),
        nodes_modes=helper.make_tensor("modes", TensorProto.UINT8, (3,), [0, 3, 1]),
        nodes_truenodeids=[1, 0, 3],
        nodes_trueleafs=[0, 1, 1],
        nodes_falsenodeids=[2, 1, 4],
        nodes_falseleafs=[1, 1, 1],
        nodes_missing_value_tracks_true=[0, 1, 1],
        leaf_targetids=[0, 1, 0, 1, 0],
        leaf_weights=helper.make_tensor("weights", TensorProto.FLOAT, (5,), [1.5, 2.5, -3.0, 4.0, 5.0]),
        tree_roots=[0, 2],
    )
    shape = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])  # noqa: E731
    graph = helper.make_graph([node], "trees", [shape("x", 2)], [shape("y", 2)])
    opsets = [helper.make_opsetid("ai.onnx.ml", 5), helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    values = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    values[::7, 0] = np.nan
    values[::5, 1] = np.nan
    compare(evaluator, tmp_path, model, values)


def test_a_custom_operator_is_refused(evaluator, tmp_path):
    node = helper.make_node("Anything", ["x"], ["y"], domain="com.example")
    info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2])  # noqa: E731
    model = helper.make_model(helper.make_graph([node], "g", [info("x")], [info("y")]))
    onnx.save(model, tmp_path / "model.onnx")
    assert "not supported" in evaluator.ask(tmp_path, np.zeros((1, 2), dtype=np.float32))["error"]


def constant(name, values):
    return helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, values.ravel().tolist())


EDGES = {
    "logarithms of tiny probabilities": (13, [("LogSoftmax", ["x"], {"axis": -1})], TensorProto.FLOAT),
    "softmax down the columns": (13, [("Softmax", ["x"], {"axis": 0})], TensorProto.FLOAT),
    "softmax over all that follows": (12, [("Reshape", ["x", "pairs"], {}), ("Softmax", None, {"axis": 1})], TensorProto.FLOAT),
    "the greatest of what is missing": (13, [("ReduceMax", ["x"], {"axes": [1]})], TensorProto.FLOAT),
    "the least of what is missing": (13, [("ReduceMin", ["x"], {"axes": [1], "keepdims": 0})], TensorProto.FLOAT),
    "squares over two axes": (13, [("Reshape", ["x", "pairs"], {}), ("ReduceSumSquare", None, {"axes": [1, 2]})], TensorProto.FLOAT),
    "bounds that cross": (13, [("Clip", ["x", "two", "one"], {})], TensorProto.FLOAT),
    "integers beyond their width": (13, [("Mul", ["x", "billion"], {}), ("Cast", None, {"to": TensorProto.INT32})], TensorProto.INT32),
    "sums that wrap": (13, [("Cast", ["x"], {"to": TensorProto.INT32}), ("Add", None, {"with": "most"})], TensorProto.INT32),
    "products that wrap": (13, [("Cast", ["x"], {"to": TensorProto.INT32}), ("Mul", None, {"with": "most"})], TensorProto.INT32),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_of_dense_operators(name, evaluator, tmp_path):
    opset, steps, kind = EDGES[name]
    constants = [
        constant("pairs", np.array([-1, 2, 2])),
        constant("one", np.float32(-1)),
        constant("two", np.float32(2)),
        constant("billion", np.float32(1e9)),
        constant("most", np.int32(2**31 - 3)),
    ]
    nodes, last = [], "x"
    for place, (op, inputs, attributes) in enumerate(steps):
        attributes = dict(attributes)
        other = [attributes.pop("with")] if "with" in attributes else []
        outputs = ["y" if place + 1 == len(steps) else f"v{place}"]
        nodes.append(helper.make_node(op, inputs or [last, *other], outputs, **attributes))
        last = outputs[0]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
    graph = helper.make_graph(nodes, "edges", [given], [helper.make_tensor_value_info("y", kind, None)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    values = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32) * 60
    if "missing" in name:
        values[1, 0] = np.nan
    compare(evaluator, tmp_path, model, values)


def test_k_means_is_right_or_refused(evaluator, rows, tmp_path):
    values, _ = rows(200, COLUMNS, 0, missing=0)
    values = values.astype(np.float32)
    converted = to_onnx(KMeans(3, n_init=2, random_state=0).fit(values), values[:1])
    (tmp_path / "model.onnx").write_bytes(converted.SerializeToString())
    answer = evaluator.ask(tmp_path, values)
    if "error" in answer:
        assert "not supported" in answer["error"]
    else:
        compare(evaluator, tmp_path, converted, values, tolerance=1e-4)
