"""Reader of Snakemake's report: opens it in a browser, follows every link, inspects every figure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Frame

from tests.support.browser import Viewed, view
from tests.support.polling import wait_for

DECODED = """Promise.all([...document.images].map((image) => image.decode()))
    .then(() => [...document.images].filter((image) => image.naturalWidth > 0).length)"""
# Images with a width on the page; hidden ones that wait for their turn have none yet.
VISIBLE = "[...document.images].filter((image) => image.getBoundingClientRect().width > 0).length"
HAS_GRAPH = "document.querySelector('#{0} canvas, #{0} svg')?.getBoundingClientRect().width > 0"


@dataclass(frozen=True)
class ReportPage:
    """A page of the report, as shown in the browser."""

    name: str
    in_short: str
    text: str
    images: int
    charts: int
    visible: int
    caption: str


@contextmanager
def view_report(report: Path) -> Iterator[Viewed]:
    """Open the report in a browser and wait for its landing page."""
    with view(report) as viewed:
        viewed.page.wait_for_function(HAS_GRAPH.format("rulegraph"))
        yield viewed


def open_menu(viewed: Viewed, entry: str) -> None:
    """Click on an entry of the menu."""
    viewed.page.locator("nav a").get_by_text(entry, exact=True).first.dispatch_event("click")


def open_row(viewed: Viewed, number: int) -> Frame:
    """Open the page of a row of the list; return its frame once it is loaded."""
    link = viewed.page.locator("nav table tbody tr").nth(number).locator("a").first
    with viewed.page.expect_event("framenavigated", lambda frame: frame.parent_frame is not None):
        link.dispatch_event("click")
    frame = viewed.frame()
    wait_in(frame, "document.readyState === 'complete' && document.title !== ''")
    return frame


def wait_in(frame: Frame, condition: str) -> None:
    """Wait until a condition holds in the page of a frame.

    `Frame.wait_for_function` evaluates its condition as a text in the page, which the policy of our pages forbids.
    """
    wait_for(lambda: frame.evaluate(condition), message=condition)


def pages(viewed: Viewed, category: str, screenshots: Path | None = None) -> Iterator[ReportPage]:
    """Open and inspect every page of a category; with a folder, save screenshots there."""
    page = viewed.page
    open_menu(viewed, category)
    rows = page.locator("nav table tbody tr")
    rows.first.wait_for()
    for number in range(rows.count()):
        cells = rows.nth(number).locator("> *").all_text_contents()
        frame = open_row(viewed, number)
        images = frame.evaluate("document.images.length")
        assert frame.evaluate(DECODED) == images, cells
        if screenshots:
            page.screenshot(path=screenshots / f"{category}-{number}-{cells[0]}.png".replace(" ", "_"))
        rows.nth(number).locator("a").nth(1).dispatch_event("click")
        caption = page.locator("nav .prose").first.text_content()
        assert caption is not None
        yield ReportPage(
            name=cells[0],
            in_short=cells[1] if len(cells) > 2 else "",
            text=frame.evaluate("document.body.innerText"),
            images=images,
            charts=frame.locator("img.chart").count(),
            visible=frame.evaluate(VISIBLE),
            caption=" ".join(caption.split()),
        )
        # Back to the list.
        page.evaluate("app.setView({navbarMode: 'subcategory'})")
        rows.nth(number).wait_for()
    page.evaluate("app.setView({navbarMode: 'menu'})")


def open_statistics(viewed: Viewed) -> None:
    """Open Snakemake's own charts."""
    open_menu(viewed, "Statistics")
    for chart in ("runtimes", "timeline"):
        viewed.page.wait_for_function(HAS_GRAPH.format(chart))


def check_is_self_contained(viewed: Viewed, report: Path) -> None:
    """Check that the report was the only file that was read, and that the browser reported no error."""
    assert not viewed.errors, viewed.errors
    assert viewed.requests == [report.resolve().as_uri()]
