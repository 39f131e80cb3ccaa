"""Roles for some hours, given by a second person; an emergency that always alarms; other systems that ask what somebody may do (AuthZEN)."""

import base64
import hashlib
import hmac
import json
import struct
import time
import uuid

import pytest

import harness
from people import ADMIN, call, grant, new_workspace, person

pytestmark = pytest.mark.strongroom_only
CREATE = "/api/2.0/mlflow/experiments/create"


def may_create(server, who) -> bool:
    answer = who.session().post(f"{server.url}{CREATE}", json={"name": f"e-{uuid.uuid4().hex[:8]}"})
    return answer.status_code == 200


def ask(server, who, role="contributor", seconds=3_600, **more):
    wish = {"role": role, "resource_kind": "workspace", "seconds": seconds, "reason": "an incident", **more}
    return call(who.session(), server, "POST", "/elevations", json=wish)


def test_a_second_person_gives_a_role_and_it_can_be_given_back(server):
    ada, owner = person(server, "viewer"), person(server, "owner")
    assert not may_create(server, ada)
    asked = ask(server, ada)
    assert asked["state"] == "asked" and asked["grant"] is None
    assert not may_create(server, ada), "asking gives nothing"
    call(ada.session(), server, "POST", f"/elevations/{asked['id']}/approve", status=(403, 404), json={})
    waiting = call(owner.session(), server, "GET", "/elevations")["elevations"]
    assert asked["id"] in [one["id"] for one in waiting]
    # Whoever decides sees first what it would newly allow; that gives nothing.
    preview = json.loads(server.cli("elevate", "approve", asked["id"], "--dry-run", "--json", "--token-file", str(server.token_file)).stdout)
    assert "runs.create" in {one["verb"] for one in preview["newly"]["newly_allowed"]} and preview["newly"]["complete"]
    assert not may_create(server, ada), "a preview gives nothing"
    given = call(owner.session(), server, "POST", f"/elevations/{asked['id']}/approve", json={})
    assert given["state"] == "given" and given["ends_at"]
    harness.wait_until(lambda: may_create(server, ada), 3, "the role counts")
    call(owner.session(), server, "POST", f"/elevations/{asked['id']}/refuse", status=409, json={})
    call(owner.session(), server, "GET", f"/elevations/{asked['id']}/preview", status=409)
    call(ada.session(), server, "POST", f"/elevations/{asked['id']}/end", json={})
    harness.wait_until(lambda: not may_create(server, ada), 3, "the role is gone")
    assert call(ada.session(), server, "GET", "/elevations/own")["elevations"][0]["state"] == "ended"


def test_who_owns_one_experiment_reads_nothing_of_what_others_ask_for(server):
    ada, owner, holder = person(server, "viewer"), person(server, "owner"), person(server)
    experiment = owner.session().post(f"{server.url}{CREATE}", json={"name": f"e-{uuid.uuid4().hex[:8]}"}).json()["experiment_id"]
    grant(server, holder.name, "owner", "experiment", experiment)
    asked = ask(server, ada, reason="customer 4711 waits")
    for query in ("", "?state=asked"):
        assert call(holder.session(), server, "GET", f"/elevations{query}") == {"elevations": []}
        assert asked["id"] in str(call(owner.session(), server, "GET", f"/elevations{query}"))


def test_a_role_on_one_model_is_seen_before_it_is_given(server):
    ada, owner, model = person(server), person(server, "owner"), f"m-{uuid.uuid4().hex[:8]}"
    created = owner.session().post(f"{server.url}/api/2.0/mlflow/registered-models/create", json={"name": model})
    assert created.status_code == 200, created.text
    grant(server, ada.name, "viewer", "registered_model", model)
    asked = ask(server, ada, role="contributor", resource_kind="registered_model", resource=model)
    found = call(owner.session(), server, "GET", f"/elevations/{asked['id']}/preview")
    assert found["elevation"] == asked and found["grant"]["resource_kind"] == "registered_model"
    verbs = {one["verb"] for one in found["newly"]["newly_allowed"]}
    assert "versions.create" in verbs and "models.get" not in verbs and found["newly"]["complete"], verbs
    # Who may not give roles here does not learn what one would allow.
    call(person(server, "viewer").session(), server, "GET", f"/elevations/{asked['id']}/preview", status=403)
    call(ada.session(), server, "GET", f"/elevations/{asked['id']}/preview", status=(403, 404))
    elsewhere = {"X-MLFLOW-WORKSPACE": new_workspace(server)}
    call(server.session(), server, "GET", f"/elevations/{asked['id']}/preview", status=(403, 404), headers=elsewhere)


