"""Tries the same small network with this project's attacks and with the adversarial robustness toolbox.

Usage: side_by_side.py WORK_FOLDER TRY_FILE_BINARY
Prints one JSON object: HopSkipJump's median L2 distance (in standard deviations) and queries a row of both on the same rows,
and how well both tell training rows from others.
"""

import json
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def network(seed):
    """An overfitted network on scikit-learn's breast_cancer set, its columns in standard deviations."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    points, labels = load_breast_cancer(return_X_y=True)
    points = StandardScaler().fit_transform(points)
    order = np.random.default_rng(seed).permutation(len(labels))
    points, labels = points[order], labels[order]
    model = MLPClassifier((32,), max_iter=2000, alpha=0, random_state=seed).fit(points[:300], labels[:300])
    return model, (points[:300], labels[:300]), (points[300:], labels[300:])


def layers(model):
    hidden, out = model.coefs_
    first, last = model.intercepts_
    # One logistic output is two classes whose scores are 0 and that output.
    zeros = np.zeros((out.shape[0], 1))
    return [
        {"weights": hidden.tolist(), "offsets": first.tolist()},
        {"weights": np.hstack([zeros, out]).tolist(), "offsets": [0.0, float(last[0])]},
    ]


def ours(work, binary, model, inside, outside, evasion):
    """The report of one run, and its seconds."""
    config = {"seed": 1, "queries_max": 1_000_000, "evasion": evasion, "trigger": {"search_queries": 0}}
    file = {
        "rows": outside[0].tolist(),
        "labels": outside[1].tolist(),
        "training_rows": inside[0].tolist(),
        "training_labels": inside[1].tolist(),
        "layers": layers(model),
        "config": config,
    }
    path = work / "network.json"
    path.write_text(json.dumps(file))
    began = time.perf_counter()
    report = json.loads(subprocess.run([binary, path], check=True, capture_output=True, text=True).stdout)
    by_kind = {attack["kind"]: attack for attack in report["attacks"]}
    return by_kind, round(time.perf_counter() - began, 2)


def our_evasion(work, binary, model, inside, attacked, queries):
    evasion = {"rows": len(attacked[1]), "queries_per_row": queries, "epsilon": 0.5}
    by_kind, seconds = ours(work, binary, model, inside, attacked, evasion)
    numbers = {number["name"]: number["value"] for number in by_kind["hop_skip_jump"]["more"]}
    return {
        "median_l2": round(numbers["median distance of turned rows (standard deviations)"], 4),
        "turned": int(numbers["rows turned at any distance"]),
        "queries_a_row": round(by_kind["hop_skip_jump"]["queries"] / len(attacked[1])),
        "seconds": seconds,
    }


def their_evasion(model, attacked, rounds):
    """On points in the unit of distance that ours has: standard deviations of the attacked rows."""
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork

    scales = attacked[0].std(axis=0, ddof=1)
    points = (attacked[0] / scales).astype(np.float32)
    asked = [0]

    def answer(points):
        asked[0] += len(points)
        return model.predict_proba(points * scales)

    bounds = (float(points.min()), float(points.max()))
    victim = BlackBoxClassifierNeuralNetwork(
        answer, input_shape=(points.shape[1],), nb_classes=2, clip_values=bounds, channels_first=False
    )
    np.random.seed(1)
    began = time.perf_counter()
    turned = HopSkipJump(victim, norm=2, max_iter=rounds, max_eval=1000, init_eval=100, verbose=False).generate(points)
    changed = model.predict(turned * scales) != attacked[1]
    distances = np.linalg.norm(turned - points, axis=1)
    return {
        "median_l2": round(float(np.median(distances[changed])), 4),
        "turned": int(changed.sum()),
        "queries_a_row": round(asked[0] / len(points)),
        "seconds": round(time.perf_counter() - began, 2),
    }


def membership(work, binary, model, inside, outside):
    from art.attacks.inference.membership_inference import MembershipInferenceBlackBoxRuleBased
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork

    by_kind, _ = ours(work, binary, model, inside, outside, {"rows": 1, "queries_per_row": 10})
    attack = by_kind["membership"]
    numbers = {number["name"]: round(number["value"], 4) for number in [attack["measure"], *attack["more"]]}
    bounds = (float(outside[0].min()), float(outside[0].max()))
    victim = BlackBoxClassifierNeuralNetwork(
        model.predict_proba, input_shape=(outside[0].shape[1],), nb_classes=2, clip_values=bounds, channels_first=False
    )
    rule = MembershipInferenceBlackBoxRuleBased(victim)
    told = [float(rule.infer(side[0].astype(np.float32), side[1]).mean()) for side in (inside, outside)]
    return {"strongroom": numbers, "art": {"advantage of the rule": round(told[0] - told[1], 4)}}


def main():
    work, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    work.mkdir(parents=True, exist_ok=True)
    model, inside, outside = network(1)
    right = np.flatnonzero(model.predict(outside[0]) == outside[1])[:30]
    attacked = (outside[0][right], outside[1][right])
    result = {}
    for rounds in (3, 10):
        peer = their_evasion(model, attacked, rounds)
        own = our_evasion(work, binary, model, inside, attacked, peer["queries_a_row"])
        result[f"evasion, {rounds} rounds of the peer"] = {"strongroom": own, "art": peer}
    result["membership"] = membership(work, binary, model, inside, outside)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
