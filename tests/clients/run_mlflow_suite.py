#!/usr/bin/env python3
"""Runs MLflow's own REST tests against Strongroom.

    run_mlflow_suite.py --checkout DIR --binary PATH/TO/strongroom [--genai] [--engine sqlite|postgres] [-k WORDS] [-x]

DIR is a checkout of MLflow's repository that you have; run this with a Python that has the same release of mlflow and
pytest installed. Nothing of MLflow is copied: the fixtures of its tests that start a server in the test's own process
are redirected, so that each test gets a Strongroom process of its own, with an administrator's token.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pathlib
import re
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

FILES = ("tests/tracking/test_rest_tracking.py", "tests/tracking/test_model_registry.py")

# MLflow's gateway, scorers and issues: a generative-AI product of its own, not part of tracking and registry.
GENAI = re.compile(
    r"^test_(.*secret.*|.*endpoint(s|_with_.*|_bindings)?$|.*_endpoint_with.*|model_definitions|attach_detach_.*|list_providers|list_models"
    r"|get_provider_config|update_model_definition_provider|scorer_CRUD|online_scoring_config.*|.*issue.*)"
)
NOT_GENAI = re.compile(r"^test_rest_store_logs_spans_via_otel_endpoint")

# Tests that cannot pass against any server but MLflow's own process, with the reason. They are run all the same and
# counted apart, so that this list cannot hide one that would pass.
EXPECTED = {
    "test_create_model_version_with_path_source": "registers a path on the server's own disk as a model; refused by design",
    "test_create_model_version_with_file_uri": "registers a `file:` address on the server's own disk; refused by design",
    "test_create_model_version_with_non_local_source": "its first step registers a path on the server's own disk; refused by design",
    "test_create_get_search_experiment": "asserts that a relative artifact location becomes a path on the server's disk",
    "test_artifacts": "asserts that artifacts lie at a `file:` address, which its client opens itself; here every byte passes the server",
}

# A run's user is its caller, whatever the client claims. These tests claim a name: their caller has that name here.
ACCOUNTS = {
    "test_create_run_all_args": "username",
    "test_create_run_defaults": "unknown",
    "test_create_promptlab_run_handler_returns_expected_results": "username",
}

# Starts MLflow's own server by its command line, and so tests nothing of the server that this runner is given.
OTHER_SERVER = {"test_create_model_version_with_validation_regex"}


def is_genai(name: str) -> bool:
    return bool(GENAI.match(name)) and not NOT_GENAI.match(name)


class Redirect:
    """The pytest plugin: a server process per test, and every request to it with its token and certificate."""

    def __init__(self, options):
        import harness

        self.harness = harness
        self.options = options
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-suite-"))
        self.templates = {}
        self.account = "admin"
        self.server = None
        self.results = collections.defaultdict(dict)
        self.start_seconds = []
        os.environ[harness.BINARY] = str(pathlib.Path(options.binary).resolve())

    # --- servers ---

    def template(self):
        """One initialised data directory per account; each test gets a copy, which is faster than initialising anew."""
        if self.account not in self.templates:
            template = self.harness.Server(self.folder / f"template-{self.account}")
            template.init(self.account)
            self.templates[self.account] = template
        return self.templates[self.account]

    @contextlib.contextmanager
    def serving(self):
        """A fresh server for one test."""
        before = time.monotonic()
        with contextlib.ExitStack() as stack:
            target = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strongroom-test-"))) / "data"
            if self.options.engine == "postgres":
                server = self.harness.Server(target, "postgres", stack.enter_context(self.harness.fresh_database()))
                server.init(self.account)
            else:
                template = self.template()
                self.harness.copy_template(template.data, target)
                server = self.harness.Server(target, token=template.token)
            stack.callback(server.stop)
            server.start()
            self.start_seconds.append(time.monotonic() - before)
            previous, self.server = self.server, server
            try:
                yield server
            finally:
                self.server = previous

    # --- redirections ---

    def patch_requests(self):
        """Raw requests of the tests know nothing of tokens and certificates: they are added on the way."""
        import requests

        plain = requests.Session.request
        redirect = self

        def request(session, method, url, **arguments):
            server = redirect.server
            if server and str(url).startswith(server.url):
                arguments["verify"] = server.ca
                headers = dict(arguments.get("headers") or {})
                if not any(key.lower() == "authorization" for key in headers):
                    headers["Authorization"] = f"Bearer {server.token}"
                arguments["headers"] = headers
            return plain(session, method, url, **arguments)

        requests.Session.request = request

    def patch_tests(self):
        """The two ways in which MLflow's tests start a server, and the store that they make beside it."""
        import mlflow
        from mlflow.server import handlers

        redirect = self

        class Thread:
            """Stands where the tests start MLflow's own app."""

            def __init__(self, app, port):
                self.stack = contextlib.ExitStack()

            def __enter__(self):
                server = self.stack.enter_context(redirect.serving())
                for key, value in server.mlflow_environment().items():
                    os.environ[key] = value
                mlflow.set_tracking_uri(server.url)
                mlflow.set_registry_uri(server.url)
                return server.url

            def __exit__(self, *_):
                for key in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_SERVER_CERT_PATH"):
                    os.environ.pop(key, None)
                self.stack.close()

        @contextlib.contextmanager
        def init_server(*_, **__):
            with Thread(None, 0) as url:
                yield url

        handlers.initialize_backend_stores = lambda *_, **__: None
        from tests.tracking import integration_test_utils

        integration_test_utils.ServerThread = Thread
        integration_test_utils._init_server = init_server

    # --- pytest's hooks ---

    def pytest_configure(self, config):
        for marker in ("asyncio", "requires_ssh", "flaky", "notrackingurimock"):
            config.addinivalue_line("markers", f"{marker}: of MLflow's own tests")

    def pytest_runtest_logstart(self, nodeid, location):
        """Comes before a test's fixtures, one of which starts its server."""
        self.account = ACCOUNTS.get(nodeid.rpartition("::")[2].split("[")[0], "admin")

    def pytest_pyfunc_call(self, pyfuncitem):
        """A few tests are coroutines; they need no plugin beside this."""
        import asyncio
        import inspect

        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        names = pyfuncitem._fixtureinfo.argnames
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
        return True

    def pytest_collection_modifyitems(self, config, items):
        keep, drop = [], []
        for item in items:
            name = item.originalname or item.name
            unwanted = "[file" in item.name or name in OTHER_SERVER or (is_genai(name) and not self.options.genai)
            (drop if unwanted else keep).append(item)
        items[:] = keep
        config.hook.pytest_deselected(items=drop)

    def pytest_runtest_logreport(self, report):
        file, _, name = report.nodeid.partition("::")
        outcomes = self.results[file]
        if report.when == "call" or report.outcome != "passed":
            if outcomes.get(name) != "failed":
                outcomes[name] = "passed" if hasattr(report, "wasxfail") else report.outcome

    def summary(self) -> int:
        """Prints passed and failed for each file; the number of failures that nobody expected."""
        unexpected = 0
        for file, outcomes in sorted(self.results.items()):
            failed = sorted(name for name, outcome in outcomes.items() if outcome == "failed")
            known = [name for name in failed if name.split("[")[0] in EXPECTED]
            count = collections.Counter(outcomes.values())
            print(f"\n{file}: {count['passed']} passed, {len(failed)} failed ({len(known)} of them expected), {count['skipped']} skipped")
            for name in failed:
                reason = EXPECTED.get(name.split("[")[0])
                print(f"  {'expected' if reason else 'FAILED  '} {name}{': ' + reason if reason else ''}")
            unexpected += len(failed) - len(known)
        if self.start_seconds:
            middle = sorted(self.start_seconds)[len(self.start_seconds) // 2]
            print(f"\na server per test: {len(self.start_seconds)} started, {middle:.2f} s each (median)")
        return unexpected


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", required=True, type=pathlib.Path, help="a checkout of MLflow's repository")
    parser.add_argument("--binary", required=True, help="the server's program")
    parser.add_argument("--engine", default="sqlite", choices=["sqlite", "postgres"])
    parser.add_argument("--genai", action="store_true", help="also the tests of MLflow's gateway, scorers and issues")
    parser.add_argument("--file", choices=["tracking", "registry"], help="only one of the two files")
    parser.add_argument("-k", help="as pytest's -k")
    parser.add_argument("-x", action="store_true", help="stop at the first failure")
    parser.add_argument("--verbose", action="store_true", help="pytest's own output for failures")
    options = parser.parse_args()
    checkout = options.checkout.resolve()
    if not (checkout / FILES[0]).exists():
        parser.error(f"`{checkout}` is no checkout of MLflow: it has no {FILES[0]}")

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.chdir(checkout)
    sys.path.insert(0, str(checkout))
    # The checkout's `mlflow` folder must not shadow the installed package: only `tests` is wanted of it.
    import mlflow

    if pathlib.Path(mlflow.__file__).resolve().is_relative_to(checkout):
        sys.path.remove(str(checkout))
        for name in [name for name in sys.modules if name == "mlflow" or name.startswith("mlflow.")]:
            del sys.modules[name]
        import mlflow
    sys.path.append(str(checkout))
    print(f"mlflow {mlflow.__version__} (client) against {options.binary}, a server for each test")

    import pytest

    redirect = Redirect(options)
    redirect.patch_requests()
    redirect.patch_tests()
    configuration = redirect.folder / "pytest.ini"
    configuration.write_text("[pytest]\n")
    files = [FILES[{"tracking": 0, "registry": 1}[options.file]]] if options.file else list(FILES)
    arguments = ["-c", str(configuration), "--rootdir", str(checkout), "-p", "no:cacheprovider", "-q", "-W", "ignore"]
    arguments += ["--tb=short" if options.verbose else "--tb=line"]
    arguments += ["-k", options.k] if options.k else []
    arguments += ["-x"] if options.x else []
    pytest.main([*arguments, *files], plugins=[redirect])
    return 1 if redirect.summary() else 0


if __name__ == "__main__":
    sys.exit(main())
