"""What the server tells an OpenTelemetry collector: read with OpenTelemetry's own messages."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

import harness

pytestmark = pytest.mark.strongroom_only

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it is sent."""

    daemon_threads = True

    def __init__(self):
        self.sent: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, path):
        return [json.loads(body) for at, body in list(self.sent) if at == path]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.sent.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def spans(receiver):
    batches = receiver.of("/v1/traces")
    return [span for batch in batches for one in batch["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]]


def records(receiver):
    batches = receiver.of("/v1/logs")
    return [line for batch in batches for one in batch["resourceLogs"] for scope in one["scopeLogs"] for line in scope["logRecords"]]


def attributes(told):
    return {one["key"]: next(iter(one["value"].values())) for one in told["attributes"]}


def test_requests_and_log_lines_arrive_and_say_nothing_of_people():
    if harness.external():
        pytest.skip("needs a server of its own")
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    receiver = Receiver()
    text = f"[telemetry]\nurl = \"http://127.0.0.1:{receiver.server_port}\"\nallow_insecure = true\n"
    with harness.running(config_text=text) as server:
        session = server.session()
        body = {"name": "a name that nobody else needs"}
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        made = session.post(f"{server.url}/api/2.0/mlflow/experiments/create", json=body, headers=headers, timeout=30)
        assert made.status_code == 200, made.text
        refused = server.session(token=None).get(f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=1", timeout=30)
        assert refused.status_code == 401
        create = "/api/2.0/mlflow/experiments/create"
        harness.wait_until(
            lambda: {create, "/api/2.0/mlflow/experiments/get"} <= {attributes(span)["http.route"] for span in spans(receiver)}
            and records(receiver),
            30,
            "both requests and a line of the log are told",
        )
    (span,) = [span for span in spans(receiver) if attributes(span)["http.route"] == create]
    assert (span["traceId"], span["parentSpanId"], span["kind"]) == (TRACE, PARENT, 2)
    assert attributes(span)["strongroom.action"] == "experiments.create" and attributes(span)["http.response.status_code"] == "200"
    assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"])
    (span,) = [span for span in spans(receiver) if attributes(span)["http.route"] != create]
    assert attributes(span)["http.response.status_code"] == "401" and "parentSpanId" not in span
    assert any("listening" in line["body"]["stringValue"] for line in records(receiver)), records(receiver)
    everything = b"".join(body for _, body in receiver.sent).decode()
    for secret in (server.token, "a name that nobody else needs", "admin"):
        assert secret not in everything, secret
    for path, message in (("/v1/traces", ExportTraceServiceRequest), ("/v1/logs", ExportLogsServiceRequest)):
        for batch in receiver.of(path):
            json_format.ParseDict(batch, message())


def test_a_receiver_that_is_away_disturbs_nobody():
    if harness.external():
        pytest.skip("needs a server of its own")
    text = "[telemetry]\nurl = \"http://127.0.0.1:9\"\nallow_insecure = true\n"
    with harness.running(config_text=text) as server:
        for _ in range(30):
            assert server.session().get(f"{server.url}/health", timeout=30).status_code == 200
        harness.wait_until(lambda: "telemetry cannot be sent" in server.log_end(), 30, "it is said once")
        assert server.log_end().count("telemetry cannot be sent") == 1
