"""Whether everybody can use a page: axe in both themes, wide and narrow, and nothing that scrolls sideways."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LOOKS = [(390, "dark"), (390, "light"), (1280, "dark"), (1280, "light")]
"""Width in pixels, and theme; the page stays as the last one shows it."""


def faults_in_every_look(page: Page) -> list[str]:
    """What is wrong with the page that is open, each with its address, theme and width."""
    found, axe = [], Axe()
    for width, theme in LOOKS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        found += _faults(axe, page, theme, width)
    return found


def _faults(axe: Axe, page: Page, theme: str, width: int) -> list[str]:
    wide = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    result = axe.run(page).response
    faults = [
        f"{page.url} ({theme}, {width}): {fault['id']}: {fault['nodes'][0]['html'][:120]}"
        for fault in result["violations"]
    ]
    return faults + ([f"{page.url} ({width}) scrolls sideways"] if wide else [])
