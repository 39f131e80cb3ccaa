"""Log-in at a real OpenID Connect provider with a real browser, and tokens of platforms exchanged for ours."""

import json
import time
import urllib.parse
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import browser as browsers
import harness
import issuers
from people import ADMIN, call, grant

pytestmark = pytest.mark.strongroom_only
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"


def config(provider_port: int, ca: str, secret_file: str) -> str:
    return f"""
[risk]
failure_burst_count_max = 1000
[federation.providers.company]
issuer = "https://localhost:{provider_port}"
client_id = "strongroom"
client_secret_file = "{secret_file}"
ca = "{ca}"
provision = true
second_factor_acr = ["{issuers.STRONG}"]
groups = [{{ theirs = "ml-people", ours = "scientists" }}, {{ theirs = "auditors", ours = "reviewers" }}]
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """A server that trusts a provider, and that provider."""
    assert issuers.node_modules(), "STRONGROOM_NODE_MODULES names where npm's oidc-provider is installed"
    missing = browsers.missing()
    assert missing is None, missing
    folder = tmp_path_factory.mktemp("provider")
    port, files = issuers.free_port(), issuers.certificates(folder)
    secret = folder / "secret"
    secret.write_text(issuers.CLIENT_SECRET + "\n")
    with harness.running(config_text=config(port, files["ca"], secret)) as server:
        with issuers.oidc_provider(folder, files, port, browsers.of_name(server.url), server.ca) as provider:
            for group in ("scientists", "reviewers"):
                call(server.session(), server, "POST", "/groups", json={"name": group})
            yield server, provider


def me(server, browser):
    cookie = browser.driver.get_cookie("__Host-strongroom")["value"]
    return call(server.session(token=None), server, "GET", "/me", headers={"Cookie": f"__Host-strongroom={cookie}"})


def log_in(browser, subject, to="/account"):
    browser.go(f"/login?to={to}")
    browser.click("a[href^='/login/with/company']")
    # The way there and back leads over several pages; each is left as soon as it is there.
    browser.wait(lambda: browser.all("[name=login]"), "the provider's form")
    browser.fill(login=subject)
    browser.click("button")
    browser.wait(lambda: browser.driver.current_url.startswith(browser.url) and browser.all("main"), "the way back")


def group_names(account):
    return sorted(group["name"] for group in account["groups"])


def test_a_person_logs_in_at_the_provider_and_its_groups_are_ours(company):
    server, provider = company
    subject = f"ada-{uuid.uuid4().hex[:6]}"
    provider.put(subject, subject, ["ml-people", "cooks"])
    with browsers.browser(server, also=[provider.issuer]) as browser:
        log_in(browser, subject)
        assert browser.path() == "/account" and subject in browser.text()
        first = me(server, browser)
        assert (first["name"], first["method"], first["assurance"]) == (subject, "federated", 1)
        assert group_names(first) == ["scientists"]
        # What the provider says next time counts: one group less, another one more, two factors.
        provider.put(subject, "another name", ["auditors"], strong=True)
        browser.driver.delete_all_cookies()
        browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        log_in(browser, subject)
        second = me(server, browser)
        assert (second["id"], second["name"], second["assurance"]) == (first["id"], subject, 2), "the subject counts, not the name"
        assert group_names(second) == ["reviewers"]
        # Who is barred here is out, whatever the provider says.
        call(server.session(), server, "POST", f"/users/{subject}/disable", json={})
        browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        log_in(browser, subject)
        assert browser.path().startswith("/login?failed")


def test_a_step_up_asks_the_provider_for_two_factors(company):
    server, _ = company

    def asked(**query):
        answer = server.session(token=None).get(f"{server.url}/login/with/company", params={"to": "/account", **query}, allow_redirects=False)
        return urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["Location"]).query)

    assert "acr_values" not in asked()
    again = asked(again="1")
    assert (again["acr_values"], again["max_age"], again["prompt"]) == ([issuers.STRONG], ["0"], ["login"])


def test_a_name_that_is_taken_is_not_taken_over(company):
    server, provider = company
    name = f"bob-{uuid.uuid4().hex[:6]}"
    call(server.session(), server, "POST", "/users", json={"name": name})
    subject = f"stranger-{uuid.uuid4().hex[:6]}"
    provider.put(subject, name, [])
    with browsers.browser(server, also=[provider.issuer]) as browser:
        log_in(browser, subject)
        assert browser.path().startswith("/login?failed")
        call(server.session(), server, "POST", f"/users/{name}/link", json={"issuer": provider.issuer, "subject": subject})
        browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        log_in(browser, subject)
        assert me(server, browser)["name"] == name
    own = call(server.session(), server, "GET", "/me")["name"]
    answer = server.session().post(f"{server.url}{ADMIN}/users/{own}/link", json={"issuer": provider.issuer, "subject": "x"})
    assert answer.status_code == 400, "nobody opens another door to their own account"
    again = server.session().post(f"{server.url}{ADMIN}/users/{own}/link", json={"issuer": provider.issuer, "subject": subject})
    assert again.status_code == 400


def test_what_was_not_begun_here_is_refused(company):
    server, provider = company
    url = browsers.of_name(server.url)
    plain = server.session(token=None)

    def back(query, cookie=None):
        headers = {"Cookie": f"__Host-strongroom-login={cookie}"} if cookie else {}
        answer = plain.get(f"{url}/login/callback?{query}", headers=headers, allow_redirects=False)
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/login?failed"), answer.text
        assert "__Host-strongroom=sr_" not in answer.headers.get("Set-Cookie", "")

    left = plain.get(f"{url}/login/with/company", allow_redirects=False)
    assert left.status_code == 303 and left.headers["Location"].startswith(f"{provider.issuer}/auth?")
    asked = left.headers["Location"]
    for word in ("code_challenge_method=S256", "nonce=", "state=", "response_type=code"):
        assert word in asked
    carried = left.cookies["__Host-strongroom-login"]
    state = asked.split("state=", 1)[1].split("&", 1)[0]
    back("code=x&state=y")
    back(f"code=x&state={state}")
    back("code=x&state=y", carried)
    back(f"code=x&state={state}", carried), "a code that the provider never gave"
    back(f"code=x&state={state}&iss=https%3A%2F%2Fevil.example", carried)
    back("error=access_denied")
    assert plain.get(f"{url}/login/with/nobody", allow_redirects=False).status_code in (401, 404)


def test_a_logout_at_the_provider_ends_our_session_within_a_second(company):
    server, provider = company
    subject = f"cyd-{uuid.uuid4().hex[:6]}"
    provider.put(subject, subject, [])
    with browsers.browser(server, also=[provider.issuer]) as browser:
        log_in(browser, subject)
        cookie = browser.driver.get_cookie("__Host-strongroom")["value"]

        def works():
            headers = {"Cookie": f"__Host-strongroom={cookie}"}
            return server.session(token=None).get(f"{server.url}{ADMIN}/me", headers=headers).status_code == 200

        assert works()
        browser.driver.get(f"{provider.issuer}/session/end")
        browser.wait(lambda: browser.all("button[name=logout]"), "the provider's question")
        browser.click("button[name=logout]")
        harness.wait_until(lambda: not works(), 1, "the session is over")
        # By its own log: what was told, and that it was done within a second of it.
        records = call(server.session(), server, "GET", "/audit/records?what=sessions.logged_out&rows=100")["records"]
        assert any(one["kind"] == "outcome" and '"sessions_ended": 1' in json.dumps(one) for one in records), records


def exchange(server, token, **changed):
    form = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": JWT, **changed}
    return server.session(token=None).post(f"{server.url}/oauth/token", data=form)


def test_a_platforms_token_is_exchanged_for_a_short_one_of_ours(tmp_path):
    with issuers.platform(tmp_path) as (platform, ca):
        rules = f"""
