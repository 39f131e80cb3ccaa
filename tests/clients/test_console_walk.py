"""What clients can set is text everywhere: every field is filled with what browsers would run if a page let them, then every page that any link leads to is read,
and some of each kind are opened in a real browser."""

import collections
import json
import re
import urllib.parse

import pytest

import browser as browsers
import client_fields
import harness
from client_fields import PAYLOADS, everything, logged_in
from page_reader import Page, as_sent, texts
from people import call, person
from test_loopback import Flow

pytestmark = pytest.mark.strongroom_only
# Runs in each page: what of it would not be there if every text were text.
FOUND = """
if (document.contentType !== 'text/html') return [];  // The browser shows text and pictures by pages of its own.
const bad = [];
for (const one of document.querySelectorAll('*')) {
  for (const attribute of one.attributes) {
    if (attribute.name.startsWith('on') || attribute.name === 'style') bad.push(one.outerHTML.slice(0, 200));
    if (['href', 'src', 'action', 'formaction'].includes(attribute.name) && /^\\s*(javascript|data|vbscript):/i.test(attribute.value) && !(one.tagName === 'IMG' && attribute.value.startsWith('data:image/'))) bad.push(one.outerHTML.slice(0, 200));
  }
  if (one.tagName === 'SCRIPT' && !(one.getAttribute('src') || '').startsWith('/console/assets/')) bad.push(one.outerHTML.slice(0, 200));
  if (['IFRAME', 'OBJECT', 'EMBED', 'BASE'].includes(one.tagName) || (one.tagName === 'IMG' && one.getAttribute('src') === 'x')) bad.push(one.outerHTML.slice(0, 200));
}
if (window.ran) bad.push('it ran');
return bad;
"""
# Routes of pages that the walk does not open, each with why.
UNVISITED = {
    "/console/assets/{name}": "files of ours, in which nothing of a client stands",
    "/account/once/{page}": "shows what a form has just made, one time; what forms send is looked at by a test of its own",
    "/console/endpoints/{endpoint}/live": "a stream of numbers, which does not end",
    "/login/with/{provider}": "leads to a provider, of which there is none here; it makes no page",
    "/login/callback": "where a provider leads back to; it makes no page",
}
# What is not a page of its own: single records of the log beyond some, the log narrowed or continued, a page sorted or narrowed otherwise.
SKIPPED = re.compile(r"/console/audit\?|/logout|/console/assets/|.*/live$|.*[?&](token|after|before|depth|days|sort|skip|tokens)=")
# So many pages of one route are read, and no more: they are alike, and say the same of the next thing.
ALIKE = 130
# And so many of them are opened in the browser: those in which the most stands.
OPENED = 2
# Fields that take no such text: names, which are of letters, digits and a few signs.
REFUSED = {
    *(f"people: {kind}" for kind in ("users", "groups", "services", "workspaces", "device-fleets", "source name")), "directory: user name", "objects: bucket",
    *(f"models: {name}" for name in ("alias", "endpoint", "logged name")), *(f"runs: {kind} key" for kind in ("param", "metric", "tag")),
}  # fmt: skip
# Fields that take it, and that no page shows: a page that does is met by the walk, and the field leaves this list.
NOWHERE = {
    # What a directory says of people beside their name is kept for the directory. A group's name is made of the letters in it.
    *(f"directory: {field}" for field in ("display name", "external id", "group", "group id", "name", "title")),
    # MLflow's own page shows these; the console's are about what may be used, and why.
    *(f"models: {field}" for field in ("description", "tag", "version tag", "logged type", "logged param", "logged tag")),
    *(f"runs: {field}" for field in ("experiment note", "experiment tag", "input profile", "input schema", "input source")),
    # The command line and the interface tell these.
    "data: contract reason", "models: gate reason", "people: source licence", "people: source owner", "predictions: label", "others: job facet",
    # Of these nothing is kept: an agent's name, an id of nothing, whom a client says it is, what an alert says beside its summary, a subject's name.
    "people: agent", "predictions: agent", "people: run asked for", "runs: user id", "predictions: request id", "predictions: subject",
    "others: alert description", "others: alert label",
}  # fmt: skip
# Where a link may lead to what is not there: papers that wait for something, and what was touched and is not in the lineage yet.
MAY_BE_ABSENT = {
    "/console/models/{model}/{version}/papers/{paper}", "/console/models/{model}/{version}/documents/{document}",
    "/console/data/{dataset}/{version}/documents/{document}", "/console/lineage",
}  # fmt: skip
# What stands in an address and comes back on its page.
REFLECTED = [
    "/login?to={}", "/device?code={}", "/console/audit?text={}", "/console/audit?who={}", "/console/audit/timeline?who={}", "/console/access/check?who={}",
    "/console/access/check?who=admin&verb={}", "/console/access/check?who=admin&kind={}", "/console/access/check?who=admin&resource={}",
    "/console/predictions?endpoint={}", "/console/predictions?since={}", "/console/models?model={}", "/console/models?state={}", "/console/data?state={}",
    "/console/curve?key={}&run={run}", "/console/curve?key=k&run={}", "/console/experiments?filter={}", "/console/experiments?token={}",
    "/console/experiments/0?filter={}", "/console/experiments/0?column=metrics.{}", "/console/experiments/0?sort={}", "/console/lineage?subject={}",
    "/console/lineage?subject=a/1&depth={}", "/console/compare?run={}&run=b", "/console/compare/models?version={}&version=b/1", "/console/runs/{run}?folder={}",
    "/console/vault?buckets={}", "/console/vault/buckets/walk-bucket?prefix={}", "/console/vault/buckets/walk-bucket/object?key={}", "/console/detections?level={}",
    "/console/detections/write?name={}", "/console/access/review?days={}", "/console/alerts?state={}", "/console?workspace={}", "/account?tokens={}",
    "/console/data/{}", "/console/models/{}/1", "/console/people/{}", "/console/endpoints/{}", "/console/nowhere/{}",
]  # fmt: skip
# What is sent by a form and comes back on its page.
POSTED = [
    ("/account/tokens", {"label": "{}", "days": "1"}), ("/account/tokens", {"label": "x", "days": "{}"}), ("/device", {"code": "{}"}), ("/login", {"username": "{}", "password": "{}"}),
    ("/console/detections/write", {"name": "{}", "rules": "title: {}", "decision": "check"}), ("/console/detections/write", {"name": "x", "rules": "{}", "decision": "save"}),
    ("/console/data/trial-walk-0/contract", {"contract": "{}", "reason": "{}", "decision": "check"}), ("/console/data/trial-walk-0/contract", {"contract": "kind: {}", "reason": "{}", "decision": "save"}),
    ("/console/data/trial-walk-0/1", {"decision": "{}", "reason": "{}", "until": "{}"}), ("/console/data/trial-walk-0/2/clean", {"rows": "{}", "finding": "{}", "reason": "{}", "sure": "yes"}),
    ("/console/models/walk-0/1", {"decision": "refuse", "reason": "{}", "seen": "{}", "sure": "yes"}), ("/console/models/walk-0/1/promote", {"alias": "{}", "seen": "{}", "sure": "yes"}), ("/console/erasure", {"subject": "{}", "decision": "look"}),
    ("/console/access", {"role": "{}", "reason": "{}", "kind": "{}", "hours": "1"}), ("/console/vault/buckets/walk-bucket/object", {"key": "kind-0", "version": "{}", "decision": "retain", "mode": "{}", "until": "{}", "sure": "yes"}),
    ("/console/audit/evidence", {"who": "{}", "since": "{}"}), ("/console/vault/kept", {"kind": "{}", "name": "{}", "decision": "hold"}), ("/console/people/admin", {"decision": "{}"}),
]  # fmt: skip


