"""User name and password as the MLflow client sends them, and tokens in the password's place."""

import time
import uuid

import pytest

import people

pytestmark = pytest.mark.strongroom_only
SEARCH = "/api/2.0/mlflow/experiments/search"


@pytest.fixture(scope="module")
def alice(server):
    return people.person(server, "contributor")


def ask(session, server):
    return session.post(server.url + SEARCH, json={"max_results": 1})


def test_the_stock_client_logs_in_with_name_and_password(server, alice, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", server.ca)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", alice.name)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", alice.password)
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    mlflow.set_tracking_uri(None)
    client = mlflow.MlflowClient()
    experiment = client.create_experiment(f"basic-{uuid.uuid4().hex[:8]}")
    run = client.create_run(experiment)
    client.log_metric(run.info.run_id, "m", 1)
    assert client.get_run(run.info.run_id).info.user_id == alice.name


def test_a_password_is_not_hashed_anew_for_every_request(server, alice):
    session = alice.basic()
    assert ask(session, server).status_code == 200
    start = time.monotonic()
    for _ in range(20):
        assert ask(session, server).status_code == 200
    assert time.monotonic() - start < 20 * 0.25


def test_a_token_works_in_the_passwords_place(server, alice):
    session = server.session(token=None)
    session.auth = ("anything", alice.token)
    assert ask(session, server).status_code == 200


@pytest.mark.parametrize("word", ["", "x", "password1234", "admin"])
def test_wrong_passwords_are_all_answered_alike(server, word):
    # A person of this test's own: wrong passwords make the account wait.
    victim = people.person(server, "viewer")
    session = server.session(token=None)
    session.auth = (victim.name, word)
    known = ask(session, server)
    session.auth = (f"nobody.{uuid.uuid4().hex[:8]}", word)
    unknown = ask(session, server)
    assert known.status_code == unknown.status_code == 401
    assert known.json() == unknown.json()
    assert "You are not authenticated." in known.text
    assert victim.name not in known.text


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic YWRtaW4=", "Bearer", "Bearer ", "Digest x", "Bearer sr_pat_short", "Bearer a b"])
def test_broken_headers_are_refused_not_ignored(server, header):
    session = server.session(token=None)
    answer = session.get(f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize("weak", ["", "a", "short", "password1234", "12345678901234", "passwordpassword"])
def test_weak_passwords_cannot_be_chosen(server, weak):
    admin = server.session()
    body = {"name": f"weak.{uuid.uuid4().hex[:8]}", "password": weak}
    answer = admin.post(f"{server.url}{people.ADMIN}/users", json=body)
    assert answer.status_code == 400, answer.text
    assert "password" in answer.json()["message"].lower()


def test_a_disabled_account_is_out_at_once(server):
    bob = people.person(server, "viewer")
    by_token, by_password = bob.session(), bob.basic()
    assert ask(by_token, server).status_code == 200
    assert ask(by_password, server).status_code == 200
    people.call(server.session(), server, "POST", f"/users/{bob.name}/disable", json={}, status=(200, 204))
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and ask(by_token, server).status_code == 200:
        time.sleep(0.05)
    assert ask(by_token, server).status_code == 401
    assert ask(by_password, server).status_code == 401


def test_a_revoked_token_is_out_within_a_second(server):
    carol = people.person(server, "viewer")
    session = carol.session()
    assert ask(session, server).status_code == 200
    people.call(session, server, "DELETE", f"/tokens/{carol.token_id}", status=(200, 204))
    time.sleep(1)
    assert ask(session, server).status_code == 401


def test_a_token_never_widens(server):
    dave = people.person(server, "contributor")
    narrow = people.mint(dave.session(), server, lifetime_s=600, scopes=["experiments.search", "tokens.create"])
    session = server.session(narrow["secret"])
    assert ask(session, server).status_code == 200
    made = session.post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": f"n-{uuid.uuid4().hex[:8]}"})
    assert made.status_code in (403, 404)
    for scopes in (["runs.*"], ["*"], ["experiments.search", "experiments.create"]):
        body = {"label": "w", "scopes": scopes, "lifetime_s": 60}
        assert session.post(f"{server.url}{people.ADMIN}/tokens", json=body).status_code in (400, 403), scopes
    same = people.mint(session, server, scopes=[], lifetime_s=60)
    made = server.session(same["secret"]).post(f"{server.url}/api/2.0/mlflow/experiments/create", json={"name": "n"})
    assert made.status_code in (403, 404)
