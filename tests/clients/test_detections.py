"""What is found in the log of a real server, who may see it, what is done about it; and least privilege: review, ways up, previews."""

import json
import subprocess
import uuid

import pytest
import requests

import harness
import people

pytestmark = pytest.mark.strongroom_only

# Experiments are numbered: the second one is the canary. All callers come from one address here, and some guess.
CONFIG = '[detections]\nevery_s = 1\ncanaries = ["2"]\nrespond_up_to = "suspend_session"\n[risk]\nfailure_burst_count_max = 1000\n'


@pytest.fixture(scope="module")
def watched():
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running(config_text=CONFIG) as server:
        # Whoever makes the canary touches it, so that is nobody who is needed later.
        maker = people.person(server, "contributor").session()
        for name in ("first", "second"):
            body = {"name": f"{name}-{uuid.uuid4().hex[:6]}"}
            answer = maker.post(f"{server.url}/api/2.0/mlflow/experiments/create", json=body)
            if answer.json().get("experiment_id") == "2":
                break
        yield server


@pytest.fixture(scope="module")
def auditor(watched):
    return people.person(watched, "auditor", on="server")


def detections(server, session):
    return people.call(session, server, "GET", "/detections?rows=500")["detections"]


def found(server, session, rule, who=None, seconds_max=20):
    """The newest detection by this rule, about this account if one is named, once it is there."""
    seen = []

    def there():
        seen[:] = [one for one in detections(server, session) if one["rule"] == rule and who in (None, one["who"])]
        return bool(seen)

    harness.wait_until(there, seconds_max, f"the rule {rule} finds something")
    return seen[0]


def test_a_canary_ends_the_token_that_touched_it(watched, auditor):
    canary = people.person(watched, "viewer")
    other = watched.session(people.mint(canary.basic(), watched)["secret"])
    get = f"{watched.url}/api/2.0/mlflow/experiments/get"
    assert canary.session().get(get, params={"experiment_id": "2"}).status_code == 200
    one = found(watched, auditor.session(), "canary_touched", canary.name)
    assert one["level"] == "critical" and one["evidence"]
    harness.wait_until(lambda: canary.session().get(get, params={"experiment_id": "1"}).status_code == 401, 20, "the token ends")
    shown = people.call(auditor.session(), watched, "GET", f"/detections/by-id/{one['id']}")
    assert shown["response"] == "suspend_session" and "ended" in shown["response_state"]
    # What is named as evidence is the act itself.
    number = one["evidence"][-1]
    proof = auditor.session().get(f"{watched.url}{people.ADMIN}/audit/proof/{number}")
    assert proof.status_code == 200, proof.text
    record = json.loads(proof.headers["x-strongroom-record"])
    assert (record["action"], record["resource"], record["caller"]["id"]) == ("experiments.get", "2", one["who_id"])
    # The next token of the same account does not have the day that one finding is one detection.
    assert other.get(get, params={"experiment_id": "2"}).status_code == 200
    harness.wait_until(lambda: other.get(get, params={"experiment_id": "1"}).status_code == 401, 20, "the other token ends too")


def test_only_who_may_sees_what_was_found_and_nobody_acknowledges_what_is_about_them(watched, auditor):
    for token in range(25):
        assert watched.session(f"sr_pat_{token:036}").get(f"{watched.url}/api/2.0/mlflow/experiments/search").status_code == 401
    one = found(watched, auditor.session(), "guessing_from_one_address")
    viewer = people.person(watched, "viewer").session()
    for path in ("/detections", "/detections/rules", f"/detections/by-id/{one['id']}"):
        people.call(viewer, watched, "GET", path, status=403)
    people.call(viewer, watched, "POST", f"/detections/by-id/{one['id']}/acknowledge", status=403, json={})
    # Alerts of the workspace tell nothing of it.
    assert people.call(viewer, watched, "GET", "/alerts")["alerts"] == []
    acknowledged = people.call(auditor.session(), watched, "POST", f"/detections/by-id/{one['id']}/acknowledge", json={})
    assert acknowledged["state"] == "acknowledged"
    people.call(auditor.session(), watched, "POST", f"/detections/by-id/{one['id']}/acknowledge", status=409, json={})
    people.call(auditor.session(), watched, "GET", "/detections/by-id/d_nothing", status=404)


def test_names_that_are_tried_are_found(watched, auditor):
    prober = people.person(watched, "viewer")
    session = prober.session()
    for number in range(60):
        answer = session.get(f"{watched.url}/api/2.0/mlflow/registered-models/get", params={"name": f"guess-{number}"})
        assert answer.status_code in (403, 404)
    one = found(watched, auditor.session(), "enumeration", prober.name)
    assert "within 10 minutes" in one["found"]