def test_nobody_decides_on_their_own_request_or_gives_what_they_do_not_hold(server):
    owner, other = person(server, "owner"), person(server, "owner")
    own = ask(server, owner, role="retention_officer")
    refused = owner.session().post(f"{server.url}{ADMIN}/elevations/{own['id']}/approve", json={})
    assert refused.status_code == 403 and "second person" in refused.json()["message"]
    call(other.session(), server, "POST", f"/elevations/{own['id']}/approve", status=403, json={})
    call(other.session(), server, "POST", f"/elevations/{own['id']}/refuse", json={})
    # A stranger to the workspace does not learn of it, and a program asks for nothing.
    call(person(server).session(), server, "POST", "/elevations", status=404, json={"role": "owner", "reason": "x"})
    for bad in ({"seconds": 10}, {"seconds": 10**9}, {"reason": " "}, {"role": "nothing"}, {"role": "backup_operator"}):
        wish = {"role": "contributor", "seconds": 3_600, "reason": "x", **bad}
        call(owner.session(), server, "POST", "/elevations", status=400, json=wish)


def test_a_role_that_was_given_ends_by_itself(fresh_server):
    ada, owner = person(fresh_server, "viewer"), person(fresh_server, "owner")
    asked = ask(fresh_server, ada, seconds=300)
    given = call(owner.session(), fresh_server, "POST", f"/elevations/{asked['id']}/approve", json={})
    harness.wait_until(lambda: may_create(fresh_server, ada), 3, "the role counts")
    # Nobody waits five minutes in a test: its end is moved.
    past = (int(time.time()) - 1) * 1_000_000
    sql = (f"UPDATE grant_row SET expires_at = {past}, changed_generation = 1000000 WHERE id = '{given['grant']}';"
           "UPDATE policy_generation SET generation = 1000000")
    for statement in sql.split(";"):
        harness.edit_database(fresh_server, statement)
    harness.wait_until(lambda: not may_create(fresh_server, ada), 3, "the role has ended")


def test_who_administers_for_an_hour_lets_nobody_break_the_glass_for_good(fresh_server):
    server = fresh_server
    ada, second = person(server, "viewer"), person(server)
    asked = ask(server, ada, role="administrator", resource_kind="server")
    given = call(server.session(), server, "POST", f"/elevations/{asked['id']}/approve", json={})
    wish = {"principal": second.name, "role": "break_glass", "resource_kind": "server", "justification": "mine too"}
    give = lambda **more: ada.session().post(f"{server.url}{ADMIN}/grants", json={**wish, **more})  # noqa: E731
    harness.wait_until(lambda: "for a while only" in give().text, 3, "the office counts, and ends")
    call(server.session(), server, "POST", "/groups", json={"name": "vault"})
    grant(server, "vault", "break_glass", on="server")
    call(ada.session(), server, "POST", "/groups/vault/members", status=403, json={"member": second.name})
    assert give(expires_at=given["ends_at"]).status_code == 200