class World:
    """A filled server, and somebody who may see every page."""

    def __init__(self, server):
        import mlflow

        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        self.server, self.who = server, everything(server)
        self.fields, self.prediction = client_fields.fill(server, mlflow, self.who)
        told = json.loads(server.cli("routes", "--json", "--token-file", str(server.token_file)).stdout)
        found = {one["path"] for one in told if one["method"] == "GET"}
        self.routes = {path for path in found if path == "/" or path.startswith(("/console", "/account", "/login", "/device", "/oauth"))}
        # The more of a route is said in words, the sooner it is meant.
        parts = lambda route: re.sub(r"\\{[^*][^}]*\\}", "[^/]+", re.sub(r"\\{\\\*[^}]*\\}", ".+", re.escape(route)))  # noqa: E731
        self.patterns = [(re.compile(parts(route)), route) for route in sorted(self.routes, key=lambda one: (one.count("{"), "{*" in one))]
        self.session = logged_in(server, self.who)
        self.session.headers["Accept"] = "text/html"

    def route(self, path: str) -> str | None:
        return next((route for pattern, route in self.patterns if pattern.fullmatch(path.split("?")[0])), None)

    def get(self, path: str):
        """One page, read; what is wrong with it ends the test."""
        answer = self.session.get(self.server.url + path, timeout=60, allow_redirects=False)
        assert answer.status_code < 500 and answer.status_code != 429, f"{path}: {answer.status_code} {answer.text[:500]}"
        self.look(answer, path)
        return answer

    def look(self, answer, path: str) -> None:
        assert answer.headers["x-content-type-options"] == "nosniff", path
        if not answer.headers.get("content-type", "").startswith("text/html"):
            assert is_harmless(answer), f"{path}: {answer.headers}"
            return
        policy = answer.headers["content-security-policy"]
        page, is_document = Page(answer.text, path), policy.startswith("sandbox;")
        assert "default-src 'none'" in policy and "script-src" not in policy.replace("script-src 'self'", ""), f"{path}: {policy}"
        # Documents that are kept and handed on bring their looks along, and no browser lets them do more.
        assert is_document or ("unsafe" not in policy and page.styles == []), f"{path}: {policy} {page.styles[:3]}"
        sent = [one.replace("@@", number) for one in PAYLOADS for number in sorted(set(client_fields.MARK.findall(answer.text)))]
        bad = page.bad + as_sent(answer.text, sent)
        assert bad == [], f"{path}: {bad[:3]}"