def test_after_a_restart_nothing_is_found_twice(watched, auditor):
    people.grant(watched, people.person(watched).name, "administrator", on="server")
    found(watched, auditor.session(), "new_administrator")
    before = {one["id"]: one["count"] for one in detections(watched, auditor.session())}
    watched.stop()
    watched.start()
    # The detector has looked again once something new of it shows.
    people.grant(watched, people.person(watched).name, "owner", on="server")
    found(watched, auditor.session(), "broad_grant")
    after = {one["id"]: one["count"] for one in detections(watched, auditor.session())}
    assert {name: after.get(name) for name in before} == before


def check(path):
    """`detections check`, which needs no server."""
    return subprocess.run([str(harness.binary()), "detections", "check", str(path)], capture_output=True, text=True, timeout=30)


def test_the_command_line_shows_it_and_checks_rules(watched, auditor, tmp_path):
    token = tmp_path / "token"
    token.write_text(auditor.token)
    token.chmod(0o600)
    at = ("--token-file", str(token))
    listed = json.loads(watched.cli("detections", "list", "--level", "low", "--json", *at).stdout)
    assert listed
    assert listed[0]["title"] in watched.cli("detections", "show", listed[0]["id"], *at).stdout
    rules = json.loads(watched.cli("detections", "rules", "--json", *at).stdout)
    assert len(rules) >= 25 and all(rule["level"] != "informational" for rule in rules)
    good = tmp_path / "good.yml"
    good.write_text(
        "title: Reads of the log\nid: 4a5dfb0e-5d5f-4c61-9a3e-6a3f1c0f3c11\nlevel: low\n"
        "logsource: {product: strongroom, service: audit}\n"
        "detection:\n  selection:\n    api.operation|startswith: audit.\n  condition: selection\n"
    )
    assert "1 rules" in check(good).stdout
    bad = tmp_path / "bad.yml"
    bad.write_text(good.read_text().replace("startswith", "base64"))
    refused = check(bad)
    assert refused.returncode == 2 and "no modifier `base64`" in refused.stderr


def test_a_rule_that_cannot_be_read_keeps_the_server_from_starting(tmp_path):
    if harness.external():
        pytest.skip("needs a server of its own")
    (tmp_path / "bad.yml").write_text("title: nothing more\n")
    with pytest.raises(harness.StartError) as refused:
        with harness.running("sqlite", config_text=f'[detections]\nrules = "{tmp_path}"\n'):
            pass
    assert "bad.yml" in str(refused.value)


def test_review_paths_and_preview(watched, auditor):
    used = people.person(watched, "owner")
    assert used.session().get(f"{watched.url}/api/2.0/mlflow/experiments/get", params={"experiment_id": "1"}).status_code == 200
    session = auditor.session()
    seen = []

    def counted():
        report = people.call(session, watched, "GET", "/access/review?days=7")
        seen[:] = [grant for grant in report["grants"] if grant["who"] == used.name]
        assert report["replay"]["denied"] == [] and report["widening"]["newly_allowed"] == []
        return seen and "experiments.get" in seen[0]["used_verbs"]

    harness.wait_until(counted, 20, "the use of a grant is counted")
    # It was made today: nothing is advised before it could have been used for a while.
    assert seen[0]["advice"] == "keep" and seen[0]["used_places"] == ["experiment:1"]
    for bad in ("/access/review?days=1", "/access/review?days=x", "/access/paths?days=9999"):
        people.call(session, watched, "GET", bad, status=400)
    # Whoever administers the server can make an account that reads data: that is an office, and named as such.
    people.person(watched, "administrator", on="server")
    paths = people.call(session, watched, "GET", "/access/paths")["paths"]
    assert any(path["by_office"] and path["steps"][0]["how"] == "new_account" for path in paths), paths
    # Retention in one hand with deletion is a way up for whoever has both, and none any more once one of them is gone.
    both = people.person(watched, "owner")
    grant = people.grant(watched, both.name, "retention_officer")
    of_both = lambda: [path for path in people.call(session, watched, "GET", "/access/paths")["paths"] if path["who"] == both.name]  # noqa: E731
    assert [path["steps"][0]["how"] for path in of_both()] == ["retention_settings"]
    people.call(watched.session(), watched, "DELETE", f"/grants/{grant['id']}")
    assert of_both() == []
    nobody = people.person(watched)
    body = {"principal": nobody.name, "role": "viewer", "resource_kind": "workspace"}
    preview = people.call(watched.session(), watched, "POST", "/grants/preview", json=body)
    newly = preview["newly"]
    assert newly["complete"] and any(one["verb"] == "runs.get" for one in newly["newly_allowed"])
    assert not any(one["verb"] == "runs.delete" for one in newly["newly_allowed"])
    grants = people.call(watched.session(), watched, "GET", f"/grants?principal={nobody.name}")["grants"]
    assert grants == [], "a preview gives nothing"
    people.call(nobody.session(), watched, "POST", "/grants/preview", status=(403, 404), json=body)
    shown = watched.cli("grant", "create", nobody.name, "viewer", "--dry-run", "--token-file", str(watched.token_file)).stdout
    assert "Nothing was given" in shown and "runs.get" in shown


