"""The settings that pages offer are copied as they stand, and work: mlflow, boto3, the command line of aws, curl, Triton's client."""

import os
import pathlib
import subprocess
import sys

import pytest

import browser as browsers
import harness
from people import call, person

pytestmark = pytest.mark.strongroom_only
AUTHORITY = "This server's certificate authority"
CLIENTS = [AUTHORITY, "mlflow", "boto3", "aws", "tritonclient"]


@pytest.fixture(scope="module")
def world():
    missing = browsers.missing()
    assert missing is None, missing
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n') as server:
        yield server, person(server, "owner")


class Desk:
    """A folder and an environment in which somebody works who has installed the clients and set nothing."""

    def __init__(self, folder: pathlib.Path):
        self.folder, programs = folder, folder / "programs"
        programs.mkdir()
        aws = os.environ.get("STRONGROOM_AWS_CLI_PYTHON", sys.executable)
        for name, line in (("python", f'{sys.executable} "$@"'), ("aws", f'{aws} -m awscli "$@"')):
            (programs / name).write_text(f"#!/bin/sh\nexec {line}\n")
            (programs / name).chmod(0o755)
        path = f"{programs}:{pathlib.Path(harness.binary()).parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(folder), "DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}

    def run(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, *lines: str) -> str:
        return self.run("sh", "-e", "-c", "\n".join(lines))

    def python(self, code: str) -> str:
        return self.run("python", "-c", code)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def blocks(browser) -> dict[str, str]:
    return {one.get_attribute("data-copy"): one.get_attribute("textContent") for one in browser.all("pre[data-copy]")}


def test_settings_of_a_new_token_work_as_they_are_copied(world, desk):
    server, ada = world
    with browsers.browser(server, width=390) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/account")
        browser.find("#token-label").send_keys("for programs")
        browser.click("#add-token")
        code = blocks(browser)
        assert list(code) == ["the token", *CLIENTS]
        assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        # A button copies; where a browser gives it no clipboard, the lines are marked.
        button = browser.find(".lines .copy")
        button.click()
        browser.wait(lambda: button.text in ("Copied", "Marked"), "the button says what it did")
        assert browser.faults() == []
    secret = code["the token"]
    assert all(secret in code[client] for client in CLIENTS if client != AUTHORITY)
    desk.shell(code[AUTHORITY])
    assert (desk.folder / "ca.pem").read_text().strip() == pathlib.Path(server.ca).read_text().strip()
    listed = "python -c 'import mlflow; print([one.name for one in mlflow.search_experiments()])'"
    assert "Default" in desk.shell(code["mlflow"], listed)
    assert desk.python(code["boto3"]).strip() == "[]"
    desk.python(code["boto3"] + "\ns3.create_bucket(Bucket='copied')")
    assert "'Name': 'copied'" in desk.python(code["boto3"])
    assert desk.shell(code["aws"]).strip().endswith(" copied")
    assert (desk.folder / "my.token").stat().st_mode & 0o077 == 0, "nobody else reads the token"


def test_the_first_steps_lead_to_an_answer_as_they_are_copied(world, desk):
    """From the page of the first steps alone: a run, a model, an endpoint, and what two clients are answered."""
    server, ada = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/start")
        code = {client: text.replace("YOUR-TOKEN", ada.token) for client, text in blocks(browser).items()}
        assert [client for client in code if client in CLIENTS] == CLIENTS
        desk.shell(code[AUTHORITY])
        log_in_by_command(desk, browser, code["strongroom"])
    token, commands = "strongroom, with the settings of the token", "strongroom, with the settings of the token, and any client of HTTP"
    desk.shell(code["mlflow"], code["mlflow, with the settings of the token"])
    logged = "import mlflow; print(mlflow.search_runs(search_all_experiments=True)['metrics.accuracy'].tolist())"
    assert "0.9" in desk.shell(code["mlflow"], f'python -c "{logged}"')
    (desk.folder / "train.py").write_text(code["mlflow with scikit-learn and skops, in Python, with the settings of the token"])
    desk.shell(code["mlflow"], "python train.py")
    stands = lambda: call(ada.session(), server, "GET", "/models/churn/versions/1")["state"]  # noqa: E731
    harness.wait_until(lambda: stands() == "admitted", 120, "the model is inspected")
    answer = desk.shell(code["mlflow"], code[commands])
    assert '"predictions"' in answer and "0" in answer, answer
    assert "'outputs'" in desk.python(code["tritonclient"]), "Triton's client is answered by the same endpoint"
    # Whoever runs the server makes a workspace for a team.
    made = code[token].replace("TEAM", "copied").replace("SOMEBODY", ada.name)
    desk.shell(code["mlflow"].replace(ada.token, server.token), made)
    assert "copied" in [one["name"] for one in call(ada.session(), server, "GET", "/workspaces")["workspaces"]]
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(ada.name, ada.password)
        browser.go("/console/start")
        state = lambda title: next(one for one in browser.all("h2") if title in one.text).find_element("css selector", ".tag").text  # noqa: E731
        assert [state(f"A first {what}") for what in ("run", "model", "answer")] == ["done"] * 3 and state("A workspace") == "done"


def test_who_has_only_a_token_is_told_what_recovery_codes_take(world):
    """The first administrator comes with a token, and a passkey's recovery codes open nothing without a password."""
    server, _ = world
    with browsers.browser(server) as browser:
        browser.add_authenticator()
        browser.log_in("admin", server.token)
        browser.go("/account")
        assert "You have no password: a token alone opens this account" in browser.text()
        browser.wait(lambda: browser.find("#add-passkey").is_displayed(), "the form for passkeys")
        browser.find("#key-label").send_keys("phone")
        browser.click("#add-passkey")
        assert "if you have none yet" in browser.text()
        browser.go("/account")
        assert "they open nothing without one" in browser.text()
        # What a token opened does not change what opens the account: the passkey does.
        browser.click("header form button")
        browser.go("/login")
        browser.wait(lambda: browser.find("#passkey").is_displayed(), "the log-in with a passkey")
        browser.click("#passkey")
        browser.go("/account")
        browser.fill(new="a long enough password of mine", again="a long enough password of mine")
        browser.click("form[action='/account/password'] button")
        assert browser.path() == "/account" and "they open nothing without one" not in browser.text()


def log_in_by_command(desk, browser, line: str) -> None:
    """Runs the line as somebody without a display does, and agrees in the browser that is logged in."""
    process = subprocess.Popen(["sh", "-c", line], cwd=desk.folder, env=desk.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        assert said.startswith("Open "), said + process.stderr.read()
        browser.go(said.split()[1].removeprefix(browser.url))
        browser.click("main form button")
        assert "Agreed" in browser.text()
        _, fault = process.communicate(timeout=60)
        assert process.returncode == 0, fault
    finally:
        process.kill()
        process.wait()
    assert (desk.folder / ".config" / "strongroom" / "token").stat().st_mode & 0o077 == 0
