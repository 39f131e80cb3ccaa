"""A real browser for the tests of pages: Debian's Chromium, driven through its own driver, with a virtual authenticator."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import ssl
import subprocess
import tempfile
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
WAIT_SECONDS_MAX = 30


def missing() -> str | None:
    """Why there is no browser, if there is none."""
    absent = [path for path in (CHROMIUM, DRIVER) if not os.path.exists(path)]
    return f"{', '.join(absent)}: install Debian's packages chromium and chromium-driver" if absent else None


def of_name(url: str) -> str:
    """The same server by its name: passkeys belong to names, not to addresses."""
    return url.replace("127.0.0.1", "localhost")


def key_digest(url: str) -> str:
    """SHA-256 of the public key that the server shows, as the browser wants it: its CA is known to nobody else."""
    parts = urllib.parse.urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as raw, context.wrap_socket(raw) as shown:
        certificate = x509.load_der_x509_certificate(shown.getpeercert(binary_form=True))
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(public).digest()).decode()


class Browser:
    """One browser with an empty profile."""

    def __init__(self, driver: webdriver.Chrome, url: str):
        self.driver = driver
        self.url = of_name(url)

    def go(self, path: str) -> None:
        self.driver.get(f"{self.url}{path}")

    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.url)

    def find(self, selector: str):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self) -> str:
        return self.find("main").text

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            field = self.find(f"[name={name}]")
            field.clear()
            field.send_keys(value)

    def click(self, what) -> None:
        """Clicks what leads to another page, an element or what this selector finds, and waits until it is there."""
        before = self.find("html")
        (self.find(what) if isinstance(what, str) else what).click()
        self.wait(lambda: is_gone(before), f"the page after `{what}`")

    def sure(self, selector: str) -> None:
        """Does what is grave: ticks the box of the button's form, and clicks."""
        self.find(selector).find_element(By.XPATH, "ancestor::form").find_element(By.NAME, "sure").click()
        self.click(selector)

    def wait(self, condition, what: str) -> None:
        WebDriverWait(self.driver, WAIT_SECONDS_MAX, poll_frequency=0.05).until(lambda _: condition(), what)

    def log_in(self, name: str, password: str, code: str = "") -> None:
        self.go("/login")
        self.fill(username=name, password=password, code=code)
        self.click("form:not([data-passkey]) button")

    def add_authenticator(self) -> None:
        """A device with a key store, whose holder is recognised."""
        options = VirtualAuthenticatorOptions()
        options.protocol = VirtualAuthenticatorOptions.Protocol.CTAP2
        options.transport = VirtualAuthenticatorOptions.Transport.INTERNAL
        options.has_resident_key = options.has_user_verification = options.is_user_verified = True
        self.driver.add_virtual_authenticator(options)

    def faults(self) -> list[str]:
        """What the browser complained of: a policy that was broken, a file that was not there."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]


def is_gone(element) -> bool:
    try:
        element.is_enabled()
        return False
    except (StaleElementReferenceException, WebDriverException):
        return True


@contextlib.contextmanager
def browser(server, scripts: bool = True, width: int = 1200, also: list[str] = ()):
    """A browser for this server, which also trusts what these other addresses show."""
    with tempfile.TemporaryDirectory(prefix="strongroom-browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            f"--window-size={width},1000",
            f"--ignore-certificate-errors-spki-list={','.join(key_digest(url) for url in (server.url, *also))}",
        ):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER, log_output=subprocess.DEVNULL))
        driver.set_page_load_timeout(WAIT_SECONDS_MAX)
        driver.set_script_timeout(WAIT_SECONDS_MAX)
        # A window has a least width; a phone is narrower.
        metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        try:
            yield Browser(driver, server.url)
        finally:
            driver.quit()
