"""Every route of the server's own table, asked by everyone: a stranger, an expired and a revoked token, a caller in the
wrong workspace, one with the wrong role, one with the right one."""

import json
import re
import struct
import time
import uuid

import pytest

import people

pytestmark = pytest.mark.strongroom_only

# Verbs that anyone may ask for, credentials or not.
PUBLIC = {"server.health", "server.version", "server.info", "ui.login_page", "ui.login_provider", "ui.asset"}
# One route, several verbs: which one is meant stands in the body, and one that fits none is a plain 400.
COMPOSITE = ("/graphql", "/runs/create-promptlab-run", "/get-trace-artifact", "/gateway-proxy", "/v1/traces", "/remedies/{remedy}/run")
# Forms of pages, which are read before it is known what they ask for.
COMPOSITE += ("/console/data/{dataset}/{version}", "/console/models/{model}/{version}", "/console/access", "/console/access/{elevation}/decide")
COMPOSITE += ("/console/endpoints/{endpoint}", "/console/alerts/{alert}", "/console/vault/backups", "/console/vault/destroys/{request}", "/console/vault/kept")
COMPOSITE += ("/console/compare", "/console/curve", "/console/lineage/export")
COMPOSITE += ("/console/data/{dataset}/{version}/clean", "/console/access/review/{grant}", "/console/audit/evidence")
COMPOSITE += ("/console/data/{dataset}/contract", "/console/compare/models", "/console/people/{user}", "/console/services/{service}")
COMPOSITE += ("/console/models/{model}/{version}/promote", "/console/erasure", "/console/detections/write")
COMPOSITE += ("/console/vault/buckets/{bucket}/object", "/console/vault/restores/{request}", "/console/alerts/{alert}/remedies/{remedy}")
COMPOSITE += ("/account/factors/remove", "/account/recovery-codes", "/account/tokens/revoke", "/account/devices/revoke")
COMPOSITE += ("/console/people/{user}/revoke", "/console/services/{service}/revoke")
# Pages for everybody, which show what there is for whoever looks.
FOR_ALL = {"/", "/console", "/console/access", "/console/access/check", "/console/lineage", "/console/start", "/console/vault"}
# Verbs that every account has: its own account, tokens and sessions, and narrowed lists.
EVERYONES = {
    "account.me", "account.password", "risk.own", "tokens.create", "tokens.list", "tokens.revoke", "tokens.access_key", "tokens.assume", "sessions.create",
    "sessions.delete", "sessions.list", "factors.list", "tokens.exchange", "tokens.agree", "tokens.deny", "workspaces.list", "ui.read", "roles.list", "server.unrouted", "server.routes",
}  # fmt: skip
# Forms of sessions that are done once: one that comes again asks only who sent it.
ONCE = {"/account/totp", "/account/totp/confirm", "/account/recovery-codes", "/account/passkeys", "/account/devices/enrolment"}
# And those that a token does not do, whoever's it is.
OF_SESSIONS = {"factors.offer_totp", "factors.confirm_totp", "factors.add_passkey", "factors.remove", "factors.recovery_codes", "tokens.agree", "devices.invite"}
EVERYONES |= OF_SESSIONS | {"elevations.own", "elevations.end"}
# What an agent does with its device's certificate, or with leave to enrol, and nobody with a token alone.
OF_DEVICES = {"devices.enrol", "devices.renew", "devices.challenge", "devices.report", "devices.attest_begin", "devices.attest"}
OF_DEVICES |= {"devices.node_enrol", "devices.node_config", "devices.node_log", "devices.node_queries", "devices.node_answers"}
EVERYONES |= OF_DEVICES | {"mail.own", "mail.set_key", "devices.own", "devices.invite", "devices.revoke_own"}
# Where what comes as a form or a query is the credential, whatever else comes.
OWN_CREDENTIAL = {"/login": {401, 303}, "/login/callback": {303}, "/oauth/token": {400}}
# osquery is told in the answer that its key does not count, and with 429 that it comes too often.
OWN_CREDENTIAL |= {f"/osquery/{path}": {200} for path in ("enroll", "config", "log", "distributed/read", "distributed/write")}
# And those whose request is itself the credential: a statement that a trusted issuer signed.
EVERYONES |= {"sessions.logged_out", "signals.receive"}
OWN_CREDENTIAL |= {"/login/backchannel-logout": {400}, "/signals": {400}}


