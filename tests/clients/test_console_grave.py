"""What cannot be taken back never happens by one click: each such form wants a tick, and the server looks for it."""

import pytest

import browser as browsers
import harness
from people import call, grant, person
from test_data import commit

pytestmark = pytest.mark.strongroom_only
# What is asked for without the tick. None of it may reach its verb, whatever the rest says.
UNSURE = [
    ("/account/factors/remove", {"factor": "totp"}),
    ("/account/recovery-codes", {}),
    ("/account/tokens/revoke", {"token": "x"}),
    ("/account/devices/revoke", {"device": "x", "lost": "true"}),
    ("/console/people/x", {"decision": "disable"}),
    ("/console/people/x", {"decision": "reset"}),
    ("/console/people/x/revoke", {"credential": "x"}),
    ("/console/services/x", {"decision": "disable"}),
    ("/console/services/x/revoke", {"credential": "x"}),
    ("/console/alerts/x/remedies/x", {"decision": "run"}),
    ("/console/endpoints/x", {"decision": "promote"}),
    ("/console/models/x/1/promote", {"alias": "champion"}),
    ("/console/vault/destroys/x", {"decision": "approve"}),
    ("/console/vault/restores/x", {"decision": "approve"}),
    ("/console/vault/kept", {"kind": "dataset", "name": "x@1", "decision": "lift"}),
    ("/console/vault/buckets/x/object", {"key": "k", "version": "null", "decision": "lift"}),
    ("/console/vault/buckets/x/object", {"key": "k", "version": "null", "decision": "retain", "mode": "COMPLIANCE", "until": "2099-01-01"}),
    ("/console/detections/write", {"name": "x", "rules": "", "decision": "delete"}),
    ("/console/erasure", {"subject": "x", "decision": "erase"}),
]


@pytest.fixture(scope="module")
def server():
    with harness.running() as server:
        yield server


@pytest.mark.parametrize("path, form", UNSURE, ids=[f"{path}-{number}" for number, (path, _) in enumerate(UNSURE)])
def test_the_server_wants_the_tick(server, path, form):
    session = server.session()
    for unsure in ({}, {"sure": ""}, {"sure": "no"}):
        answer = session.post(f"{server.url}{path}", data={**form, **unsure}, headers={"Accept": "text/html"}, allow_redirects=False)
        assert answer.status_code == 400 and "nothing was done" in answer.text, answer.text[:400]
    # With it, something else is amiss, if anything.
    answer = session.post(f"{server.url}{path}", data={**form, "sure": "yes"}, headers={"Accept": "text/html"}, allow_redirects=False)
    assert "nothing was done" not in answer.text, answer.text[:400]


def test_a_token_is_revoked_and_a_key_destroyed_by_a_tick_and_a_click(server):
    missing = browsers.missing()
    assert missing is None, missing
    ada, custodian = person(server, "viewer"), person(server, "key_custodian", on="server")
    grant(server, custodian.name, "viewer")
    # A key is made where the first thing is encrypted.
    commit(server.session(), server, "few", {"a.csv": b"a\n1\n"})
    call(server.session(), server, "POST", "/keys/destroy", json={"reason": "the project ended"})
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.find("form[action='/account/tokens/revoke'] button").click()
        assert ada.session().get(f"{server.url}/api/strongroom/v1/me").ok, "a click alone does nothing"
        browser.sure("form[action='/account/tokens/revoke'] button")
        assert ada.session().get(f"{server.url}/api/strongroom/v1/me").status_code == 401
        browser.click("header form button")
        browser.log_in(custodian.name, custodian.password)
        browser.go("/console/vault")
        browser.find("button[value=approve]").click()
        assert "requested" in browser.find("section[aria-labelledby=destroys]").text, "a click alone does nothing"
        browser.sure("button[value=approve]")
        assert "approved" in browser.find("section[aria-labelledby=destroys]").text
        browser.click("button[value=cancel]")
        assert browser.all("section[aria-labelledby=destroys] tbody tr") == []
        assert browser.faults() == []
