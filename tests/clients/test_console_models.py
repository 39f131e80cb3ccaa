"""Models in a real browser: one version with its gates by slice, attacks, files, origin and papers; a check of all that by a button; versions side by side."""

import pytest

import browser as browsers
import harness
from people import call, person
from test_console import NASTY, axe, violations
from test_console_experiments import harness_pictures
from test_gates import COLUMNS, TREES, committed, fresh, frame, rules, set_gate, weak
from test_models import wait

pytestmark = pytest.mark.strongroom_only
ATTACKS = "attacks: {run: [extraction, membership, evasion], seed: 3, queries_max: 12000, evasion: {rows: 4, queries_per_row: 300}}"


def log_model(mlflow, fitted, name: str, training, **params) -> int:
    with mlflow.start_run():
        mlflow.log_params(params)
        mlflow.log_metric("train_accuracy", float(fitted.score(training[COLUMNS], training["y"])))
        arguments = {"serialization_format": "skops", "skops_trusted_types": TREES, "pip_requirements": ["scikit-learn"]}
        mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, input_example=training[COLUMNS].head(2), **arguments)
    return int(mlflow.MlflowClient().search_model_versions(f"name='{name}'", max_results=1)[0].version)


@pytest.fixture(scope="module")
def world():
    """A champion that sees half of the truth, one that fails in a part of the rows, and a good one."""
    missing = browsers.missing()
    assert missing is None, missing
    import numpy
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    with harness.running() as server, pytest.MonkeyPatch.context() as patch:
        for key, value in server.mlflow_environment().items():
            patch.setenv(key, value)
        import mlflow

        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        crew = {role: person(server, role) for role in ("contributor", "reviewer", "viewer")}
        held = frame(4_000, 2)
        # A part of the rows whose name tries to act.
        held["region"] = held["region"].replace("west", NASTY)
        held_back, name, training = committed(server, crew, held, fresh("held")), fresh("shop"), frame(3_000, 1)
        mlflow.set_experiment(fresh("exp"))
        mlflow.MlflowClient().create_registered_model(name)
        set_gate(server, crew, name, rules(held_back, ATTACKS))
        log_model(mlflow, weak(training), name, training, kind="half blind", note=NASTY)
        shown = wait(server.session(), server, name, 1)
        assert shown["state"] == "admitted", harness.pretty(shown)
        mlflow.MlflowClient().set_registered_model_alias(name, "champion", "1")
        lopsided = training.copy()
        west = lopsided["region_code"] == 2
        lopsided.loc[west, "y"] = numpy.random.default_rng(4).integers(0, 2, size=int(west.sum()))
        forest = RandomForestClassifier(n_estimators=40, min_samples_leaf=5, max_features=None, random_state=4)
        log_model(mlflow, forest.fit(lopsided[COLUMNS], lopsided["y"]), name, training, kind="forest", trees="40")
        assert wait(server.session(), server, name, 2)["state"] == "refused"
        log_model(mlflow, LogisticRegression().fit(training[COLUMNS], training["y"]), name, training, kind="linear")
        wait(server.session(), server, name, 3)
        yield server, crew, name


def at(name: str, version: int) -> str:
    return f"/console/models/{name}/{version}"