def test_what_is_given_by_who_administers_for_some_hours_ends_with_that(fresh_server):
    server = fresh_server
    ada, second, owner = person(server, "viewer"), person(server), person(server, "owner")
    root, mine = server.session(), ada.session()
    asked = ask(server, ada, role="administrator", resource_kind="server", seconds=600)
    given = call(root, server, "POST", f"/elevations/{asked['id']}/approve", json={})
    wish = {"principal": second.name, "role": "viewer", "resource_kind": "workspace", "justification": "mine too"}
    give = lambda **more: ada.session().post(f"{server.url}{ADMIN}/grants", json={**wish, **more})  # noqa: E731
    harness.wait_until(lambda: "for a while only" in give().text, 3, "the office counts, and ends")
    assert give(expires_at="2999-01-01T00:00:00Z").status_code == 403
    assert give(expires_at=given["ends_at"]).status_code == 200
    call(mine, server, "POST", "/services", json={"name": "robot"})
    grant(server, "robot", "contributor")
    tokens = "/services/robot/tokens"
    call(mine, server, "POST", tokens, status=403, json={"label": "ci", "scopes": [], "lifetime_s": 1_200})
    minted = call(mine, server, "POST", tokens, json={"label": "ci", "scopes": []})
    assert minted["token"]["expires_at"] <= given["ends_at"], minted
    call(mine, server, "POST", "/groups", json={"name": "readers"})
    call(mine, server, "POST", "/groups/readers/members", json={"member": second.name})
    grant(server, "readers", "viewer")
    refused = mine.post(f"{server.url}{ADMIN}/groups/readers/members", json={"member": owner.name})
    assert refused.status_code == 403 and "for a while only" in refused.text, refused.text
    # Whose password one knows one is: the owner's is not ada's to set, that of somebody without roles is.
    password = {"password": "kettle moss over eleven"}
    call(mine, server, "POST", f"/users/{owner.name}/password", status=403, json=password)
    helped = f"helped.{uuid.uuid4().hex[:8]}"
    call(mine, server, "POST", "/users", json={"name": helped, "password": "gravel umbrella nine tulip"})
    call(mine, server, "POST", f"/users/{helped}/password", json=password)
    # Nor is another way into such an account, nor into one for which somebody else speaks.
    there = lambda: {"issuer": "https://company.example", "subject": uuid.uuid4().hex}  # noqa: E731
    call(mine, server, "POST", f"/users/{owner.name}/link", status=403, json=there())
    call(mine, server, "POST", f"/users/{owner.name}/reset-factors", status=403, json={})
    call(mine, server, "POST", f"/users/{helped}/reset-factors", json={})
    call(mine, server, "POST", f"/users/{helped}/link", json=there())
    refused = mine.post(f"{server.url}{ADMIN}/users/{helped}/password", json=password)
    assert refused.status_code == 403 and "a provider or a directory" in refused.text, refused.text
    call(root, server, "POST", f"/users/{owner.name}/disable", json={})
    call(mine, server, "POST", f"/users/{owner.name}/enable", status=403, json={})
    call(root, server, "POST", f"/users/{owner.name}/enable", json={})
    assert ada.session().get(f"{server.url}{ADMIN}/me").ok and owner.session().get(f"{server.url}{ADMIN}/me").ok


def test_who_owns_a_workspace_gives_nobody_what_is_read_of_special_categories(server):
    """Its verbs are an owner's too, and what it reads is not: not by a group of one's own either."""
    owner, other, group = person(server, "owner"), person(server), f"readers-{uuid.uuid4().hex[:8]}"
    call(server.session(), server, "POST", "/groups", json={"name": group})
    call(server.session(), server, "POST", f"/groups/{group}/members", json={"member": owner.name})
    for receiver in (group, other.name):
        wish = {"principal": receiver, "role": "special_reader", "resource_kind": "workspace", "justification": "mine"}
        answer = owner.session().post(f"{server.url}{ADMIN}/grants", json=wish)
        assert answer.status_code == 403 and "missing: datasets." in answer.text, answer.text
    # By office it is given, to others.
    grant(server, other.name, "special_reader")


