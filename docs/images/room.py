"""Takes pictures of the control room from a folder of real runs: `python docs/images/room.py runs/<folder>`.

With Debian's Chromium (`make test-ui` installs it and Playwright). The run that is shown is that of `MA`, at a moment
within its first event, light and dark. With a second folder they are written there, and those of a narrow window too,
to be looked at.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from edgebed.runs.folder_runs import kept_runs
from edgebed.runs.layout import layout_of
from tests.build.browser import CHROMIUM, NARROW, WIDE, PageServer, Visitor

HERE = Path(__file__).parent
SHOWN = "MA"
INTO_S = 50.0
"""Virtual seconds after the onset of the first event."""


def main(folder: Path, into: Path) -> None:
    """Write room-*.png."""
    layout = layout_of(folder)
    run = next(run for run in kept_runs(layout).runs() if run.header.scheme == SHOWN)
    shown = layout.run_folder(SHOWN, run.header.seed)
    at_s = min(e.t_s for e in run.events if e.phase == "onset") + INTO_S
    with tempfile.TemporaryDirectory() as held, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        server = PageServer([str(shown)], Path(held) / "ui.log").start()
        try:
            for width, name in ((WIDE, ""), (NARROW, "-narrow"))[: 1 if into == HERE else 2]:
                for ink in ("light", "dark"):
                    take(browser, server.url, at_s, into, f"{name}-{ink}", width, ink)
        finally:
            server.stop()
            browser.close()


def take(browser: Browser, url: str, t_s: float, into: Path, name: str, width: int, ink: str) -> None:
    """The two tabs that tell the most, in one window."""
    visitor = Visitor(browser, url, width, ink, height=1000)
    page = visitor.ready().page
    visitor.go_to(t_s)
    page.wait_for_timeout(2500)  # plots move to where they belong
    page.screenshot(path=into / f"room-live{name}.png")
    visitor.tab("Comparison")
    page.locator(".compare .said").wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=into / f"room-comparison{name}.png", full_page=True)
    visitor.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
