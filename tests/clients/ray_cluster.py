"""A real Ray head of its own environment, bound to the loopback, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest
import requests

VENV = "STRONGROOM_TEST_RAY_VENV"
REQUIREMENTS = pathlib.Path(__file__).with_name("ray-requirements.txt")
START_SECONDS_MAX = 180


def environment(base: pathlib.Path) -> pathlib.Path:
    """A virtual environment with Ray: $STRONGROOM_TEST_RAY_VENV, or one made now. Skips where Ray cannot be installed."""
    given = os.environ.get(VENV)
    if given:
        return pathlib.Path(given)
    venv = base / "ray-venv"
    if (venv / "bin" / "ray").exists():
        return venv
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    if made.returncode == 0:
        pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--requirement", str(REQUIREMENTS)]
        made = subprocess.run(pip, capture_output=True, text=True, timeout=1_200)
    if made.returncode != 0:
        pytest.skip(f"Ray cannot be installed here: {made.stderr[-500:]}")
    return venv


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(base: pathlib.Path):
    """Yields the address of a head's dashboard and the token that it wants."""
    venv = environment(base)
    token = secrets.token_hex(32)
    # Ray keeps sockets below it, and their names are short.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    dashboard = free_port()
    words = [
        str(venv / "bin" / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={free_port()}",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", "--min-worker-port=27000", "--max-worker-port=27100",
        f"--ray-client-server-port={free_port()}", "--num-cpus=1", "--object-store-memory=100000000", "--disable-usage-stats",
        f"--temp-dir={folder}",
    ]  # fmt: skip
    variables = {
        **os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token,
        "RAY_USAGE_STATS_ENABLED": "0",
    }  # fmt: skip
    for name in [name for name in variables if name.startswith("MLFLOW")]:
        variables.pop(name)
    log = open(folder / "head.log", "wb")
    head = subprocess.Popen(words, stdout=log, stderr=log, env=variables, start_new_session=True)
    address = f"http://127.0.0.1:{dashboard}"
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.suppress(requests.RequestException):
                answer = requests.get(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"}, timeout=5)
                if answer.status_code == 200:
                    break
            assert head.poll() is None and time.monotonic() < deadline, (folder / "head.log").read_text()[-3000:]
            time.sleep(0.5)
        yield address, token
    finally:
        # `ray stop` ends whatever is called so; these are only ours.
        end_all(folder, head)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def end_all(folder: pathlib.Path, head: subprocess.Popen) -> None:
    """Ends the head and every process that was started with its folder."""
    for _ in range(20):
        ours = [head.pid] if head.poll() is None else []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if str(folder).encode() in path.read_bytes():
                    ours.append(int(path.parent.name))
        if not ours:
            return
        for pid in ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 15 if _ < 4 else 9)
        head.poll()
        time.sleep(0.5)
