"""Starts a Strongroom server for tests: init, serve, stop, kill, restart. No pytest in here, so drills can use it too."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import requests

START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
# What the harness reads from the environment.
BINARY = "STRONGROOM_BINARY"
POSTGRES = "STRONGROOM_TEST_POSTGRES"
ENGINE = "STRONGROOM_TEST_ENGINE"
EXTERNAL_URL = "STRONGROOM_TEST_URL"
EXTERNAL_TOKEN = "STRONGROOM_TEST_TOKEN"
EXTERNAL_CA = "STRONGROOM_TEST_CA"


class StartError(RuntimeError):
    """The server did not come up; the message holds the end of its log."""


def binary() -> pathlib.Path:
    """The server under test: $STRONGROOM_BINARY, or the development build."""
    given = os.environ.get(BINARY)
    if given:
        return pathlib.Path(given).resolve()
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    return target / "debug" / "strongroom"


@contextlib.contextmanager
def fresh_database():
    """A new PostgreSQL database beside the one that $STRONGROOM_TEST_POSTGRES names; yields its connection string."""
    base = os.environ[POSTGRES]
    name = f"clients_{uuid.uuid4().hex[:16]}"
    psql = os.environ.get("STRONGROOM_PSQL", "psql")
    subprocess.run([psql, base, "-q", "-c", f"CREATE DATABASE {name}"], check=True, stdout=subprocess.DEVNULL)
    try:
        head, _, _ = base.rpartition("/")
        yield f"{head}/{name}"
    finally:
        drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        subprocess.run([psql, base, "-q", "-c", drop], check=False, stdout=subprocess.DEVNULL)


def edit_database(server: Server, sql: str) -> None:
    """Changes a running server's database behind its back, as only a test or an intruder does."""
    if server.engine == "postgres":
        psql = os.environ.get("STRONGROOM_PSQL", "psql")
        subprocess.run([psql, server.database, "-q", "-v", "ON_ERROR_STOP=1", "-c", sql], check=True, stdout=subprocess.DEVNULL)
        return
    # In another process: closing a file of SQLite's here must not end the locks of anybody else.
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30); c.execute(sys.argv[2]); c.commit(); c.close()"
    subprocess.run([sys.executable, "-c", code, str(server.data / "db" / "strongroom.db"), sql], check=True)


@dataclasses.dataclass
class Server:
    """One server process over one data directory."""

    data: pathlib.Path
    engine: str = "sqlite"
    database: str | None = None
    config_text: str = ""
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    url: str = ""
    token: str = ""
    process: subprocess.Popen | None = None

    @property
    def ca(self) -> str:
        """The path of the server's own certificate authority."""
        return str(self.data / "tls" / "ca.pem")

    @property
    def log_file(self) -> pathlib.Path:
        """Where the server's standard error goes."""
        return self.data.parent / f"{self.data.name}.log"

    @property
    def token_file(self) -> pathlib.Path:
        """The administrator's token, as init wrote it."""
        return self.data.parent / f"{self.data.name}.token"

    def _config_arguments(self) -> list[str]:
        text = self.config_text
        if self.database:
            text = f'[vault]\ndatabase = "{self.database}"\n' + text
        if not text:
            return []
        path = self.data.parent / f"{self.data.name}.toml"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o600)
        return ["--config", str(path)]

    def command(self, *arguments: str) -> list[str]:
        """A command line of the server's own program, over this data directory."""
        return [str(binary()), *arguments, "--data", str(self.data)]

    def init(self, admin: str = "admin") -> None:
        """Makes the data directory and reads the first administrator's token."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        # The configuration is copied into the data directory, where every other command finds it.
        command = self.command("init") + ["--admin", admin, "--admin-token-file", str(self.token_file), *self._config_arguments()]
        made = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if made.returncode != 0:
            raise StartError(f"`{' '.join(command)}` answered {made.returncode}:\n{made.stdout}{made.stderr}")
        self.token = self.token_file.read_text().strip()

    def start(self) -> "Server":
        """Starts serving; returns when the first line names the address."""
        log = open(self.log_file, "ab")
        command = self.command("serve") + ["--listen", "127.0.0.1:0"]
        environment = {**os.environ, **self.environment}
        for key in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"):
            environment.pop(key, None)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
        log.close()
        line = self._first_line()
        if not line.startswith("listening "):
            code = self.process.poll()
            self.kill()
            raise StartError(f"the server did not say `listening` (exit {code}, said `{line}`):\n{self.log_end()}")
        self.url = line.split(" ", 1)[1].strip()
        # Nothing must ever block on a pipe that nobody reads.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def _first_line(self) -> str:
        result: list[bytes] = []
        reader = threading.Thread(target=lambda: result.append(self.process.stdout.readline()), daemon=True)
        reader.start()
        reader.join(START_SECONDS_MAX)
        return result[0].decode() if result else ""

    def log_end(self, lines: int = 30) -> str:
        """The last lines that the server logged."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ends the server as a service manager would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """kill -9."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def session(self, token: str | None = "") -> requests.Session:
        """A plain HTTPS session; `token=None` sends no credentials."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.ca if pathlib.Path(self.ca).exists() else (os.environ.get(EXTERNAL_CA) or True)
        if token is not None:
            session.headers["Authorization"] = f"Bearer {token or self.token}"
        return session

    def mlflow_environment(self, token: str | None = None) -> dict[str, str]:
        """What a stock MLflow client needs to reach this server."""
        environment = {"MLFLOW_TRACKING_URI": self.url, "MLFLOW_REGISTRY_URI": self.url}
        if token or self.token:
            environment["MLFLOW_TRACKING_TOKEN"] = token or self.token
        if self.url.startswith("https"):
            environment["MLFLOW_TRACKING_SERVER_CERT_PATH"] = self.ca
        return environment

    def cli(self, *arguments: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess:
        """Runs a command of the server's program against this data directory."""
        command = self.command(*arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"`{' '.join(command)}` answered {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def resident_bytes(self) -> int:
        """The process's resident memory."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0


class External(Server):
    """A server that someone else started: any MLflow-compatible one. Used to try the tests themselves."""

    @property
    def ca(self) -> str:
        return os.environ.get(EXTERNAL_CA, "")

    def stop(self) -> None:
        pass


def external() -> Server | None:
    """The server of $STRONGROOM_TEST_URL, if the tests are to run against that one."""
    url = os.environ.get(EXTERNAL_URL)
    if not url:
        return None
    return External(data=pathlib.Path("/nonexistent"), url=url, token=os.environ.get(EXTERNAL_TOKEN, ""))


@contextlib.contextmanager
def running(engine: str | None = None, config_text: str = "", environment: dict[str, str] | None = None):
    """A fresh server, initialised and serving, gone afterwards."""
    engine = engine or os.environ.get(ENGINE, "sqlite")
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strongroom-")))
        database = stack.enter_context(fresh_database()) if engine == "postgres" else None
        server = Server(folder / "data", engine, database, config_text, environment or {})
        server.init()
        stack.callback(server.stop)
        yield server.start()


def wait_until(condition, seconds_max: float, what: str) -> None:
    """Polls until `condition()` is true; raises with `what` if it does not become so in time."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds_max} s: {what}")


def copy_template(template: pathlib.Path, target: pathlib.Path) -> None:
    """Copies an initialised data directory, modes kept."""
    shutil.copytree(template, target, symlinks=True)


def pretty(value) -> str:
    """JSON for an assertion's message."""
    return json.dumps(value, indent=1, default=str)[:4000]