def is_harmless(answer) -> bool:
    kind, policy = answer.headers.get("content-type", ""), answer.headers.get("content-security-policy", "")
    text = kind.startswith(("text/plain", "application/octet-stream", "application/json")) or not answer.content
    return text or "attachment" in answer.headers.get("content-disposition", "") or "sandbox" in policy or "default-src 'none'" in policy


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    missing = browsers.missing()
    assert missing is None, missing
    folder = tmp_path_factory.mktemp("walk")
    with harness.running(config_text=client_fields.config(folder)) as server, pytest.MonkeyPatch.context() as patch:
        for key, value in server.mlflow_environment().items():
            patch.setenv(key, value)
        yield World(server)


def seeds(world) -> list[str]:
    """Where the walk begins: pages to which no link leads."""
    me = call(world.session, world.server, "GET", "/me")["id"]
    granted = call(world.session, world.server, "GET", "/access/review")["grants"][0]["grant"]
    asked = urllib.parse.urlencode(Flow(world.server, state=PAYLOADS[0]).asked)
    return [
        "/", "/console", "/console/detections/rules", "/console/erasure", "/account", "/account/devices", "/console/start", "/console/log-ins", "/device", "/login?again&to=/account",
        f"/oauth/authorize?{asked}", f"/console/access/review/{granted}", f"/console/audit/timeline?who={me}", f"/console/predictions/{world.prediction}", "/console/audit/1",
    ]  # fmt: skip


@pytest.mark.any_database("a browser takes the same for code")
def test_each_field_is_text_on_every_page_that_a_link_leads_to(world):
    waiting, counts, marks, linked, left = collections.deque(seeds(world)), collections.Counter(), {}, set(), set()
    while waiting:
        path = waiting.popleft()
        if path in marks or path in left or SKIPPED.match(path):
            continue
        route = world.route(path)
        assert route is not None, f"{path}: a link to no page"
        if counts[route] >= ALIKE:
            left.add(path)
            continue
        counts[route] += 1
        answer = world.get(path)
        assert answer.status_code in (200, 303) or path not in linked or route in MAY_BE_ABSENT, f"{path}: a link to {answer.status_code}"
        marks[path] = world.fields.in_text(texts(answer.text)) if answer.ok else set()
        if answer.headers.get("content-type", "").startswith("text/html"):
            page = Page(answer.text, path)
            linked.update(page.links)
            waiting.extend(one for one in page.links + page.asks if one.startswith(("/console", "/account", "/device")))
    taken, fields, shown = world.fields.taken, set(world.fields.names), set().union(*marks.values())
    assert fields - taken == REFUSED, f"each field was set, or the walk shows nothing: {sorted((fields - taken) ^ REFUSED)}"
    assert taken - shown == NOWHERE, f"each field that was set stands on some page: {sorted((taken - shown) ^ NOWHERE)}"
    assert world.routes - set(counts) == set(UNVISITED), f"each page was visited: {sorted((world.routes - set(counts)) ^ set(UNVISITED))}"
    # In the browser, of each kind of page those in which the most stands. It shows pictures by a page of its own, and saves files.
    fullest = collections.defaultdict(list)
    for path in sorted(marks, key=lambda one: -len(marks[one])):
        if len(fullest[world.route(path)]) < OPENED and "/save/" not in path and "/picture/" not in path:
            fullest[world.route(path)].append(path)
    with browsers.browser(world.server) as browser:
        browser.log_in(world.who.name, world.who.password)
        for path in [path for paths in fullest.values() for path in paths]:
            open_in(browser, path)
        assert what_was_stopped(browser) == []


