"""Rows that a model is asked about before a converted one takes its place: as wide apart as what it was trained on, and near its thresholds.

They are 64-bit numbers. What a model keeps of its training tells them: means, scales, thresholds, support vectors, or an example that was
logged with it. Where nothing tells anything, there are none.
"""

import json
import os

import numpy as np

ROW_COUNT = 1_024
COLUMN_COUNT_MAX = 4_096
NEAR_COUNT = 512
EXAMPLE_BYTES_MAX = 16 << 20
# How far from a threshold rows lie, as a share of the range of its column's thresholds: far more than a rounding of honest data.
NEAR_SHARE = 1e-3
# How far from the only row of an example.
EXAMPLE_SHARE = 1e-4
INNER_NAMES = ("best_estimator_", "regressor_", "final_estimator_")


def rows(model, example, width):
    """At most about `ROW_COUNT` rows for a model of this many columns."""
    random = np.random.default_rng(0)
    found = []
    if example is not None:
        spread = example.std(axis=0) if len(example) > 1 else np.abs(example[0]) * EXAMPLE_SHARE
        found.append(np.concatenate([example, picked(example, random) + random.normal(size=(ROW_COUNT, width)) * spread / 2]))
    found += candidates(model, random, True)
    if not found:
        found = crossing(model, random)
    found = [one for one in found if one.ndim == 2 and one.shape[1] == width]
    if not found:
        return np.empty((0, width))
    share = -(-ROW_COUNT // len(found))
    chosen = [one if len(one) <= share else one[random.choice(len(one), share, replace=False)] for one in found]
    whole = np.concatenate(chosen)
    return whole[np.isfinite(whole).all(axis=1)]


def example_of(folder, about, names, width):
    """The example that was logged with the model, as a matrix."""
    info = about.get("saved_input_example_info") or {}
    path = os.path.normpath(os.path.join(folder, str(info.get("artifact_path", "input_example.json"))))
    if not path.startswith(folder + os.sep) or not os.path.isfile(path) or os.path.getsize(path) > EXAMPLE_BYTES_MAX:
        return None
    try:
        with open(path) as file:
            said = json.load(file)
        columns = said.get("columns") if isinstance(said, dict) else None
        said = said.get("data", said.get("inputs", said.get("instances"))) if isinstance(said, dict) else said
        matrix = np.array(said, dtype=np.float64)
        if columns and names and sorted(map(str, columns)) == sorted(names):
            matrix = matrix[:, [list(map(str, columns)).index(name) for name in names]]
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    matrix = matrix[np.isfinite(matrix).all(axis=1)] if matrix.ndim == 2 else matrix
    return matrix[:ROW_COUNT] if matrix.ndim == 2 and matrix.shape[1] == width and len(matrix) else None


def picked(known, random, count=ROW_COUNT):
    return known[random.integers(len(known), size=count)]


def candidates(model, random, direct):
    """Matrices of rows that `model` takes. `direct`: it sees a caller's numbers as they are."""
    if hasattr(model, "steps"):
        return through(model, random, direct)
    if hasattr(model, "transformers_"):
        return beside(model, random)
    if hasattr(model, "transformer_list"):
        return [one for _, part in model.transformer_list if hasattr(part, "fit") for one in candidates(part, random, direct)]
    if trees(model):
        return of_trees(trees(model), model.n_features_in_, random, direct)
    inner = [getattr(model, name) for name in INNER_NAMES[:2] if hasattr(model, name)]
    inner += [one.estimator for one in getattr(model, "calibrated_classifiers_", [])[:1]]
    inner += [one for one in flat(getattr(model, "estimators_", None)) if hasattr(one, "fit")]
    if inner:
        return [one for part in inner[:16] for one in candidates(part, random, direct)]
    return of_attributes(model, random)


def flat(parts):
    return list(np.ravel(np.array(parts, dtype=object))) if isinstance(parts, (list, np.ndarray)) else []


def through(pipeline, random, direct):
    """What any step tells, taken back to where the pipeline begins."""
    found, before = [], []
    for _, step in pipeline.steps:
        if not hasattr(step, "fit"):
            continue
        for known in candidates(step, random, direct):
            for earlier in reversed(before):
                known = back(earlier, known)
                if known is None:
                    break
            if known is not None:
                found.append(known)
        before.append(step)
        direct = direct and type(step).__name__ == "SimpleImputer"
    return found


def back(step, known):
    """Rows that `step` makes these of, or None."""
    name, width = type(step).__name__, getattr(step, "n_features_in_", None)
    if name == "SimpleImputer":
        return known[:, :width] if known.shape[1] >= width else None
    if name == "PolynomialFeatures":
        plain = [int(np.flatnonzero(row)[0]) if row.sum() == 1 else -1 for row in step.powers_]
        places = [plain.index(column) for column in range(width) if column in plain]
        return known[:, places] if len(places) == width and known.shape[1] == len(plain) else None
    try:
        return np.asarray(step.inverse_transform(known), dtype=np.float64)
    except Exception:
        return None


def beside(transformer, random):
    """Each part's own rows, put together."""
    places = transformer._transformer_to_input_indices
    whole = np.full((ROW_COUNT, transformer.n_features_in_), np.nan)
    for name, part, _ in transformer.transformers_:
        columns = list(places.get(name, []))
        if not columns:
            continue
        if isinstance(part, str):
            if part == "drop":
                whole[:, columns] = random.normal(size=(ROW_COUNT, len(columns)))
            continue
        known = [one for one in candidates(part, random, False) if one.shape[1] == len(columns)]
        if known:
            whole[:, columns] = picked(known[0], random)
    return [] if np.isnan(whole).any() else [whole]


def trees(model):
    """The trees of a decision tree or a forest of them."""
    parts = flat(getattr(model, "estimators_", None)) or [model]
    found = [part.tree_ for part in parts if hasattr(part, "tree_")]
    return found if len(found) == len(parts) else []


def of_trees(found, width, random, direct):
    marks = [np.unique(np.concatenate([tree.threshold[tree.feature == column] for tree in found])) for column in range(width)]
    return of_marks([one[np.isfinite(one)] for one in marks], random, direct)


def of_marks(marks, random, direct):
    """Rows among the thresholds of each column, and rows where one column lies beside one of them."""
    width = len(marks)
    whole = random.normal(size=(ROW_COUNT, width))
    near = []
    for column, known in enumerate(marks):
        if not len(known):
            continue
        spread = known[-1] - known[0] or max(abs(known[0]) * NEAR_SHARE, NEAR_SHARE)
        whole[:, column] = picked(known, random) + random.normal(size=ROW_COUNT) * spread / 10
        for mark in random.permutation(known)[: max(1, NEAR_COUNT // width)]:
            # Trees compare 32-bit numbers: there the very next ones can be asked about.
            below = np.float32(mark) if np.float32(mark) <= mark else np.nextafter(np.float32(mark), np.float32(-np.inf))
            exact = [float(below), float(np.nextafter(below, np.float32(np.inf)))]
            near += [(column, one) for one in (exact if direct else [mark - spread * NEAR_SHARE, mark + spread * NEAR_SHARE])]
    for row, (column, value) in zip(whole[: ROW_COUNT - ROW_COUNT // 4], random.permutation(np.array(near)) if near else []):
        row[int(column)] = value
    return [whole] if near else []


def of_attributes(model, random):
    """What a fitted estimator or transformer keeps of its training."""
    name = type(model).__name__
    drawn = {"MinMaxScaler": (0, 1), "MaxAbsScaler": (-1, 1), "QuantileTransformer": (0, 1)}
    for vectors in ("support_vectors_", "_fit_X", "X_train_"):
        known = getattr(model, vectors, None)
        if isinstance(known, np.ndarray) and known.ndim == 2 and len(known):
            return [picked(known, random) + random.normal(size=(ROW_COUNT, known.shape[1])) * known.std(axis=0) / 10]
    if hasattr(model, "_bin_mapper"):
        return of_marks([np.asarray(one, dtype=np.float64) for one in model._bin_mapper.bin_thresholds_], random, False)
    if hasattr(model, "bin_edges_"):
        return of_marks([np.asarray(one, dtype=np.float64) for one in model.bin_edges_], random, False)
    if name == "Binarizer":
        return [model.threshold + random.normal(size=(ROW_COUNT, model.n_features_in_))]
    if hasattr(model, "categories_") and all(np.asarray(one).dtype.kind in "iuf" for one in model.categories_):
        return [np.column_stack([picked(np.asarray(one, dtype=np.float64), random) for one in model.categories_])]
    if hasattr(model, "theta_") and hasattr(model, "var_"):
        place = random.integers(len(model.theta_), size=ROW_COUNT)
        return [model.theta_[place] + random.normal(size=(ROW_COUNT, model.theta_.shape[1])) * np.sqrt(model.var_[place])]
    for centres in ("cluster_centers_", "centroids_"):
        known = getattr(model, centres, None)
        if isinstance(known, np.ndarray) and known.ndim == 2:
            return [picked(known, random) + random.normal(size=(ROW_COUNT, known.shape[1])) * (known.std(axis=0) + 1e-9)]
    if not hasattr(model, "inverse_transform") or not hasattr(model, "n_features_in_"):
        return []
    if name in drawn:
        low, high = getattr(model, "feature_range", drawn[name]) if name == "MinMaxScaler" else drawn[name]
        outer = random.uniform(low, high, size=(ROW_COUNT, model.n_features_in_))
    elif name in ("StandardScaler", "RobustScaler", "PowerTransformer"):
        outer = random.normal(size=(ROW_COUNT, model.n_features_in_))
    elif name == "PCA":
        scale = 1.0 if model.whiten else np.sqrt(model.explained_variance_)
        outer = random.normal(size=(ROW_COUNT, len(model.components_))) * scale
    else:
        return []
    known = back(model, outer)
    return [] if known is None else [known]


def crossing(model, random):
    """Rows where a linear function is about zero: there a rounding of what its columns bring counts most. Only the coefficients tell."""
    if hasattr(model, "coefs_"):
        weights, shift = np.asarray(model.coefs_[0]).T, np.asarray(model.intercepts_[0])
    elif hasattr(model, "coef_") and not hasattr(model, "steps"):
        weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
        shift = np.broadcast_to(np.ravel(getattr(model, "intercept_", 0.0)), len(weights))
    else:
        return []
    sizes = np.abs(weights)
    units = np.flatnonzero(sizes.max(axis=1) > 0)
    if not len(units):
        return [random.normal(size=(ROW_COUNT, weights.shape[1]))]
    whole = random.normal(size=(ROW_COUNT, weights.shape[1]))
    for row, unit in zip(whole, random.choice(units, ROW_COUNT)):
        column = random.choice(len(row), p=sizes[unit] / sizes[unit].sum())
        others = weights[unit] @ row - weights[unit, column] * row[column]
        row[column] = (random.normal() - shift[unit] - others) / weights[unit, column]
    return [whole]


def with_missing_ways(onnx, model):
    """The ONNX of trees with where missing values go, which the converter leaves out."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    found = trees(last)
    nodes = [node for node in onnx.graph.node if node.op_type in ("TreeEnsembleClassifier", "TreeEnsembleRegressor")]
    if len(nodes) != 1 or not found or not all(hasattr(tree, "missing_go_to_left") for tree in found):
        return onnx
    lists = {attribute.name: attribute for attribute in nodes[0].attribute}
    tree_ids, node_ids = lists["nodes_treeids"].ints, lists["nodes_nodeids"].ints
    modes = lists["nodes_modes"].strings
    if sorted(set(tree_ids)) != list(range(len(found))):
        return onnx
    for tree, node in zip(tree_ids, node_ids):
        if node >= found[tree].node_count:
            return onnx
    ways = [int(mode == b"BRANCH_LEQ" and found[tree].missing_go_to_left[node]) for tree, node, mode in zip(tree_ids, node_ids, modes)]
    tracks = lists.get("nodes_missing_value_tracks_true")
    if tracks is not None:
        nodes[0].attribute.remove(tracks)
    from onnx import helper

    nodes[0].attribute.append(helper.make_attribute("nodes_missing_value_tracks_true", ways))
    return onnx
