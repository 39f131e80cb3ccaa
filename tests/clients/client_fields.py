"""Fills each field that a client can set with what browsers would run if a page let them, and knows which text stands in which field."""

from __future__ import annotations

import base64
import json
import re
import time
import urllib.parse
import uuid

import harness
import test_serving
from botocore.exceptions import ClientError, ParamValidationError
from cryptography.hazmat.primitives.asymmetric import ec
from people import ADMIN, grant, person
from test_console_contract import contract
from test_console_rules import RULE
from test_data import commit, put, wait
from test_devices import enrol, leave, request_for
from test_elevations import totp
from test_openlineage import PRODUCER
from test_retention import RULES
from test_s3 import client
from test_scim import provisioner

# `@@` is a number, by which a text is known again on a page.
PAYLOADS = [
    "<img src=x onerror=window.ran=@@>",
    "\"><script>window.ran=@@</script>",
    "' autofocus onfocus='window.ran=@@",
    "</title></textarea></pre><svg onload=window.ran=@@>",
    "javascript:window.ran=@@",
    "{{7*7}}{% raw %}${7*7}<%= 7*7 %>window.ran=@@",
    "<!--<a href=\"data:text/html,<script>window.ran=@@</script>\">x</a>",
    "\u202e\ufeff<b>window.ran=@@",
]
MARK = re.compile(r"window\.ran=(\d+)")
MLFLOW, MANY = "/api/2.0/mlflow", len(PAYLOADS)
# What is refused again and again is noted, and nobody is slowed down for it.
CONFIG = '[s3]\nlisten = "127.0.0.1:0"\n[detections]\nrespond_up_to = "note"\nevery_s = 1\n[observe]\nevery_s = 1\n'
# One white point.
PICTURE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg==")


def config(folder) -> str:
    (folder / "place").mkdir()
    (folder / "retention.toml").write_text(RULES)
    return f'{CONFIG}[backup]\nto = "{folder / "place"}"\n[retention]\nrules = "{folder / "retention.toml"}"\n'


