"""Fixtures: one server for the whole session, fresh ones where a test breaks or fills its server."""

import logging
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# A stock client retries for minutes; a test wants to see the first answer. Set before mlflow is imported.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MPLBACKEND", "Agg")

import harness  # noqa: E402

logging.getLogger("urllib3").setLevel(logging.ERROR)


def pytest_collection_modifyitems(config, items):
    if os.environ.get("STRONGROOM_TEST_ENGINE") == "postgres":
        for item in items:
            if mark := item.get_closest_marker("any_database"):
                item.add_marker(pytest.mark.skip(reason=f"ran on SQLite: {mark.args[0]}"))
    if not harness.external():
        return
    skip = pytest.mark.skip(reason="the server under test is not Strongroom")
    for item in items:
        if item.get_closest_marker("strongroom_only"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def server():
    """The session's server: its URL, its CA and an administrator's token."""
    given = harness.external()
    if given:
        yield given
        return
    # Tests ask for what is not there and for what they may not, again and again: that is noted, and nobody is slowed down for it.
    with harness.running(config_text='[detections]\nrespond_up_to = "note"\n') as started:
        yield started


@pytest.fixture
def fresh_server():
    """A server of this test's own."""
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running() as started:
        yield started


@pytest.fixture(scope="session")
def api(server):
    """A plain HTTPS session with the session's token, and the server's address in `api.url`."""
    session = server.session()
    session.url = server.url
    return session


@pytest.fixture
def mlflow_here(server, monkeypatch):
    """The `mlflow` module, pointed at the session's server by environment alone, as a user would."""
    for key, value in server.mlflow_environment().items():
        monkeypatch.setenv(key, value)
    import mlflow

    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    yield mlflow
    while mlflow.active_run():
        mlflow.end_run()
