"""Files in parts: MLflow's own client sends them, and what it is given to send them with is good for nothing else."""

import hashlib
import random
import subprocess
import sys
import uuid

import pytest

import people

pytestmark = pytest.mark.strongroom_only
API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts"
SEED = 20_261_125
PART_BYTES = 5 * 1024 * 1024  # the smallest that MLflow's client takes
FILE_BYTES = 2 * PART_BYTES + 123_456

SEND = """
import sys, mlflow
mlflow.set_experiment(sys.argv[1])
with mlflow.start_run() as run:
    mlflow.log_artifact(sys.argv[2], "folder")
print(run.info.run_id)
"""


@pytest.fixture
def person(server):
    return people.person(server, "contributor")


def begin(session, server, name: str, parts: int = 2) -> tuple[str, list[dict]]:
    """A multipart upload into a run of its own; its path and what the client is given to send the parts with."""
    made = session.post(f"{server.url}{API}/experiments/create", json={"name": f"multipart-{uuid.uuid4().hex}"}).json()
    body = {"experiment_id": made["experiment_id"]}
    run = session.post(f"{server.url}{API}/runs/create", json=body).json()["run"]["info"]["run_id"]
    path = f"{made['experiment_id']}/{run}/artifacts"
    answer = session.post(f"{server.url}{FILES}/mpu/create/{path}", json={"path": name, "num_parts": parts})
    assert answer.status_code == 200, answer.text
    begun = answer.json()
    assert [part["part_number"] for part in begun["credentials"]] == list(range(1, parts + 1))
    return f"{path}/{name}", begun


def put(server, part: dict, content: bytes = b"a part", url: str | None = None, headers: dict | None = None):
    """Sends a part as a stranger would who has nothing but the address and its headers."""
    return server.session(token=None).put(url or part["url"], data=content, headers=headers or part["headers"])


def test_mlflows_client_sends_a_file_in_parts(server, person, tmp_path):
    content = random.Random(SEED).randbytes(FILE_BYTES)
    file = tmp_path / "large.bin"
    file.write_bytes(content)
    environment = {
        **server.mlflow_environment(person.token),
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(PART_BYTES),
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(PART_BYTES),
        # The client sends parts without looking at MLFLOW_TRACKING_SERVER_CERT_PATH.
        "REQUESTS_CA_BUNDLE": server.ca,
        "PATH": "/usr/bin:/bin",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    name = f"multipart-{uuid.uuid4().hex}"
    sent = subprocess.run(
        [sys.executable, "-c", SEND, name, str(file)], env=environment, capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    run = sent.stdout.split()[-1]
    session = person.session()
    info = session.get(f"{server.url}{API}/runs/get", params={"run_id": run}).json()["run"]["info"]
    path = f"{info['experiment_id']}/{run}/artifacts/folder/large.bin"
    read = session.get(f"{server.url}{FILES}/artifacts/{path}")
    assert hashlib.sha256(read.content).digest() == hashlib.sha256(content).digest()
    # It did come in parts, and each is recorded as the person's, by the token that began it.
    found = people.call(server.session(), server, "GET", "/audit/records", params={"what": "artifacts.upload_part", "rows": 500})
    ended = [record for record in found["records"] if record["kind"] == "outcome"]
    parts = [record for record in ended if record["caller"].get("token") == person.token_id]
    assert len(parts) == 3 and {record["status"] for record in parts} == {"done"}, ended


def test_what_parts_are_sent_with_is_not_the_clients_own_credential(server, person):
    _, begun = begin(person.session(), server, "file.bin")
    given = {part["headers"]["Authorization"] for part in begun["credentials"]}
    assert len(given) == 1 and person.token not in given.pop()
    part = begun["credentials"][0]
    assert put(server, part).status_code == 200
    # Good for parts of this upload, and for nothing else that the person may do.
    session = server.session(token=None)
    session.headers.update(part["headers"])
    for method, path, body in (
        ("GET", f"{API}/experiments/search?max_results=1", None),
        ("POST", f"{API}/experiments/create", {"name": "no"}),
        ("POST", f"{people.ADMIN}/tokens", {"label": "no", "scopes": [], "lifetime_s": 60}),
    ):
        assert session.request(method, server.url + path, json=body).status_code == 403, path
    path, other = begin(person.session(), server, "file.bin")
    answer = put(server, part, url=other["credentials"][0]["url"])
    assert answer.status_code == 404, "another upload of the same person"
    # The person goes on with their own credential, as MLflow's client does.
    etags = [put(server, part).headers["ETag"] for part in other["credentials"]]
    sent = [{"part_number": number, "etag": etag, "url": ""} for number, etag in enumerate(etags, 1)]
    folder, _, name = path.rpartition("/")
    done = {"path": name, "upload_id": other["upload_id"], "parts": sent}
    assert person.session().post(f"{server.url}{FILES}/mpu/complete/{folder}", json=done).status_code == 200
    assert person.session().get(f"{server.url}{FILES}/artifacts/{path}").content == b"a part" * 2
    assert put(server, other["credentials"][0]).status_code == 404, "the upload is over"


@pytest.mark.parametrize("by_password", [False, True])
def test_a_client_with_a_password_can_send_parts_too(server, person, by_password):
    session = person.basic() if by_password else person.session()
    _, begun = begin(session, server, "file.bin", parts=1)
    part = begun["credentials"][0]
    assert person.password not in str(begun)
    assert put(server, part).status_code == 200
    for headers in ({}, {"Authorization": part["headers"]["Authorization"][:-1] + "x"}):
        assert put(server, part, headers=headers or {"X-Nothing": "1"}).status_code == 401


def test_parts_are_refused_once_the_token_is_revoked(server, person):
    minted = people.mint(person.basic(), server)
    _, begun = begin(server.session(minted["secret"]), server, "file.bin")
    assert put(server, begun["credentials"][0]).status_code == 200
    people.call(person.session(), server, "DELETE", f"/tokens/{minted['id']}", status=(200, 204))
    assert put(server, begun["credentials"][1]).status_code == 401


def test_parts_are_refused_once_the_role_is_gone(server):
    somebody = people.person(server)
    grant = people.grant(server, somebody.name, "contributor")
    _, begun = begin(somebody.session(), server, "file.bin")
    assert put(server, begun["credentials"][0]).status_code == 200
    identity = grant.get("id") or grant["grant"]["id"]
    people.call(server.session(), server, "DELETE", f"/grants/{identity}", status=(200, 204))
    assert put(server, begun["credentials"][1]).status_code in (403, 404)
