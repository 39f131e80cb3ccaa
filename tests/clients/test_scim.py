"""A directory elsewhere makes, changes and ends accounts here (SCIM 2.0); an outside checker judges how."""

import http.client
import json
import ssl
import threading
import time
import urllib.parse
import uuid

import pytest

import harness
from people import ADMIN, call, grant, mint, person

pytestmark = pytest.mark.strongroom_only
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
# The outside checker asks for hundreds of things that are not there, as an intruder does: it is noted, and not slowed down here.
PATIENT = '[risk]\nfailure_burst_count_max = 1000\n[detections]\nrespond_up_to = "note"\n'
# Checks of scim2-tester that do not pass, each with why.
EXPLAINED = {
    # Every account is in or out: there is no third state that a `remove` could leave behind, and guessing one would let people in or out.
    ("check_remove_attribute", "User", "active"),
}


@pytest.fixture(scope="module")
def server():
    with harness.running(config_text=PATIENT) as started:
        yield started


def provisioner(server, name=None):
    """A service account with the role `provisioner`; a session with its token, and its name."""
    name = name or f"directory-{uuid.uuid4().hex[:8]}"
    # It takes two: whoever makes the account, and mints its tokens, does not give it the role.
    maker = person(server, "administrator", on="server").session()
    call(maker, server, "POST", "/services", json={"name": name})
    grant(server, name, "provisioner", on="server")
    body = {"label": "scim", "scopes": [], "lifetime_s": 3_000}
    token = call(maker, server, "POST", f"/services/{name}/tokens", json=body)["secret"]
    return server.session(token), name, token


@pytest.fixture(scope="module")
def directory(server):
    session, name, token = provisioner(server)
    session.url, session.account, session.token = f"{server.url}/scim/v2", name, token
    return session


def scim(session, method, path, status, **arguments):
    answer = session.request(method, f"{session.url}{path}", timeout=30, **arguments)
    assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:600]}"
    if answer.content:
        assert answer.headers["content-type"] == "application/scim+json"
    return answer.json() if answer.content else answer


def refused(session, method, path, status, scim_type=None, **arguments):
    said = scim(session, method, path, status, **arguments)
    assert said["schemas"] == [ERROR] and said["status"] == str(status) and said["detail"]
    assert said.get("scimType") == scim_type, said
    return said


def patch(*operations):
    return {"schemas": [PATCH], "Operations": list(operations)}


def new_user(session, **more):
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": f"ada-{uuid.uuid4().hex[:8]}", **more}
    return scim(session, "POST", "/Users", 201, json=body)


def new_group(session, *members, name=None):
    body = {"displayName": name or f"Team {uuid.uuid4().hex[:8]}", "members": [{"value": one["id"]} for one in members]}
    return scim(session, "POST", "/Groups", 201, json=body)


def with_password(server, user):
    """What an administrator gives a provisioned person who shall log in without a provider; a session with it."""
    password = "gravel umbrella nine tulip"
    call(server.session(), server, "POST", f"/users/{user['id']}/password", json={"password": password})
    basic = server.session(token=None)
    basic.auth = (user["userName"].lower(), password)
    return basic


def test_an_outside_checker_finds_nothing_that_is_not_explained(server, directory):
    import httpx2
    from scim2_client.engines.httpx2 import SyncSCIMClient
    from scim2_tester import check_server
    from scim2_tester.utils import Status

    context = ssl.create_default_context(cafile=server.ca)
    headers = {"Authorization": f"Bearer {directory.token}"}
    with httpx2.Client(base_url=f"{server.url}/scim/v2", headers=headers, verify=context, timeout=30) as client:
        results = check_server(SyncSCIMClient(client))
    assert len(results) > 60, "the checker saw the whole of it"
    unexplained = []
    for result in results:
        if result.status in (Status.SUCCESS, Status.SKIPPED):
            continue
        urn = str((result.data or {}).get("urn", "")) if isinstance(result.data, dict) else ""
        told = (str(result.title), result.resource_type, urn.rsplit(":", 1)[-1])
        if told not in EXPLAINED:
            unexplained.append(f"{told}: {result.status.name} {result.reason}")
    assert not unexplained, "\n".join(unexplained)
    skipped = [f"{result.title} {result.resource_type}: {result.reason}" for result in results if result.status == Status.SKIPPED]
    assert len(skipped) < 10, skipped


