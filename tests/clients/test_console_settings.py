"""The settings that pages offer are copied as they stand, and work: mlflow, boto3, the command line of aws."""

import os
import pathlib
import subprocess
import sys

import pytest

import browser as browsers
import harness
from people import person

pytestmark = pytest.mark.strongroom_only


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n') as server:
        yield server, person(server, "owner")


def blocks(browser) -> dict[str, str]:
    return {one.get_attribute("data-copy"): one.get_attribute("textContent") for one in browser.all("pre[data-copy]")}


def test_settings_of_a_new_token_work_as_they_are_copied(world, tmp_path):
    server, ada = world
    with browsers.browser(server, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.fill(label="for programs")
        browser.click("#add-token")
        code = blocks(browser)
        assert list(code)[1:] == ["This server's certificate authority", "mlflow", "boto3", "aws", "tritonclient"]
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        # A button copies; where a browser gives it no clipboard, the lines are marked.
        button = browser.find(".lines .copy")
        button.click()
        browser.wait(lambda: button.text in ("Copied", "Marked"), "the button says what it did")
        assert browser.faults() == []
    secret = code["the token"]
    assert all(secret in code[client] for client in ("mlflow", "boto3", "aws", "tritonclient"))
    program = str(pathlib.Path(harness.binary()).parent)
    environment = {"PATH": f"{program}:{os.environ['PATH']}", "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / "none")}

    def run(*words, **more):
        done = subprocess.run(words, cwd=tmp_path, env={**environment, **more}, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("sh", "-c", code["This server's certificate authority"])
    assert (tmp_path / "ca.pem").read_text().strip() == pathlib.Path(server.ca).read_text().strip()
    python = sys.executable
    found = run("sh", "-c", code["mlflow"] + f"\n{python} -c 'import mlflow; print([one.name for one in mlflow.search_experiments()])'")
    assert "Default" in found
    made = code["boto3"].replace("print(s3", "s3.create_bucket(Bucket='copied')\nprint(s3")
    assert "copied" in run(python, "-c", made)
    aws = os.environ.get("STRONGROOM_AWS_CLI_PYTHON", sys.executable)
    (tmp_path / "aws").write_text(f'#!/bin/sh\nexec {aws} -m awscli "$@"\n')
    (tmp_path / "aws").chmod(0o755)
    assert "copied" in run("sh", "-c", code["aws"], PATH=f"{tmp_path}:{environment['PATH']}")
    compile(code["tritonclient"], "triton", "exec")
