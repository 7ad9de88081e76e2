"""Reads Snakemake's report as a person does: opens it in a browser, clicks on everything, looks at every figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.chrome import PROGRAM, Browser

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

DRAWN = """Promise.all([...document.images].map((image) => image.decode()))
    .then(() => [...document.images].filter((image) => image.naturalWidth > 0).length)"""
# Laid out with a width; those that wait for their turn (hidden) have none yet.
SEEN = "[...document.images].filter((image) => image.getBoundingClientRect().width > 0).length"


@dataclass(frozen=True)
class Page:
    """A page of the report, as it was seen."""

    name: str
    in_short: str
    text: str
    images: int
    charts: int
    seen: int
    caption: str


def opened_report(report: Path, folder: Path) -> Browser:
    """The report in a browser, its landing page drawn."""
    browser = Browser(folder)
    browser.__enter__()
    browser.open(report)
    browser.until("document.querySelector('#rulegraph canvas, #rulegraph svg')?.getBoundingClientRect().width > 0")
    return browser


def menu(browser: Browser, entry: str) -> None:
    """Click on an entry of the menu."""
    found = f"[...document.querySelectorAll('nav a')].find((link) => link.textContent.trim() === {entry!r})"
    browser.until(f"{found} !== undefined")
    browser.evaluate(f"{found}.click()")


def pages(browser: Browser, category: str, pictures: Path | None = None) -> Iterator[Page]:
    """Open every page of a category by its eye, and look at it; with a folder, save what is seen."""
    menu(browser, category)
    rows = browser.until("[...document.querySelectorAll('nav table tbody tr')].map((row) => row.children.length)")
    for place in range(len(rows)):
        row = f"document.querySelectorAll('nav table tbody tr')[{place}]"
        cells = browser.evaluate(f"[...{row}.children].map((cell) => cell.textContent)")
        browser.forget_frame()
        browser.evaluate(f"{row}.querySelector('a').click()")
        browser.until("document.readyState === 'complete' && document.title !== ''", inside=True)
        images = browser.evaluate("document.images.length", inside=True)
        assert browser.evaluate(DRAWN, inside=True) == images, cells
        if pictures:
            browser.picture(pictures / f"{category}-{place}-{cells[0]}.png".replace(" ", "_"))
        browser.evaluate(f"{row}.querySelectorAll('a')[1].click()")
        caption = browser.until("document.querySelector('nav .prose')?.textContent")
        page = Page(
            name=cells[0],
            in_short=cells[1] if len(cells) > 2 else "",
            text=browser.evaluate("document.body.innerText", inside=True),
            images=images,
            charts=browser.evaluate("document.querySelectorAll('img.chart').length", inside=True),
            seen=browser.evaluate(SEEN, inside=True),
            caption=" ".join(caption.split()),
        )
        # Back to the list.
        browser.evaluate("app.setView({navbarMode: 'subcategory'})")
        browser.until(f"{row} !== undefined")
        yield page
    browser.evaluate("app.setView({navbarMode: 'menu'})")


def statistics(browser: Browser) -> None:
    """Snakemake's own charts."""
    menu(browser, "Statistics")
    for chart in ("runtimes", "timeline"):
        drawn = f"document.querySelector('#{chart} canvas, #{chart} svg')?.getBoundingClientRect().width > 0"
        browser.until(drawn)


def asked_for_nothing_else(browser: Browser, report: Path) -> bool:
    """Whether the report was the only thing that was read, and nothing was complained about."""
    assert not browser.complaints, browser.complaints
    return browser.requests == [report.resolve().as_uri()]
