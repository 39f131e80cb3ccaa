"""What a provider may do by what it says: speak of its people by their addresses, and write who is in which group."""

import json
import secrets
import time
import urllib.parse
import uuid

import pytest

import harness
import issuers
from people import ADMIN, call, grant
from test_signals import AUDIENCE, CAEP, RISC, event, push, records, signed, soon

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server, the provider of its people, which transmits signals too, and another transmitter."""
    with (
        issuers.platform(tmp_path_factory.mktemp("company")) as (company, ca),
        issuers.platform(tmp_path_factory.mktemp("other")) as (other, other_ca),
    ):
        config = f"""
[risk]
failure_burst_count_max = 1000
[federation.providers.company]
issuer = "{company.issuer}"
client_id = "strongroom"
ca = "{ca}"
provision = true
second_factor_acr = ["mfa"]
phishing_resistant_acr = ["phr", "phrh"]
groups = [{{ theirs = "bosses", ours = "bosses" }}, {{ theirs = "team", ours = "team" }}]
[federation.transmitters.company]
issuer = "{company.issuer}"
audience = "{AUDIENCE}"
jwks_uri = "{company.issuer}/keys"
ca = "{ca}"
algorithms = ["ES256"]
[federation.transmitters.other]
issuer = "{other.issuer}"
audience = "{AUDIENCE}"
jwks_uri = "{other.issuer}/keys"
ca = "{other_ca}"
algorithms = ["ES256"]
"""
        with harness.running(config_text=config) as server:
            yield server, company, other


class Person:
    """Somebody who logs in at the company."""

    def __init__(self, server, company):
        self.server, self.company = server, company
        self.subject = f"p-{uuid.uuid4().hex[:8]}"
        self.address = f"{self.subject}@Company.Example"
        self.cookie = None

    def log_in(self, **claims):
        about = {"sub": self.subject, "preferred_username": self.subject, "email": self.address, "email_verified": True}
        self.cookie = issuers.log_in(self.server, self.company, **about | claims)
        return self

    @property
    def headers(self):
        return {"Cookie": f"__Host-strongroom={self.cookie}"}

    def me(self):
        return self.server.session(token=None).get(f"{self.server.url}{ADMIN}/me", headers=self.headers)

    def is_in(self):
        return self.me().status_code == 200


def revoke(server, by, subject):
    """Tells that somebody's sessions are over; gives what the log says of it."""
    outcomes = lambda: [one for one in records(server, "signals.receive") if one["kind"] == "outcome"]  # noqa: E731
    before = len(outcomes())
    answer = push(server, signed(by, event(by, subject, (f"{CAEP}/session-revoked", {}))))
    assert (answer.status_code, answer.text) == (202, ""), "it is taken, whoever it is about (RFC 8935, section 2.2)"
    harness.wait_until(lambda: len(outcomes()) > before, 5, "the log tells of it")
    return json.dumps(outcomes()[0])


def email(address):
    return {"format": "email", "email": address}


def test_an_issuer_speaks_of_its_people_by_the_address_that_it_vouched_for(world):
    server, company, other = world
    for subject in (lambda ada: email(ada.address.replace("Company.Example", "company.EXAMPLE")), lambda ada: {"format": "complex", "user": email(ada.address)}):
        ada = Person(server, company).log_in()
        assert ada.is_in()
        said = revoke(server, company, subject(ada))
        assert '"done": "sessions_ended"' in said and '"subject": "email"' in said, said
        soon(lambda: not ada.is_in(), "the session is over")
    ada = Person(server, company).log_in()
    assert push(server, signed(company, event(company, email(ada.address), (f"{RISC}/account-disabled", {})))).status_code == 202
    soon(lambda: not ada.is_in(), "the account is barred")
    assert call(server.session(), server, "GET", f"/users/{ada.subject}")["disabled"] is True


def test_an_address_that_nobody_vouched_for_is_nobodys(world):
    server, company, other = world
    ada, unproved, twin, moved = (Person(server, company) for _ in range(4))
    ada.log_in()
    twin.address = f"two-{secrets.token_hex(4)}@company.example"
    twin.log_in()
    unproved.log_in(email_verified=False)
    old = moved.address
    moved.log_in()
    moved.address = f"new-{moved.address}"
    moved.log_in()
    second = Person(server, company)
    second.log_in(email=twin.address)
    typed = Person(server, company).log_in(email_verified="true")
    for by, address in (
        (other, ada.address),
        (company, ada.address.upper()),
        (company, f"x{ada.address}"),
        (company, unproved.address),
        (company, typed.address),
        (company, twin.address),
        (company, old),
        (company, ada.subject),
        (company, f"{ada.subject}@"),
    ):
        said = revoke(server, by, email(address))
        assert '"done": "nobody_here"' in said, (address, said)
    time.sleep(0.7)
    assert all(one.is_in() for one in (ada, unproved, twin, second, moved, typed))
    assert "company.example" not in json.dumps(records(server, "signals.receive")).lower(), "the log holds no address"
    moved_now = revoke(server, company, email(moved.address))
    assert '"done": "sessions_ended"' in moved_now


