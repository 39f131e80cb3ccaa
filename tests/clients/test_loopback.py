"""`strongroom login` by a browser on the same machine (RFC 8252, RFC 7636, RFC 9207), walked with a plain HTTP client in the browser's place."""

import base64
import hashlib
import html
import json
import re
import secrets
import subprocess
import time
import urllib.parse
import uuid

import pytest
import requests

import browser as browsers
import harness
from people import ADMIN, call, person

pytestmark = pytest.mark.strongroom_only
CLIENT = "strongroom-cli"
CALLBACK = "http://127.0.0.1:50123/callback"


@pytest.fixture(scope="module")
def server():
    """A server of these tests' own, where many are refused from one address."""
    with harness.running(config_text="[risk]\nfailure_burst_count_max = 1000\n") as started:
        yield started


@pytest.fixture(scope="module")
def ada(server):
    return person(server, "contributor")


@pytest.fixture(scope="module")
def mine(server, ada):
    """The headers of a browser in which she is logged in, on its way to a page."""
    form = {"username": ada.name, "password": ada.password}
    login = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
    return {"Cookie": f"__Host-strongroom={login.cookies['__Host-strongroom']}", "Accept": "text/html"}


class Flow:
    """What a command line would make up, and ask for."""

    def __init__(self, server, **changed):
        self.server = server
        self.verifier = secrets.token_urlsafe(32)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        self.asked = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": CALLBACK,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "state": f"s-{uuid.uuid4().hex} &=?",
        }
        self.asked |= changed
        self.asked = {name: value for name, value in self.asked.items() if value is not None}

    def ask(self, headers):
        return self.server.session(token=None).get(
            f"{self.server.url}/oauth/authorize", params=self.asked, headers=headers, allow_redirects=False
        )

    def agree(self, headers):
        return self.server.session(token=None).post(
            f"{self.server.url}/oauth/authorize", data=self.asked, headers=headers, allow_redirects=False
        )

    def code(self, headers):
        answer = self.agree(headers)
        assert answer.status_code == 303, answer.text
        return parameters(answer.headers["Location"])["code"]

    def exchange(self, code, /, **changed):
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT,
            "code": code,
            "redirect_uri": self.asked["redirect_uri"],
            "code_verifier": self.verifier,
        }
        form = {name: value for name, value in (form | changed).items() if value is not None}
        return self.server.session(token=None).post(f"{self.server.url}/oauth/token", data=form)


def parameters(address):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query, strict_parsing=True))


def refused(answer):
    return answer.status_code == 400 and answer.json()["error"] == "invalid_grant" and "access_token" not in answer.json()


def me(server, token):
    return server.session(token).get(f"{server.url}{ADMIN}/me")


def fields_of(page):
    """The form of the page, as a browser would send it."""
    form = re.search(r'<form method="post" action="/oauth/authorize">(.*?)</form>', page, re.S).group(1)
    return {name: html.unescape(value) for name, value in re.findall(r'name="([^"]*)" value="([^"]*)"', form)}


def test_the_page_says_who_asks_and_leads_back_with_code_state_and_issuer(server, ada, mine):
    flow = Flow(server)
    stranger = flow.ask({"Accept": "text/html"})
    assert stranger.status_code == 303 and stranger.headers["Location"].startswith("/login?to=/oauth/authorize%3Fresponse_type")
    page = flow.ask(mine)
    assert page.status_code == 200
    for said in (ada.name, CALLBACK, "twelve hours", "all that you may do"):
        assert said in page.text, said
    assert "<script>" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert f"form-action 'self' {CALLBACK};" in policy and "frame-ancestors 'none'" in policy, policy
    assert fields_of(page.text) == flow.asked, "the form repeats what was asked"
    denied = html.unescape(re.search(r'<a href="(http://127[^"]*)"', page.text).group(1))
    assert parameters(denied)["error"] == "access_denied" and parameters(denied)["state"] == flow.asked["state"]
    agreed = flow.agree(mine)
    assert agreed.status_code == 303
    where = agreed.headers["Location"]
    assert where.startswith(f"{CALLBACK}?") and agreed.headers["Referrer-Policy"] == "no-referrer"
    back = parameters(where)
    assert back["state"] == flow.asked["state"] and back["iss"] == server.url and back["code"].startswith("sr_cod_")
    answer = flow.exchange(back["code"])
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store", answer.text
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 12 * 3600)
    assert me(server, token["access_token"]).json()["name"] == ada.name


def test_a_second_use_ends_the_token(server, mine):
    flow = Flow(server)
    code = flow.code(mine)
    token = flow.exchange(code).json()["access_token"]
    assert me(server, token).status_code == 200
    assert refused(flow.exchange(code, code_verifier=secrets.token_urlsafe(32)))
    assert me(server, token).status_code == 200, "the code alone, as a browser's history has it, ends nothing"
    assert refused(flow.exchange(code))
    assert me(server, token).status_code == 401
    records = call(server.session(), server, "GET", "/audit/records?what=tokens.exchange&rows=100")["records"]
    assert any(record.get("details", {}).get("revoked") == 1 for record in records), records[-3:]