def test_a_version_is_told_by_slice_with_both_models_intervals(world):
    server, crew, name = world
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(crew["viewer"].name, crew["viewer"].password)
        browser.go(at(name, 2))
        assert "Refused" in browser.find("#verdict").text and "refused" in browser.find("h1").text
        trial = browser.find("section[aria-labelledby=trial]")
        assert "The champion is version 1" in trial.text and "onerror" in trial.text
        browser.driver.execute_script("arguments[0].scrollIntoView()", trial)
        harness_pictures(browser, "trial", 1200)
        pictures = trial.find_elements("css selector", "svg.intervals")
        # Accuracy and calibration; of accuracy all rows and three regions, each with a dot and a line of either model.
        assert len(pictures) == 2 and len(pictures[0].find_elements("css selector", "circle.kind-0")) == 4
        assert len(pictures[0].find_elements("css selector", "rect.kind-1")) == 4
        assert len(pictures[0].find_elements("css selector", "path.kind-1")) == 4, "the champion's numbers have intervals too"
        rows = [row.text for row in trial.find_elements("css selector", "tbody tr")]
        assert len(rows) == 5 and sum("broken" in row for row in rows) >= 1, rows
        assert all(" to " in row for row in rows), "each number says where it lies"
        attacks = browser.find("section[aria-labelledby=attacks]").text
        for words in ("extraction", "membership inference", "evasion (HopSkipJump)", "AML.T0024", "refused from", " to ", "questions were asked"):
            assert words in attacks, attacks
        assert "model.skops" in browser.find("section[aria-labelledby=files]").text and "clean" in browser.find("section[aria-labelledby=files]").text
        assert "of 4 parts known" in browser.find("section[aria-labelledby=origin]").text
        assert "none" in browser.find("section[aria-labelledby=signature]").text
        browser.click("section[aria-labelledby=origin] a[href*='/console/runs/']")
        assert "half blind" not in browser.text() and "forest" in browser.text()
        assert browser.faults() == []


def test_papers_are_saved_and_checked_by_a_button(world):
    server, crew, name = world
    viewer = crew["viewer"]
    with browsers.browser(server, scripts=False, width=390) as browser:
        browser.log_in(viewer.name, viewer.password)
        browser.go(at(name, 1))
        links = {link.get_attribute("download"): link.get_attribute("href") for link in browser.all("section[aria-labelledby=papers] a")}
        names = {"attestation.json", "provenance.json", "summary.json", "bom.json", "card.md", "dossier.html", "signing-key.pem", "model.sig", "evidence.json"}
        # Saved papers of several versions lie side by side: each says of which it is.
        assert set(links) == {f"{name}-1-{word}" for word in names}
        browser.click("form[action$='/verify'] button")
        assert "holds" in browser.find("#verdict").text and " 0 do not, 0 could not be checked" in browser.find("#verdict").text, browser.text()
        said = browser.find("section[aria-labelledby=claims]").text
        for words in ("list of files", "bytes of the files", "report of the inspection", "signature 0", "receipt of signature 0", "this server's key for models", "slsa.dev/provenance"):
            assert words in said, said
        key = browser.find("section[aria-labelledby=keys]").text
        assert server.cli("model", "paper", f"{name}/1", "--paper", "signing-key.pem", "--token-file", str(server.token_file)).stdout.startswith("-----BEGIN")
        assert (server.data / "audit.vkey").read_text().strip() in key, key
        # What is refused is not vouched for, which is said, and the rest is checked.
        browser.go(at(name, 2))
        saved = {link.get_attribute("download") for link in browser.all("section[aria-labelledby=papers] a")}
        assert not saved & {f"{name}-2-{word}" for word in ("model.sig", "summary.json", "evidence.json")} and f"{name}-2-provenance.json" in saved
        browser.click("form[action$='/verify'] button")
        assert "not all was checked" in browser.find("#verdict").text and "was refused" in browser.text()
        assert browser.faults() == []
    session = viewer.session()
    for file in sorted(names):
        where = "documents" if file == "attestation.json" else "papers"
        assert session.get(f"{server.url}{at(name, 1)}/{where}/{file}").content, file