class Fields:
    """Texts by number, and what became of them."""

    def __init__(self):
        self.names: list[str] = []
        self.taken: set[str] = set()

    def text(self, field: str, payload: int) -> str:
        if field not in self.names:
            self.names.append(field)
        return PAYLOADS[payload].replace("@@", str(1_000 + self.names.index(field) * MANY + payload))

    def line(self, field: str, payload: int) -> str:
        """The same where only printable ASCII goes, such as in a header."""
        return self.text(field, payload).encode("ascii", "ignore").decode()

    def cell(self, field: str, payload: int) -> str:
        """The same where neither commas nor quotes go."""
        return self.text(field, payload).replace(",", " ").replace('"', "'")

    def in_text(self, text: str) -> set[str]:
        """The fields of which something stands in a text."""
        numbers = {(int(found) - 1_000) // MANY for found in MARK.findall(text) if len(found) >= 4}
        return {self.names[number] for number in numbers if 0 <= number < len(self.names)}

    def take(self, sent) -> None:
        self.taken |= self.in_text(str(sent))


class Filler:
    """Sends texts as somebody who may do everything, and as somebody else who decides on it."""

    def __init__(self, server, reviewer):
        self.server, self.fields, self.reviewer = server, Fields(), reviewer
        self.session, self.second = server.session(), reviewer.session()

    def send(self, path: str, body, session=None, method: str = "POST", **more):
        """What is refused may be refused; nothing may fail."""
        ask = lambda: (session or self.session).request(method, self.server.url + path, json=body, timeout=60, **more)  # noqa: E731
        answer = ask()
        for _ in range(5):
            # A busy disk: nothing was done, and the server says when to come again.
            if answer.status_code != 503:
                break
            time.sleep(1)
            answer = ask()
        assert answer.status_code < 500 and answer.status_code not in (404, 405, 429), f"{path}: {answer.status_code} {answer.text[:300]}"
        if answer.ok:
            self.fields.take([body, more])
        return answer.json() if answer.ok and answer.content and "json" in answer.headers.get("content-type", "") else {}

    def tracking(self, number: int) -> str:
        """An experiment and a run with all that is said of it; the run's id."""
        text = lambda field: self.fields.text(f"runs: {field}", number)  # noqa: E731
        made = {"name": text("experiment"), "tags": [{"key": "mlflow.note.content", "value": text("experiment note")}, {"key": f"k{number}", "value": text("experiment tag")}]}
        experiment = self.send(f"{MLFLOW}/experiments/create", made)["experiment_id"]
        tags = [{"key": f"mlflow.{key}", "value": text(key)} for key in ("note.content", "source.name", "source.git.commit", "source.type", "user")]
        run = {"experiment_id": experiment, "run_name": text("name"), "user_id": text("user id"), "start_time": 1, "tags": tags}
        run = self.send(f"{MLFLOW}/runs/create", run)["run"]["info"]["run_id"]
        metrics = [{"key": "loss", "value": 1.0 / (step + 1), "timestamp": step, "step": step} for step in range(3)]
        self.send(f"{MLFLOW}/runs/log-batch", {"run_id": run, "params": [{"key": "p", "value": text("param")}], "metrics": metrics, "tags": [{"key": "t", "value": text("tag")}]})
        self.send(f"{MLFLOW}/runs/log-parameter", {"run_id": run, "key": text("param key")[:200], "value": "v"})
        self.send(f"{MLFLOW}/runs/log-metric", {"run_id": run, "key": text("metric key")[:200], "value": 1, "timestamp": 1, "step": 0})
        self.send(f"{MLFLOW}/runs/set-tag", {"run_id": run, "key": text("tag key")[:200], "value": "v"})
        names = {field: text(f"input {field}") for field in ("name", "source", "schema", "profile")}
        context = [{"key": "mlflow.data.context", "value": text("input context")}]
        self.send(f"{MLFLOW}/runs/log-inputs", {"run_id": run, "datasets": [{"dataset": {**names, "digest": str(number), "source_type": "x"}, "tags": context}]})
        name = urllib.parse.quote(text("file name").replace("/", "_"), safe="")
        for inside in (f"{name}.html", f"{name}.png", f"page{number}.svg", f"text{number}.txt", "MLmodel"):
            file = f"{self.server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/model/{inside}"
            sent = self.session.put(file, data=PICTURE if inside.endswith("png") else f"<html>{text('file')}</html>".encode(), timeout=60)
            assert sent.status_code < 500, sent.text[:300]
            if sent.ok:
                self.fields.take([urllib.parse.unquote(inside), text("file")])
        return run

    def registry(self, number: int, run: str) -> None:
        text = lambda field: self.fields.text(f"models: {field}", number)  # noqa: E731
        named = {"name": text("name")}
        self.send(f"{MLFLOW}/registered-models/create", named)
        if number in (0, 2):
            self.send(f"{MLFLOW}/model-versions/create", {**named, "source": f"runs:/{run}/model", "run_id": run})
        model = f"walk-{number}"
        self.send(f"{MLFLOW}/registered-models/create", {"name": model, "description": text("description"), "tags": [{"key": "t", "value": text("tag")}]})
        made = {"name": model, "source": f"runs:/{run}/model", "run_id": run, "description": text("version description"), "tags": [{"key": "t", "value": text("version tag")}]}
        self.send(f"{MLFLOW}/model-versions/create", made)
        self.send(f"{MLFLOW}/registered-models/alias", {"name": model, "alias": text("alias"), "version": "1"})
        logged = {"experiment_id": "0", "name": text("logged name"), "source_run_id": run}
        self.send(f"{MLFLOW}/logged-models", logged)
        logged |= {"name": model, "model_type": text("logged type"), "params": [{"key": "p", "value": text("logged param")}], "tags": [{"key": "t", "value": text("logged tag")}]}
        self.send(f"{MLFLOW}/logged-models", logged)
        self.send(f"{ADMIN}/models/{model}/gate", {"gate": None, "reason": text("gate reason")}, self.second)
        self.send(f"{ADMIN}/endpoints", {"name": text("endpoint"), "model": model, "version": "1"})

    def people(self, number: int) -> None:
        text = lambda field: self.fields.text(f"people: {field}", number)  # noqa: E731
        wish = {"role": "viewer", "resource_kind": "workspace", "reason": text("elevation reason")}
        asked = self.send(f"{ADMIN}/elevations", wish, self.second)
        if number == 0:
            self.send(f"{ADMIN}/elevations/{asked['id']}/approve", {})
        # These wait for somebody who decides.
        self.send(f"{ADMIN}/elevations", wish)
        self.send(f"{ADMIN}/grants", {"principal": self.reviewer.name, "role": "viewer", "resource_kind": "experiment", "resource": str(number + 1), "justification": text("justification")})
        self.send(f"{ADMIN}/tokens", {"label": text("token label")[:64], "scopes": [], "lifetime_s": 1_800}, self.second)
        for kind in ("users", "groups", "services", "workspaces", "device-fleets"):
            self.send(f"{ADMIN}/{kind}", {"name": text(kind)})
        source = {"name": f"walk-{number}", "pattern": f"https://walk-{number}.example/*", "owner": text("source owner"), "licence": text("source licence")}
        self.send(f"{ADMIN}/sources", source)
        self.send(f"{ADMIN}/sources", {**source, "name": text("source name")})
        label = text("device label")[:64]
        answer = enrol(self.server, leave(self.server, self.reviewer), request_for(ec.generate_private_key(ec.SECP256R1())), label)
        assert answer.status_code < 500, answer.text
        if answer.ok:
            self.fields.take(label)
        # It stands in the log, with the agent that it came with.
        agent = {"User-Agent": self.fields.line("people: agent", number)}
        self.session.get(f"{self.server.url}{MLFLOW}/runs/get", params={"run_id": text("run asked for")}, headers=agent, timeout=60)
        self.fields.take([agent, text("run asked for")])

    def directory(self) -> None:
        """SCIM's people and groups."""
        session, _, _ = provisioner(self.server)
        for number in range(MANY):
            text = lambda field: self.fields.text(f"directory: {field}", number)  # noqa: E731
            self.send("/scim/v2/Users", {"userName": text("user name")}, session)
            user = {"userName": f"walked-{number}", "displayName": text("display name"), "externalId": text("external id"), "title": text("title"), "name": {"formatted": text("name")}}
            made = self.send("/scim/v2/Users", user, session)
            members = [{"value": made["id"]}] if made else []
            self.send("/scim/v2/Groups", {"displayName": text("group"), "externalId": text("group id"), "members": members}, session)

    def others(self, number: int) -> None:
        """Systems that tell what they did: jobs, alerts."""
        text = lambda field: self.fields.text(f"others: {field}", number)  # noqa: E731
        facet = {"_producer": PRODUCER, "_schemaURL": PRODUCER, "description": text("job facet")}
        event = {
            "eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00Z", "producer": PRODUCER, "schemaURL": PRODUCER,
            "run": {"runId": str(uuid.uuid4())}, "job": {"namespace": text("job space"), "name": text("job"), "facets": {"documentation": facet}},
            "inputs": [{"namespace": text("data space"), "name": text("data")}], "outputs": [{"namespace": "n", "name": text("output")}],
        }  # fmt: skip
        self.send("/api/v1/lineage", event)
        alert = {"status": "firing", "labels": {"alertname": text("alert name"), "severity": "critical", "x": text("alert label")}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": f"walk-{number}"}
        self.send(f"{ADMIN}/alertmanager", {"version": "4", "alerts": [{**alert, "annotations": {"summary": text("alert summary"), "description": text("alert description")}}]}, self.second)

    def rules(self, number: int) -> None:
        text = lambda field: json.dumps(self.fields.text(f"rules: {field}", number))  # noqa: E731
        rule = RULE.format(id=uuid.uuid4(), name=f"walk_{number}").replace("Somebody deletes an experiment.", text("description"))
        # It finds something at once, or its title would stand on no page of findings.
        rule = rule.replace("Experiments are deleted", text("title")).replace("experiments.delete", "experiments.create")
        self.send(f"{ADMIN}/detections/own-rules/by-name/walk-{number}", {"rules": rule + f"author: {text('author')}\nfalsepositives:\n- {text('false positives')}\n"}, self.second)

    def data(self, number: int) -> None:
        text = lambda field: self.fields.text(f"data: {field}", number)  # noqa: E731
        cell = lambda field: self.fields.cell(f"data: {field}", number)  # noqa: E731
        name = f"trial-walk-{number}"
        table = f"id,{cell('column')},city\n" + "".join(f"{row},{cell('value')},c{row % 7}\n" for row in range(200))
        wish = {field: text(field) for field in ("licence", "owner", "purpose")}
        wish["source"] = f"https://example.com/{text('source')}"
        file = text("file").replace("/", "_") + ".csv"
        opened = self.send(f"{ADMIN}/datasets/{name}/versions", {})
        sent = self.session.put(f"{self.server.url}{ADMIN}/datasets/{name}/versions/{opened['id']}/files/{urllib.parse.quote(file, safe='')}", data=table.encode(), timeout=60)
        assert sent.status_code < 500, sent.text[:300]
        if sent.ok:
            self.fields.take([table, file])
        else:
            put(self.session, self.server, name, opened["id"], "a.csv", table.encode())
            self.fields.take(table)
        self.send(f"{ADMIN}/datasets/{name}/versions/{opened['id']}/commit", wish)
        commit(self.session, self.server, name, {"a.csv": table.replace("c1", "c2").encode()}, licence="CC0-1.0")
        wait(self.session, self.server, name, 1)
        wait(self.session, self.server, name, 2)
        described = contract(0).replace("schema:", f"description: {{purpose: {self.quoted('data: contract', number)}}}\nschema:")
        self.send(f"{ADMIN}/datasets/{name}/contract", {"contract": described, "reason": text("contract reason")}, self.second)
        for word, version in (("waive", 1), ("refuse", 2)):
            body = {"reason": text(f"{word} reason"), **({"until": tomorrow()} if word == "waive" else {})}
            self.send(f"{ADMIN}/datasets/{name}/versions/{version}/{word}", body, self.second)
        self.send(f"{ADMIN}/datasets/{name}/versions/2/clean", {"rows": [[0, 1]], "reason": text("clean reason")})
        kept = {"kind": "dataset", "name": f"{name}@2", "reason": text("bypass reason")}
        self.send(f"{ADMIN}/retention/bypass", kept, self.second)

    def decisions(self, number: int) -> None:
        word = ("waive", "refuse")[number % 2]
        until = {"until": tomorrow()} if word == "waive" else {}
        self.send(f"{ADMIN}/models/walk-{number}/versions/1/{word}", {"reason": self.fields.text(f"models: {word} reason", number), **until}, self.second)

    def quoted(self, field: str, number: int) -> str:
        return json.dumps(self.fields.text(field, number))

    def objects(self) -> None:
        s3, bucket = client(self.server, self.second), "walk-bucket"
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        for number in range(MANY):
            text = lambda field: self.fields.text(f"objects: {field}", number)  # noqa: E731
            said, key = {"said": self.fields.line("objects: metadata", number)}, text("key")
            version = s3.put_object(Bucket=bucket, Key=key, Body=b"x", ContentType="text/html", Metadata=said)["VersionId"]
            self.fields.take([key, said])
            tags = {"TagSet": [{"Key": text("tag key"), "Value": text("tag")}]}
            self.may(lambda: s3.put_object_tagging(Bucket=bucket, Key=key, VersionId=version, Tagging=tags), tags)
            kind = self.fields.line("objects: content type", number)
            self.may(lambda kind=kind: s3.put_object(Bucket=bucket, Key=f"kind-{number}", Body=b"x", ContentType=kind), kind)
            self.may(lambda: s3.create_bucket(Bucket=text("bucket")), text("bucket"))

    def may(self, act, sent) -> None:
        """Does what S3 may refuse."""
        try:
            act()
            self.fields.take(sent)
        except ClientError as fault:
            assert fault.response["ResponseMetadata"]["HTTPStatusCode"] < 500, fault
        except ParamValidationError:
            pass

    def keys(self) -> None:
        """Before anything is retained by rules: no key is asked to be destroyed then."""
        self.send(f"{ADMIN}/keys/destroy", {"reason": self.fields.text("grave: destroy reason", 0)}, self.second)

    def admitted(self, model: str) -> None:
        """What was clean, refused, and admitted again."""
        for word in ("refuse", "admit"):
            self.send(f"{ADMIN}/models/{model}/versions/1/{word}", {"reason": self.fields.text(f"models: {word} reason", 3)}, self.second)

    def grave(self) -> None:
        """A backup to be restored, the glass broken, somebody forgotten: with a reason each."""
        text = lambda field: self.fields.text(f"grave: {field}", 0)  # noqa: E731
        run = self.send(f"{ADMIN}/backups", {}, self.second)
        harness.wait_until(lambda: self.second.get(f"{self.server.url}{ADMIN}/backups/{run['id']}").json()["state"] == "done", 60, "the backup is made")
        self.send(f"{ADMIN}/restores", {"reason": text("restore reason")}, self.second)
        eve = person(self.server, "break_glass", on="server")
        basic = eve.basic()
        key = self.send(f"{ADMIN}/me/factors/totp", {}, basic)["secret"]
        codes = self.send(f"{ADMIN}/me/factors/totp/confirm", {"code": totp(key)}, basic)["recovery_codes"]
        self.send(f"{ADMIN}/break-glass", {"seconds": 600, "reason": text("break-glass reason")}, logged_in(self.server, eve, codes[0]))

    def predictions(self, served) -> str:
        """Somebody's predictions, of which those of one subject are erased; the last one's id."""
        for number in range(MANY):
            line = lambda field: self.fields.line(f"predictions: {field}", number)  # noqa: E731
            body = {"id": line("request id"), "inputs": [test_serving.tensor(served["features"][:2])]}
            headers = {"Strongroom-Subject": line("subject"), "User-Agent": line("agent")}
            told = self.send(f"/v2/models/{served['endpoint']}/infer", body, headers=headers)["parameters"]["prediction_id"]
            self.send(f"{ADMIN}/endpoints/{served['endpoint']}/labels", {"labels": [{"prediction": told, "row": 0, "label": line("label")}]})
        seen = lambda: self.session.get(f"{self.server.url}{ADMIN}/predictions").json()["predictions"]  # noqa: E731
        harness.wait_until(lambda: len(seen()) >= MANY, 60, "the predictions are sealed")
        self.send(f"{ADMIN}/predictions/erase", {"subject": self.fields.line("predictions: subject", 0)})
        return told


def tomorrow() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))


