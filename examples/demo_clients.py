"""Clients of an endpoint, with Triton's own library: `demo_clients.py honest|drifted|attack ENDPOINT ROWS`.

They ask about the demonstration's customers, or, where DEMO_DATA names a CSV file and DEMO_LABEL its label, about rows of that file.

Where the server is stands in MLFLOW_TRACKING_URI and MLFLOW_TRACKING_SERVER_CERT_PATH; who asks in the file STRONGROOM_TOKEN_FILE.
Prints one JSON object: how many rows were answered, what was said of them, by which versions, and when an answer was refused.

`honest` asks about rows like those of the training, in requests of one row and of many. `drifted` asks about rows in which one column
has moved, as after a change of how it is counted. `attack` copies the model as Papernot et al. 2017 do: it asks about a few rows, and
then about small steps from each of them, again and again.
"""

import collections
import json
import os
import pathlib
import sys
import time

import gevent.ssl
import numpy
import pandas
import tritonclient.http as http
from demo_gates import FEATURES, customers
from demo_own import features

# A step, in standard deviations of its column.
STEP = 0.02


def population(count, seed):
    """Rows that somebody could ask about."""
    if "DEMO_DATA" in os.environ:
        table = features(pandas.read_csv(os.environ["DEMO_DATA"]), os.environ["DEMO_LABEL"])
        return table.sample(count, replace=count > len(table), random_state=seed)
    return customers(count, seed)[FEATURES]


def moved(table):
    """The same with one column moved: visits, or the column that holds the most different values."""
    column = "visits" if "visits" in table else table.nunique().idxmax()
    return table.assign(**{column: table[column] * 1.5 + 2.5 * table[column].std()})


def client():
    context = gevent.ssl.create_default_context(cafile=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"])
    host = os.environ["MLFLOW_TRACKING_URI"].removeprefix("https://")
    return http.InferenceServerClient(host, ssl=True, ssl_context_factory=lambda: context, network_timeout=60)


class Asked:
    def __init__(self, endpoint):
        self.client, self.endpoint = client(), endpoint
        token = pathlib.Path(os.environ["STRONGROOM_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
        self.headers = {"Authorization": f"Bearer {token}"}
        self.said, self.versions = collections.Counter(), collections.Counter()
        self.rows = self.requests = 0
        self.last = self.refused = None
        metadata = self.client.get_model_metadata(endpoint, headers=self.headers)
        self.name = metadata["inputs"][0]["name"]

    def ask(self, rows):
        """The labels of these rows; nothing once the server refuses."""
        rows = numpy.ascontiguousarray(rows, dtype=numpy.float64)
        given = http.InferInput(self.name, rows.shape, "FP64")
        given.set_data_from_numpy(rows, binary_data=True)
        self.requests += 1
        try:
            result = self.client.infer(self.endpoint, [given], headers=dict(self.headers))
        except http.InferenceServerException as problem:
            self.refused = {"after_rows": self.rows, "why": problem.message()}
            return None
        answer = result.get_response()
        labels = next(result.as_numpy(one["name"]) for one in answer["outputs"] if one["datatype"] in ("INT64", "BYTES", "BOOL"))
        self.rows += len(rows)
        self.said.update(str(label) for label in labels.reshape(-1).tolist())
        self.versions[answer["model_version"]] += len(rows)
        self.last = answer["parameters"]["prediction_id"]
        return labels.reshape(-1)

    def report(self, seconds):
        print(json.dumps({
            "rows": self.rows, "requests": self.requests, "said": self.said, "versions": self.versions, "refused": self.refused,
            "prediction": self.last, "seconds": round(seconds, 2),
        }))


def in_requests(asked, rows):
    """Now one row, now many, as applications do."""
    place = 0
    for count in [1, 1, 1, 20, 1, 50, 1, 1, 200] * len(rows):
        if place >= len(rows) or asked.ask(rows[place : place + count]) is None:
            return
        place += count


def attack(asked, row_count):
    chance = numpy.random.default_rng(99)
    table = population(20, 4_711)
    points, steps = table.to_numpy(dtype=float), STEP * table.std().to_numpy(dtype=float)
    while asked.rows < row_count:
        for point in points:
            if asked.ask(point.reshape(1, -1)) is None:
                return
        points = points + steps * numpy.sign(chance.normal(size=points.shape))


if __name__ == "__main__":
    start = time.monotonic()
    what, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    asked = Asked(endpoint)
    if what == "attack":
        attack(asked, count)
    else:
        table = population(count, 1_000 + count)
        in_requests(asked, (moved(table) if what == "drifted" else table).to_numpy(dtype=float))
    asked.report(time.monotonic() - start)
