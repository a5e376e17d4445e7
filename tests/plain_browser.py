"""A browser without JavaScript: follows links and redirects, fills forms by the names of their fields, presses buttons by their words."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlparse

import requests

from tests import pages


@dataclass
class Form:
    """One form of a page, with what it would send."""

    action: str
    method: str
    values: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)
    """Words, name and value of each button."""


class Reader(HTMLParser):
    """Links and forms of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._text: list[tuple[str, dict[str, str], list[str]]] = []
        self._select: tuple[dict[str, str], list[tuple[str, bool]]] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = Form(found.get("action", ""), found.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag in ("a", "button", "textarea"):
            self._text.append((tag, found, []))
        elif tag == "select":
            self._select = (found, [])
        elif tag == "option" and self._select is not None:
            self._select[1].append((found.get("value", ""), "selected" in found))
        elif tag == "input":
            self._input(found)

    def _input(self, found: dict[str, str]) -> None:
        if self._form is None or not found.get("name"):
            return
        kind = found.get("type", "text")
        if kind in ("checkbox", "radio"):
            found.setdefault("value", "on")
        if kind not in ("checkbox", "radio") or "checked" in found:
            self._form.values.append((found["name"], found.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select is not None:
            self._end_select()
        elif self._text and self._text[-1][0] == tag:
            self._end_text(*self._text.pop())

    def _end_select(self) -> None:
        assert self._select is not None
        found, options = self._select
        self._select = None
        if self._form is None or not options:
            return
        chosen = [value for value, is_chosen in options if is_chosen] or [options[0][0]]
        self._form.values.append((found["name"], chosen[0]))

    def _end_text(self, tag: str, found: dict[str, str], parts: list[str]) -> None:
        words = " ".join("".join(parts).split())
        if tag == "a":
            self.links.append((words, found.get("href", "")))
        elif tag == "textarea" and self._form is not None:
            self._form.values.append((found["name"], "".join(parts)))
        elif tag == "button" and self._form is not None and found.get("type", "submit") == "submit":
            self._form.buttons.append((words, found.get("name", ""), found.get("value", "")))

    def handle_data(self, data: str) -> None:
        for _, _, parts in self._text:
            parts.append(data)


class PlainBrowser:
    """One person's browser. Every page of the portal it sees is checked."""

    def __init__(self, portal: str) -> None:
        self.portal = portal
        self.session = requests.Session()
        self.session.trust_env = False
        self.answer = requests.Response()
        self.page = Reader("")

    @property
    def text(self) -> str:
        """The page's words, blanks folded."""
        return " ".join(_words(self.answer.text).split())

    @property
    def url(self) -> str:
        return self.answer.url

    def open(self, address: str) -> "PlainBrowser":
        return self._take(
            self.session.get(urljoin(self.answer.url or self.portal, address), timeout=30)
        )

    def _take(self, answer: requests.Response) -> "PlainBrowser":
        self.answer = answer
        self.page = Reader(answer.text)
        is_page = answer.headers.get("Content-Type", "").startswith("text/html")
        if is_page and urlparse(answer.url).netloc == urlparse(self.portal).netloc:
            pages.check(answer.text, answer.url)
        return self

    def follow(self, words: str) -> "PlainBrowser":
        """Follow the link with these words."""
        for text, href in self.page.links:
            if words in text:
                return self.open(href)
        raise AssertionError(f"No link {words!r} on {self.url}: {[t for t, _ in self.page.links]}")

    def press(self, words: str, **fields: Any) -> "PlainBrowser":
        """Press the button with these words, its form filled with `fields` by input name."""
        for form in self.page.forms:
            for text, name, value in form.buttons:
                if words in text:
                    extra = [(name, value)] if name else []
                    return self._submit(form, fields, extra)
        known = [text for form in self.page.forms for text, _, _ in form.buttons]
        raise AssertionError(f"No button {words!r} on {self.url}, only {known}. {self.text[:600]}")

    def _submit(
        self, form: Form, fields: dict[str, Any], extra: list[tuple[str, str]]
    ) -> "PlainBrowser":
        values = [(name, value) for name, value in form.values if name not in fields]
        for name, value in fields.items():
            values += [(name, v) for v in (value if isinstance(value, list) else [value])]
        address = urljoin(self.url, form.action or self.url)
        headers = {"Referer": self.url, "Origin": "/".join(self.url.split("/")[:3])}
        if form.method == "post":
            return self._take(
                self.session.post(address, data=values + extra, headers=headers, timeout=30)
            )
        return self._take(self.session.get(address, params=values + extra, timeout=30))


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._skip = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._skip += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skip -= tag in ("script", "style")
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.parts.append(data)


def _words(html: str) -> str:
    reader = _Words()
    reader.feed(html)
    return "".join(reader.parts)
