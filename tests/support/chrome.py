"""Headless Chromium, driven over its debugging pipe: what a page shows, what it asks for, what it complains about.

The Chrome DevTools Protocol as Chromium speaks it with `--remote-debugging-pipe`: JSON messages ended by NUL, in on
descriptor 3, out on descriptor 4. No driver and no library in between.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Nothing of these may reach a network, and a page that tries is told on.
SWITCHES = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-sync", "--disable-quic", "--disable-background-networking"),
    *("--disable-component-update", "--disable-default-apps", "--disable-extensions", "--metrics-recording-only"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--force-device-scale-factor=1", "--hide-scrollbars"),
)
STARTER = "import os, sys; os.dup2(200, 3); os.dup2(201, 4); os.closerange(5, 300); os.execv(sys.argv[1], sys.argv[1:])"
# On a busy machine starting takes long.
PATIENCE_S = 120


class Browser:
    """One page. Used with `with`."""

    def __init__(self, folder: Path, *, size: tuple[int, int] = (1440, 900)) -> None:
        self.complaints: list[str] = []
        """Errors of the console, exceptions, violations of policies."""
        self.requests: list[str] = []
        """Addresses that were asked for, but for data that lies in the page."""
        self._inner: tuple[str, int] | None = None
        """Session and execution context of the frame in the page, if there is one."""
        self._number = 0
        self._session = None
        to_it, self._in = os.pipe()
        self._out, from_it = os.pipe()
        switches = [*SWITCHES, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={folder / 'profile'}"]
        # Descriptors 3 and 4 are in use here, or may be. A process in between has none but those that it is given.
        high = [os.dup2(end, 200 + place, inheritable=True) for place, end in enumerate((to_it, from_it))]
        self._process = subprocess.Popen(
            [sys.executable, "-c", STARTER, PROGRAM, *switches, "about:blank"],
            pass_fds=high,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_it, from_it, *high):
            os.close(end)
        self._waiting = b""
        self._size = size

    def __enter__(self) -> Browser:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        # Frames from data: addresses are processes of their own; they are attached as they come.
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)
        self._enable(self._session)
        width, height = self._size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._in)
            os.close(self._out)

    def open(self, path: Path) -> None:
        """Open a file and wait until it is loaded."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.until("document.readyState === 'complete'")

    def evaluate(self, expression: str, *, inside: bool = False) -> object:
        """What a JavaScript expression comes to, in the page or in the frame inside it; promises are awaited."""
        extra: dict[str, object] = {"returnByValue": True, "awaitPromise": True}
        session = self._session
        if inside:
            assert self._inner is not None, "there is no frame"
            session, extra["contextId"] = self._inner
        found = self.call("Runtime.evaluate", session, expression=expression, **extra)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str, *, inside: bool = False) -> object:
        """Wait until an expression is true, and return what it is."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            found = (self._inner or not inside) and self.evaluate(expression, inside=inside)
            if found:
                return found
            # Whatever Chromium tells meanwhile comes with the answer.
            self.call("Runtime.evaluate", expression="new Promise((done) => setTimeout(done, 50))", awaitPromise=True)
        raise AssertionError(f"never came true: {expression}")

    def forget_frame(self) -> None:
        """The next frame counts, not the one that is there now."""
        self._inner = None

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window, in whatever frame it is."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        text = key if len(key) == 1 else ""
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **extra)

    def picture(self, path: Path) -> None:
        """Save what the window shows as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def call(self, method: str, session: str | None = None, **params: object) -> dict:
        """Call a method of the protocol and wait for its answer."""
        self._number += 1
        self._send(self._number, method, session or self._session, params)
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._heed(message)

    def _send(self, number: int, method: str, session: str | None, params: dict) -> None:
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._in, data) :]

    def _receive(self) -> dict:
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._out], [], [], PATIENCE_S)
            assert ready, "Chromium says nothing"
            data = os.read(self._out, 1 << 20)
            assert data, f"Chromium ended with {self._process.wait()}"
            self._waiting += data
        line, _, self._waiting = self._waiting.partition(b"\0")
        return json.loads(line)

    def _remember(self, session: str, context: dict) -> None:
        """A frame in the page has a page address of no origin; it may be a process of its own or not."""
        if context["auxData"].get("isDefault") and context["origin"] in ("://", "null", ""):
            self._inner = session, context["id"]

    def _enable(self, session: str) -> None:
        for number, method in enumerate(("Runtime.enable", "Log.enable", "Network.enable", "Page.enable")):
            # Nobody waits for these answers.
            self._send(-1 - number, method, session, {})

    def _heed(self, message: dict) -> None:
        method, params = message.get("method", ""), message.get("params", {})
        if method == "Runtime.executionContextCreated":
            self._remember(message.get("sessionId", ""), params["context"])
        elif method == "Target.attachedToTarget" and params["waitingForDebugger"]:
            self._enable(params["sessionId"])
            self._send(-10, "Runtime.runIfWaitingForDebugger", params["sessionId"], {})
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:2000])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.complaints.append(json.dumps(params["args"])[:2000])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')[:200]}")
        elif method == "Network.requestWillBeSent":
            address = params["request"]["url"]
            if not address.startswith(("data:", "about:", "blob:")):
                self.requests.append(address)
