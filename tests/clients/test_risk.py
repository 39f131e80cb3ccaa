"""The command line's tables of addresses, and how log-ins are explained, against a running server."""

import json

import pytest

import people

pytestmark = pytest.mark.strongroom_only

COUNTRIES = "16777216,16777471,AU\n16777472,16778239,CN\n"
NETWORKS = '1.0.0.0,1.0.0.255,13335,"Some, Inc."\n1.0.4.0,1.0.7.255,38803,Some other\n'
COUNTRIES_V6 = "2001:208::,2001:208:ffff:ffff:ffff:ffff:ffff:ffff,SG\n"


def token(server):
    return ["--token-file", str(server.token_file)]


@pytest.fixture(scope="module")
def tables(server, tmp_path_factory):
    """Three tables, loaded; one of them with data of long ago."""
    folder = tmp_path_factory.mktemp("geo")
    for name, text in (("countries.csv", COUNTRIES), ("networks.csv", NETWORKS), ("countries6.csv", COUNTRIES_V6)):
        (folder / name).write_text(text)
    loaded = server.cli("geo", "update", str(folder / "countries.csv"), str(folder / "networks.csv"), "--json", *token(server))
    assert {row["table"]: row["rows"] for row in json.loads(loaded.stdout)} == {"country_v4": 2, "network_v4": 2}
    server.cli("geo", "update", str(folder / "countries6.csv"), "--date", "2021-05-01", *token(server))
    return folder


def shown(server, *arguments):
    return json.loads(server.cli("geo", "show", *arguments, "--json", *token(server)).stdout)


def test_addresses_are_found_and_the_unknown_stays_unknown(server, tables):
    found = shown(server, "1.0.0.77")
    assert (found["country"], found["network"], found["is_unknown"]) == ("AU", 13335, False)
    assert shown(server, "1.0.1.1")["is_unknown"], "a country alone is not all"
    assert shown(server, "2001:208::5")["country"] == "SG"
    assert shown(server, "10.1.2.3")["is_private"]


def test_old_data_is_warned_of(server, tables):
    ages = {row["table"]: row["is_old"] for row in shown(server)["tables"]}
    assert ages == {"country_v4": False, "network_v4": False, "country_v6": True}
    text = server.cli("geo", "status", *token(server)).stdout
    assert "2021-05-01" in text and "older than 90 days" in text


def test_a_broken_table_changes_nothing(server, tables):
    broken = tables / "broken.csv"
    broken.write_text("1.0.1.0,1.0.1.255,NZ\n1.0.0.0,1.0.0.255,NZ\n")
    refused = server.cli("geo", "update", str(tables / "countries.csv"), str(broken), *token(server), check=False)
    assert refused.returncode == 2 and "line 2" in refused.stderr
    assert shown(server, "1.0.0.77")["country"] == "AU"
    # Sent past the command line: bytes that are no table.
    session = server.session()
    answer = session.put(f"{server.url}{people.ADMIN}/geo/country_v4", params={"made_at": "2026-01-01T00:00:00Z"}, data=b"SRGEO1" + b"\xff" * 99)
    assert answer.status_code == 400, answer.text


def test_a_table_that_was_cut_off_is_refused(server, tables):
    whole, cut = tables / "whole.csv", tables / "cut.csv"
    lines = ["1.0.0.0,1.0.0.255,AU\n", *(f"203.0.113.{at},203.0.113.{at},NO\n" for at in range(0, 10, 2))]
    whole.write_text("".join(lines))
    cut.write_text("".join(lines[:2]))
    server.cli("geo", "update", str(whole), *token(server))
    refused = server.cli("geo", "update", str(cut), *token(server), check=False)
    assert refused.returncode != 0 and "2 rows and the present one 6" in refused.stderr, refused
    assert shown(server, "203.0.113.8")["country"] == "NO", "what was there stays"
    server.cli("geo", "update", str(tables / "countries.csv"), "--may-shrink", "--may-be-older", *token(server))
    assert shown(server, "203.0.113.8")["country"] is None and shown(server, "1.0.0.77")["country"] == "AU"


def test_older_data_replaces_no_newer(server, tables):
    update = ("geo", "update", str(tables / "networks.csv"), "--date", "2001-02-03", *token(server))
    refused = server.cli(*update, check=False)
    assert refused.returncode != 0 and "of 2001-02-03T00:00:00Z" in refused.stderr, refused
    assert shown(server)["tables"][-1]["is_old"] is False
    server.cli(*update, "--may-be-older")
    assert {row["table"]: row["is_old"] for row in shown(server)["tables"]}["network_v4"]
    server.cli("geo", "update", str(tables / "networks.csv"), *token(server))


def test_tables_are_for_administrators(server, tables):
    person = people.person(server, "owner")
    session = person.session()
    assert session.get(f"{server.url}{people.ADMIN}/geo").status_code in (403, 404)
    answer = session.put(f"{server.url}{people.ADMIN}/geo/country_v4", params={"made_at": "2026-01-01T00:00:00Z"}, data=b"x")
    assert answer.status_code in (403, 404)


def test_log_ins_are_explained_to_oneself_and_to_administrators_only(server):
    person = people.person(server, "viewer")
    session = person.session()
    assert session.get(f"{server.url}{people.ADMIN}/me/log-ins").json() == {"log_ins": []}
    assert session.get(f"{server.url}{people.ADMIN}/users/admin/log-ins").status_code in (403, 404)
    own = server.cli("risk", "explain", *token(server))
    assert "no log-ins were judged" in own.stdout
    missing = server.cli("risk", "explain", "nosuchthing", *token(server), check=False)
    assert missing.returncode == 4
