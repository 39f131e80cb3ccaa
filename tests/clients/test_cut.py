"""What is taken away, or somebody who is trusted less, cuts a download that runs: within five seconds, measured."""

import time
import uuid

import pytest
import requests

from people import ADMIN, call, grant
from test_elevations import totp
from test_signals import CAEP, Somebody, about, event, push, signed, told  # noqa: F401

pytestmark = pytest.mark.strongroom_only
SIZE_BYTES = 512 << 20


def cookie(somebody):
    return {"Cookie": f"__Host-strongroom={somebody.cookie}"}


def with_two_factors(server, ada):
    """A session of theirs that began with a password and a one-time code."""
    basic = ada.person.basic()
    key = call(basic, server, "POST", "/me/factors/totp", json={})["secret"]
    codes = call(basic, server, "POST", "/me/factors/totp/confirm", json={"code": totp(key)})["recovery_codes"]
    form = {"username": ada.person.name, "password": ada.person.password, "code": codes[0]}
    opened = server.session(token=None).post(f"{server.url}/login", data=form, allow_redirects=False)
    return {"Cookie": f"__Host-strongroom={opened.cookies['__Host-strongroom']}"}


def take_away(how, server, platform, ada, held):
    """What ends it."""
    admin = server.session()
    if how == "token":
        call(admin, server, "DELETE", f"/any-tokens/{ada.person.token_id}")
    elif how == "account":
        call(admin, server, "POST", f"/users/{ada.person.name}/disable", json={})
    elif how == "grant":
        call(admin, server, "DELETE", f"/grants/{held['id']}")
    elif how == "session":
        own = requests.Session()
        own.verify, own.trust_env = server.ca, False
        (current,) = [one["id"] for one in call(own, server, "GET", "/sessions", headers=cookie(ada))["sessions"] if one["current"]]
        call(own, server, "DELETE", f"/sessions/{current}", headers=cookie(ada), status=(200, 204))
    else:
        # Together they ask for more than two factors.
        for name, details in (
            ("risk-level-change", {"principal": "USER", "current_level": "HIGH"}),
            ("device-compliance-change", {"previous_status": "compliant", "current_status": "not-compliant"}),
        ):
            assert push(server, signed(platform, event(platform, about(platform, ada), (f"{CAEP}/{name}", details)))).status_code == 202


@pytest.mark.parametrize("how", ["token", "account", "grant", "session", "risk", "risk_of_two_factors"])
def test_what_is_taken_away_cuts_a_download_that_runs(told, how):  # noqa: F811
    server, platform = told
    ada = Somebody(server, platform, "owner" if how != "grant" else None)
    held = grant(server, ada.person.name, "owner") if how == "grant" else None
    api = f"{server.url}/api/2.0/mlflow"
    session = ada.person.session()
    experiment = session.post(f"{api}/experiments/create", json={"name": f"cut-{uuid.uuid4().hex}"}).json()["experiment_id"]
    made = session.post(f"{api}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]
    path = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{made['run_id']}/artifacts/large.bin"
    assert session.put(path, data=(bytes(1 << 20) for _ in range(SIZE_BYTES >> 20))).status_code == 200
    if how == "risk_of_two_factors":
        session = server.session(token=None)
        session.headers.update(with_two_factors(server, ada))
    by = (server.session(token=None), cookie(ada)) if how == "session" else (session, {})
    took_away, received, cut_after = None, 0, None
    with by[0].get(path, headers=by[1], stream=True, timeout=30) as answer:
        assert answer.status_code == 200
        try:
            for piece in answer.iter_content(1 << 20):
                received += len(piece)
                # A slow reader: else all of it would be in the buffers between the two.
                time.sleep(0.05)
                if took_away is None and received >= 8 << 20:
                    take_away(how, server, platform, ada, held)
                    took_away = time.monotonic()
                assert took_away is None or time.monotonic() - took_away < 5, "the download goes on"
        except requests.exceptions.RequestException:
            cut_after = time.monotonic() - took_away
    assert cut_after is not None and received < SIZE_BYTES, f"all {received} bytes came"
    print(f"{how}: cut {cut_after:.2f} s after it, at {received >> 20} of {SIZE_BYTES >> 20} MiB")
    if how.startswith("risk"):
        refused = session.get(path, timeout=30)
        assert (refused.status_code, "insufficient_user_authentication" in refused.headers["WWW-Authenticate"]) == (401, True)
        assert session.get(f"{api}/experiments/get", params={"experiment_id": experiment}, timeout=30).status_code == 200, "looking goes on"