def test_people_come_and_change(directory):
    made = new_user(directory, externalId="E-7", name={"givenName": "Ada", "familyName": "L"}, emails=[{"value": "a@x.example", "type": "work"}])
    assert made["active"] is True and made["meta"]["resourceType"] == "User" and made["externalId"] == "E-7"
    at = f"/Users/{made['id']}"
    read = directory.get(directory.url + at)
    assert read.json() == made and read.headers["etag"] == made["meta"]["version"]
    assert directory.get(directory.url + at, headers={"If-None-Match": read.headers["etag"]}).status_code == 304
    name = made["userName"]
    for query in (f'userName eq "{name.upper()}"', 'externalId eq "E-7"', f'emails[type eq "work" and value co "x.example"] and userName sw "{name}"'):
        found = scim(directory, "GET", f"/Users?filter={urllib.parse.quote(query)}", 200)
        assert [one["id"] for one in found["Resources"]] == [made["id"]] and found["totalResults"] == 1, query
    # Old clients of one large provider write it so.
    after = scim(directory, "PATCH", at, 200, json=patch({"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@x.example"}))
    assert after["emails"] == [{"value": "b@x.example", "type": "work"}]
    assert scim(directory, "PATCH", at, 200, json=patch({"op": "Replace", "value": {"active": "False"}}))["active"] is False
    put = {"userName": name, "displayName": "Ada L."}
    after = scim(directory, "PUT", at, 200, json=put)
    assert after["active"] is False, "where nothing is said, who is out stays out"
    assert "emails" not in after and "externalId" not in after and after["displayName"] == "Ada L."
    old = {"If-Match": made["meta"]["version"]}
    refused(directory, "PUT", at, 412, json=put, headers=old)
    refused(directory, "DELETE", at, 412, headers=old)
    scim(directory, "PATCH", at, 200, json=patch({"op": "replace", "path": "userName", "value": f"{name}-2"}), headers={"If-Match": after["meta"]["version"]})
    refused(directory, "POST", "/Users", 409, "uniqueness", json={"userName": f"{name}-2"})
    assert scim(directory, "DELETE", at, 204) is not None
    refused(directory, "GET", at, 404)


def test_lists_are_cut_into_pages(server):
    session, _, _ = provisioner(server)
    session.url = f"{server.url}/scim/v2"
    made = sorted(new_user(session)["userName"] for _ in range(7))
    seen = []
    for start in (1, 4, 7):
        page = scim(session, "GET", f"/Users?startIndex={start}&count=3&attributes=userName", 200)
        assert page["totalResults"] == 7 and page["startIndex"] == start and page["itemsPerPage"] == len(page["Resources"])
        assert all(set(one) == {"id", "schemas", "userName"} for one in page["Resources"])
        seen += [one["userName"] for one in page["Resources"]]
    assert seen == made
    assert scim(session, "GET", "/Users?count=0", 200)["Resources"] == []
    assert scim(session, "GET", "/Users?startIndex=-3&count=100000", 200)["itemsPerPage"] == 7
    group = new_group(session)
    both = scim(session, "POST", "/.search", 200, json={"startIndex": 6, "count": 10, "attributes": ["displayName", "userName"]})
    assert both["totalResults"] == 8 and both["Resources"][-1]["displayName"] == group["displayName"] and len(both["Resources"]) == 3
    refused(session, "GET", "/Users?startIndex=x", 400, "invalidValue")
    for path in ("/.search", "/Users/.search", "/Groups/.search"):
        for wrong in (7, True, ["userName pr"], {"userName": made[0]}):
            refused(session, "POST", path, 400, "invalidFilter", json={"filter": wrong})
        refused(session, "POST", path, 400, "invalidValue", json={"startIndex": "2"})
        assert scim(session, "POST", path, 200, json={"filter": None, "count": None})["totalResults"] > 0