def test_a_providers_groups_leave_the_last_administrator(world):
    server, company, _ = world
    admin = server.session()
    for name in ("bosses", "team"):
        call(admin, server, "POST", "/groups", json={"name": name})
    grant(server, "bosses", "administrator", on="server")
    ada = Person(server, company).log_in(groups=["bosses", "team"])
    groups = lambda: sorted(group["name"] for group in ada.me().json()["groups"])  # noqa: E731
    assert groups() == ["bosses", "team"]
    own = call(admin, server, "GET", "/me")
    grants = call(admin, server, "GET", "/grants?resource_kind=server")["grants"]
    (mine,) = [one["id"] for one in grants if one["principal"] == own["id"] and one["role"] == "administrator"]
    # With somebody else left, the provider's word is done.
    ada.log_in(groups=["team"])
    assert groups() == ["team"]
    ada.log_in(groups=["bosses", "team"])
    taken = server.session(token=None).delete(f"{server.url}{ADMIN}/grants/{mine}", headers=ada.headers)
    assert taken.status_code in (200, 204), taken.text
    ada.log_in(groups=[])
    assert groups() == ["bosses"], "else nobody would administer the server any more"
    assert server.session(token=None).get(f"{server.url}{ADMIN}/users", headers=ada.headers).status_code == 200
    found = [json.dumps(one) for one in call(admin, server, "GET", "/audit/records?what=federation.settle&rows=100")["records"]]
    assert any("last_administrator_kept_in" in one for one in found), found[:3]
    body = {"principal": own["id"], "role": "administrator", "resource_kind": "server", "justification": "a test"}
    back = server.session(token=None).post(f"{server.url}{ADMIN}/grants", json=body, headers=ada.headers)
    assert back.status_code in (200, 201), back.text
    ada.log_in(groups=[])
    assert groups() == []


def test_what_was_shown_there_counts_as_far_as_the_administrator_trusts_it(world):
    server, company, _ = world
    unphishable = "federated_phishing_resistant"
    for acr, assurance, method in (("phr", 2, unphishable), ("phrh", 2, unphishable), ("mfa", 2, "federated"), ("PHR", 1, "federated"), (None, 1, "federated")):
        me = Person(server, company).log_in(**({"acr": acr} if acr else {})).me().json()
        assert (me["assurance"], me["method"]) == (assurance, method), acr
    plain = server.session(token=None)
    left = plain.get(f"{server.url}/login/with/company", params={"to": "/account", "again": "1"}, allow_redirects=False)
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(left.headers["Location"]).query))
    assert asked["acr_values"] == "phr phrh mfa", "what is strongest is asked for first"


def test_what_takes_a_passkey_is_done_after_one_that_the_provider_asked_for(world):
    server, company, _ = world
    ada = Person(server, company).log_in(acr="mfa")
    grant(server, ada.me().json()["name"], "contributor")

    def create():
        body = {"name": f"e-{uuid.uuid4().hex[:8]}"}
        return server.session(token=None).post(f"{server.url}/api/2.0/mlflow/experiments/create", json=body, headers=ada.headers)

    harness.wait_until(lambda: create().status_code == 200, 3, "the role counts")
    # The company tells of her that she is as risky as can be: only what cannot be phished outweighs that.
    about = {"format": "iss_sub", "iss": company.issuer, "sub": ada.subject}
    device = (f"{CAEP}/device-compliance-change", {"previous_status": "compliant", "current_status": "not-compliant"})
    level = (f"{CAEP}/risk-level-change", {"principal": "USER", "current_level": "HIGH", "previous_level": "LOW"})
    for one in (device, level):
        assert push(server, signed(company, event(company, about, one))).status_code == 202
    harness.wait_until(lambda: create().status_code == 401, 3, "two factors are not enough")
    assert 'acr_values="phr"' in create().headers["WWW-Authenticate"]
    ada.log_in(acr="mfa")
    assert create().status_code == 401, "nor are they when they are shown anew"
    ada.log_in(acr="phr")
    assert create().status_code == 200, create().text