def test_changed_bytes_are_found_by_the_check(world):
    server, crew, name = world
    checked = call(crew["viewer"].session(), server, "GET", f"/models/{name}/versions/1/verify")
    assert checked["holds"] and {claim["state"] for claim in checked["claims"]} == {"holds"}, harness.pretty(checked)
    harness.edit_database(server, "UPDATE artifact SET sha256 = (SELECT sha256 FROM artifact WHERE path NOT LIKE '%model.skops' ORDER BY sha256 LIMIT 1) WHERE path LIKE '%model.skops'")
    checked = call(crew["viewer"].session(), server, "GET", f"/models/{name}/versions/3/verify")
    states = {claim["what"]: claim["state"] for claim in checked["claims"]}
    assert states["bytes of the files"] == "fails" and states["list of files"] == "fails" and not checked["holds"], harness.pretty(checked)
    nobody = person(server)
    assert nobody.session().post(f"{server.url}{at(name, 1)}/verify").status_code in (403, 404)


def test_versions_are_chosen_by_boxes_and_stand_side_by_side(world):
    server, crew, name = world
    other = fresh("other")
    call(server.session(), server, "GET", "/models/versions")
    answer = server.session().post(f"{server.url}/api/2.0/mlflow/registered-models/create", json={"name": other})
    assert answer.status_code == 200, answer.text
    with browsers.browser(server, scripts=False) as browser:
        browser.log_in(crew["viewer"].name, crew["viewer"].password)
        browser.go("/console/models")
        browser.fill(part=name[1:].upper())
        browser.click("form[role=search] button")
        assert len(browser.all("input[name=version]")) == 3, "a part of the name is enough"
        browser.go("/console/models?part=%25")
        assert "No model has this in its name" in browser.text()
        browser.go("/console/models")
        browser.fill(model=name)
        browser.click("form[role=search] button")
        boxes = browser.all("input[name=version]")
        assert len(boxes) == 3 and f"Versions of {name}" in browser.find("h1").text
        for box in boxes[1:]:
            box.click()
        browser.click("form[action='/console/compare/models'] button")
        assert "2 versions side by side" in browser.find("h1").text
        part = lambda id: browser.find(f"section[aria-labelledby={id}]").text  # noqa: E731
        assert "refused" in part("standing") and "admitted" in part("standing") and part("standing").split("\n")[2].startswith("State")
        assert "gate.slice" in part("found") and "refuses" in part("found") and "gate.passed" in part("found")
        assert "accuracy on" in part("slices") and "broken" in part("slices") and "onerror" in part("slices")
        assert "half blind" in part("params") and "forest" in part("params") and "trees" in part("params")
        assert "train_accuracy" in part("metrics") and "Run" in part("origin") and "model.skops" in part("files")
        assert "half blind" in part("params") and "requirements.txt" not in part("files"), "what is the same is left out"
        browser.click("a[href*='show=all']")
        assert "requirements.txt" in part("files")
        browser.click("thead a")
        assert name in browser.find("h1").text
        browser.go(f"/console/compare/models?version={name}/1")
        assert "choose 2 to 4 versions" in browser.text()
        browser.go(f"/console/compare/models?left={name}/1&right={name}/3")
        assert "2 versions side by side" in browser.find("h1").text
        browser.go(f"/console/models?model={other}")
        assert "no version of a model of this name" in browser.text()
    nobody = person(server)
    assert nobody.session().get(f"{server.url}/console/compare/models?left={name}/1&right={name}/3").status_code in (403, 404)


@pytest.mark.parametrize("width", [390, 1200])
def test_the_pages_are_fit_for_everybody_and_names_are_text(world, width):
    server, crew, name = world
    source = axe()
    both = f"/console/compare/models?version={name}/1&version={name}/2&show=all"
    with browsers.browser(server, width=width) as browser:
        browser.log_in(crew["reviewer"].name, crew["reviewer"].password)

        def fit(path):
            assert violations(browser, source) == [], path
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
            assert browser.driver.execute_script("return performance.getEntriesByType('navigation')[0].transferSize") < 150_000
            assert browser.driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0, path
            harness_pictures(browser, path, width)

        for path in ("/console/models", f"/console/models?model={name}", at(name, 2), both):
            browser.go(path)
            fit(path)
        browser.go(at(name, 1))
        browser.click("form[action$='/verify'] button")
        fit("verified")
        assert browser.faults() == []
