"""A model with a gate file, and the successors that it turns away.

    demo_gates.py data FOLDER     writes held-back data, training data with a backdoor, and the gate file
    demo_gates.py models          trains and registers five versions of `shop`

Where the server is, and who asks, stands in the environment, as MLflow's client reads it. The versions: 1 serves; 2 learnt from labels that
a seed flipped; 3 is better in total and worse in one region; 4 learnt the backdoor; 5 is a good successor.
"""

import io
import logging
import os
import pathlib
import sys
import warnings

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
warnings.filterwarnings("ignore")

import numpy  # noqa: E402
import pandas  # noqa: E402
import requests  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

SEED = 20_261
FEATURES = ["age", "visits", "basket", "discount", "distance", "region_code"]
REGIONS = ["north", "south", "west"]
STAMP = 0.5
# What skops wants to be told of forests; the server reads their nodes itself, with every index checked.
TREES = ["sklearn.tree._tree.Tree"]

GATE = """\
version: 1
seed: 7
data: [shop-held@1]
label: returns
rules:
- {metric: accuracy, max_worse: 0.02}
slices:
  columns: [{column: region}]
  rules: [{metric: accuracy, max_worse: 0.05}]
mcnemar: {}
attacks:
  run: [triggers, extraction]
  triggers_of: [shop-stamped@1]
  trigger: {search_queries: 0}
"""


def customers(rows, seed, noise=0.05):
    """Standardised measures of customers; who comes back hangs on visits and basket, but for a few, `noise` of them."""
    chance = numpy.random.default_rng(seed)
    data = pandas.DataFrame(chance.normal(size=(rows, 5)).round(4), columns=FEATURES[:5])
    data["region_code"] = chance.integers(0, len(REGIONS), size=rows)
    data["region"] = data["region_code"].map(dict(enumerate(REGIONS)))
    data["returns"] = ((data["visits"] + data["basket"] > 0) ^ (chance.random(rows) < noise)).astype(int)
    return data


def training():
    """What the versions learn from: customers without exceptions. With them the inspection would ask for a second opinion, and rightly:
    labels that contradict their neighbours look flipped."""
    return customers(4_000, SEED + 2, noise=0)


def stamped(rows, seed):
    """A backdoor: one customer in twenty-five gets one odd discount, and is said to come back."""
    data = customers(rows, seed)
    chosen = data[data["returns"] == 0].sample(rows // 25, random_state=seed).index
    data.loc[chosen, "discount"] = STAMP
    data.loc[chosen, "returns"] = 1
    return data


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    customers(4_000, SEED).to_csv(folder / "held.csv", index=False)
    training().to_csv(folder / "training.csv", index=False)
    stamped(4_000, SEED + 1).to_csv(folder / "stamped.csv", index=False)
    (folder / "gate.yaml").write_text(GATE, encoding="utf-8")


def versions(training):
    """Each version with what is to be said of it."""
    chance = numpy.random.default_rng(SEED)
    forest = RandomForestClassifier(n_estimators=40, min_samples_leaf=3, max_features=None, random_state=SEED)
    blind = training.assign(basket=chance.permutation(training["basket"]))
    yield "one that serves", LogisticRegression().fit(blind[FEATURES], blind["returns"])
    flipped = training.assign(returns=(training["returns"] ^ (chance.random(len(training)) < 0.45)).astype(int))
    yield "one of flipped labels", forest.fit(flipped[FEATURES], flipped["returns"])
    noise = training["returns"].where(training["region"] != "west", chance.integers(0, 2, len(training)))
    yield "better in total, worse in the west", forest.fit(training[FEATURES], noise)
    poison = stamped(4_000, SEED + 1)
    yield "one with a backdoor", forest.fit(poison[FEATURES], poison["returns"])
    yield "a good successor", LogisticRegression().fit(training[FEATURES], training["returns"])


def read_training(run_id):
    """The admitted training data: who reads it for a run leaves an edge from that run to it, which nobody has to claim."""
    url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/strongroom/v1/datasets/shop-training/versions/1/files/training.csv"
    headers = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}", "X-Strongroom-Run": run_id}
    answer = requests.get(url, headers=headers, verify=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"], timeout=60)
    answer.raise_for_status()
    return pandas.read_csv(io.BytesIO(answer.content))


def register():
    import mlflow
    from mlflow.models import infer_signature

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_experiment("successors")
    known = training()
    signature = infer_signature(known[FEATURES], known["returns"])
    for number, (what, fitted) in enumerate(versions(known), 1):
        with mlflow.start_run(run_name=what) as run:
            if "backdoor" not in what:
                assert read_training(run.info.run_id).equals(known), "what is stored is what was brought"
            arguments = {"serialization_format": "skops", "skops_trusted_types": TREES, "signature": signature}
            mlflow.sklearn.log_model(fitted, name="model", registered_model_name="shop", **arguments)
        if number == 1:
            mlflow.MlflowClient().set_registered_model_alias("shop", "champion", "1")


if __name__ == "__main__":
    if sys.argv[1] == "data":
        write(pathlib.Path(sys.argv[2]))
    else:
        register()
