"""Scores one scenario with the peers, and judges all scores against the rows that are bad.

Usage: peers.py FOLDER. Prints one JSON object: our AUROC and precision@k, and each peer's with its CPU seconds. What a
peer scored is kept beside the scenario and used again while the scenario is the same. A peer that has not ended within
its processor time is named as unfinished: it is neither beaten nor does it win.
Peers: cleanlab (its default learner, boosted trees, neighbours, each with both of its rankings), the adversarial
robustness toolbox's activation and spectral defences, and scikit-learn's own detectors.
"""

import hashlib
import json
import multiprocessing
import pathlib
import resource
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")

CPU_SECONDS_MAX = 900
# A peer that waits for something instead of computing ends too.
SECONDS_MAX = 4 * CPU_SECONDS_MAX


def auroc(bad, scores):
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(bad, np.nan_to_num(scores)))


def precision(bad, scores):
    count = int(bad.sum())
    return float(bad[np.argsort(-np.nan_to_num(scores), kind="stable")[:count]].mean())


class Scenario:
    """The scenario's rows as the peers' own documentation would prepare them."""

    def __init__(self, folder):
        self.labels = np.load(folder / "y.npy").astype(int)
        self.bad = np.load(folder / "mask.npy")
        self.meta = json.loads((folder / "meta.json").read_text())
        self.texts = json.loads((folder / "texts.json").read_text()) if (folder / "texts.json").exists() else None
        self.raw = np.load(folder / "X.npy") if (folder / "X.npy").exists() else None
        if self.texts is not None:
            from sklearn.feature_extraction.text import TfidfVectorizer

            self.points = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(self.texts)
        elif "image" in self.meta:
            self.points = self.raw.astype(np.float32) / 255
        else:
            self.points = self.prepared()

    def prepared(self):
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        kinds = np.array(self.meta.get("categories") or [0] * self.raw.shape[1])
        parts = []
        if (kinds == 0).any():
            parts.append(StandardScaler().fit_transform(self.raw[:, kinds == 0]))
        if (kinds > 0).any():
            parts.append(OneHotEncoder(sparse_output=False).fit_transform(self.raw[:, kinds > 0]))
        return np.concatenate(parts, 1).astype(np.float32)

    def dense(self, width=64):
        from sklearn.decomposition import PCA, TruncatedSVD

        if self.texts is not None:
            return TruncatedSVD(width, random_state=0).fit_transform(self.points)
        return PCA(width, random_state=0).fit_transform(self.points) if self.points.shape[1] > 128 else self.points


def out_of_fold(model, points, labels):
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_predict(model, points, labels, cv=folds, method="predict_proba")


def cleanlab_scores(labels, probabilities, method):
    from cleanlab.rank import get_label_quality_scores

    return 1 - get_label_quality_scores(labels, probabilities, method=method)


def both(name, labels, probabilities):
    return {f"cleanlab {name} {method}": cleanlab_scores(labels, probabilities, method) for method in ["self_confidence", "normalized_margin"]}


def linear(scenario):
    from sklearn.linear_model import LogisticRegression

    return both("linear", scenario.labels, out_of_fold(LogisticRegression(max_iter=400), scenario.points, scenario.labels))


def boosted(scenario):
    from sklearn.ensemble import HistGradientBoostingClassifier

    return both("boosted", scenario.labels, out_of_fold(HistGradientBoostingClassifier(random_state=0), scenario.raw, scenario.labels))


def near(scenario):
    from sklearn.neighbors import KNeighborsClassifier

    return both("neighbours", scenario.labels, out_of_fold(KNeighborsClassifier(20), scenario.dense(), scenario.labels))


def forest(scenario):
    from sklearn.ensemble import RandomForestClassifier

    points = scenario.dense() if scenario.texts is not None else scenario.raw
    model = RandomForestClassifier(200, oob_score=True, random_state=0).fit(points, scenario.labels)
    votes = np.nan_to_num(model.oob_decision_function_)
    return {"sklearn forest": 1 - votes[np.arange(len(votes)), scenario.labels]}


def adversarial(scenario):
    """Activation and spectral defences of ART on a network trained on the suspect data; the spectral one is told the true share."""
    from art.defences.detector.poison import ActivationDefence, SpectralSignatureDefense
    from art.estimators.classification import ClassifierMixin
    from art.estimators.estimator import BaseEstimator, NeuralNetworkMixin
    from sklearn.neural_network import MLPClassifier

    points = np.asarray(scenario.dense() if scenario.texts is not None else scenario.points, np.float32)
    classes = int(scenario.labels.max()) + 1
    model = MLPClassifier((96,), max_iter=12, random_state=0, early_stopping=False).fit(points, scenario.labels)

    class Network(NeuralNetworkMixin, ClassifierMixin, BaseEstimator):
        """The trained network as ART wants it: answers, and the activations of the hidden layer."""

        def __init__(self):
            super().__init__(model=model, clip_values=None, channels_first=False)
            self._layer_names, self.nb_classes = ["hidden"], classes

        input_shape = property(lambda self: points.shape[1:])

        def predict(self, x, batch_size=128, **_):
            return model.predict_proba(x)

        def get_activations(self, x, layer, batch_size=128, framework=False):
            return np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0)

        def fit(self, *_, **__):
            pass

        def clone_for_refitting(self):
            return self

        def loss_gradient(self, x, y, **_):
            raise NotImplementedError

        def compute_loss(self, x, y, **_):
            raise NotImplementedError

    one_hot = np.eye(classes)[scenario.labels]
    found = {}
    defence = ActivationDefence(Network(), points, one_hot)
    _, clean = defence.detect_poison(nb_clusters=2, nb_dims=10, reduce="PCA", cluster_analysis="smaller")
    found["art activation"] = 1 - np.asarray(clean, float)
    share = float(max(scenario.bad.mean() * classes, 0.01))
    spectral = SpectralSignatureDefense(Network(), points, one_hot, expected_pp_poison=min(share, 0.5), batch_size=128, eps_multiplier=1.5)
    _, clean = spectral.detect_poison()
    found["art spectral"] = 1 - np.asarray(clean, float)
    return found


