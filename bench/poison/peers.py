"""Scores one scenario with the peers, and judges all scores against the rows that are bad.

Usage: peers.py FOLDER [--seconds N]. Prints one JSON object: our AUROC and precision@k, and each peer's with its CPU
seconds. What a peer scored is kept beside the scenario and used again while the scenario and this program are the same. A
peer that has not ended within its processor time, or within the seconds that all of them have, is named as unfinished: it is
neither beaten nor does it win. One that failed is named with why.

Processor time of a peer is that of scoring in a process that is already there: libraries are loaded and the rows prepared
before it is counted, each peer computes on one thread, and two peers at once share the machine.
Peers: cleanlab (its default learner, boosted trees, neighbours, each with both of its rankings), the adversarial
robustness toolbox's activation and spectral defences, and scikit-learn's own detectors.
"""

import argparse
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import resource
import time
import warnings

for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[threads] = "1"

import numpy as np  # noqa: E402

warnings.filterwarnings("ignore")

CPU_SECONDS_MAX = 600
PEERS_AT_ONCE = 2


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


def isolation(scenario):
    from sklearn.ensemble import IsolationForest

    points = scenario.points
    return {"sklearn isolation forest": -IsolationForest(n_estimators=300, random_state=0).fit(points).score_samples(points)}


def local(scenario):
    from sklearn.neighbors import LocalOutlierFactor

    return {"sklearn local factor": -LocalOutlierFactor(n_neighbors=20).fit(scenario.points).negative_outlier_factor_}


def distance(scenario):
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=21).fit(scenario.points).kneighbors(scenario.points)
    return {"sklearn neighbour distance": distances[:, -1]}


def envelope(scenario):
    from sklearn.covariance import EllipticEnvelope

    points = scenario.points
    fitted = EllipticEnvelope(random_state=0, support_fraction=0.9).fit(points)
    return {"sklearn elliptic envelope": -fitted.score_samples(points)}


def alike(scenario):
    """The nearest other text by the cosine of weighted words, what cleanlab's own search for near duplicates rests on."""
    from sklearn.neighbors import NearestNeighbors

    distances, _ = NearestNeighbors(n_neighbors=2, metric="cosine").fit(scenario.points).kneighbors(scenario.points)
    return {"sklearn nearest text": 1 - distances[:, 1]}


def alike_pieces(scenario):
    """The same by pieces of three to five letters."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    points = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2).fit_transform(scenario.texts)
    distances, _ = NearestNeighbors(n_neighbors=2, metric="cosine").fit(points).kneighbors(points)
    return {"sklearn nearest pieces": 1 - distances[:, 1]}


def peers_of(scenario):
    family = scenario.meta["family"]
    if family == "labels":
        tabular = [boosted] if scenario.texts is None and "image" not in scenario.meta else []
        return [linear, near, forest, *tabular]
    if family == "triggers":
        return [linear, margins, adversarial]
    return {"outliers": [isolation, local, distance, envelope], "copies": [alike, alike_pieces]}.get(family, [])


def load(scenario):
    """Loads what the peers of a scenario need, so that no peer is charged for it."""
    import cleanlab.rank  # noqa: F401
    import sklearn.covariance  # noqa: F401
    import sklearn.decomposition  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import sklearn.model_selection  # noqa: F401
    import sklearn.neighbors  # noqa: F401
    import sklearn.neural_network  # noqa: F401

    if scenario.meta["family"] == "triggers":
        import art.defences.detector.poison  # noqa: F401
        import art.estimators.classification  # noqa: F401


def score(peer, scenario, answers):
    """Runs in a process of its own: scores the scenario with one peer."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    start = time.process_time()
    try:
        scores = peer(scenario)
    except Exception as problem:
        answers.send({"problem": repr(problem)})
        return
    # One model may give several rankings: each would have cost as much alone.
    seconds = time.process_time() - start
    of = lambda own: {"auroc": auroc(scenario.bad, own), "precision": precision(scenario.bad, own), "cpu_seconds": seconds, "of": peer.__name__}  # noqa: E731
    answers.send({name: of(own) for name, own in scores.items()})


def bounded(peers, scenario, deadline, keep):
    """Each peer's scores by name, some at a time; none for one whose time ran out."""
    waiting, running = list(peers), {}
    context = multiprocessing.get_context("fork")
    while waiting or running:
        while waiting and len(running) < PEERS_AT_ONCE and time.monotonic() < deadline:
            peer = waiting.pop(0)
            receiver, sender = multiprocessing.Pipe(duplex=False)
            process = context.Process(target=score, args=(peer, scenario, sender))
            process.start()
            sender.close()
            running[receiver] = (peer, process)
        ready = multiprocessing.connection.wait(running, max(deadline - time.monotonic(), 0))
        late = not ready
        for receiver in list(running) if late else ready:
            peer, process = running.pop(receiver)
            try:
                found = None if late else receiver.recv()
            except EOFError:
                found = None
            process.kill()
            process.join()
            keep(peer, found, late)
        if late:
            for peer in waiting:
                keep(peer, None, late)
            return


def digest(folder):
    """What the scenario and the peers' program are."""
    found = hashlib.sha256(pathlib.Path(__file__).read_bytes())
    for name in ["X.npy", "y.npy", "mask.npy", "texts.json", "meta.json"]:
        if (folder / name).exists():
            found.update((folder / name).read_bytes())
    return found.hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=float, default=3600)
    words = parser.parse_args()
    folder, deadline = words.folder, time.monotonic() + words.seconds
    family = json.loads((folder / "meta.json").read_text())["family"]
    stored, known = folder / "peers.json", {"digest": digest(folder), "by_peer": {}}
    if stored.exists() and json.loads(stored.read_text()).get("digest") == known["digest"]:
        known = json.loads(stored.read_text())
    scenario = Scenario(folder)
    missing = [peer for peer in peers_of(scenario) if peer.__name__ not in known["by_peer"]]
    late, failed = [], {}

    def keep(peer, found, ran_late):
        if found is not None and "problem" in found:
            failed[peer.__name__] = found["problem"]
        elif ran_late:
            # Not kept: another run may have the time.
            late.append(peer.__name__)
        else:
            known["by_peer"][peer.__name__] = found
            stored.write_text(json.dumps(known))

    if missing:
        load(scenario)
        bounded(missing, scenario, deadline, keep)
    peers = {name: told for own in known["by_peer"].values() if own for name, told in own.items()}
    result = json.loads((folder / "ours.json").read_text())
    report = result["report"]
    told = {
        "family": family,
        "rows": len(scenario.labels),
        "bad": int(scenario.bad.sum()),
        **{name: result[name] for name in ["cpu_seconds", "screen_cpu_seconds", "seconds", "peak_bytes"]},
        "verdict": report["verdict"],
        "suspected": sum(any(reason["reason"] in ("label", "trigger") for reason in row["reasons"]) for row in report["suspects"]),
        "verified": sum(trigger["verified"] for trigger in report["triggers"]),
        "certificate": report["targets"].get("certificate"),
        "peers": peers,
        "unfinished": late + [name for name, own in known["by_peer"].items() if own is None],
        "failed": failed,
    }
    if scenario.bad.any():
        scores = np.load(folder / f"ours-{family}.npy")
        told["auroc"], told["precision"] = auroc(scenario.bad, scores), precision(scenario.bad, scores)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