[risk]
failure_burst_count_max = 1000
[[federation.workloads]]
service = "ci"
issuer = "{platform.issuer}"
ca = "{ca}"
audience = "strongroom"
claims = {{ repository_id = "7", ref = "refs/heads/main" }}
[[federation.workloads]]
service = "trainer"
issuer = "{platform.issuer}"
ca = "{ca}"
audience = "strongroom"
claims = {{ "kubernetes.io.namespace" = "ml", "kubernetes.io.serviceaccount.name" = "trainer" }}
"""
        with harness.running(config_text=rules) as server:
            good = {"repository_id": "7", "ref": "refs/heads/main", "sub": "repo:a/b"}
            answer = exchange(server, platform.token(good))
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), "the service account is not there yet"
            for name in ("ci", "trainer"):
                call(server.session(), server, "POST", "/services", json={"name": name})
            grant(server, "ci", "contributor")
            answer = exchange(server, platform.token(good))
            assert answer.status_code == 200, answer.text
            said = answer.json()
            assert (said["token_type"], said["expires_in"]) == ("Bearer", 900)
            token = said["access_token"]
            assert call(server.session(token), server, "GET", "/me")["name"] == "ci"

            import mlflow

            client = mlflow.MlflowClient(tracking_uri=server.url)
            with pytest.MonkeyPatch.context() as patch:
                for key, value in server.mlflow_environment(token).items():
                    patch.setenv(key, value)
                client.create_experiment(f"by-ci-{uuid.uuid4().hex[:6]}")
            pod = {"kubernetes.io": {"namespace": "ml", "serviceaccount": {"name": "trainer", "uid": "u"}}}
            trainer = exchange(server, platform.token(pod)).json()["access_token"]
            assert call(server.session(trainer), server, "GET", "/me")["name"] == "trainer"

            now = time.time()
            stranger = ec.generate_private_key(ec.SECP256R1())
            none = {"alg": "none", "kid": "one"}
            for bad in (
                platform.token({**good, "ref": "refs/heads/evil"}),
                platform.token({"repository_id": "7"}),
                platform.token(good, audience="another server"),
                platform.token({**good, "iss": "https://evil.example"}),
                platform.token({**good, "exp": int(now) - 120, "iat": int(now) - 400}),
                platform.token({**good, "exp": int(now) + 10**7}),
                platform.token({**good, "nbf": int(now) + 600}),
                platform.token(good, key=stranger),
                platform.token(good, kid="unknown"),
                platform.token(good, header=none),
                platform.token(good)[:-4],
                platform.token(good, header={"alg": "ES256", "typ": "logout+jwt", "kid": "one"}),
                "x",
                token,
            ):
                answer = exchange(server, bad)
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), bad
            asked = len(platform.asked)
            for number in range(20):
                exchange(server, platform.token(good, kid=f"strange-{number}"))
            assert len(platform.asked) == asked, "strangers do not make us ask"
            assert exchange(server, platform.token(good), grant_type="password").json()["error"] == "invalid_grant"
            # Who asks for less gets less, and is told; who asks for something else gets nothing.
            less = exchange(server, platform.token(good), scope="runs.get runs.search").json()
            assert less["scope"] == "runs.get runs.search"
            narrow = server.session(less["access_token"])
            assert narrow.post(f"{server.url}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0"]}).status_code == 200
            assert narrow.post(f"{server.url}/api/2.0/mlflow/experiments/search", json={"max_results": 1}).status_code in (403, 404)
            assert "scope" not in exchange(server, platform.token(good), scope="").json()
            for wish in ({"scope": "every thing"}, {"actor_token": "x"}, {"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"}):
                answer = exchange(server, platform.token(good), **wish)
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request") and "access_token" not in answer.json(), wish
            # A token of ours is not exchanged for one that lives on.
            answer = server.session(token).post(f"{server.url}/oauth/token", data={"grant_type": EXCHANGE})
            assert answer.status_code == 400
            # Keys are renewed.
            platform.keys = {"two": ec.generate_private_key(ec.SECP256R1())}
            assert exchange(server, platform.token(good, kid="two", key=platform.keys["two"])).status_code == 400