def test_a_code_is_over_after_a_minute(server, mine):
    flow = Flow(server)
    code = flow.code(mine)
    harness.edit_database(server, "UPDATE loopback_code SET expires_at = expires_at - 60000000 WHERE used_at IS NULL")
    assert refused(flow.exchange(code))


@pytest.mark.parametrize(
    "changed, error",
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "tooshort"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_a_wrong_request_is_told_so_where_it_came_from(server, mine, changed, error):
    flow = Flow(server, **changed)
    told = flow.ask(mine)
    assert told.status_code == 303 and told.headers["Location"].startswith(f"{CALLBACK}?")
    back = parameters(told.headers["Location"])
    assert (back["error"], back["state"], back["iss"]) == (error, flow.asked["state"], server.url) and "code" not in back
    assert flow.agree(mine).status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://evil.example:50123/callback"},
        {"redirect_uri": "http://localhost:50123/callback"},
        {"redirect_uri": "http://127.0.0.1:50123@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.2:50123/callback"},
        {"redirect_uri": "http://127.0.0.1:50123/elsewhere"},
        {"redirect_uri": "http://127.0.0.1:50123/callback#x"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": None},
        {"client_id": "another"},
        {"client_id": None},
    ],
)
def test_no_browser_is_sent_elsewhere(server, mine, changed):
    flow = Flow(server, **changed)
    for answer in (flow.ask(mine), flow.agree(mine)):
        assert answer.status_code == 400 and "Location" not in answer.headers, changed


def test_an_address_of_version_6_is_led_back_to_by_a_link(server, mine):
    flow = Flow(server, redirect_uri="http://[::1]:50123/callback")
    assert "form-action 'self';" in flow.ask(mine).headers["Content-Security-Policy"], "no policy can name it"
    page = flow.agree(mine)
    assert page.status_code == 200
    back = parameters(html.unescape(re.search(r'href="(http://\[::1\]:50123/callback\?[^"]*)"', page.text).group(1)))
    assert back["state"] == flow.asked["state"] and flow.exchange(back["code"]).status_code == 200


