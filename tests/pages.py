"""What every page of ours must be: one h1 that the title names, labelled inputs, unique ids, nothing inline.

`check` runs on every page any test fetches; see conftest.py and plain_browser.py.
"""

from collections import Counter
from html.parser import HTMLParser


class Page(HTMLParser):
    """The parts of a page that a person relies on."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.title, self.headings = "", []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.inputs: list[dict[str, str]] = []
        self.faults: list[str] = []
        self._inside: list[str] = []
        self._in_label = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "label":
            self._in_label += 1
            self.labels.add(found.get("for", ""))
        if tag in ("input", "select", "textarea") and found.get("type") not in ("hidden", "submit"):
            self.inputs.append({**found, "inside": "label" if self._in_label else ""})
        if tag == "h1":
            self.headings.append("")
        if "style" in found or any(name.startswith("on") for name in found):
            self.faults.append(f"<{tag}> has inline style or script")
        if tag == "style" or (tag == "script" and not found.get("src")):
            self.faults.append(f"inline <{tag}>")
        if tag in ("title", "h1"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label -= 1
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            return
        if self._inside[-1] == "title":
            self.title += data
        else:
            self.headings[-1] += data


def faults(html: str) -> list[str]:
    """Every way a page falls short, as a line each."""
    page = Page(html)
    found = list(page.faults)
    headings = [" ".join(text.split()) for text in page.headings]
    if len(headings) != 1:
        found.append(f"{len(headings)} h1 elements: {headings}")
    elif headings[0] not in " ".join(page.title.split()):
        found.append(f"the title {page.title.strip()!r} does not name the h1 {headings[0]!r}")
    found += [f"the id {name!r} stands twice" for name, n in Counter(page.ids).items() if n > 1]
    for field in page.inputs:
        is_labelled = (
            field["inside"] or field.get("id") in page.labels
            or field.get("aria-label") or field.get("aria-labelledby")
        )  # fmt: skip
        if not is_labelled:
            found.append(f"the input {field.get('name')!r} has no label")
    return found


def check(html: str, where: str) -> None:
    """Raises `AssertionError` with everything that is wrong with a page."""
    found = faults(html)
    assert not found, f"{where}: " + "; ".join(found)
