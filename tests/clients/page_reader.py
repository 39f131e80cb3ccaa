"""Reads a page as its source stands: what of it would not be there if every text were text, where it leads, and the texts in it."""

from __future__ import annotations

import html
import html.parser
import re
import urllib.parse

SCHEMES = re.compile(r"\s*(javascript|data|vbscript):", re.IGNORECASE)
LEADING = ("href", "src", "action", "formaction")
# Boxes of one name that are ticked in a form: two runs or versions are compared.
TICKED = 2


class Page(html.parser.HTMLParser):
    """One page."""

    def __init__(self, source: str, path: str):
        super().__init__(convert_charrefs=True)
        self.path, self.bad, self.styles = path, [], []
        self.links, self.asks = [], []
        self._form, self._select = None, None
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        names = [name for name, _ in attrs]
        if "style" in names or tag == "style":
            self.styles.append(f"{tag} {attrs}"[:300])
        bad = [name for name in names if name.startswith("on") or names.count(name) > 1]
        bad += [name for name in LEADING if SCHEMES.match(given.get(name) or "") and not (tag == "img" and given[name].startswith("data:image/"))]
        bad += [tag] if tag in ("iframe", "object", "embed", "base") or (tag == "img" and given.get("src") == "x") else []
        bad += [tag] if tag == "script" and not (given.get("src") or "").startswith("/console/assets/") else []
        if bad:
            self.bad.append(f"{tag} {attrs}: {bad}"[:300])
        if tag == "a" and given.get("href"):
            self._lead(given["href"], self.links)
        elif tag == "img" and given.get("src"):
            self._lead(given["src"], self.links)
        elif tag == "form":
            self._form = None if given.get("method", "get").lower() == "post" else (given.get("action") or self.path, [])
        elif self._form and tag == "input" and given.get("name") and given.get("type") not in ("submit", "radio"):
            self._field(given["name"], given.get("value") or ("champion" if "required" in given else ""), given.get("type") == "checkbox")
        elif self._form and tag == "select":
            self._select = given.get("name")
        elif self._select and tag == "option":
            self._field(self._select, given.get("value") or "", False)
            self._select = None

    def handle_endtag(self, tag):
        if tag == "form" and self._form:
            action, fields = self._form
            self._form = None
            # A form that leads to another page than its own asks for what nothing links to.
            if action.split("?")[0] != self.path.split("?")[0]:
                self._lead(f"{action}?{urllib.parse.urlencode(fields)}", self.asks)

    def handle_comment(self, data):
        self.bad.append(f"comment {data}"[:200])

    def _field(self, name: str, value: str, is_box: bool) -> None:
        action, fields = self._form
        if value and not (is_box and sum(one == name for one, _ in fields) >= TICKED):
            fields.append((name, value))

    def _lead(self, address: str, to: list[str]) -> None:
        to.append(urllib.parse.urljoin(self.path, address).split("#")[0])


def as_sent(source: str, payloads: list[str]) -> list[str]:
    """Which of these stand in a page's source as they were sent, although they have signs that must not."""
    return [one for one in payloads if any(letter in one for letter in "<>\"'") and one in source]


def texts(source: str) -> str:
    """All that the page says, references resolved: once for text, twice for what a picture or an address says in it."""
    plain = html.unescape(source)
    return plain + urllib.parse.unquote(plain)
