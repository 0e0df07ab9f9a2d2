"""Everything in this folder looks at the page with a browser: `make test-ui`, which installs one, runs it alone.

A test opens windows with `visit`; at its end none of them may have had an error on its console, or have asked another
host for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgebed.runs.comparison import compare_virtual
from edgebed.runs.layout import Layout
from tests.build.small import small_scenario

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.build.browser import PageServer, Visitor

SLOWED = {"kind": "slowdown", "at_s": 80, "until_s": 160, "node": "arc-b60", "factor": 3}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    from tests.build.browser import CHROMIUM

    if not Path(CHROMIUM).exists():
        pytest.fail("no Chromium here; `make test-ui` installs it")
    with sync_playwright() as playwright:
        # Chromium's sandbox wants user namespaces, which root and many containers do not have.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens a window; all of them are closed, and judged, at the end of the test."""
    from tests.build.browser import Visitor

    opened: list[Visitor] = []

    def open_one(url: str, **given: object) -> Visitor:
        opened.append(Visitor(browser, url, **given))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for visitor in opened:
        visitor.close()
    assert [v.wrong for v in opened if v.wrong] == []
    assert [v.foreign for v in opened if v.foreign] == []


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a comparison in virtual time: three schemes on one seed, a node three times slower for a while."""
    root = tmp_path_factory.mktemp("recorded")
    scenario = small_scenario(rate_per_s=1.2, slots=12, events=[SLOWED])
    compare_virtual(scenario, ["AL", "MA", "sect"], [0], Layout(root), quiet=True)
    return root


@pytest.fixture(scope="session")
def served(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """The page of that comparison."""
    from tests.build.browser import PageServer

    server = PageServer([str(recorded)], tmp_path_factory.mktemp("server") / "ui.log").start()
    yield server
    server.stop()
