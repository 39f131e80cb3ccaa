"""Rates of known callers: what is left is told, what is over is refused, and who logged in here before is not locked out by strangers."""

import time

import pytest

import harness
from people import ADMIN, call, new_workspace, person

pytestmark = pytest.mark.strongroom_only

SMALL = """
[limits.token]
sign_in = { burst_count_max = 100, per_minute_count_max = 1000 }
read = { burst_count_max = 20, per_minute_count_max = 60 }
write = { burst_count_max = 1000, per_minute_count_max = 1000 }
predict = { burst_count_max = 1000, per_minute_count_max = 1000 }
"""
KNOWN = "__Host-strongroom-known"
SESSION = "__Host-strongroom"


@pytest.fixture(scope="module")
def limited():
    if harness.external():
        pytest.skip("needs a server of its own")
    with harness.running(config_text=SMALL) as server:
        yield server


def log_in(server, name, password, known=None, wrong=False):
    """The log-in form, as a browser sends it; gives where it led and the cookies."""
    session = server.session(token=None)
    cookies = {KNOWN: known} if known else {}
    answer = session.post(
        f"{server.url}/login", data={"username": name, "password": "wrong" if wrong else password}, cookies=cookies, allow_redirects=False
    )
    return answer.headers.get("location", ""), answer.cookies, answer


def test_what_is_left_is_told_and_what_is_over_is_refused(limited):
    ada = person(limited, "viewer")
    session, url = ada.session(), f"{limited.url}{ADMIN}/me"
    first = session.get(url)
    assert first.headers["ratelimit-policy"] == '"token-read";q=20;w=20'
    assert first.headers["ratelimit"] == '"token-read";r=19;t=1'
    answers = [session.get(url) for _ in range(40)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 15 and {answer.status_code for answer in answers} == {200, 429}
    told = refused[0]
    assert int(told.headers["retry-after"]) >= 1 and told.headers["ratelimit"].startswith('"token-read";r=0;t=')
    assert "token-read" in told.json()["message"]
    # Another token of the same account goes on, and so does this one a moment later.
    other = call(ada.basic(), limited, "POST", "/tokens", json={"label": "x", "scopes": [], "lifetime_s": 600})["secret"]
    assert limited.session(other).get(url).status_code == 200
    time.sleep(int(told.headers["retry-after"]) + 1)
    assert session.get(url).status_code == 200
    # The log has the flood once, not forty times.
    auditor = person(limited, "auditor", on="server").session()
    me = call(ada.basic(), limited, "GET", "/me")["id"]
    found = call(auditor, limited, "GET", f"/audit/records?who={me}&outcome=refused")["records"]
    assert [one["problem"] for one in found] == ["too_many"]


def test_who_logged_in_with_a_browser_before_is_let_in_while_strangers_guess(limited):
    ada = person(limited, "viewer")
    _, cookies, answer = log_in(limited, ada.name, ada.password)
    known = cookies[KNOWN]
    assert "HttpOnly" in answer.headers["set-cookie"] and len(known) > 60
    for _ in range(40):
        log_in(limited, ada.name, ada.password, wrong=True)
    locked, _, answer = log_in(limited, ada.name, ada.password)
    assert locked == "/login?failed", "from this address nobody logs in to this account for a while"
    led, cookies, _ = log_in(limited, ada.name, ada.password, known=known)
    assert led == "/" and cookies[SESSION]
    # It opens nothing by itself, serves no other account, and has a lock of its own.
    assert log_in(limited, ada.name, ada.password, known=known, wrong=True)[0] == "/login?failed"
    bob = person(limited, "viewer")
    for _ in range(10):
        log_in(limited, bob.name, bob.password, wrong=True)
    assert log_in(limited, bob.name, bob.password, known=known)[0] == "/login?failed"
    for _ in range(10):
        log_in(limited, ada.name, ada.password, known=known, wrong=True)
    assert log_in(limited, ada.name, ada.password, known=known)[0] == "/login?failed"


def test_two_who_share_a_browser_are_both_known_in_it(limited):
    ada, bob = person(limited, "viewer"), person(limited, "viewer")
    first = log_in(limited, ada.name, ada.password)[1][KNOWN]
    shared = log_in(limited, bob.name, bob.password, known=first)[1][KNOWN]
    assert len(shared) == len(first) <= 400 and shared != first
    # Ada is the one whose mark bob's log-in might have taken.
    for _ in range(40):
        log_in(limited, ada.name, "", wrong=True)
    assert log_in(limited, ada.name, ada.password)[0] == "/login?failed", "strangers have locked it"
    for who in (ada, bob):
        led, cookies, _ = log_in(limited, who.name, who.password, known=shared)
        assert led == "/", who.name
        shared = cookies[KNOWN]


def test_a_server_with_a_rate_of_nothing_does_not_start():
    if harness.external():
        pytest.skip("needs a server of its own")
    broken = SMALL.replace("per_minute_count_max = 60", "per_minute_count_max = 0")
    with pytest.raises(harness.StartError) as refused:
        with harness.running(config_text=broken):
            pass
    assert "limits.token.read.per_minute_count_max" in str(refused.value)


def test_strangers_do_not_use_up_the_rate_of_a_workspace():
    """Whatever workspace a header names, its rate is taken by those who may do something in it."""
    few = "{ burst_count_max = 20, per_minute_count_max = 1 }"
    many = "{ burst_count_max = 9000, per_minute_count_max = 9000 }"
    config = f"[limits.workspace]\nsign_in = {many}\nread = {few}\nwrite = {many}\npredict = {many}\n"
    with harness.running(config_text=config) as server:
        workspace = new_workspace(server)
        dana, eve = person(server, "owner", workspace=workspace), person(server)
        head, search = {"X-MLFLOW-WORKSPACE": workspace}, f"{server.url}/api/2.0/mlflow/experiments/search?max_results=1"
        strange, own = eve.session(), dana.session()
        for _ in range(40):
            assert strange.get(f"{server.url}{ADMIN}/me", headers=head).status_code == 200
            assert strange.get(search, headers=head).status_code in (403, 404)
        told = own.get(search, headers=head)
        assert told.status_code == 200 and '"workspace-read";r=19' in told.headers["RateLimit"], told.headers
        codes = [own.get(search, headers=head).status_code for _ in range(30)]
        assert codes[:19] == [200] * 19 and 429 in codes, codes
        over = own.get(search, headers=head)
        assert over.status_code == 429 and over.headers["Retry-After"] and '"workspace-read"' in over.headers["RateLimit"]
        # What is of no workspace is not counted in one.
        assert own.get(f"{server.url}{ADMIN}/me", headers=head).status_code == 200
