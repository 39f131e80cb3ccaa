"""What breaks other inference servers: each is answered with a clear error, in bounded memory, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import ssl
import struct
import threading
import time

import numpy as np
import pytest
import test_serving

pytestmark = pytest.mark.strongroom_only

MEBIBYTE = 1 << 20
# What the server may grow by under one kind of attack: requests that are open are bounded, and so is what each of them holds.
GROWTH_MAX = 192 * MEBIBYTE


@pytest.fixture(scope="module")
def victim():
    """A server of its own with an endpoint: what is done to it here disturbs no other test."""
    import harness

    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running() as server, pytest.MonkeyPatch.context() as patch:
        for key, value in server.mlflow_environment().items():
            patch.setenv(key, value)
        import mlflow

        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        yield server, test_serving.serve(server, mlflow)


def infer_path(served):
    return f"/v2/models/{served['endpoint']}/infer"


def is_served(server, served):
    body = {"inputs": [test_serving.tensor(served["features"][:2])]}
    return server.session().post(server.url + infer_path(served), json=body, timeout=30).status_code == 200


@contextlib.contextmanager
def bounded(server):
    before = server.resident_bytes()
    yield
    grown = server.resident_bytes() - before
    assert grown < GROWTH_MAX, f"{grown // MEBIBYTE} MiB more"


def connected(server):
    """A TLS connection by hand: what it sends is up to the test."""
    host, port = server.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=server.ca)
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=60), server_hostname=host)


def head(server, served, *lines):
    token = server.token_file.read_text().strip()
    first = [f"POST {infer_path(served)} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    return ("\r\n".join([*first, "Content-Type: application/json", *lines]) + "\r\n\r\n").encode()


def answer_of(connection):
    """The status of the answer, or nothing if the connection is closed without one."""
    text = b""
    with contextlib.suppress(OSError):
        while b"\r\n" not in text:
            part = connection.recv(4096)
            if not part:
                break
            text += part
    return int(text.split(b" ")[1]) if text else None


def test_numbers_that_are_none(victim):
    server, served = victim
    session = server.session()
    flood = np.full((5_000, 4), np.nan)
    raw = flood.tobytes()
    request = {"inputs": [{"name": "input", "shape": [5_000, 4], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}}]}
    first = json.dumps(request).encode()
    headers = {"Inference-Header-Content-Length": str(len(first)), "Content-Type": "application/octet-stream"}
    with bounded(server):
        for _ in range(5):
            answer = session.post(server.url + infer_path(served), data=first + raw, headers=headers, timeout=60)
            assert answer.status_code in (200, 400), answer.text
            assert answer.status_code == 200 or answer.json()["error"]
    for word in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = '{"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, %s]}]}' % word
        answer = session.post(server.url + infer_path(served), data=body, headers={"Content-Type": "application/json"}, timeout=30)
        assert answer.status_code == 400 and answer.json()["error"], (word, answer.text)
    assert is_served(server, served)


@pytest.mark.parametrize("what", ["announced", "chunked"])
def test_a_body_of_a_gigabyte(victim, what):
    server, served = victim
    lines = ["Content-Length: 1073741824"] if what == "announced" else ["Transfer-Encoding: chunked"]
    sent = 0
    with bounded(server), connected(server) as connection:
        connection.sendall(head(server, served, *lines))
        piece = b"1" * MEBIBYTE
        frame = piece if what == "announced" else b"%x\r\n%s\r\n" % (len(piece), piece)
        with contextlib.suppress(OSError):
            for _ in range(1_024):
                connection.sendall(frame)
                sent += MEBIBYTE
        assert answer_of(connection) in (413, None)
    assert sent < 1 << 30, "it is not read to its end"
    assert is_served(server, served)


def test_who_sends_too_much_is_told_so(victim):
    """The answer comes long before the last byte was sent: a client that sends first and reads then must still get it."""
    server, served = victim
    body = b"1" * (12 * MEBIBYTE)
    with bounded(server):
        for _ in range(5):
            with connected(server) as connection:
                connection.sendall(head(server, served, f"Content-Length: {len(body)}"))
                connection.sendall(body)
                assert answer_of(connection) == 413
    assert is_served(server, served)


def test_no_address_holds_a_nul(victim):
    """PostgreSQL keeps no text with one: whoever asks for it is told so, and nothing fails."""
    server, _ = victim
    session, admin = server.session(), f"{server.url}/api/strongroom/v1"
    addresses = [f"{admin}/{rest}" for rest in ("lineage?subject=a%00", "lineage/a%00/1", "endpoints?model=a%00", "users?after=a%00", "datasets/a%00")]
    addresses += [f"{server.url}/{rest}" for rest in ("api/2.0/mlflow/registered-models/get?name=a%00", "console/models?model=a%00")]
    for address in addresses:
        answer = session.get(address, timeout=30)
        assert answer.status_code == 400 and "NUL" in answer.text, (address, answer.status_code, answer.text[:300])
    assert server.session(None).get(f"{admin}/lineage/a%00/1", timeout=30).status_code == 401, "a stranger learns nothing of that either"


def test_deep_and_wide_json(victim):
    server, served = victim
    session = server.session()
    with bounded(server):
        for body in (
            b"[" * 100_000,
            b'{"inputs": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
            b'{"inputs": [' + b",".join([b'{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}'] * 20_000) + b"]}",
            b'{"inputs": [{"name": "' + b"x" * (4 * MEBIBYTE) + b'", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}]}',
            b'{"inputs": [{"name": "input", "shape": [4611686018427387904, 4], "datatype": "FP64", "data": []}]}',
            b'{"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP64", "data": ["a", {}, [], null]}]}',
        ):
            answer = session.post(server.url + infer_path(served), data=body, headers={"Content-Type": "application/json"}, timeout=60)
            assert answer.status_code in (400, 413) and answer.json()["error"], answer.text[:300]
    assert is_served(server, served)


def test_grpc_messages_that_are_too_large(victim):
    httpx = pytest.importorskip("tritonclient.grpc")
    from tritonclient.utils import InferenceServerException

    server, served = victim
    client = httpx.InferenceServerClient(server.url.removeprefix("https://"), ssl=True, root_certificates=server.ca)
    headers = {"authorization": f"Bearer {server.token_file.read_text().strip()}"}
    rows = np.zeros((3_000_000, 4))
    given = httpx.InferInput("input", rows.shape, "FP64")
    given.set_data_from_numpy(rows)
    with bounded(server), pytest.raises(InferenceServerException) as told:
        client.infer(served["endpoint"], [given], headers=headers, client_timeout=120)
    assert any(word in str(told.value.status()) for word in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "CANCELLED")), told.value
    # A length that lies: four gigabytes are announced, five bytes come.
    with connected(server) as connection:
        connection.sendall(head(server, served, "Content-Length: 5") + struct.pack(">BI", 0, 0xFFFFFFFF))
        assert answer_of(connection) == 400
    assert is_served(server, served)


@pytest.mark.any_database("connections come before it")
def test_slow_senders_and_idle_connections_leave_others_alone(victim):
    server, served = victim
    host, port = server.url.removeprefix("https://").split(":")
    slow, strangers, idle, stop = [], [], [], threading.Event()
    most = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    try:
        with bounded(server):
            for _ in range(200):
                connection = connected(server)
                connection.sendall(head(server, served, "Content-Length: 100000"))
                slow.append(connection)
            # Strangers hold no place, and those whose log-in form does not come hold their own only.
            path = f"/endpoints/{served['endpoint']}/invocations"
            for place in range(max(2, min(1_100, most - 300))):
                wanted = f"POST {path if place % 2 else '/login'} HTTP/1.1"
                connection = connected(server)
                lines = [wanted, "Host: 127.0.0.1", "Content-Type: application/json", "Content-Length: 100"]
                connection.sendall(("\r\n".join(lines) + "\r\n\r\n{").encode())
                strangers.append(connection)
            assert answer_of(strangers[1]) == 401, "it is not waited for a stranger's body"

            def drip():
                while not stop.wait(0.2):
                    for connection in slow:
                        with contextlib.suppress(OSError):
                            connection.sendall(b" ")

            thread = threading.Thread(target=drip)
            thread.start()
            # They open and say nothing: those beyond what is open at once wait, and are closed when they have said nothing in time.
            for _ in range(most - len(slow) - len(strangers)):
                with contextlib.suppress(OSError):
                    idle.append(socket.create_connection((host, int(port)), timeout=5))
            session, start = server.session(), time.monotonic()
            body = {"inputs": [test_serving.tensor(served["features"][:2])]}
            answered = session.post(server.url + infer_path(served), json=body, timeout=60)
            assert answered.status_code == 200, answered.text
            waited = time.monotonic() - start
            for _ in range(20):
                again = session.post(server.url + infer_path(served), json=body, timeout=60)
                assert again.status_code == 200
    finally:
        stop.set()
        for connection in [*slow, *strangers, *idle]:
            connection.close()
    assert waited < 30, f"a newcomer waited {waited:.1f} s behind {len(idle)} connections that say nothing"
    assert is_served(server, served)