def totp(key: str) -> str:
    """RFC 6238, for the test's own use."""
    digest = hmac.new(base64.b32decode(key), struct.pack(">q", int(time.time()) // 30), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def test_breaking_the_glass_takes_two_factors_and_always_alarms(fresh_server):
    server = fresh_server
    eve = person(server, "break_glass", on="server")
    wish = {"seconds": 600, "reason": "the administrators are gone"}
    weak = eve.session().post(f"{server.url}{ADMIN}/break-glass", json=wish)
    assert weak.status_code == 401 and "insufficient_user_authentication" in weak.headers["www-authenticate"]
    basic = eve.basic()
    key = call(basic, server, "POST", "/me/factors/totp", json={})["secret"]
    codes = call(basic, server, "POST", "/me/factors/totp/confirm", json={"code": totp(key)})["recovery_codes"]
    form = {"username": eve.name, "password": eve.password, "code": codes[0]}
    opened = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
    strong = server.session(token=None)
    strong.headers["Cookie"] = f"__Host-strongroom={opened.cookies['__Host-strongroom']}"
    call(strong, server, "POST", "/users", status=403, json={"name": "nobody.yet"})
    broken = call(strong, server, "POST", "/break-glass", json=wish)
    assert (broken["state"], broken["role"], broken["resource_kind"]) == ("broken", "administrator", "server")
    harness.wait_until(lambda: strong.post(f"{server.url}{ADMIN}/users", json={"name": f"n.{uuid.uuid4().hex[:6]}"}).ok, 3, "it counts")
    monitor = person(server, "monitor", on="server").session()
    alerts = call(monitor, server, "GET", "/alerts")["alerts"]
    assert [(one["kind"], one["severity"]) for one in alerts] == [("break_glass", "critical")]
    assert "the administrators are gone" in alerts[0]["headline"]
    call(strong, server, "POST", f"/elevations/{broken['id']}/end", json={})
    harness.wait_until(lambda: strong.post(f"{server.url}{ADMIN}/users", json={"name": f"n.{uuid.uuid4().hex[:6]}"}).status_code == 403, 3, "it ended")
    # Who does not hold the role cannot.
    call(person(server, "owner", on="server").session(), server, "POST", "/break-glass", status=403, json=wish)


def evaluate(session, server, path, body, **headers):
    return session.post(f"{server.url}/access/v1/{path}", json=body, headers=headers)


def test_of_whom_something_else_is_said_nothing_is_allowed(server):
    """AuthZEN: a subject is its type and its id together."""
    name, owner = f"robot-{uuid.uuid4().hex[:8]}", person(server, "owner")
    call(server.session(), server, "POST", "/services", json={"name": name})
    grant(server, name, "viewer")
    question = lambda kind: {"subject": {"type": kind, "id": name}, "action": {"name": "runs.get"}, "resource": {"type": "workspace", "id": "default"}}  # noqa: E731
    decided = {kind: evaluate(owner.session(), server, "evaluation", question(kind)).json() for kind in ("service", "user", "group")}
    assert {kind: one["decision"] for kind, one in decided.items()} == {"service": True, "user": False, "group": False}, decided
    assert "is a service" in decided["group"]["context"]["reason_admin"]
    batch = {"evaluations": [question(kind) for kind in ("group", "service", "user")], "options": {"evaluations_semantic": "execute_all"}}
    answers = evaluate(owner.session(), server, "evaluations", batch).json()["evaluations"]
    assert [one["decision"] for one in answers] == [False, True, False]
    # A resource is its type and its id too: what is no experiment is not one by being named so.
    elsewhere = {**question("service"), "resource": {"type": "experiment", "id": "default"}}
    assert evaluate(owner.session(), server, "evaluation", elsewhere).json().get("decision") is not True


def test_other_systems_ask_what_somebody_may_do(server):
    ada, owner = person(server, "viewer"), person(server, "owner")
    question = {
        "subject": {"type": "user", "id": ada.name}, "action": {"name": "runs.create"},
        "resource": {"type": "workspace", "id": "default"}, "context": {"time": "2026-11-26T00:00:00Z"},
    }
    session = owner.session()
    answer = evaluate(session, server, "evaluation", question, **{"X-Request-ID": "q-1"})
    assert answer.status_code == 200 and answer.json()["decision"] is False and answer.headers["x-request-id"] == "q-1"
    grant(server, ada.name, "contributor")
    allowed = evaluate(session, server, "evaluation", question).json()
    assert allowed["decision"] is True and allowed["context"]["reasons"]
    batch = {
        "subject": question["subject"], "resource": question["resource"],
        "evaluations": [{"action": {"name": "runs.create"}}, {"action": {"name": "grants.create"}}, {"action": {"name": "runs.get"}}],
    }
    answers = evaluate(session, server, "evaluations", batch).json()["evaluations"]
    assert [one["decision"] for one in answers] == [True, False, True]
    strange = [{"action": {"name": "no.such"}}, {"action": {"name": "runs.get"}, "resource": {"type": "document", "id": "1"}}, {"action": {"name": "runs.get"}}]
    decided = evaluate(session, server, "evaluations", {**batch, "evaluations": strange}).json()["evaluations"]
    assert [one["decision"] for one in decided[:2]] == [False, False], "what is unknown spoils nothing else"
    assert decided[2] == answers[2] and all(one["context"]["reason_admin"] for one in decided[:2])
    batch["options"] = {"evaluations_semantic": "deny_on_first_deny"}
    assert len(evaluate(session, server, "evaluations", batch).json()["evaluations"]) == 2
    batch["options"] = {"evaluations_semantic": "permit_on_first_permit"}
    assert len(evaluate(session, server, "evaluations", batch).json()["evaluations"]) == 1
    # Without a list it is one question; somebody unknown may nothing; what is malformed is said.
    assert evaluate(session, server, "evaluations", question).json()["decision"] is True
    unknown = {**question, "subject": {"type": "user", "id": "nobody.at.all"}}
    assert evaluate(session, server, "evaluation", unknown).json()["decision"] is False
    for bad in ({}, {**question, "subject": {"type": "robot", "id": "x"}}, {**question, "action": {}}, {**question, "resource": {"type": "workspace", "id": "other"}}):
        assert evaluate(session, server, "evaluation", bad).status_code == 400, bad
    assert evaluate(ada.session(), server, "evaluation", question).status_code == 403, "not everybody may ask"
    assert evaluate(server.session(token=None), server, "evaluation", question).status_code == 401
    known = server.session(token=None).get(f"{server.url}/.well-known/authzen-configuration").json()
    assert known["access_evaluation_endpoint"] == f"{server.url}/access/v1/evaluation", json.dumps(known)
