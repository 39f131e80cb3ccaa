"""The console's pages of buckets in a real browser: what lies in one, what holds each version, and holds and retentions that are set there."""

import datetime
import urllib.parse

import pytest
from botocore.exceptions import ClientError

import browser as browsers
import harness
from people import grant, person
from test_console import axe, violations
from test_s3 import client

pytestmark = pytest.mark.strongroom_only
FAR = datetime.datetime(2090, 1, 1, tzinfo=datetime.timezone.utc)
NASTY = "a/../b <img src=x onerror=alert(1)> 100% ä&=?#"


@pytest.fixture(scope="module")
def world():
    """A bucket with locks that holds two versions, a marker and a strange key; one with none; and one with many long keys."""
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n') as server:
        s3 = client(server, person(server, "owner").session())
        s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        put = s3.put_object(Bucket="locked", Key=NASTY, Body=b"one", ContentType="text/html", Metadata={"who": "<b>"})
        s3.put_object(Bucket="locked", Key=NASTY, Body=b"two two")
        s3.put_object(Bucket="locked", Key="gone", Body=b"x")
        s3.delete_object(Bucket="locked", Key="gone")
        s3.create_bucket(Bucket="plain")
        s3.put_object(Bucket="plain", Key="k", Body=b"x")
        s3.create_bucket(Bucket="long")
        for number in range(70):
            s3.put_object(Bucket="long", Key=f"{number:03}" + "ä" * 510, Body=b"x")
        yield server, s3, put["VersionId"]


def page_of(version: str) -> str:
    return f"/console/vault/buckets/locked/object?key={urllib.parse.quote(NASTY, safe='')}&version={version}"


def test_an_object_is_found_held_and_retained_without_scripts(world):
    server, s3, old = world
    officer = person(server, "viewer")
    grant(server, officer.name, "retention_officer")
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(officer.name, officer.password)
        browser.go("/console/vault")
        browser.click("#buckets ~ div a[href='/console/vault/buckets/locked'], section[aria-labelledby=buckets] a[href='/console/vault/buckets/locked']")
        listed = browser.find("#objects + div").text
        assert "deleted: a marker" in listed and listed.count("a/../b") == 2 and "newest" in listed and "older" in listed, listed
        browser.fill(prefix="a/../b <")
        browser.click("form[role=search] button")
        assert "gone" not in browser.find("#objects + div").text
        browser.click(next(link for link in browser.all("#objects + div a") if old in link.get_attribute("href")))
        assert NASTY in browser.text() and "nothing holds it" in browser.find("#verdict").text and browser.all("img") == []
        assert "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed" in browser.text(), "SHA-256 of what it holds"
        assert "<b>" in browser.find("#said + div").text and "one" not in browser.find("#parts + div").text
        browser.click("input[name=decision][value=hold] ~ p button")
        assert "under a legal hold" in browser.find("#verdict").text
        with pytest.raises(ClientError):
            s3.delete_object(Bucket="locked", Key=NASTY, VersionId=old)
        browser.fill(until="2031-06-30")
        browser.sure("input[name=decision][value=retain] ~ p button")
        assert "under a legal hold, and retained" in browser.find("#verdict").text and "GOVERNANCE until 2031-06-30 23:59" in browser.text()
        # Lifting takes the tick.
        browser.find("input[name=decision][value=lift] ~ p button").click()
        assert "under a legal hold" in browser.find("#verdict").text
        assert s3.get_object_legal_hold(Bucket="locked", Key=NASTY, VersionId=old)["LegalHold"]["Status"] == "ON"
        browser.sure("input[name=decision][value=lift] ~ p button")
        assert browser.find("#verdict").text == "retained"
        # A retention moves on only.
        browser.fill(until="2030-01-01")
        browser.sure("input[name=decision][value=retain] ~ p button")
        assert "You may not do this" in browser.text() and "extended" in browser.text()
        browser.go(page_of(old))
        assert "2031-06-30" in browser.text()
        browser.go("/console/vault/buckets/plain/object?key=k&version=null")
        assert "without Object Lock" in browser.text() and browser.all("main form[method=post]") == []
        assert [fault for fault in browser.faults() if "status of 403" not in fault] == []
    held = s3.get_object_retention(Bucket="locked", Key=NASTY, VersionId=old)["Retention"]
    assert held["Mode"] == "GOVERNANCE" and held["RetainUntilDate"].date() == datetime.date(2031, 6, 30)


def test_who_may_look_at_retention_alone_sees_the_lock_and_nothing_of_the_bytes(world):
    server, _, old = world
    keeper = person(server, "retention_officer")
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(keeper.name, keeper.password)
        browser.go(page_of(old))
        assert "Legal hold" in browser.text() and "SHA-256" not in browser.text() and browser.all("#said") == []
    viewer, nobody, session = person(server, "viewer"), person(server), server.session()
    for decision in ("hold", "lift", "retain"):
        data = {"key": NASTY, "version": old, "decision": decision, "sure": "yes", "mode": "COMPLIANCE", "until": "2099-01-01"}
        for who in (viewer, nobody):
            answer = who.session().post(f"{server.url}/console/vault/buckets/locked/object", data=data, allow_redirects=False)
            assert answer.status_code in (403, 404), (who.name, decision, answer.status_code)
    for path in ("/console/vault/buckets/locked", page_of(old), "/console/vault/buckets/none", "/console/vault/buckets/locked/object?key=none"):
        assert nobody.session().get(f"{server.url}{path}").status_code in (403, 404), path
    for query in ("", "?key=", f"?key={'k' * 1_025}"):
        assert session.get(f"{server.url}/console/vault/buckets/locked/object{query}").status_code == 400


def test_a_bucket_of_long_keys_is_paged_and_light(world):
    server, *_ = world
    session, path, seen = person(server, "viewer").session(), "/console/vault/buckets/long", []
    while path:
        answer = session.get(f"{server.url}{path}", headers={"Accept-Encoding": "identity"})
        assert answer.ok and len(answer.content) < 150_000, (path, len(answer.content))
        seen += [line for line in answer.text.split("object?key=")[1:]]
        path = answer.text.partition('rel="next" href="')[2].partition('"')[0].replace("&#38;", "&").replace("&amp;", "&").partition("#")[0]
    assert len(seen) == 70 and len({line[:3] for line in seen}) == 70


@pytest.mark.any_database("a browser sees the same")
@pytest.mark.parametrize("width", [390, 1200])
def test_the_pages_of_buckets_are_read_by_everybody(world, width):
    server, _, old = world
    officer = person(server, "owner")
    grant(server, officer.name, "retention_officer")
    with browsers.browser(server, width=width) as browser:
        browser.log_in(officer.name, officer.password)
        for path in ("/console/vault/buckets/locked", page_of(old), "/console/vault/buckets/long"):
            browser.go(path)
            assert violations(browser, axe()) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
        assert browser.faults() == []
