"""The page as NiceGUI builds it, without a browser: every panel, and what is said where there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nicegui.testing.user import User
from nicegui.testing.user_simulation import user_simulation

from edgebed.ui.page import comparison
from edgebed.ui.page.app import TABS, build
from edgebed.ui.page.stage import Stage
from tests.build.room import HOSTILE, ComputedRun, ComputedRuns
from tests.build.waiting import until

pytestmark = pytest.mark.filterwarnings("default")  # of NiceGUI and what it stands on


def visit(shelf: ComputedRuns, see: Callable[[User], Awaitable[None]]) -> list[dict[str, Any]]:
    """Look at the page of a shelf; returns what the browser's own element was sent."""
    sent: list[dict[str, Any]] = []

    async def look() -> None:
        async with user_simulation(lambda: build(shelf, comparison.Readings())) as user:
            await user.open("/")
            await see(user)

    original = Stage.run_method

    def heard(self: Stage, name: str, *args: Any, **options: Any) -> Any:
        sent.append(args[0]) if name == "apply" else None
        return original(self, name, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stage, "run_method", heard)
        asyncio.run(look())
    return sent


def test_every_panel_shows_its_part_of_the_run() -> None:
    async def see(user: User) -> None:
        await user.should_see("Predicted and measured time of requests")
        await user.should_see("MA decides · virtual world · agents are rules, no language model")
        for tab, words in zip(
            TABS[1:],
            ("Older", "Nothing is recorded yet", "What went wrong", "Thinking is virtual"),
            strict=True,
        ):
            user.find(tab).click()
            await user.should_see(words)

    sent = visit(ComputedRuns(ComputedRun("AL"), ComputedRun("MA")), see)
    assert sent[0]["set"]["run"] == ["MA · seed 0", "MA", "MA"]
    assert all("set" in message or "plots" in message for message in sent)
    assert "run" not in sent[-1].get("set", {}) or len(sent) == 1, "only what changed is sent again"


def test_a_shelf_without_runs_says_so_and_shows_the_first_that_comes() -> None:
    shelf = ComputedRuns()

    async def see(user: User) -> None:
        stage = next(iter(user.find(Stage).elements))
        await until(lambda: "empty" in stage._sent)
        shelf.runs.append(ComputedRun("AL"))
        await user.should_see("AL · seed 0", retries=50)

    sent = visit(shelf, see)
    assert sent[0]["set"]["empty"] == ["", "computed"]
    assert any("empty" in message.get("gone", ()) for message in sent)


def test_a_decision_opens_with_scores_promise_and_exchanges_as_text() -> None:
    async def see(user: User) -> None:
        stage = next(iter(user.find(Stage).elements))
        await until(lambda: "run" in stage._sent)
        stage._room.show(11)
        await user.should_see("fell from 8.2 s to 3.1 s")
        await user.should_see(HOSTILE)
        await user.should_see("Exchange 1 with the reasoner")

    visit(ComputedRuns(ComputedRun("MA")), see)
