"""Runs ceph/s3-tests, which are fetched elsewhere, against a server over TLS:

    python s3_conformance.py CHECKOUT [--all | --lock | -k EXPRESSION] [--json]

It starts a server of its own. What is left out stands in `s3_conformance_excluded.txt`, each with its reason; a test
that is left out and passes all the same is told, so that the list only shrinks.
"""

import argparse
import configparser
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402
import people  # noqa: E402

MODULE = "s3tests/functional/test_s3.py"
# The groups that must pass, by their names' words.
GROUPS = (
    "object_lock or retention or legal_hold or versioning or versioned or multipart or ifmatch or ifnonematch or if_match or if_none_match "
    "or ifmodified or ifunmodified or conditional or checksum or presigned or raw_get or raw_put or bucket_list or object_copy or tagging or multi_object_delete"
)
LOCK = "object_lock or retention or legal_hold"
EXCLUDED = HERE / "s3_conformance_excluded.txt"


def excluded():
    """Tests that are left out: name to reason."""
    found = {}
    for line in EXCLUDED.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition("  ")
            assert reason.strip(), f"`{name}` is left out without a reason"
            found[name.strip()] = reason.strip()
    return found


def key_of(server, session):
    answer = session.post(f"{server.url}/api/strongroom/v1/access-key", json={})
    assert answer.status_code == 200, answer.text
    return answer.json()


def configuration(server, folder):
    """The suite's own file, with two people who may do everything in one workspace."""
    host, _, port = (server.data / "s3-address").read_text().strip().removeprefix("https://").rpartition(":")
    config = configparser.RawConfigParser()
    config["DEFAULT"] = {"host": host, "port": port, "is_secure": "True", "ssl_verify": "True"}
    config["fixtures"] = {"bucket prefix": "t-{random}-", "iam name prefix": "s3-tests-", "iam path prefix": "/s3-tests/"}
    for section in ("s3 main", "s3 alt", "s3 tenant", "iam", "iam root", "iam alt root"):
        person = people.person(server, "owner")
        session = person.session()
        people.grant(server, person.name, "retention_officer")
        me = session.get(f"{server.url}/api/strongroom/v1/me").json()
        key = key_of(server, session)
        config[section] = {
            "display_name": me["id"], "user_id": me["id"], "email": f"{me['name']}@example.com", "api_name": "",
            "access_key": key["access_key_id"], "secret_key": key["secret_access_key"], "tenant": "testx", "kms_keyid": "workspace",
        }  # fmt: skip
    path = pathlib.Path(folder) / "s3tests.conf"
    with open(path, "w") as file:
        config.write(file)
    path.chmod(0o600)
    return path


def run(checkout, server, select):
    """Runs the selected tests; gives the outcome of each: `passed`, `failed`, `skipped`."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.xml"
        # The suite knows `trust whoever is in the usual bundle` or `trust anybody`; the server's own authority is neither.
        (pathlib.Path(folder) / "trust_the_server.py").write_text(
            f"import botocore.httpsession\nbotocore.httpsession.where = lambda: {server.ca!r}\n"
        )
        environment = {
            **os.environ, "S3TEST_CONF": str(configuration(server, folder)), "PYTHONPATH": folder, "REQUESTS_CA_BUNDLE": server.ca,
        }  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "trust_the_server", "-p", "no:cacheprovider", f"--junitxml={report}", MODULE]
        if select:
            command += ["-k", select]
        subprocess.run(command, cwd=checkout, env=environment, check=False, stdout=sys.stderr)
        outcomes = {}
        for case in tree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            failed = kinds & {"failure", "error"}
            outcomes[case.get("name")] = "failed" if failed else "skipped" if "skipped" in kinds else "passed"
            if failed:
                child = next(child for child in case if child.tag in failed)
                outcomes[case.get("name")] = "failed: " + (child.get("message") or "")[:200]
        return outcomes


def judge(outcomes):
    """Those that fail and are not left out, and those that are left out and pass."""
    left_out = excluded()
    failed = {name: what for name, what in outcomes.items() if what.startswith("failed") and name not in left_out}
    needless = sorted(name for name, what in outcomes.items() if what == "passed" and name in left_out)
    return failed, needless


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", help="a checkout of ceph/s3-tests")
    parser.add_argument("--all", action="store_true", help="every test of test_s3.py")
    parser.add_argument("--lock", action="store_true", help="object lock, retention and legal holds alone")
    parser.add_argument("-k", dest="select", help="an expression of pytest's")
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    arguments = parser.parse_args()
    select = None if arguments.all else arguments.select or (LOCK if arguments.lock else GROUPS)
    with harness.running(config_text='[s3]\nlisten = "127.0.0.1:0"\n[risk]\nanonymous_burst_count_max = 100000\n') as server:
        outcomes = run(arguments.checkout, server, select)
    failed, needless = judge(outcomes)
    counts = {kind: sum(what.startswith(kind) for what in outcomes.values()) for kind in ("passed", "failed", "skipped")}
    if arguments.json:
        print(json.dumps({"counts": counts, "failed": failed, "needless": needless, "outcomes": outcomes}))
    else:
        for name, what in sorted(failed.items()):
            print(f"{name}: {what}")
        for name in needless:
            print(f"{name}: is left out, but passes")
        print(f"{counts['passed']} passed, {len(failed)} failed, {counts['failed'] - len(failed)} left out, {counts['skipped']} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
