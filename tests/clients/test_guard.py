"""The guard of endpoints: attacks are noticed and answered step by step, honest callers are not, and people decide."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest

import harness
import people
from test_data import commit, read, wait as wait_for_data, waive
from test_models import wait

pytestmark = pytest.mark.strongroom_only
COLUMNS = [f"x{place}" for place in range(8)]
TRAINING_ROWS = 3_000


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def rows(count: int, seed: int) -> np.ndarray:
    """Rows of eight numbers that hang together."""
    random = np.random.default_rng(seed)
    mix = np.random.default_rng(0).normal(size=(4, 8))
    return (random.normal(size=(count, 4)) @ mix + 0.3 * random.normal(size=(count, 8))).round(4)


WORLD: dict = {}


@pytest.fixture
def world(server, mlflow_here):
    """A model whose training data the server saw being read."""
    if not WORLD:
        WORLD.update(served(server, mlflow_here))
    return WORLD


def served(server, mlflow) -> dict:
    from sklearn.linear_model import LogisticRegression

    reviewer, contributor = people.person(server, "reviewer"), people.person(server, "contributor")
    features = rows(TRAINING_ROWS, 1)
    labels = (features[:, 0] > 0).astype(int)
    data, model = fresh("train"), fresh("model")
    text = ",".join([*COLUMNS, "y"]) + "\n" + "\n".join(",".join(map(str, [*row, label])) for row, label in zip(features, labels))
    commit(contributor.session(), server, data, {"rows.csv": text.encode()}, roles={"label": "y"})
    if wait_for_data(contributor.session(), server, data, 1)["state"] == "quarantined":
        waive(reviewer.session(), server, data, 1)
    mlflow.set_experiment(fresh("exp"))
    with mlflow.start_run() as run:
        seen = read(contributor.session(), server, data, 1, "rows.csv", **{"X-Strongroom-Run": run.info.run_id})
        assert seen.status_code == 200, seen.text
        fitted = LogisticRegression().fit(features, labels)
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=model, serialization_format="skops")
    shown = wait(server.session(), server, model, 1)
    assert shown["state"] == "admitted", harness.pretty(shown)
    return {"data": data, "model": model}


@pytest.fixture
def endpoint(server, world):
    name = fresh("guarded")
    people.call(server.session(), server, "POST", "/endpoints", json={"name": name, "model": world["model"], "version": "1"})
    return name


def guard(server, endpoint, **settings) -> dict:
    return people.call(server.session(), server, "POST", f"/endpoints/{endpoint}/guard", json=settings)


def trails(server, endpoint) -> list[dict]:
    return people.call(server.session(), server, "GET", f"/endpoints/{endpoint}/trails")["trails"]


def ask(person, server, endpoint, features):
    tensor = {"name": "input", "shape": list(features.shape), "datatype": "FP64", "data": features.reshape(-1).tolist()}
    return person.session().post(f"{server.url}/v2/models/{endpoint}/infer", json={"inputs": [tensor]}, timeout=30)


def chances(answer) -> np.ndarray:
    output = next(output for output in answer.json()["outputs"] if output["datatype"] in ("FP32", "FP64"))
    return np.reshape(output["data"], output["shape"])


def test_honest_callers_are_not_noticed(server, endpoint):
    asker = people.person(server, "predictor")
    honest = rows(600, 2)
    for part in (honest[:1], honest[1:300], honest[:300], honest[300:]):
        assert ask(asker, server, endpoint, part).status_code == 200
        assert ask(asker, server, endpoint, part.astype(np.float32).astype(float)).status_code == 200
    (trail,) = trails(server, endpoint)
    assert trail["level"] == "calm" and trail["cause"] is None, trail
    assert trail["rows"] == 1800 and trail["repeats"] == 1200 and 0.5 < trail["coverage"] <= 1, trail
    shown = people.call(asker.session(), server, "GET", f"/endpoints/{endpoint}")["guard"]
    assert shown["compared_row_count"] == TRAINING_ROWS and "train-" not in json.dumps(shown), shown
    assert shown["sees_near_queries"] and shown["callers"]["calm"] == 1 and shown["ladder"], shown


def test_small_steps_climb_the_ladder_to_a_refusal_and_a_person_releases(server, endpoint):
    asker, other = people.person(server, "predictor"), people.person(server, "predictor")
    random, start = np.random.default_rng(3), rows(1, 3)
    levels = []
    for _ in range(40):
        answer = ask(asker, server, endpoint, start + 0.002 * random.normal(size=start.shape))
        if answer.status_code == 429:
            break
        levels.append(trails(server, endpoint)[0]["level"])
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1, answer.text
    assert "slowed down" in answer.json()["error"] and levels[:3] == ["calm"] * 3 and levels[3] == "alarm", levels
    batch = start + 0.002 * random.normal(size=(200, 8))
    people.call(server.session(), server, "POST", f"/endpoints/{endpoint}/trails/release", json={"caller": trails(server, endpoint)[0]["caller"]})
    refused = ask(asker, server, endpoint, batch)
    assert refused.status_code == 429 and "does not answer you" in refused.json()["error"], refused.text
    assert 800 < int(refused.headers["retry-after"]) <= 901, refused.headers
    assert ask(other, server, endpoint, rows(1, 4)).status_code == 200, "others are answered"
    noticed = trails(server, endpoint)[0]
    assert noticed["level"] == "refused" and noticed["cause"] == "near_queries" and noticed["since"], noticed
    records = json.dumps(people.call(server.session(), server, "GET", "/audit/records?what=endpoints.predict&rows=100")["records"])
    assert "near_queries" in records and "guard_near" in records
    admin = ["--token-file", str(server.token_file)]
    assert "refused" in server.cli("endpoint", "trails", endpoint, *admin).stdout
    server.cli("endpoint", "release", endpoint, noticed["caller"], *admin)
    assert ask(asker, server, endpoint, rows(1, 5)).status_code == 200
    server.cli("endpoint", "throttle", endpoint, noticed["caller"], "--level", "refused", "--minutes", "5", *admin)
    stopped = ask(asker, server, endpoint, rows(1, 6))
    assert stopped.status_code == 429 and 200 < int(stopped.headers["retry-after"]) <= 300, stopped.text
    people.call(asker.session(), server, "GET", f"/endpoints/{endpoint}/trails", status=403)
    people.call(asker.session(), server, "POST", f"/endpoints/{endpoint}/trails/release", status=403, json={"caller": noticed["caller"]})


def test_an_attack_over_several_accounts_is_noticed(server, endpoint):
    askers = [people.person(server, "predictor") for _ in range(3)]
    random, start = np.random.default_rng(7), rows(1, 7)
    for step in range(18):
        ask(askers[step % 3], server, endpoint, start + 0.002 * random.normal(size=start.shape))
    levels = [trail["level"] for trail in trails(server, endpoint)]
    assert len(levels) == 3 and "calm" not in levels, trails(server, endpoint)
    assert len({trail["network"] for trail in trails(server, endpoint)}) == 1


def test_foreign_queries_are_noticed_and_by_default_only_noticed(server, endpoint):
    asker = people.person(server, "predictor")
    foreign = np.random.default_rng(8).uniform(-40, 40, size=(400, 8))
    assert ask(asker, server, endpoint, foreign).status_code == 200
    (trail,) = trails(server, endpoint)
    assert trail["level"] == "alarm" and trail["cause"] == "unlike_training_data", trail
    assert ask(asker, server, endpoint, foreign[:5]).status_code == 200
    guard(server, endpoint, unlike="refused")
    answer = ask(asker, server, endpoint, np.random.default_rng(9).uniform(-40, 40, size=(400, 8)))
    assert answer.status_code == 429 and "unlike" in answer.json()["error"], answer.text


def test_budgets_outputs_and_ranges_are_settings(server, endpoint):
    asker, honest = people.person(server, "predictor"), rows(40, 10)
    fine = chances(ask(asker, server, endpoint, honest))
    assert guard(server, endpoint, digits=2)["digits"] == 2
    np.testing.assert_allclose(chances(ask(asker, server, endpoint, honest)), fine.round(2), atol=1e-9)
    guard(server, endpoint, top_k=1)
    assert ((chances(ask(asker, server, endpoint, honest)) > 0).sum(axis=1) == 1).all()
    guard(server, endpoint, ranges="refuse")
    assert ask(asker, server, endpoint, honest[:1]).status_code == 200
    outside = ask(asker, server, endpoint, np.full((1, 8), 1e6))
    assert outside.status_code == 400 and "`x0`" in outside.json()["error"], outside.text
    # The model knows no names: it reads by place, whatever a client calls its columns.
    swapped = {"dataframe_split": {"columns": COLUMNS[::-1], "data": [[1e6, *([0.0] * 7)]]}}
    named = asker.session().post(f"{server.url}/endpoints/{endpoint}/invocations", json=swapped, timeout=30)
    assert named.status_code == 400 and "`x0`" in named.json()["message"], named.text
    # Each of these changed one setting and left the others.
    kept = people.call(server.session(), server, "GET", f"/endpoints/{endpoint}")["guard"]
    assert (kept["digits"], kept["top_k"], kept["ranges"]) == (2, 1, "refuse"), kept
    admin = ["--token-file", str(server.token_file)]
    server.cli("endpoint", "guard", endpoint, "--digits", "3", *admin)
    kept = people.call(server.session(), server, "GET", f"/endpoints/{endpoint}")["guard"]
    assert (kept["digits"], kept["top_k"], kept["ranges"]) == (3, 1, "refuse"), kept
    server.cli("endpoint", "guard", endpoint, "--ranges", "refuse", "--reset", *admin)
    kept = people.call(server.session(), server, "GET", f"/endpoints/{endpoint}")["guard"]
    assert (kept["digits"], kept["top_k"], kept["ranges"]) == (None, None, "refuse"), kept
    guard(server, endpoint, rows_per_day=100)
    spent = ask(asker, server, endpoint, honest)
    assert spent.status_code == 429 and "100 rows a day" in spent.json()["error"] and int(spent.headers["retry-after"]) > 60
    for wrong in ({"digits": 0}, {"top_k": 0}, {"ranges": "maybe"}, {"unlike": "calm"}, {"rows_per_day": 0}, {"colour": 1}):
        people.call(server.session(), server, "POST", f"/endpoints/{endpoint}/guard", status=400, json=wrong)


def test_without_known_training_data_there_are_budgets_and_it_says_so(server, mlflow_here):
    from sklearn.linear_model import LogisticRegression

    mlflow, model, name = mlflow_here, fresh("plain"), fresh("plain-live")
    mlflow.set_experiment(fresh("exp"))
    features = rows(300, 11)
    with mlflow.start_run():
        fitted = LogisticRegression().fit(features, (features[:, 0] > 0).astype(int))
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=model, serialization_format="skops")
    assert wait(server.session(), server, model, 1)["state"] == "admitted"
    people.call(server.session(), server, "POST", "/endpoints", json={"name": name, "model": model, "version": "1"})
    asker = people.person(server, "predictor")
    random = np.random.default_rng(12)
    for _ in range(30):
        assert ask(asker, server, name, features[:1] + 0.001 * random.normal(size=(1, 8))).status_code == 200
    shown = people.call(server.session(), server, "GET", f"/endpoints/{name}")["guard"]
    assert shown["compared_row_count"] is None and not shown["sees_near_queries"], shown
    guard(server, name, rows_per_day=40)
    # Somebody who has used nothing up yet: what the first one did counts on.
    other = people.person(server, "predictor")
    assert ask(other, server, name, features[:30]).status_code == 200
    assert ask(other, server, name, features[:20]).status_code == 429
