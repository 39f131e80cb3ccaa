"""Changes of grants asked of cvc5, which comes as a Python package here, and what is said where there is none that will do."""

import pathlib
import shlex
import sys

import harness
import people
import pytest

PROGRAM = pathlib.Path(__file__).with_name("cvc5_program.py")


def solver_at(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


@pytest.fixture(scope="module")
def proving(tmp_path_factory):
    solver = solver_at(tmp_path_factory.mktemp("solver") / "cvc5", f'exec {shlex.quote(sys.executable)} {shlex.quote(str(PROGRAM))} "$@"')
    with harness.running(config_text=f'[policy]\nsolver = "{solver}"\n') as started:
        yield started


def preview(server, **body):
    return people.call(server.session(), server, "POST", "/grants/preview", json=body)["newly"]


def test_a_preview_is_proved(proving):
    bob = people.person(proving, "viewer")
    nothing = preview(proving, principal=bob.name, role="viewer", resource_kind="workspace")
    assert nothing["newly_allowed"] == [] and nothing["proof"]["open_count"] == 0
    more = preview(proving, principal=bob.name, role="trainer", resource_kind="workspace")
    proof = more["proof"]
    assert proof["solver"].startswith("cvc5 ") and proof["proved_count"] > 0 and proof["found_count"] == proof["open_count"] == 0, proof
    assert any(one["verb"] == "runs.log" for one in more["newly_allowed"])
    shown = proving.cli("grant", "create", bob.name, "trainer", "--dry-run", "--token-file", str(proving.token_file)).stdout
    assert "cvc5 " in shown and "nothing else can be allowed" in shown, shown


def test_a_review_is_proved(proving):
    report = people.call(proving.session(), proving, "GET", "/access/review?days=30")
    assert report["widening"]["proof"]["solver"].startswith("cvc5 ") and report["widening"]["newly_allowed"] == []
    page = proving.cli("access", "review", "--token-file", str(proving.token_file)).stdout
    assert "cvc5 " in page


def test_without_a_solver_it_is_said(tmp_path):
    with harness.running(config_text='[policy]\nsolver = ""\n') as server:
        bob = people.person(server)
        assert preview(server, principal=bob.name, role="viewer", resource_kind="workspace")["proof"] is None
        shown = server.cli("grant", "create", bob.name, "viewer", "--dry-run", "--token-file", str(server.token_file)).stdout
        assert "There is no solver" in shown


def test_a_solver_that_is_named_and_will_not_do_stops_the_start(tmp_path):
    old = solver_at(tmp_path / "old", "echo 'This is cvc5 version 1.0.3'")
    with pytest.raises(Exception, match="1.3.1 or newer"), harness.running(config_text=f'[policy]\nsolver = "{old}"\n'):
        pass