def logged_in(server, who, code: str = ""):
    """A session with a browser's cookie."""
    form = {"username": who.name, "password": who.password, "code": code}
    opened = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
    session = server.session(token=None)
    session.headers["Cookie"] = f"__Host-strongroom={opened.cookies['__Host-strongroom']}"
    return session


def everything(server):
    """Somebody who may see every page."""
    found = person(server, "owner")
    for role in ("auditor", "administrator", "monitor", "key_custodian", "backup_operator", "restore_operator"):
        grant(server, found.name, role, "server")
    for role in ("reviewer", "retention_officer", "trainer", "deployer"):
        grant(server, found.name, role)
    return found


def fill(server, mlflow, reviewer) -> tuple[Fields, str]:
    """All of it; the fields, and a prediction's id."""
    filler = Filler(server, reviewer)
    runs = [filler.tracking(number) for number in range(MANY)]
    filler.keys()
    served = test_serving.serve(server, mlflow)
    filler.admitted(served["model"])
    filler.directory()
    for number in range(MANY):
        filler.rules(number)
    for number, run in enumerate(runs):
        filler.registry(number, run)
        filler.people(number)
        filler.others(number)
    for number in (0, 1, 2):
        filler.data(number)
    for number in range(MANY):
        filler.decisions(number)
    filler.objects()
    filler.grave()
    return filler.fields, filler.predictions(served)
