"""The page and whoever looks at it: the server as a process of its own, and Debian's Chromium under Playwright."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.build.waiting import LONG_S, eventually

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
WIDE, NARROW = 1400, 800
"""Widths of windows at which the page is to be good."""
SLOW_MS = 1000 * 3 * LONG_S
"""Until Playwright gives up what it waits for: two cores may be busy with a testbed."""
expect.set_options(timeout=SLOW_MS)
ROOT = Path(__file__).parents[2]


Visit = Callable[..., "Visitor"]
"""The fixture that opens a window."""


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PageServer:
    """`edgebed ui` in a process of its own, at a port that stays the same over a restart."""

    def __init__(self, arguments: list[str], log: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "edgebed", "ui", *arguments, "--port", str(self.port), "--no-open",
        ]  # fmt: skip
        self._environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> PageServer:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as words:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=self._environment, cwd=ROOT
            )  # fmt: skip
        try:
            eventually(self._answers, 4 * LONG_S, self.said)
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def pid(self) -> int:
        """Of the process that serves."""
        assert self._process is not None
        return self._process.pid

    def said(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End it as a user does, with Ctrl-C."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(LONG_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()
        return httpx2.get(self.url, timeout=LONG_S).status_code in (200, 401)


class Visitor:
    """A window of a browser that keeps what went wrong in it: errors of its console, and requests off the host."""

    def __init__(
        self, browser: Browser, url: str, width: int = WIDE, scheme: str = "light", height: int = 900
    ) -> None:
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme,
            reduced_motion="reduce",
        )  # fmt: skip
        self._context.set_default_timeout(SLOW_MS)
        self.page: Page = self._context.new_page()
        self.wrong: list[str] = []
        self.foreign: list[str] = []
        self._host = urlsplit(url).netloc
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._asked)
        self.page.goto(url)

    def tab(self, name: str) -> None:
        """Open a tab of the page."""
        self.page.get_by_role("tab", name=name).click()

    def ready(self) -> Visitor:
        """Wait until a run is shown."""
        self.page.locator(".room-time output").get_by_text(" of ").wait_for()
        return self

    def go_to(self, t_s: float) -> None:
        """Move the slider."""
        slider = self.page.get_by_role("slider", name="Moment of the run")
        slider.evaluate("(e, t) => { e.value = t; e.dispatchEvent(new Event('input')); }", t_s)
        self.page.locator(".room-time output").get_by_text(f"{t_s:.0f}").first.wait_for()

    def card(self, node: str) -> Any:
        """What the map shows of a node."""
        return self.page.locator("g.card").filter(has_text=node).first

    def close(self) -> None:
        """Close the window."""
        with suppress(Exception):
            self._context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "net::ERR_CONNECTION" not in message.text:
            self.wrong.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._host:
            self.foreign.append(request.url)