def test_with_a_token_or_from_another_page_nobody_agrees(server, ada, mine):
    flow = Flow(server)
    assert flow.agree({"Authorization": f"Bearer {ada.token}"}).status_code == 403
    opened = server.session(token=None).post(
        f"{server.url}/login", data={"username": ada.name, "password": ada.token}, allow_redirects=False
    )
    assert flow.agree({"Cookie": f"__Host-strongroom={opened.cookies['__Host-strongroom']}"}).status_code == 403
    assert flow.agree({**mine, "Origin": "https://evil.example"}).status_code == 403
    assert flow.agree({**mine, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert flow.agree({}).status_code == 401
    harness.edit_database(server, "UPDATE session SET proved_at = proved_at - 1800000000")
    time.sleep(0.6)
    try:
        again = flow.agree({**mine, "Referer": f"{server.url}/oauth/authorize?{urllib.parse.urlencode(flow.asked)}"})
        assert again.status_code == 303 and again.headers["Location"].startswith("/login?again&to=/oauth/authorize%3F")
    finally:
        harness.edit_database(server, "UPDATE session SET proved_at = proved_at + 1800000000")
        time.sleep(0.6)


def test_clients_find_out_where_to_ask(server):
    found = server.session(token=None).get(f"{server.url}/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == server.url
    assert found["authorization_endpoint"] == f"{server.url}/oauth/authorize"
    assert found["token_endpoint"] == f"{server.url}/oauth/token"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert "authorization_code" in found["grant_types_supported"]


class CommandLine:
    """`strongroom login` on a machine with a screen, whose browser only writes down what it was to open."""

    OPENER = "#!/bin/sh\nprintf '%s' \"$1\" > \"$HOME/opened.part\"\nmv \"$HOME/opened.part\" \"$HOME/opened\"\n"

    def __init__(self, server, folder, opener=OPENER, url="", **environment):
        tools = folder / "bin"
        tools.mkdir()
        (tools / "xdg-open").write_text(opener)
        (tools / "xdg-open").chmod(0o755)
        self.folder = folder
        command = [str(harness.binary()), "login", "--url", url or server.url, "--ca", server.ca, "--json"]
        full = {"HOME": str(folder), "PATH": f"{tools}:/usr/bin:/bin", "DISPLAY": ":7", **environment}
        self.process = subprocess.Popen(command, env=full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def opened(self):
        for _ in range(300):
            if (self.folder / "opened").exists():
                return (self.folder / "opened").read_text()
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.1)
        raise AssertionError("no browser was opened")

    def ended(self):
        out, fault = self.process.communicate(timeout=60)
        return self.process.returncode, out, fault

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def test_the_command_line_is_logged_in_by_the_browser_here(server, ada, mine, tmp_path):
    with CommandLine(server, tmp_path) as command:
        address = command.opened()
        browser = server.session(token=None)
        page = browser.get(address, headers=mine)
        fields = fields_of(page.text)
        agreed = browser.post(f"{server.url}/oauth/authorize", data=fields, headers=mine, allow_redirects=False)
        back = agreed.headers["Location"]
        listening = back.split("?")[0]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/callback", listening)
        # Other pages and programs of this machine reach the address too.
        for other in (f"{listening}?{urllib.parse.urlencode({**parameters(back), 'state': 'guessed'})}", listening, f"{listening}/x"):
            assert browser.get(other, timeout=10).status_code == 404
        assert browser.post(back, timeout=10).status_code == 404
        last = browser.get(back, timeout=10)
        assert last.status_code == 200 and "you may close this" in last.text
        for secret in parameters(back).values():
            assert secret not in last.text
        assert "default-src 'none'" in last.headers["Content-Security-Policy"] and last.headers["Referrer-Policy"] == "no-referrer"
        status, out, fault = command.ended()
    assert status == 0, fault
    assert json.loads(out)["logged_in"]
    kept = tmp_path / ".config" / "strongroom" / "token"
    assert kept.stat().st_mode & 0o77 == 0
    assert me(server, kept.read_text()).json()["name"] == ada.name
    with pytest.raises(requests.exceptions.ConnectionError):
        browser.get(listening, timeout=10)


@pytest.mark.parametrize("agrees", [True, False])
def test_a_real_browser_is_led_to_the_command_line_without_scripts(server, ada, tmp_path, agrees):
    """The browser holds the form to the page's policy, also where the answer sends it on."""
    missing = browsers.missing()
    assert missing is None, missing
    with CommandLine(server, tmp_path, url=browsers.of_name(server.url)) as command, browsers.browser(server, scripts=False) as browser:
        browser.go(command.opened().removeprefix(browser.url))
        assert browser.path().startswith("/login?to=/oauth/authorize")
        browser.fill(username=ada.name, password=ada.password)
        browser.click("form:not([data-passkey]) button")
        assert ada.name in browser.text() and "twelve hours" in browser.text()
        browser.click("main form button" if agrees else "main p a")
        assert browser.driver.current_url.startswith("http://127.0.0.1:")
        assert ("Agreed" if agrees else "Nobody was logged in") in browser.driver.page_source
        status, _, fault = command.ended()
    assert (status == 0) is agrees, fault


def test_a_denial_and_another_issuer_end_the_command_line(server, mine, tmp_path):
    for number, changed in enumerate(({}, {"iss": "https://evil.example"})):
        folder = tmp_path / str(number)
        folder.mkdir()
        with CommandLine(server, folder) as command:
            browser = server.session(token=None)
            page = browser.get(command.opened(), headers=mine).text
            denied = html.unescape(re.search(r'<a href="(http://127[^"]*)"', page).group(1))
            where, fields = denied.split("?")[0], parameters(denied) | changed
            assert "Nobody was logged in" in browser.get(where, params=fields, timeout=10).text
            status, _, fault = command.ended()
        assert status != 0 and ("access_denied" in fault or "not from" in fault), fault
        assert not (folder / ".config").exists()


@pytest.mark.parametrize("how", ["ssh", "no display", "no opener", "flag"])
def test_without_a_browser_here_a_code_is_shown(server, tmp_path, how):
    environment = {"ssh": {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}, "no display": {"DISPLAY": ""}}.get(how, {})
    opener = {"no opener": "#!/bin/sh\nexit 3\n"}.get(how)
    arguments = {"opener": opener} if opener else {}
    if how == "flag":
        command = [str(harness.binary()), "login", "--url", server.url, "--ca", server.ca, "--device-code"]
        process = subprocess.Popen(command, env={"HOME": str(tmp_path), "PATH": "/nowhere", "DISPLAY": ":7"}, stderr=subprocess.PIPE, text=True)
    else:
        process = CommandLine(server, tmp_path, **arguments, **environment).process
    try:
        lines = []
        while not lines or not lines[-1].startswith("Open "):
            line = process.stderr.readline()
            assert line, lines
            lines.append(line)
        assert "/device?code=" in lines[-1]
        assert not (tmp_path / "opened").exists()
    finally:
        process.kill()
        process.communicate()


# The last one: so many refusals make the address of all of them risky.
def test_wrong_verifiers_addresses_and_clients_get_nothing(server, ada, mine):
    flow = Flow(server)
    code = flow.code(mine)
    wrong = [
        {"code_verifier": secrets.token_urlsafe(32)},
        {"code_verifier": None},
        {"code_verifier": flow.asked["code_challenge"]},
        {"code_verifier": "short"},
        {"redirect_uri": "http://127.0.0.1:50124/callback"},
        {"redirect_uri": None},
        {"client_id": "another"},
        {"client_id": None},
        {"code": "sr_cod_" + "0" * 49},
        {"code": ada.token},
        {"grant_type": "password"},
    ]
    for changed in wrong:
        assert refused(flow.exchange(code, **changed)), changed
    other = Flow(server)
    assert refused(flow.exchange(other.code(mine))), "a code belongs to its challenge"
    assert me(server, code).status_code == 401, "a code is no token"
    assert flow.exchange(code).status_code == 200, "what others tried has not used it up"