def test_groups_and_members(server, directory):
    ada, bob, eve = new_user(directory), new_user(directory), new_user(directory)
    group = new_group(directory, ada, name=f"ML Team {uuid.uuid4().hex[:6]}")
    at = f"/Groups/{group['id']}"
    assert [one["value"] for one in group["members"]] == [ada["id"]] and group["members"][0]["type"] == "User"
    add = patch({"op": "Add", "path": "members", "value": [{"value": bob["id"]}, {"value": eve["id"]}]})
    assert len(scim(directory, "PATCH", at, 200, json=add)["members"]) == 3
    after = scim(directory, "PATCH", at, 200, json=patch({"op": "remove", "path": f'members[value eq "{eve["id"]}"]'}))
    assert {one["value"] for one in after["members"]} == {ada["id"], bob["id"]}
    after = scim(directory, "PATCH", at, 200, json=patch({"op": "remove", "path": "members", "value": [{"value": bob["id"]}]}))
    assert [one["value"] for one in after["members"]] == [ada["id"]]
    assert [one["value"] for one in scim(directory, "GET", f"/Users/{ada['id']}", 200)["groups"]] == [group["id"]]
    query = urllib.parse.quote(f'members[value eq "{ada["id"]}"]')
    found = scim(directory, "GET", f"/Groups?filter={query}&excludedAttributes=members", 200)["Resources"]
    assert [one["id"] for one in found] == [group["id"]] and "members" not in found[0]
    # What the directory says of groups is what is decided by here.
    grant(server, group["displayName"].lower().replace(" ", "-"), "viewer")
    mine = with_password(server, ada)
    assert mine.get(f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0").status_code == 200
    scim(directory, "PATCH", at, 200, json=patch({"op": "remove", "path": "members"}))
    assert mine.get(f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0").status_code in (403, 404)
    refused(directory, "PUT", at, 400, "invalidValue", json={"displayName": group["displayName"], "members": [{"value": "u_nobody"}]})
    refused(directory, "PATCH", at, 400, "noTarget", json=patch({"op": "remove"}))


def test_what_is_wrong_is_said_in_the_protocols_words(server, directory):
    ada = new_user(directory)
    at = f"/Users/{ada['id']}"
    for body, kind in (
        (patch({"op": "replace", "path": "user name", "value": "x"}), "invalidPath"),
        (patch({"op": "replace", "path": "a.b.c", "value": "x"}), "invalidPath"),
        (patch({"op": "replace", "path": "id", "value": "x"}), "mutability"),
        (patch({"op": "remove", "path": "userName"}), "mutability"),
        (patch({"op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x"}), "noTarget"),
        (patch({"op": "replace", "path": "emails[type xx 1]", "value": "x"}), "invalidFilter"),
        (patch({"op": "replace", "path": "userName", "value": "a b"}), "invalidValue"),
        (patch({"op": "jump"}), "invalidSyntax"),
        ({"Operations": []}, "invalidSyntax"),
        (patch(*[{"op": "add", "path": "externalId", "value": "x"}] * 1_001), "invalidSyntax"),
    ):
        refused(directory, "PATCH", at, 400, kind, json=body)
    for query in ("userName", 'userName eq "a', "(" * 50 + "active pr" + ")" * 50, 'password eq "x"', "x" * 5_000):
        refused(directory, "GET", f"/Users?filter={urllib.parse.quote(query)}", 400, "invalidFilter")
    json_type = {"Content-Type": "application/scim+json"}
    refused(directory, "POST", "/Users", 400, "invalidSyntax", data="{", headers=json_type)
    refused(directory, "POST", "/Users", 400, "invalidSyntax", data="[" * 100_000, headers=json_type)
    refused(directory, "POST", "/Users", 400, "invalidSyntax", data="{}", headers={"Content-Type": "text/plain"})
    refused(directory, "POST", "/Users", 400, "invalidValue", json={})
    for wrong in ("strange", "name.strange", "active.value", "urn:ietf:params:scim:schemas:core:2.0:User"):
        for op in ("add", "replace", "remove"):
            refused(directory, "PATCH", at, 400, "invalidPath", json=patch({"op": op, "path": wrong, "value": "x"}))
    refused(directory, "GET", "/Nothing", 404)
    stranger = server.session(token=None)
    stranger.url = directory.url
    for path in ("/Users", "/ServiceProviderConfig", at, "/Nothing"):
        refused(stranger, "GET", path, 401)


def test_a_provisioner_touches_what_it_looks_after_and_no_office(server, directory):
    admin = server.session()
    own, other, other_name = new_user(directory), None, None
    second, other_name, _ = provisioner(server)
    second.url = directory.url
    other = new_user(second)
    somebody = person(server, "viewer")
    account = call(admin, server, "GET", f"/users/{somebody.name}")
    for stranger in (other["id"], account["id"]):
        refused(directory, "GET", f"/Users/{stranger}", 404)
        refused(directory, "PATCH", f"/Users/{stranger}", 404, json=patch({"op": "replace", "path": "active", "value": False}))
        refused(directory, "DELETE", f"/Users/{stranger}", 404)
        refused(directory, "POST", "/Groups", 400, "invalidValue", json={"displayName": f"g{uuid.uuid4().hex[:6]}", "members": [{"value": stranger}]})
    refused(directory, "POST", "/Users", 409, "uniqueness", json={"userName": somebody.name})
    # An administrator lets it look after an account that was there before; not one that holds an office.
    call(admin, server, "POST", f"/principals/{somebody.name}/entrust", json={"to": directory.account})
    assert scim(directory, "GET", f"/Users/{account['id']}", 200)["userName"] == somebody.name
    boss = person(server, "administrator", on="server")
    answer = admin.post(f"{server.url}{ADMIN}/principals/{boss.name}/entrust", json={"to": directory.account})
    assert answer.status_code == 403, answer.text
    # What gets an office later is out of its reach, by whichever way it comes.
    grant(server, own["userName"], "auditor", on="server")
    off = patch({"op": "replace", "path": "active", "value": False})
    refused(directory, "PATCH", f"/Users/{own['id']}", 403, json=off)
    refused(directory, "PUT", f"/Users/{own['id']}", 403, json={"userName": own["userName"]})
    refused(directory, "DELETE", f"/Users/{own['id']}", 403)
    bob, group = new_user(directory), new_group(directory)
    inner = new_group(directory)
    scim(directory, "PATCH", f"/Groups/{group['id']}", 200, json=patch({"op": "add", "path": "members", "value": [{"value": inner["id"]}]}))
    call(admin, server, "POST", "/groups", json={"name": "bosses"})
    grant(server, "bosses", "administrator", on="server")
    call(admin, server, "POST", "/groups/bosses/members", json={"member": group["id"]})
    into = patch({"op": "add", "path": "members", "value": [{"value": bob["id"]}]})
    for reach in (group, inner):
        refused(directory, "PATCH", f"/Groups/{reach['id']}", 403, json=into)
        refused(directory, "DELETE", f"/Groups/{reach['id']}", 403)
    refused(directory, "POST", "/Groups", 403, json={"displayName": f"x{uuid.uuid4().hex[:6]}", "members": [{"value": own["id"]}]})
    # And nothing else is its business.
    for path in ("/users", "/groups", "/services", "/grants"):
        assert directory.get(server.url + ADMIN + path).status_code in (403, 404), path
    for path, body in (
        ("/users", {"name": "x"}), (f"/users/{bob['id']}/password", {"password": "a long enough pass phrase"}),
        ("/grants", {"principal": bob["id"], "role": "viewer", "resource_kind": "workspace"}),
        (f"/principals/{bob['id']}/entrust", {"to": directory.account}),
    ):  # fmt: skip
        assert directory.post(server.url + ADMIN + path, json=body).status_code in (403, 404), path


def log_in(server, user):
    """A browser's session, by the form."""
    password = "gravel umbrella nine tulip"
    plain = server.session(token=None)
    answer = plain.post(f"{server.url}/login", data={"username": user["userName"], "password": password}, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.cookies["__Host-strongroom"]


@pytest.mark.parametrize("how", ["inactive", "deleted"])
def test_whoever_left_has_nothing_left(server, directory, how):
    ada = new_user(directory)
    basic = with_password(server, ada)
    grant(server, ada["userName"], "contributor")
    token = mint(basic, server)["secret"]
    mine = server.session(token)
    key = mine.post(f"{server.url}{ADMIN}/access-key", json={}).json()
    cookie = log_in(server, ada)
    run = mine.post(f"{server.url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    path = f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/large.bin"
    size = 96 * 1024 * 1024
    assert mine.put(server.url + path, data=b"\0" * size).status_code == 200

    def works():
        by_cookie = server.session(token=None).get(f"{server.url}{ADMIN}/me", headers={"Cookie": f"__Host-strongroom={cookie}"})
        return [mine.get(f"{server.url}{ADMIN}/me").status_code, basic.get(f"{server.url}{ADMIN}/me").status_code, by_cookie.status_code]

    assert works() == [200, 200, 200] and key["access_key_id"]
    # A download that runs, read slowly.
    address = urllib.parse.urlsplit(server.url)
    reader = http.client.HTTPSConnection(address.hostname, address.port, context=ssl.create_default_context(cafile=server.ca), timeout=30)
    reader.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = reader.getresponse()
    assert answer.status == 200
    got = {"bytes": 0, "cut": None}

    def read():
        try:
            while piece := answer.read(256 * 1024):
                got["bytes"] += len(piece)
                time.sleep(0.05)
        except (http.client.IncompleteRead, OSError):
            pass
        if got["bytes"] < size:
            got["cut"] = time.monotonic()

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(1)
    at = f"/Users/{ada['id']}"
    left_at = time.monotonic()
    if how == "inactive":
        scim(directory, "PATCH", at, 200, json=patch({"op": "replace", "path": "active", "value": False}))
    else:
        scim(directory, "DELETE", at, 204)
    harness.wait_until(lambda: works() == [401, 401, 401], 1, f"{how}: everything is dead within a second")
    thread.join(30)
    assert got["cut"] and got["bytes"] < size, got
    assert got["cut"] - left_at < 8, "the download was cut, not read to its end"
    if how == "inactive":
        # Let in again, they begin anew: what they had stays dead.
        scim(directory, "PATCH", at, 200, json=patch({"op": "replace", "path": "active", "value": True}))
        time.sleep(0.6)
        assert works() == [401, 200, 401]


def test_every_act_stands_in_the_log(server, directory):
    ada = new_user(directory, name={"familyName": "Nobodysname"})
    scim(directory, "PATCH", f"/Users/{ada['id']}", 200, json=patch({"op": "replace", "path": "active", "value": False}))
    found = server.session().get(f"{server.url}{ADMIN}/audit/records?what=provisioning.change_user&rows=1000")
    assert found.status_code == 200, found.text
    outcomes = [one for one in found.json()["records"] if one["kind"] == "outcome" and ada["id"] in json.dumps(one)]
    assert outcomes and "sessions_ended" in json.dumps(outcomes[-1])
    assert "Nobodysname" not in found.text and ada["userName"] not in found.text