def open_in(browser, path: str) -> None:
    browser.go(path)
    assert path.startswith("/login") or not browser.path().startswith("/login"), f"{path}: nobody is logged in"
    bad = browser.driver.execute_script(FOUND)
    assert bad == [], f"{path}: {bad[:3]}"


def what_was_stopped(browser) -> list[str]:
    """What is not there yet answers so; nothing else may go wrong, and above all nothing that the page's policy had to stop."""
    return [fault for fault in browser.faults() if "Failed to load resource" not in fault]


def a_run(world) -> str:
    found = world.session.post(f"{world.server.url}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["1", "2", "3"], "max_results": 1}).json()
    return found["runs"][0]["info"]["run_id"]


@pytest.mark.any_database("a browser takes the same for code")
def test_the_name_of_a_passkey_is_text(world):
    """What only a browser sets; from then on a password alone does not open the account."""
    somebody = person(world.server)
    with browsers.browser(world.server) as browser:
        browser.log_in(somebody.name, somebody.password)
        browser.add_authenticator()
        for evil in PAYLOADS[:4]:
            browser.go("/account")
            browser.find("form[data-passkey] [name=label]").send_keys(evil.replace("@@", "7"))
            browser.click("#add-passkey")
        open_in(browser, "/account")
        assert browser.find("#passkeys ~ div tbody").text.count("window.ran=7") == 4
        assert what_was_stopped(browser) == []


@pytest.mark.any_database("a browser takes the same for code")
def test_what_stands_in_an_address_is_text_on_its_page(world):
    run, back = a_run(world), 0
    filled = lambda address, evil: address.replace("{run}", run).replace("{}", urllib.parse.quote(evil.replace("@@", "7"), safe=""))  # noqa: E731
    for address in REFLECTED:
        for evil in PAYLOADS:
            back += "window.ran=7" in texts(world.get(filled(address, evil)).text)
    assert back > 100, back
    with browsers.browser(world.server) as browser:
        browser.log_in(world.who.name, world.who.password)
        for number, address in enumerate(REFLECTED):
            open_in(browser, filled(address, PAYLOADS[number % 4]))
        assert what_was_stopped(browser) == []


@pytest.mark.any_database("a browser takes the same for code")
def test_what_a_form_sends_is_text_on_its_page(world):
    back, headers = 0, {"Origin": world.server.url, "Sec-Fetch-Site": "same-origin"}
    for path, form in POSTED:
        for evil in PAYLOADS:
            sent = {name: value.replace("{}", evil.replace("@@", "7")) for name, value in form.items()}
            answer = world.session.post(world.server.url + path, data=sent, headers=headers, timeout=60, allow_redirects=False)
            assert answer.status_code < 500 and answer.status_code not in (404, 405, 429), f"{path}: {answer.status_code} {answer.text[:300]}"
            world.look(answer, path)
            if answer.headers.get("Location", "").startswith("/account/once/"):
                answer = world.get(answer.headers["Location"])
            back += "window.ran=7" in texts(answer.text)
    assert back > 60, back


@pytest.mark.any_database("a browser takes the same for code")
def test_a_file_of_a_client_is_never_a_page(world):
    """What a run's file says is shown as text or saved; no address of the server makes a browser render it."""
    server, session = world.server, world.who.session()
    runs = session.post(f"{server.url}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["0", "1", "2", "3"], "max_results": 50}).json()["runs"]
    assert runs
    for found in runs[:3]:
        run, experiment = found["info"]["run_id"], found["info"]["experiment_id"]
        listed = session.get(f"{server.url}/api/2.0/mlflow/artifacts/list", params={"run_id": run, "path": "model"}).json().get("files", [])
        assert listed
        for file in listed:
            for address in (f"/get-artifact?run_uuid={run}&path={urllib.parse.quote(file['path'])}", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{urllib.parse.quote(file['path'])}"):
                answer = session.get(f"{server.url}{address}", timeout=60)
                assert answer.ok, answer.text[:200]
                assert answer.headers["x-content-type-options"] == "nosniff"
                kind, policy = answer.headers["content-type"], answer.headers.get("content-security-policy", "")
                harmless = kind.startswith(("text/plain", "application/octet-stream", "application/json")) or "attachment" in answer.headers.get("content-disposition", "")
                assert harmless or "sandbox" in policy, (address, kind, policy)
