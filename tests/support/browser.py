"""A page in headless Chromium, by Playwright: its content, its requests, its errors."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page, sync_playwright

# Debian's Chromium; Playwright's own is not downloaded.
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# No request may reach a network.
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND")
# Starting takes long on a busy machine.
TIMEOUT_S = 120
DESKTOP = (1440, 900)

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")


@dataclass(frozen=True)
class Viewed:
    """A file open in the browser."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Errors of the console, exceptions, violations of policies."""
    requests: list[str] = field(default_factory=list)
    """Requested addresses, without data that lies in the page."""

    def frame(self) -> Frame:
        """Return the frame inside the page."""
        (frame,) = self.page.frames[1:]
        return frame


@contextmanager
def view(path: Path, *, size: tuple[int, int] = DESKTOP) -> Iterator[Viewed]:
    """Open a file in a window of `size` (width, height) in CSS pixels, and wait until it is loaded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=[*SWITCHES], timeout=TIMEOUT_S * 1000)
        try:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(TIMEOUT_S * 1000)
            viewed = Viewed(page)
            page.on(
                "console", lambda line: viewed.errors.append(line.text) if line.type in ("error", "assert") else None
            )
            page.on("pageerror", lambda error: viewed.errors.append(str(error)))
            page.on("request", lambda request: _note_request(viewed, request.url))
            page.goto(path.resolve().as_uri())
            yield viewed
        finally:
            browser.close()


def _note_request(viewed: Viewed, address: str) -> None:
    if not address.startswith(("data:", "about:", "blob:")):
        viewed.requests.append(address)