def test_a_live_token_is_a_way_up_as_far_as_it_is_not_narrowed(watched, auditor):
    admin = watched.session()

    def made(role, on, scopes):
        """A former administrator who still has a token of a service account."""
        eve, service = people.person(watched), f"robot-{uuid.uuid4().hex[:6]}"
        office = people.grant(watched, eve.name, "administrator", on="server")
        people.call(eve.session(), watched, "POST", "/services", json={"name": service})
        wish = {"label": "x", "scopes": scopes, "lifetime_s": 1_200}
        minted = people.call(eve.session(), watched, "POST", f"/services/{service}/tokens", json=wish)
        people.call(admin, watched, "DELETE", f"/grants/{office['id']}")
        people.grant(watched, service, role, on=on)
        assert minted["token"]["id"]
        return eve, service

    def of(who):
        paths = people.call(auditor.session(), watched, "GET", "/access/paths")["paths"]
        return [([step["how"] for step in path["steps"]], path["goals"]) for path in paths if path["who"] == who.name]

    way = ["live_token_of_a_service"]
    eve, service = made("owner", "workspace", [])
    assert of(eve) == [(way, ["data of the workspace `default`", "the role `owner` on the workspace `default`"])]
    people.call(admin, watched, "POST", f"/services/{service}/disable", json={})
    assert of(eve) == [], "the repaired twin"
    eve, _ = made("owner", "workspace", ["runs.get"])
    assert of(eve) == [(way, ["`runs.get` of the role `owner` on the workspace `default`"])]
    eve, _ = made("administrator", "server", ["geo.show"])
    assert of(eve) == [(way, ["`geo.show` of the role `administrator` on the server"])], "one verb is no office"


def test_a_membership_is_shown_as_what_it_newly_allows_before_there_is_one(watched):
    admin, nobody = watched.session(), people.person(watched)
    team, crew = (f"{name}-{uuid.uuid4().hex[:6]}" for name in ("team", "crew"))
    for name in (team, crew):
        people.call(admin, watched, "POST", "/groups", json={"name": name})
    people.call(admin, watched, "POST", f"/groups/{crew}/members", json={"member": nobody.name})
    empty = people.call(admin, watched, "POST", f"/groups/{team}/preview", json={"member": nobody.name})
    assert empty["newly"]["newly_allowed"] == [], "a group without a role gives nothing"
    people.grant(watched, team, "viewer")
    for member in (nobody.name, crew):
        preview = people.call(admin, watched, "POST", f"/groups/{team}/preview", json={"member": member})
        new = {one["verb"] for one in preview["newly"]["newly_allowed"] if one["who"] == nobody.name}
        assert (preview["group"], preview["member"], preview["newly"]["complete"]) == (team, member, True)
        assert "runs.get" in new and "runs.delete" not in new
    shown = watched.cli("group", "add", team, crew, "--dry-run", "--token-file", str(watched.token_file)).stdout
    assert "Nothing was given" in shown and "runs.get" in shown and nobody.name in shown
    groups = people.call(admin, watched, "GET", "/groups?rows=20")["groups"]
    assert {one["name"]: one["members"] for one in groups}[team] == [], "a preview puts nobody in"
    people.call(admin, watched, "POST", f"/groups/{team}/preview", status=404, json={"member": "nosuchthing"})
    people.call(admin, watched, "POST", f"/groups/{nobody.name}/preview", status=404, json={"member": crew})
    people.call(admin, watched, "POST", f"/groups/{team}/preview", status=400, json={"member": team})
    people.call(nobody.session(), watched, "POST", f"/groups/{team}/preview", status=(403, 404), json={"member": crew})


class From(requests.adapters.HTTPAdapter):
    """Connects from this address."""

    def __init__(self, address):
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments, **settings):
        super().init_poolmanager(*arguments, source_address=(self.address, 0), **settings)


def test_a_token_is_used_in_two_countries_within_a_minute(watched, auditor, tmp_path):
    # As the tables say, both addresses of this machine are far apart.
    (tmp_path / "countries.csv").write_text("2130706433,2130706433,NO\n2130706434,2130706434,AU\n")
    watched.cli("geo", "update", str(tmp_path / "countries.csv"), "--token-file", str(watched.token_file))
    search = f"{watched.url}/api/2.0/mlflow/experiments/search"
    thief, homely = people.person(watched, "viewer"), people.person(watched, "viewer")

    def use(person, address):
        session = person.session()
        session.mount(watched.url, From(address))
        assert session.post(search, json={"max_results": 1}).status_code == 200

    for person, addresses in ((homely, ("127.0.0.1", "127.0.0.3", "127.0.0.1")), (thief, ("127.0.0.1", "127.0.0.3", "127.0.0.2"))):
        for address in addresses:
            use(person, address)
    one = found(watched, auditor.session(), "token_impossible_travel", thief.name)
    assert one["level"] == "medium" and "two countries" in one["found"]
    told = [one["who"] for one in detections(watched, auditor.session()) if one["rule"] == "token_impossible_travel"]
    assert told == [thief.name], "an address that no table knows is neither far nor near"
