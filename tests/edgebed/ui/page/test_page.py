"""The page as NiceGUI builds it, without a browser: every panel, and what is said where there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing.user import User
from nicegui.testing.user_simulation import user_simulation

from edgebed.ui.page import comparison
from edgebed.ui.page.app import TABS, build
from edgebed.ui.page.stage import Stage
from tests.build.room import HOSTILE, ComputedRun, ComputedRuns
from tests.build.waiting import until

pytestmark = pytest.mark.filterwarnings("default")  # of NiceGUI and what it stands on


def visit(catalog: ComputedRuns, see: Callable[[User], Awaitable[None]]) -> list[dict[str, Any]]:
    """Look at the page of a catalog; returns what the browser's own element was sent."""
    sent: list[dict[str, Any]] = []

    async def look() -> None:
        async with user_simulation(lambda: build(catalog, comparison.Readings())) as user:
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


def test_a_catalog_without_runs_says_so_and_shows_the_first_that_comes() -> None:
    catalog = ComputedRuns()

    async def see(user: User) -> None:
        stage = next(iter(user.find(Stage).elements))
        await until(lambda: "empty" in stage._sent)
        catalog.runs.append(ComputedRun("AL"))
        await user.should_see("AL · seed 0", retries=50)

    sent = visit(catalog, see)
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


def test_a_node_opens_with_its_models_faults_and_flows_and_keeps_up() -> None:
    async def see(user: User) -> None:
        stage = next(iter(user.find(Stage).elements))
        await until(lambda: "run" in stage._sent)
        stage._room.seek(150)
        stage._room.show_node("edge-0")
        await user.should_see("edge-0 at 150 s")
        await user.should_see("GPU 24 GB + 8 cores. It is there, 3 times slower than usual.")
        await user.should_see("per s from edge-3")
        stage._room.seek(90)
        await user.should_see("edge-0 at 90.0 s")
        await user.should_see("GPU 24 GB + 8 cores. It is there.")
        await user.should_see("Nothing, up to this moment.")

    visit(ComputedRuns(ComputedRun("MA")), see)


def test_a_node_that_the_run_does_not_have_opens_nothing() -> None:
    async def see(user: User) -> None:
        stage = next(iter(user.find(Stage).elements))
        await until(lambda: "run" in stage._sent)
        stage._room.show_node("elsewhere")
        assert not any(dialog.value for dialog in user.find(ui.dialog).elements)
        stage._room.show_node("edge-1")
        assert any(dialog.value for dialog in user.find(ui.dialog).elements)

    visit(ComputedRuns(ComputedRun("MA")), see)


def test_the_window_is_named_after_the_scenario() -> None:
    catalog = ComputedRuns(ComputedRun("MA"))
    catalog.title = "</title><script>alert(1)</script>"

    async def see(user: User) -> None:
        assert user.client is not None
        assert user.client.title == "</title><script>alert(1)</script> · edgebed control room"
        page = await user.http_client.get("/")
        assert "<script>alert(1)" not in page.text

    visit(catalog, see)
