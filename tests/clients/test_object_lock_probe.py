"""A store that takes locks and does not keep them is refused at start. Stores that do are in `test_retention.py`."""

import socket
import subprocess
import sys

import pytest
import requests

import harness

pytestmark = pytest.mark.strongroom_only


@pytest.fixture
def moto(tmp_path, monkeypatch):
    """moto's S3 in a process of its own: it takes locks, and keeps them in part."""
    pytest.importorskip("moto", reason="needs moto")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = open(tmp_path / "moto.log", "wb")
    process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def is_up():
        try:
            return requests.get(f"{url}/moto-api/data.json", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    try:
        harness.wait_until(is_up, 60, "moto answers")
        yield url
    finally:
        process.kill()
        process.wait()
        log.close()


def test_a_store_that_says_it_locks_and_does_not_is_refused_at_start(moto):
    boto3 = pytest.importorskip("boto3")
    boto3.client("s3", endpoint_url=moto, region_name="us-east-1").create_bucket(Bucket="worm", ObjectLockEnabledForBucket=True)
    config = (
        '[vault.objects]\nkind = "s3"\nregion = "us-east-1"\nbucket = "worm"\nallow_insecure_http = true\nobject_lock = true\n'
        f'endpoint = "{moto}"\n'
    )
    with pytest.raises(harness.StartError, match="does not enforce Object Lock"):
        with harness.running("sqlite", config_text=config):
            pass