@pytest.fixture(scope="module")
def world(server):
    """One experiment, run, model, version … and one person of each kind."""
    admin = server.session()
    admin.url = server.url
    api = f"{server.url}/api/2.0/mlflow"

    def post(path, body):
        answer = admin.post(api + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    experiment = post("/experiments/create", {"name": f"matrix-{uuid.uuid4().hex[:8]}"})["experiment_id"]
    run = post("/runs/create", {"experiment_id": experiment})["run"]["info"]
    model = f"matrix-{uuid.uuid4().hex[:8]}"
    post("/registered-models/create", {"name": model})
    version = {"name": model, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}
    post("/model-versions/create", version)
    post("/registered-models/alias", {"name": model, "alias": "champion", "version": "1"})
    logged = post("/logged-models", {"experiment_id": experiment, "name": "m", "source_run_id": run["run_id"]})
    files = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts"
    assert admin.put(f"{files}/file.txt", data=b"x").status_code == 200
    return {
        "experiment_id": experiment,
        "run_id": run["run_id"],
        "model": model,
        "model_id": logged["model"]["info"]["model_id"],
        "path": f"{experiment}/{run['run_id']}/artifacts/file.txt",
    }


@pytest.fixture(scope="module")
def callers(server):
    revoked = people.person(server, "owner")
    people.call(revoked.session(), server, "DELETE", f"/tokens/{revoked.token_id}", status=(200, 204))
    short = people.person(server, "owner")
    expired = people.mint(short.session(), server, lifetime_s=1)
    elsewhere = people.new_workspace(server)
    time.sleep(2)
    return {
        "stranger": server.session(token=None),
        "expired": server.session(expired["secret"]),
        "revoked": revoked.session(),
        "viewer": people.person(server, "viewer").session(),
        "nobody": people.person(server).session(),
        "auditor": people.person(server, "auditor", on="server").session(),
        "administrator": people.person(server, "administrator", on="server").session(),
        "everything": server.session(),
        "elsewhere": elsewhere,
    }


@pytest.fixture(scope="module")
def routes(server):
    text = server.cli("routes", "--json", "--token-file", str(server.token_file)).stdout
    return json.loads(text)


def body_of(world):
    """One body that every MLflow verb can read: unknown fields are ignored, so it names everything at once."""
    return {
        "experiment_id": world["experiment_id"], "experiment_ids": [world["experiment_id"]],
        "experiment_name": "Default", "run_id": world["run_id"], "run_ids": [world["run_id"]],
        "run_uuid": world["run_id"], "source_run_id": world["run_id"], "model_id": world["model_id"],
        "name": world["model"], "new_name": f"{world['model']}-new", "version": "1", "alias": "champion",
        "stage": "Staging", "archive_existing_versions": False, "status": "FINISHED", "source": "s3://bucket/model",
        "key": "k", "value": "1", "timestamp": 1, "step": 0, "metric_key": "k", "max_results": 1,
        "metrics": [{"key": "k", "value": 1, "timestamp": 1, "step": 0}], "params": [{"key": "p", "value": "1"}],
        "tags": [{"key": "t", "value": "1"}], "datasets": [], "models": [], "path": "", "description": "d",
        "password": "a long enough pass phrase", "principal": "nobody", "role": "viewer", "resource_kind": "workspace",
        "action": "runs.get", "label": "l", "scopes": [], "lifetime_s": 60, "member": "nobody",
        "tag_key": "t", "start_index": 0, "end_index": 1, "model_json": "{\"run_id\": \"x\"}",
    }  # fmt: skip


def admin_body(path, world):
    """What the administration's routes read; they refuse unknown fields, so each gets its own."""
    fresh = f"m.{uuid.uuid4().hex[:10]}"
    bodies = [
        ("/users", {"name": fresh}),
        ("/services", {"name": fresh}),
        ("/groups", {"name": fresh}),
        ("/workspaces", {"name": fresh}),
        ("/grants", {"principal": "nosuchthing", "role": "viewer", "resource_kind": "workspace"}),
        ("/grants/preview", {"principal": "nosuchthing", "role": "viewer", "resource_kind": "workspace"}),
        ("/preview", {"member": "nosuchthing"}),
        ("/access/check", {"principal": "nosuchthing", "action": "runs.get", "resource_kind": "workspace"}),
        ("/me/mail-key", {"key": "no key"}),
        ("/nosuchthing/mail", {"address": "nobody@example.org"}),
        ("/mail/test", {"to": "nobody@example.org"}),
        ("/me/password", {"current": "not the password", "new": "a long enough pass phrase"}),
        ("/password", {"password": "a long enough pass phrase"}),
        ("/link", {"issuer": "https://nosuchthing.example", "subject": "x"}),
        ("/totp/confirm", {"code": "000000"}),
        ("/me/factors/passkeys", {"label": "l", "ceremony": "x", "client_data": "", "attestation_object": ""}),
        ("/entrust", {"to": "nosuchthing"}),
        ("/members", {"member": "nosuchthing"}),
        ("/tokens", {"label": "l", "scopes": [], "lifetime_s": 60}),
        ("/query", {"sql": "SELECT 1"}),
        ("/v1/endpoints", {"name": fresh, "model": world["model"], "version": "1"}),
        ("/endpoints/nosuchthing", {"version": "1"}),
        ("/rollout", {"version": "1", "share": 10}),
        ("/endpoints/nosuchthing/log", {"log": "hashes"}),
        ("/predictions/subject", {"subject": "nosuchthing"}),
        ("/predictions/erase", {"subject": "nosuchthing"}),
        ("/trails/release", {"caller": "nosuchthing"}),
        ("/trails/throttle", {"caller": "nosuchthing", "level": "slower", "seconds": 60}),
        ("/endpoints/nosuchthing/labels", {"labels": []}),
        ("/v1/alertmanager", {"version": "4", "alerts": []}),
        ("/clean", {"rows": [[1, 2]], "reason": "a test"}),
        ("/contract/check", {"contract": "kind: DataContract", "data": False}),
        ("/contract", {"contract": "kind: DataContract", "reason": "a test"}),
        ("/gate", {"gate": None, "reason": "a test"}),
        ("/own-rules/check", {"rules": "title: a"}),
        ("/own-rules/by-name/nosuchthing", {"rules": "title: a"}),
        ("/waive", {"reason": "a test", "until": "2099-01-01T00:00:00Z"}),
        ("/admit", {"reason": "a test"}),
        ("/refuse", {"reason": "a test"}),
        # Nothing is asked for without a reason.
        ("/keys/destroy", {"reason": ""}),
        ("/destroy/approve", {"request": "nosuchthing"}),
        ("/destroy/cancel", {"request": "nosuchthing"}),
        ("/from-run", {"run_id": world["run_id"]}),
        ("/v1/restores", {"reason": "a test"}),
        ("/retention/extend", {"kind": "model", "name": "nosuchthing/1", "mode": "COMPLIANCE", "until": "2099-01-01T00:00:00Z"}),
        ("/retention/hold", {"kind": "model", "name": "nosuchthing/1", "hold": True}),
        ("/retention/bypass", {"kind": "model", "name": "nosuchthing/1", "reason": "a test"}),
        ("/v1/elevations", {"role": "viewer", "reason": "a test", "seconds": 600}),
        ("/break-glass", {"reason": "a test"}),
        ("/audit/evidence", {"from": 0, "to": 1, "report_sha256": "0" * 64}),
        ("/pin", {"endorsement_key": "0" * 64}),
        ("/device-rules", {"tier": 0}),
        ("/device-fleets", {"name": fresh}),
        ("/nosuchthing/node", {"node": "nosuchthing"}),
        ("/sources", {"name": fresh, "pattern": "https://x.example/*", "owner": "x", "licence": "CC0-1.0"}),
    ]
    for ending, body in bodies:
        if path.endswith(ending):
            return body
    return {}


def ask(session, server, route, world, workspace=None):
    """Sends what the route expects, with real ids in its path."""
    values = {
        "alias": "champion", "experiment_id": world["experiment_id"], "run_id": world["run_id"], "model_id": world["model_id"],
        "name": world["model"], "version": "1", "model": world["model"], "path": world["path"], "key": "k", "tag_key": "t",
        "upload_id": "0" * 32, "part_number": "1",
    }  # fmt: skip

    def fill(match):
        word = match.group(1).lstrip("*")
        return values.get(word, "nosuchthing")

    path = re.sub(r"\{([^}]+)\}", fill, route["path"])
    headers = {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}
    if path.startswith("/inference."):
        return call_grpc(session, server.url + path, headers)
    administration = path.startswith(people.ADMIN)
    body = admin_body(path, world) if administration else special(route, world, body_of(world))
    arguments = {"headers": headers, "timeout": 30, "allow_redirects": False}
    if route["method"] in ("GET", "HEAD"):
        flat = {name: value for name, value in body.items() if not isinstance(value, (list, dict)) or name.endswith("ids")}
        subject = {"subject": f"{world['model']}/1", "direction": "down"} if path in (f"{people.ADMIN}/lineage", f"{people.ADMIN}/trace") else {}
        arguments["params"] = subject if administration else flat
    elif route["method"] == "PUT" and "mlflow-artifacts" in path:
        arguments["data"] = b"bytes"
    elif path.endswith("/upload-artifact"):
        arguments["params"] = {"run_uuid": body["run_uuid"], "path": body["path"]}
        arguments["data"] = b"bytes"
    else:
        arguments["json"] = body
    answer = session.request(route["method"], server.url + path, **arguments)
    return answer.status_code


# What gRPC's status codes are over HTTP.
GRPC = {"3": 400, "5": 404, "6": 409, "7": 403, "8": 429, "9": 409, "12": 501, "13": 500, "14": 503, "16": 401}


def call_grpc(session, url, headers):
    """A unary call of the Open Inference Protocol: a message that fits all six, which names a model that is not there."""
    tensor = b"\x0a\x01x\x12\x04FP64\x1a\x01\x01\x2a\x0a\x3a\x08" + struct.pack("<d", 1.0)
    message = b"\x0a\x0bnosuchthing" + (b"\x2a" + bytes([len(tensor)]) + tensor if url.endswith("ModelInfer") else b"")
    framed = b"\0" + struct.pack(">I", len(message)) + message
    answer = session.post(url, data=framed, headers={**headers, "Content-Type": "application/grpc"}, timeout=30)
    # Where all is well the status comes behind the message.
    return GRPC.get(answer.headers.get("grpc-status"), answer.status_code)


def second_wave(route, world):
    """What traces and evaluation datasets read beside the rest."""
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": world["experiment_id"]}}
    info = {"trace_id": "tr-matrix", "trace_location": place, "request_time": "2026-01-01T00:00:00Z", "state": "OK"}
    assessment = {
        "assessment_name": "a", "trace_id": "tr-matrix", "source": {"source_type": "HUMAN", "source_id": "x"},
        "feedback": {"value": True}, "create_time": "2026-01-01T00:00:00Z", "last_update_time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    extra = {
        "trace": {"trace_info": info}, "trace_info": info, "trace_id": "tr-matrix", "trace_ids": ["tr-matrix"],
        "request_id": "tr-matrix", "request_ids": ["tr-matrix"], "timestamp_ms": 1, "status": "OK", "locations": [place],
        "assessment": assessment, "update_mask": "rationale", "filter_string1": "tag.a = 'b'", "filter_string2": "tag.c = 'd'",
        "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}],
        "prompt_versions": [{"name": world["model"], "version": "1"}], "dataset_ids": ["d-x"],
        "max_results": 10, "path": "file.txt", "tags": [], "request_metadata": [],
    }  # fmt: skip
    if "/datasets" in route["path"]:
        extra |= {"tags": json.dumps({"t": "1"}), "records": json.dumps([{"inputs": {"q": "1"}}]), "name": "matrix"}
    return extra


def scim_body(route):
    if route["method"] == "PATCH":
        operation = {"op": "replace", "path": "externalId", "value": "x"}
        return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    if route["method"] in ("GET", "DELETE") or route["path"].endswith("/.search"):
        return {}
    fresh = f"m.{uuid.uuid4().hex[:10]}"
    return {"userName": fresh} if "/Users" in route["path"] else {"displayName": fresh}


def special(route, world, body):
    """What single routes want otherwise than the rest."""
    path = route["path"]
    inside = {"path": "file.txt", "num_parts": 1, "upload_id": "0" * 32, "parts": [{"part_number": 1, "etag": "x", "url": ""}]}
    if path.startswith("/access/v1/"):
        about = {"type": "workspace", "id": "default"}
        return {"subject": {"type": "user", "id": "admin"}, "action": {"name": "runs.get"}, "resource": about}
    if path.startswith("/scim/v2/"):
        return scim_body(route)
    if "mlflow-artifacts/mpu/" in path:
        return {**body, **inside}
    if path.startswith("/api/v1/"):
        event = {
            "eventTime": "2026-01-01T00:00:00Z", "producer": "https://x.example", "schemaURL": "https://x.example",
            "job": {"namespace": "n", "name": "matrix"},
        }  # fmt: skip
        return {"nodeId": "job:n:matrix"} if route["method"] == "GET" else [event] if path.endswith("/batch") else event
    if path.endswith("/mlflow-artifacts/artifacts"):
        return {"path": world["path"].removesuffix("/file.txt")}
    if path.endswith("/infer"):
        return {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
    if path.endswith("/invocations"):
        return {"inputs": [[1.0]]}
    if route["method"] == "PATCH" and path.endswith("/logged-models/{model_id}"):
        return {**body, "status": "LOGGED_MODEL_READY"}
    if "/mlflow/traces" in path or "/mlflow/datasets" in path:
        return {**body, **second_wave(route, world)}
    if path.endswith(("get-artifact", "/artifacts/files", "/upload-artifact")):
        return {**body, "path": "file.txt", "artifact_file_path": "file.txt"}
    return body


def failures(routes, expected, asked):
    """All routes at once: a single list of what was wrong says more than a hundred failed tests."""
    wrong = []
    for route in routes:
        allowed = expected(route)
        if allowed is None:
            continue
        if allowed <= {403, 404} and route["path"].endswith(COMPOSITE):
            allowed = allowed | {400}
        if allowed <= {400, 403, 404} and route["path"] in FOR_ALL and route["method"] == "GET":
            allowed = allowed | {200}
        status = asked(route)
        if status not in allowed:
            wrong.append(f"{route['method']} {route['path']} ({route['action']}): {status}, not {sorted(allowed)}")
    if wrong:
        pytest.fail(f"{len(wrong)} of {len(routes)} routes answer otherwise:\n" + "\n".join(wrong), pytrace=False)


def test_the_table_is_there(routes):
    assert len(routes) > 100
    assert all(route["method"] and route["path"].startswith("/") and "." in route["action"] for route in routes)


def in_pieces(call, pause=0.0):
    """Refused attempts are rate-limited by address: wait as the answer asks and try again."""

    def asked(route):
        for _ in range(40):
            status = call(route)
            if status != 429:
                return status
            time.sleep(1 + pause)
        return 429

    return asked


def test_no_token(server, routes, world, callers):

    def expected(route):
        # A log-in that fails leads a browser back to the page.
        if route["action"] in ("ui.asset", "ui.login_provider"):
            return {404}  # of this name
        return {200, 204} if route["action"] in PUBLIC else OWN_CREDENTIAL.get(route["path"], {401})

    failures(routes, expected, in_pieces(lambda route: ask(callers["stranger"], server, route, world)))


# Failed credentials are few per minute by design, so these two try one route of each verb, not each spelling of it.
def one_per_action(routes, count):
    seen = {}
    for route in routes:
        seen.setdefault(route["action"], route)
    chosen = [route for action, route in seen.items() if action not in PUBLIC]
    return chosen[:count]


@pytest.mark.parametrize("kind", ["expired", "revoked"])
def test_expired_and_revoked_tokens(server, routes, world, callers, kind):
    some = one_per_action(routes, 8)
    asked = in_pieces(lambda route: ask(callers[kind], server, route, world), pause=2)
    failures(some, lambda _: {401, 429}, asked)


def test_wrong_workspace(server, routes, world, callers):
    """What stands in another workspace may not even be known to exist."""
    data = {"experiments", "runs", "metrics", "artifacts", "models", "versions", "logged_models", "lineage", "retraining"}
    expected = lambda route: {404} if route["action"].split(".")[0] in data else None  # noqa: E731
    asked = in_pieces(lambda route: ask(callers["viewer"], server, route, world, workspace=callers["elsewhere"]))
    failures(routes, expected, asked)


def test_no_role_at_all(server, routes, world, callers):
    """An account without grants learns nothing of what exists."""
    expected = lambda route: None if route["action"] in PUBLIC | EVERYONES else {403, 404}  # noqa: E731
    asked = in_pieces(lambda route: ask(callers["nobody"], server, route, world))
    failures(routes, expected, asked)


def verbs_of(server, role):
    answer = people.call(server.session(), server, "GET", "/roles")
    return {entry["name"]: set(entry["actions"]) for entry in answer["roles"]}[role]


@pytest.mark.parametrize("role", ["viewer", "auditor", "administrator"])
def test_wrong_role(server, routes, world, callers, role):
    """What a role does not hold is refused: 403 where its holder may see the thing, 404 where not."""
    held = verbs_of(server, role) | PUBLIC | EVERYONES
    expected = lambda route: None if route["action"] in held else {403, 404}  # noqa: E731
    asked = in_pieces(lambda route: ask(callers[role], server, route, world))
    failures(routes, expected, asked)


def test_a_viewer_is_told_403_where_it_may_look(server, callers, world):
    session = callers["viewer"]
    body = {"run_id": world["run_id"], "key": "k", "value": "v"}
    answer = session.post(f"{server.url}/api/2.0/mlflow/runs/set-tag", json=body)
    assert answer.status_code == 403
    assert answer.json()["error_code"] == "PERMISSION_DENIED"
    assert "Permission denied." in answer.json()["message"]


def test_right_role(server, routes, world, callers):
    """Whoever holds everything is never refused; a verb may still say what is wrong with the request."""
    # A grant to oneself is refused whoever asks, and so is what would end this very session.
    skipped = {"grants.create", "tokens.revoke", "sessions.delete", "account.password", "sessions.create"}
    skipped |= OF_SESSIONS | OF_DEVICES | {"objects.sweep"}  # for the server's own jobs only
    skipped |= {"retention.bypass", "elevations.break_glass"}  # rights of their own, which whoever made the server lacks too
    deletes_last = sorted(routes, key=lambda route: "delete" in route["action"] or route["method"] == "DELETE")
    def expected(route):
        # Keys and the accounts of a directory elsewhere are offices of their own, which whoever made the server lacks.
        office = route["action"].startswith("provisioning.") and route["action"] != "provisioning.entrust"
        if route["action"] in skipped or route["path"] in ONCE or office or route["action"].startswith(("keys.", "server.unrouted")):
            return None
        return set(range(200, 400)) | {400, 404, 405, 409, 416, 501}

    asked = in_pieces(lambda route: ask(callers["everything"], server, route, world))
    failures(deletes_last, expected, asked)


def test_an_unknown_path_is_401_to_a_stranger_and_404_to_a_caller(server, callers):
    for path in ("/", "/admin", "/api/2.0/mlflow/nothing", "/graphql2", "/%2e%2e/etc/passwd", "/api/9.9/x"):
        stranger = callers["stranger"].get(server.url + path, allow_redirects=False)
        assert stranger.status_code in (401, 302, 303), path
        known = callers["everything"].get(server.url + path, allow_redirects=False)
        assert known.status_code in (404, 200, 302), path


def test_every_answer_carries_the_safety_headers(server, callers):
    for session in (callers["stranger"], callers["everything"]):
        answer = session.get(f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0")
        assert answer.headers.get("x-content-type-options") == "nosniff"
        assert "strict-transport-security" in {name.lower() for name in answer.headers}


def test_listing_is_narrowed_to_what_is_granted(server):
    """A grant on one experiment shows that one, in counts and pages too."""
    body = {"name": f"narrow-{uuid.uuid4().hex[:8]}"}
    made = server.session().post(f"{server.url}/api/2.0/mlflow/experiments/create", json=body).json()
    person = people.person(server, "viewer", on="experiment", resource=made["experiment_id"])
    session = person.session()
    found = session.post(f"{server.url}/api/2.0/mlflow/experiments/search", json={"max_results": 1_000})
    assert found.status_code == 200, found.text
    assert [one["experiment_id"] for one in found.json().get("experiments", [])] == [made["experiment_id"]]
    assert not found.json().get("next_page_token")
    other = session.get(f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0")
    assert other.status_code == 404


