"""osquery's TLS remote interface, as its documentation has it (deployment/remote): a client of these shapes, not osqueryd itself."""

import http.client
import json
import ssl
import uuid

import pytest

import harness
from people import ADMIN, call, person
from test_devices import Device, leave, tier

pytestmark = pytest.mark.strongroom_only
# No table of osquery's tells what waits to be updated on Linux.
CONFIG = """
[risk]
failure_burst_count_max = 1000
[devices]
required = ["disk_encryption", "firewall", "screen_lock", "secure_boot"]
"""
GOOD = {
    "os": [{"name": "Debian GNU/Linux", "version": "12 (bookworm)"}], "kernel": [{"version": "6.1.0"}],
    "disk": [{"encrypted": "1"}], "input": [{"policy": "DROP"}, {"policy": "DROP"}], "application_firewall": "",
    "screen_lock": [{"enabled": "1"}], "secure_boot": [{"secure_boot": "1"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def server():
    with harness.running(config_text=CONFIG) as started:
        yield started


class Osquery:
    """What osqueryd sends, over TLS 1.2 and no later, as its client does."""

    def __init__(self, server, secret, host=None):
        self.server, self.host = server, host or str(uuid.uuid4())
        self.context = ssl.create_default_context(cafile=server.ca)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        said = self.post("enroll", {
            "enroll_secret": secret, "host_identifier": self.host, "platform_type": "9",
            "host_details": {"os_version": {"name": "Debian"}, "system_info": {"hardware_model": "x"}},
        })  # fmt: skip
        self.enrolled, self.node_key = said, said.get("node_key")

    def post(self, path, body, status=200):
        host, port = self.server.url.removeprefix("https://").split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=self.context, timeout=30)
        headers = {"Content-Type": "application/json", "User-Agent": "osquery/5.12.1"}
        connection.request("POST", f"/osquery/{path}", body=json.dumps(body), headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status == status, text
        return json.loads(text)

    def say(self, path, **more):
        return self.post(path, {"node_key": self.node_key, **more})

    def answer(self, queries):
        return self.say("distributed/write", queries=queries, statuses={name: 0 for name in queries})


@pytest.fixture
def fleet(server):
    name = f"fleet-{uuid.uuid4().hex[:8]}"
    made = call(server.session(), server, "POST", "/device-fleets", json={"name": name})
    assert made["secret"].startswith("sr_flt_")
    return name, made["secret"]


def nodes(server, name):
    return [node for node in call(server.session(), server, "GET", "/device-nodes")["nodes"] if node["fleet"] == name]


def test_a_machine_enrols_and_says_how_it_is(server, fleet):
    name, secret = fleet
    machine = Osquery(server, secret)
    assert machine.enrolled["node_invalid"] is False and machine.node_key.startswith("sr_nod_")
    assert machine.say("config") == {"schedule": {}, "node_invalid": False}
    assert machine.say("log", log_type="status", data=[{"line": "1", "message": "x"}]) == {"node_invalid": False}
    asked = machine.say("distributed/read")
    assert asked["node_invalid"] is False and set(asked["queries"]) == set(GOOD)
    assert all(sql.startswith("SELECT ") for sql in asked["queries"].values())
    assert machine.say("distributed/read")["queries"] == {}, "every ten minutes"
    assert machine.answer(GOOD) == {"node_invalid": False}
    (node,) = nodes(server, name)
    assert node["host"] == machine.host and node["device"] is None
    facts = node["facts"]
    assert facts["os"] == "Debian GNU/Linux" and facts["disk_encryption"] is True and facts["firewall"] is True
    # A query that failed tells nothing.
    machine.say("distributed/write", queries=GOOD, statuses={**{key: 0 for key in GOOD}, "disk": 1, "input": "1"})
    facts = nodes(server, name)[0]["facts"]
    assert facts["disk_encryption"] is None and facts["firewall"] is None


def test_who_is_no_machine_of_a_fleet_is_told_so(server, fleet):
    name, secret = fleet
    invalid = {"node_invalid": True}
    assert Osquery(server, "wrong").enrolled == invalid
    assert Osquery(server, "sr_flt_" + "0" * 49).enrolled == invalid
    machine = Osquery(server, secret)
    assert machine.post("config", {"node_key": "wrong"}) == invalid
    assert machine.post("config", {}) == invalid
    # A node's key lets no other in, and a fleet's secret speaks for no node; neither is a token.
    assert machine.post("enroll", {"node_key": machine.node_key, "host_identifier": "x"}, status=403)["error_code"]
    assert machine.post("config", {"node_key": secret}, status=403)["error_code"]
    for other in (secret, machine.node_key):
        assert server.session(other).get(f"{server.url}{ADMIN}/me").status_code in (401, 403)
    machine.post("log", {"node_key": machine.node_key, "data": "x" * (300 << 10)}, status=413)
    # A person's token is none of a node.
    assert machine.post("config", {"node_key": server.token}, status=403)["error_code"]
    call(server.session(), server, "DELETE", f"/device-fleets/{name}")
    assert machine.say("config") == invalid
    assert Osquery(server, secret).enrolled == invalid


def test_a_device_is_as_its_node_says(server, fleet, tmp_path):
    name, secret = fleet
    ada = person(server, "contributor")
    device = Device(server, tmp_path / "device", leave(server, ada))
    machine = Osquery(server, secret)
    machine.answer(GOOD)
    assert tier(server, ada, device) == 1, "nobody said that they are one"
    node = nodes(server, name)[0]["id"]
    adopt = {"node": node}
    assert ada.session().post(f"{server.url}{ADMIN}/devices/by-id/{device.id}/node", json=adopt).status_code == 403
    call(server.session(), server, "POST", f"/devices/by-id/{device.id}/node", json=adopt)
    machine.answer(GOOD)
    assert tier(server, ada, device) == 2
    machine.answer({**GOOD, "disk": [{"encrypted": "1"}, {"encrypted": "0"}]})
    assert tier(server, ada, device) == 1
    # Whoever holds the device's key does not talk over it.
    better = {"disk_encryption": True, "firewall": True, "screen_lock": True, "secure_boot": True}
    refused = device.report(better, status=409)
    assert "osquery" in refused["message"] and tier(server, ada, device) == 1
    # Nor does a machine that the device was once: there is one.
    older, machine = machine, Osquery(server, secret)
    (node,) = [one["id"] for one in nodes(server, name) if one["host"] == machine.host]
    adopt = {"node": node}
    call(server.session(), server, "POST", f"/devices/by-id/{device.id}/node", json=adopt)
    older.answer(GOOD)
    assert tier(server, ada, device) == 1
    # Another machine that calls itself the same takes the node over, and not the device.
    machine.answer(GOOD)
    thief = Osquery(server, secret, machine.host)
    assert machine.say("config") == {"node_invalid": True}
    assert all(one["device"] is None for one in nodes(server, name))
    thief.answer({**GOOD, "disk": [{"encrypted": "0"}]})
    assert tier(server, ada, device) == 2
    # No machine speaks for it any more, so it does so itself again.
    device.report({**better, "firewall": False})
    assert tier(server, ada, device) == 1
    assert server.session().post(f"{server.url}{ADMIN}/devices/by-id/nosuchthing/node", json=adopt).status_code == 404


def test_the_command_line(server):
    token = ("--token-file", str(server.token_file))
    name = f"cli-{uuid.uuid4().hex[:8]}"
    made = json.loads(server.cli("device", "fleet", "create", name, "--json", *token).stdout)
    machine = Osquery(server, made["secret"])
    assert machine.say("config")["node_invalid"] is False
    listed = json.loads(server.cli("device", "nodes", "--json", *token).stdout)
    assert [node["host"] for node in listed if node["fleet"] == name] == [machine.host]
    assert server.cli("device", "fleet", "create", name, *token, check=False).returncode == 2
    server.cli("device", "fleet", "revoke", name, *token)
    assert machine.say("config") == {"node_invalid": True}
    assert all(fleet["name"] != name for fleet in json.loads(server.cli("device", "fleet", "list", "--json", *token).stdout))
