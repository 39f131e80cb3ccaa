"""One flipped byte, anywhere in the log or in an object, is found. Seeded: a failure names its seed and place."""

import hashlib
import random
import subprocess
import tempfile
import pathlib
import time

import pytest

import harness

pytestmark = pytest.mark.strongroom_only
API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
SEED = 20_261_123
FLIPS_PER_FILE_KIND = 4
ARTIFACT_BYTES = 300_000


@pytest.fixture(scope="module")
def filled():
    """A stopped server with some hundred records and one artifact."""
    with tempfile.TemporaryDirectory(prefix="strongroom-flips-") as folder:
        server = harness.Server(pathlib.Path(folder) / "data")
        server.init()
        server.start()
        api = server.session()
        experiment = api.post(f"{server.url}{API}/experiments/create", json={"name": "flips"}).json()["experiment_id"]
        run = api.post(f"{server.url}{API}/runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
        for number in range(300):
            api.post(f"{server.url}{API}/runs/set-tag", json={"run_id": run, "key": f"k{number}", "value": "v"})
        content = random.Random(SEED).randbytes(ARTIFACT_BYTES)
        path = f"{FILES}/{experiment}/{run}/artifacts/file.bin"
        assert api.put(server.url + path, data=content).status_code == 200
        time.sleep(1.5)  # a checkpoint every second
        server.stop()
        yield server, path, hashlib.sha256(content).digest()


def verify(data):
    command = [str(harness.binary()), "audit", "verify", "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def flip(file: pathlib.Path, chance: random.Random) -> str:
    mode = file.stat().st_mode
    content = bytearray(file.read_bytes())
    place, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
    content[place] ^= bit
    file.chmod(0o600)
    file.write_bytes(bytes(content))
    file.chmod(mode)
    return f"{file.name} byte {place} bit {bit}"


def kinds_of_log_files(data):
    """The log's files by kind: what stands in the same folder, or on the same level of the tree, is one kind."""
    kinds = {}
    for file in sorted((data / "audit").rglob("*")):
        # An index is a projection that is rebuilt; an empty file has no byte to flip.
        if file.is_file() and file.stat().st_size and not file.name.startswith("index"):
            relative = file.relative_to(data / "audit")
            kinds.setdefault("/".join(relative.parts[:-1]) or relative.suffix, []).append(relative)
    return kinds


def test_the_untouched_log_verifies(filled):
    done = verify(filled[0].data)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.any_database("the log is files")
def test_any_flipped_byte_of_the_log_is_found(filled, tmp_path):
    server = filled[0]
    chance = random.Random(SEED)
    missed = []
    for kind, files in kinds_of_log_files(server.data).items():
        for number in range(FLIPS_PER_FILE_KIND):
            copy = tmp_path / f"{len(missed)}-{kind.replace('/', '_')}-{number}"
            harness.copy_template(server.data, copy)
            what = flip(copy / "audit" / chance.choice(files), chance)
            done = verify(copy)
            if done.returncode == 0:
                missed.append(f"{kind}: {what}")
            harness.shutil.rmtree(copy)
    assert missed == [], f"seed {SEED}"


def test_a_flipped_byte_of_an_object_is_never_served(filled, tmp_path):
    original, path, digest = filled
    chance = random.Random(SEED)
    for number in range(FLIPS_PER_FILE_KIND):
        copy = harness.Server(tmp_path / f"copy-{number}", token=original.token)
        harness.copy_template(original.data, copy.data)
        objects = [file for file in (copy.data / "objects").rglob("*") if file.is_file() and file.stat().st_size]
        what = flip(max(objects, key=lambda file: file.stat().st_size), chance)
        copy.start()
        try:
            answer = copy.session().get(copy.url + path, timeout=30)
            served = answer.status_code == 200 and hashlib.sha256(answer.content).digest() != digest
            whole = answer.status_code == 200 and len(answer.content) == ARTIFACT_BYTES
            assert not served or not whole, f"{what} (seed {SEED}): wrong bytes were served"
        except harness.requests.RequestException:
            pass  # broken off in the middle of the answer: refused
        finally:
            copy.stop()