def margins(scenario):
    from sklearn.neighbors import NearestNeighbors

    points = scenario.dense()
    _, near = NearestNeighbors(n_neighbors=21).fit(points).kneighbors(points)
    same = scenario.labels[near[:, 1:]] == scenario.labels[:, None]
    return {"sklearn neighbour margin": 1 - same.mean(1)}


def outliers(scenario):
    from sklearn.covariance import EllipticEnvelope
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    points = scenario.points
    distances, _ = NearestNeighbors(n_neighbors=21).fit(points).kneighbors(points)
    return {
        "sklearn isolation forest": -IsolationForest(300, random_state=0).fit(points).score_samples(points),
        "sklearn local factor": -LocalOutlierFactor(20).fit(points).negative_outlier_factor_,
        "sklearn neighbour distance": distances[:, -1],
        "sklearn elliptic envelope": -EllipticEnvelope(random_state=0, support_fraction=0.9).fit(points).score_samples(points),
    }


def peers_of(scenario):
    family = scenario.meta["family"]
    if family == "labels":
        tabular = [boosted] if scenario.texts is None and "image" not in scenario.meta else []
        return [linear, near, forest, *tabular]
    if family == "triggers":
        return [linear, margins, adversarial]
    return [outliers] if family == "outliers" else []


def score(peer, scenario, answers):
    """Runs in a process of its own: scores the scenario with one peer."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    start = time.process_time()
    try:
        scores = peer(scenario)
    except Exception as problem:
        answers.send({"problem": repr(problem)})
        return
    seconds = (time.process_time() - start) / len(scores)
    of = lambda own: {"auroc": auroc(scenario.bad, own), "precision": precision(scenario.bad, own), "cpu_seconds": seconds}  # noqa: E731
    answers.send({name: of(own) for name, own in scores.items()})


def bounded(peer, scenario):
    """A peer's scores by name; none if its time ran out."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=score, args=(peer, scenario, sender))
    process.start()
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(SECONDS_MAX) else None
    except EOFError:
        found = None
    process.kill()
    process.join()
    if found is not None and "problem" in found:
        # A peer that did not run must not look like one that is beaten: without all of them there is no comparison.
        sys.exit(f"{peer.__name__} did not run, so nothing can be compared: {found['problem']}")
    return found


def digest(folder):
    """What the scenario and the peers' program are."""
    found = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for name in ["X.npy", "y.npy", "mask.npy", "texts.json", "meta.json"]:
        if (folder / name).exists():
            found.update((folder / name).read_bytes())
    return found.hexdigest()


def main():
    folder = pathlib.Path(sys.argv[1])
    family = json.loads((folder / "meta.json").read_text())["family"]
    stored, known = folder / "peers.json", {"digest": digest(folder), "by_peer": {}}
    if stored.exists() and json.loads(stored.read_text()).get("digest") == known["digest"]:
        known = json.loads(stored.read_text())
    scenario = Scenario(folder)
    for peer in peers_of(scenario):
        if peer.__name__ not in known["by_peer"]:
            known["by_peer"][peer.__name__] = bounded(peer, scenario)
            stored.write_text(json.dumps(known))
    peers = {name: told for own in known["by_peer"].values() if own for name, told in own.items()}
    result = json.loads((folder / "ours.json").read_text())
    report = result["report"]
    told = {
        "family": family,
        "rows": len(scenario.labels),
        "bad": int(scenario.bad.sum()),
        "cpu_seconds": result["cpu_seconds"],
        "seconds": result["seconds"],
        "peak_bytes": result["peak_bytes"],
        "verdict": report["verdict"],
        "suspected": sum(any(reason["reason"] in ("label", "trigger") for reason in row["reasons"]) for row in report["suspects"]),
        "verified": sum(trigger["verified"] for trigger in report["triggers"]),
        "peers": peers,
        "unfinished": [name for name, own in known["by_peer"].items() if own is None],
    }
    if scenario.bad.any():
        scores = np.load(folder / f"ours-{family}.npy")
        told["auroc"], told["precision"] = auroc(scenario.bad, scores), precision(scenario.bad, scores)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
