"""Pictures of the console's pages over a data folder, such as the demo's: at three widths, light, and once dark.

screenshots.py DATA_FOLDER TOKEN_FILE OUT_FOLDER [png|webp]
"""

from __future__ import annotations

import base64
import json
import pathlib
import sys

import browser as browsers
import harness
from people import call, grant, person

WIDTHS = (390, 800, 1_200)
HEIGHT = 1_000
OFFICES = (("owner", "workspace"), ("reviewer", "workspace"), ("auditor", "server"), ("administrator", "server"), ("monitor", "server"), ("key_custodian", "server"))
# What is shown, and the link on the page before that leads to it.
PAGES: list[tuple[str, str, str | None]] = [
    ("home", "/console", None),
    ("experiments", "/console/experiments", None),
    ("runs", "/console/experiments", "main tbody a"),
    ("data", "/console/data", None),
    ("data-version", "/console/data/{poisoned}/1", None),
    ("models", "/console/models", None),
    ("model-version", "/console/models/{model}/2", None),
    ("promotion", "/console/models/{model}/2/promote?alias=champion", None),
    ("lineage", "/console/lineage?subject=model%3A{model}%2F1", None),
    ("endpoints", "/console/endpoints", None),
    ("endpoint", "/console/endpoints", "main tbody a"),
    ("alerts", "/console/alerts", None),
    ("alert", "/console/alerts", "main tbody a"),
    ("detections", "/console/detections", None),
    ("rules", "/console/detections/rules", None),
    ("rules-written", "/console/detections/write", None),
    ("access", "/console/access", None),
    ("review", "/console/access/review", None),
    ("paths", "/console/access/paths", None),
    ("log", "/console/audit", None),
    ("record", "/console/audit/100", None),
    ("vault", "/console/vault", None),
    ("erasure", "/console/erasure", None),
    ("first-steps", "/console/start", None),
    ("account", "/account", None),
]


def shoot(browser, path: pathlib.Path, width: int, kind: str, dark: bool) -> None:
    driver = browser.driver
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False})
    wish = {"format": kind, **({"quality": 55} if kind != "png" else {})}
    path.write_bytes(base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", wish)["data"]))


def main() -> None:
    data, token, out = (pathlib.Path(text) for text in sys.argv[1:4])
    kind = sys.argv[4] if len(sys.argv) > 4 else "webp"
    out.mkdir(parents=True, exist_ok=True)
    server = harness.Server(data=data)
    server.token = token.read_text().strip()
    server.start()
    try:
        seer = person(server, *OFFICES[0])
        for role, on in OFFICES[1:]:
            grant(server, seer.name, role, on)
        sets = call(server.session(), server, "GET", "/datasets")["datasets"]
        found = server.session().get(f"{server.url}/api/2.0/mlflow/registered-models/search", params={"max_results": 10}).json()
        models = found["registered_models"]
        names = {"poisoned": next((one["name"] for one in sets if "poison" in one["name"]), sets[0]["name"]), "model": models[0]["name"]}
        with browsers.browser(server) as browser:
            browser.log_in(seer.name, seer.password)
            for name, path, link in PAGES:
                browser.go(path.format(**names))
                if link and browser.all(link):
                    browser.click(link)
                for width in WIDTHS:
                    shoot(browser, out / f"{name}-{width}.{kind}", width, kind, dark=False)
                shoot(browser, out / f"{name}-dark.{kind}", WIDTHS[-1], kind, dark=True)
                print(json.dumps({"page": name, "at": browser.path(), "faults": browser.faults()}), flush=True)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
