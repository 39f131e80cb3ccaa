"""What clients can set is text everywhere: every field is filled with what browsers would run if a page let them, then every page that any link leads to is opened."""

import time
import urllib.parse
import uuid

import pytest

import browser as browsers
import harness
from people import grant, person
from test_data import commit, wait

pytestmark = pytest.mark.strongroom_only
PAYLOADS = [
    "<img src=x onerror=window.ran=1>",
    "\"><script>window.ran=1</script>",
    "' autofocus onfocus='window.ran=1",
    "</title></textarea></pre><svg onload=window.ran=1>",
    "javascript:window.ran=1",
    "{{7*7}}{% raw %}${7*7}<%= 7*7 %>",
    "<!--<a href=\"data:text/html,<script>window.ran=1</script>\">x</a>",
    "\u202e\u0000\ufeff<b>".replace("\u0000", ""),
]
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
PAGES_MAX = 400
# What a walk need not open twice: the same page sorted, narrowed or continued otherwise.
SKIPPED = ("/console/audit/", "/console/audit?who", "/console/audit?before", "/logout", "/console/assets/")


def fill(server, admin) -> dict[str, int]:
    """Puts each payload into each field that a client can set; counts what was accepted, per kind."""
    api, session, told = f"{server.url}/api/2.0/mlflow", server.session(), {}

    def post(kind, path, body, base=api):
        answer = session.post(base + path, json=body, timeout=60)
        for _ in range(5):
            # A busy disk: nothing was done, and the server says when to come again.
            if answer.status_code != 503:
                break
            time.sleep(1)
            answer = session.post(base + path, json=body, timeout=60)
        assert answer.status_code < 500, f"{path}: {answer.status_code} {answer.text[:300]}"
        told[kind] = told.get(kind, 0) + answer.ok
        return answer.json() if answer.ok else {}

    admin_api = f"{server.url}/api/strongroom/v1"
    for number, evil in enumerate(PAYLOADS):
        experiment = post("experiments", "/experiments/create", {"name": evil, "tags": [{"key": f"k{number}", "value": evil}]}).get("experiment_id", "0")
        run = post("runs", "/runs/create", {"experiment_id": experiment, "run_name": evil, "user_id": evil, "start_time": 1, "tags": [{"key": "mlflow.note.content", "value": evil}, {"key": "mlflow.source.name", "value": evil}, {"key": "mlflow.source.git.commit", "value": evil}]})
        run = run["run"]["info"]["run_id"]
        key = "".join(letter for letter in evil if letter.isalnum() or letter in "-_.")[:200] or "k"
        post("params", "/runs/log-batch", {"run_id": run, "params": [{"key": key, "value": evil}], "metrics": [{"key": key, "value": 1.0, "timestamp": 1, "step": step} for step in range(3)], "tags": [{"key": key, "value": evil}]})
        post("tags", "/runs/set-tag", {"run_id": run, "key": f"{key}2", "value": evil})
        post("keys", "/runs/set-tag", {"run_id": run, "key": evil[:200], "value": evil})
        post("inputs", "/runs/log-inputs", {"run_id": run, "datasets": [{"dataset": {"name": evil, "digest": str(number), "source_type": evil[:20], "source": evil, "schema": evil, "profile": evil}, "tags": [{"key": "mlflow.data.context", "value": evil}]}]})
        name = urllib.parse.quote(evil.replace("/", "_"), safe="")
        for inside in (f"{name}.html", f"page{number}.svg", f"text{number}.txt", "MLmodel"):
            put = session.put(f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/model/{inside}", data=f"<html>{evil}</html>".encode(), timeout=60)
            assert put.status_code < 500, put.text[:300]
            told["files"] = told.get("files", 0) + put.ok
        post("models", "/registered-models/create", {"name": evil, "description": evil, "tags": [{"key": "t", "value": evil}]})
        model = f"walk-{number}"
        post("models", "/registered-models/create", {"name": model, "description": evil})
        post("versions", "/model-versions/create", {"name": model, "source": f"runs:/{run}/model", "run_id": run, "description": evil, "tags": [{"key": "t", "value": evil}]})
        post("aliases", "/registered-models/alias", {"name": model, "alias": f"a{number}", "version": "1"})
        post("elevations", "/elevations", {"role": "viewer", "resource_kind": "workspace", "reason": evil}, admin_api)
        post("grants", "/grants", {"principal": admin.name, "role": "viewer", "resource_kind": "experiment", "resource": str(experiment), "justification": evil}, admin_api)
        post("tokens", "/tokens", {"label": evil, "scopes": [], "lifetime_s": 3_600}, admin_api)
        post("users", "/users", {"name": evil, "password": uuid.uuid4().hex}, admin_api)
        post("groups", "/groups", {"name": evil}, admin_api)
        post("workspaces", "/workspaces", {"name": evil}, admin_api)
        post("endpoints", "/endpoints", {"name": evil, "model": model, "version": "1"}, admin_api)
        # It stands in the log, with the address and agent that it came with.
        session.get(f"{api}/runs/get", params={"run_id": evil}, headers={"User-Agent": evil.encode("ascii", "ignore").decode().replace("\n", " ")}, timeout=60)
    return told


@pytest.fixture(scope="module")
def walked():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running() as server:
        everything = person(server, "owner")
        for role, on in (("auditor", "server"), ("administrator", "server"), ("monitor", "server"), ("key_custodian", "server"), ("reviewer", "workspace"), ("retention_officer", "workspace")):
            grant(server, everything.name, role, on)
        told = fill(server, everything)
        session = server.session()
        for number, evil in enumerate(PAYLOADS[:3]):
            name = f"walk-{number}"
            header = evil.replace(",", " ").replace('"', "'")
            text = f"id,{header}\n" + "".join(f"{row},{evil.replace(',', ' ').replace(chr(34), chr(39))}{row}\n" for row in range(200))
            commit(session, server, name, {"a.csv": text.encode()}, source=f"https://example.com/{evil}", licence=evil, owner=evil, purpose=evil)
            commit(session, server, name, {"a.csv": text.replace("1", "2").encode()}, source="https://example.com/", licence=evil, owner=evil, purpose=evil)
            wait(session, server, name, 1)
            wait(session, server, name, 2)
        yield server, everything, told


def test_each_field_is_text_on_every_page_that_a_link_leads_to(walked):
    server, everything, told = walked
    # The fields were set, or the walk shows nothing.
    for kind in ("experiments", "runs", "params", "tags", "inputs", "files", "models", "versions", "elevations", "grants", "tokens"):
        assert told[kind] >= 1, told
    with browsers.browser(server) as browser:
        browser.log_in(everything.name, everything.password)
        waiting, seen, texts = ["/console", "/console/detections/rules", "/console/erasure", "/account", "/console/audit/1"], set(), 0
        while waiting and len(seen) < PAGES_MAX:
            path = waiting.pop(0)
            if path in seen:
                continue
            seen.add(path)
            browser.go(path)
            bad = browser.driver.execute_script(FOUND)
            assert bad == [], f"{path}: {bad[:3]}"
            texts += "window.ran" in browser.driver.execute_script("return document.body ? document.body.innerText : ''")
            links = browser.driver.execute_script("return [...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))")
            for link in links:
                link = link.split("#")[0]
                if not link.startswith(("/console", "/account")) or link.startswith(SKIPPED) or "/raw/" in link or "export" in link:
                    continue
                if link not in seen:
                    waiting.append(link)
        # Papers that are not there yet answer so; nothing else may go wrong, and above all nothing that the page's policy had to stop.
        assert [fault for fault in browser.faults() if "Failed to load resource" not in fault] == []
        kinds = {path.split("?")[0].split("/")[2] for path in seen if path.startswith("/console/") and len(path) > 9}
    assert len(seen) > 60 and texts > 20, (len(seen), texts)
    assert kinds >= {"experiments", "runs", "data", "models", "lineage", "endpoints", "alerts", "access", "vault", "audit", "detections"}, kinds


def test_a_file_of_a_client_is_never_a_page(walked):
    """What a run's file says is shown as text or saved; no address of the server makes a browser render it."""
    server, everything, _ = walked
    session = everything.session()
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
                kind, policy = answer.headers["content-type"], answer.headers.get("content-security-policy", "")
                assert answer.headers["x-content-type-options"] == "nosniff"
                harmless = kind.startswith(("text/plain", "application/octet-stream", "application/json")) or "attachment" in answer.headers.get("content-disposition", "")
                assert harmless or "sandbox" in policy, (address, kind, policy)
