"""People and their tokens, made through the server's own interface, for tests that need more than an administrator."""

from __future__ import annotations

import secrets
import uuid

import requests

ADMIN = "/api/strongroom/v1"


class Person:
    """An account with a password and a token."""

    def __init__(self, server, name: str, password: str, token: str, token_id: str):
        self.server = server
        self.name = name
        self.password = password
        self.token = token
        self.token_id = token_id

    def session(self) -> requests.Session:
        return self.server.session(self.token)

    def basic(self) -> requests.Session:
        session = self.server.session(token=None)
        session.auth = (self.name, self.password)
        return session


def call(session, server, method, path, status=(200, 201), **arguments):
    """A request to the administration's interface that must succeed."""
    answer = session.request(method, f"{server.url}{ADMIN}{path}", **arguments)
    allowed = status if isinstance(status, tuple) else (status,)
    assert answer.status_code in allowed, f"{method} {path}: {answer.status_code} {answer.text[:800]}"
    return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else {}


def mint(session, server, **wish) -> dict:
    """A token of the session's own account."""
    body = {"label": "test", "scopes": [], "lifetime_s": 3_600, **wish}
    minted = call(session, server, "POST", "/tokens", json=body)
    return {"id": minted["token"]["id"], "secret": minted["secret"]}


def person(server, role: str | None = None, on: str = "workspace", resource: str | None = None, workspace: str = "default") -> Person:
    """A new account with a password, a grant if `role` is named, and a token."""
    admin = server.session()
    name = f"{role or 'nobody'}.{uuid.uuid4().hex[:8]}"
    password = secrets.token_urlsafe(24)
    call(admin, server, "POST", "/users", json={"name": name, "password": password})
    if role:
        grant(server, name, role, on, resource, workspace)
    basic = server.session(token=None)
    basic.auth = (name, password)
    token = mint(basic, server)
    return Person(server, name, password, token["secret"], token["id"])


def grant(server, principal: str, role: str, on: str = "workspace", resource: str | None = None, workspace: str = "default") -> dict:
    """Gives a role."""
    body = {"principal": principal, "role": role, "resource_kind": on, "justification": "a test"}
    if resource is not None:
        body["resource"] = resource
    headers = {"X-MLFLOW-WORKSPACE": workspace}
    return call(server.session(), server, "POST", "/grants", json=body, headers=headers)


def new_workspace(server) -> str:
    """A workspace in which nobody holds anything yet; its name."""
    name = f"ws-{uuid.uuid4().hex[:8]}"
    call(server.session(), server, "POST", "/workspaces", json={"name": name})
    return name


def with_every_role(server, on_server=("administrator", "backup_operator")):
    """Somebody with every role that there is in the workspace, and these on the server: the most that an attacker from inside can be."""
    found = person(server, "owner")
    for role in ("retention_officer", "contributor", "reviewer", "deployer", "key_custodian"):
        grant(server, found.name, role)
    for role in on_server:
        grant(server, found.name, role, on="server")
    return found
