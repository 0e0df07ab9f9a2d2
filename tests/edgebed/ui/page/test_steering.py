"""The steering panel without a browser: what is sent, what is never sent, and what a visitor reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from nicegui import ui
from nicegui.testing import User
from nicegui.testing.user_simulation import user_simulation

from edgebed.ui.page import steering
from edgebed.ui.page.room import Room
from serve_apps.wire.names import EVENTS
from serve_apps.wire.secret import Keys, Secret
from serve_apps.wire.steer import Load, Rate
from tests.build.fakes import pod_testbed
from tests.build.http_server import Server
from tests.build.steered import Actors
from tests.build.waiting import in_a_loop, until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@asynccontextmanager
async def visitor(url: str | None) -> AsyncIterator[tuple[User, Room]]:
    """Somebody who has the panel open, of a run on a testbed of one node `n`."""
    catalog = SimpleNamespace(title="t", root=None, url=url, entries=lambda: ())
    room = Room(catalog)  # type: ignore[arg-type]

    def page() -> None:
        steering.build(room, shown=lambda: True)
        room.source = SimpleNamespace(testbed=pod_testbed())  # type: ignore[assignment]
        room._tell(room._opened)

    async with user_simulation(page) as user:
        await user.open("/")
        yield user, room


def look(room: Room) -> None:
    """Time passes until the panel looks again."""
    for _ in range(steering.EVERY):
        room._tell(room._slow)


def field(user: User, label: str) -> Any:
    """The input of this label."""
    (found,) = [
        e for e in user.find(kind=ui.element).elements if getattr(e, "label", "") == label or _says(e, label)
    ]
    return found


def _says(element: ui.element, label: str) -> bool:
    return element.props.get("label") == label


def shown(user: User, text: str) -> bool:
    """Whether a visitor reads this somewhere."""
    labels = user.find(kind=ui.label).elements
    return any(text in label.text for label in labels if label.visible)


@in_a_loop
async def test_what_is_filled_in_is_sent_as_the_event_it_is() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, _):
            field(user, "node").value = "n"
            field(user, "factor").value = "3"
            user.find("Let it happen").click()
            await until(lambda: bool(actors.done))
            await until(lambda: shown(user, "Event 7: slowdown begins."))
    ((name, method, event),) = actors.done
    assert (name, method) == (EVENTS, "inject")
    assert (event.kind, event.node, event.factor, event.until_s - event.at_s) == ("slowdown", "n", 3.0, 60.0)


@in_a_loop
async def test_what_the_type_refuses_cannot_be_sent_and_is_said_while_it_is_typed() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, _):
            assert shown(user, "choose or give: node, factor")
            field(user, "node").value = "n"
            field(user, "factor").value = "-3"
            assert shown(user, "slowdown.factor: must be a number from 0.001")
            (button,) = user.find(kind=ui.button, content="Let it happen").elements
            assert not button.enabled
            field(user, "factor").value = "3"
            assert button.enabled
            field(user, "for").value = "soon"
            assert not button.enabled
    assert actors.done == []


@in_a_loop
async def test_what_is_in_force_is_listed_and_undone() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "undone by hand"))
            user.find("Undo").click()
            await until(lambda: shown(user, "Event 0 ends at 13.5 s."))
    assert actors.done == [(EVENTS, "undo", 0)]


@in_a_loop
async def test_a_load_is_begun_at_a_rate_that_can_be_changed_and_is_stopped() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            assert shown(user, "The testbed sends itself no load.")
            field(user, "rate").value = "1000"
            assert shown(user, "rate: must be a number from 0.001 to 100")
            user.find(kind=ui.button, content="Send").click()
            field(user, "rate").value = "2"
            user.find(kind=ui.button, content="Send").click()
            await until(lambda: shown(user, "Requests of own are sent, 2 times as dense"))
            field(user, "rate").value = "5"
            user.find(kind=ui.button, content="Change the rate").click()
            await until(lambda: shown(user, "Requests of own are sent, 5 times as dense"))
            user.find(kind=ui.button, content="Stop").click()
            await until(lambda: shown(user, "The load of own ended at 14.0 s: stopped."))
    assert actors.done == [
        (EVENTS, "start_load", Load(rate=2.0)),
        (EVENTS, "change_load", Rate(rate=5.0)),
        (EVENTS, "change_load", Rate(rate=0.0)),
    ]


@in_a_loop
async def test_another_scheme_is_switched_to_and_what_came_of_it_is_said() -> None:
    actors = Actors()
    actors.missing = ("planner", "deployer:n")
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "AL decides now."))
            choice = field(user, "Scheme that is to decide")
            assert "AL" not in choice.options, "what decides now is nothing to switch to"
            choice.value = "MA"
            user.find(kind=ui.button, content="Switch to it").click()
            await until(lambda: shown(user, "MA decides from 12.5 s of the run on, in force"))
            assert shown(user, "after it was asked for. To undo event 3 brings AL back.")
            assert shown(user, "Not taken up yet by planner, deployer:n")
            look(room)
            await until(lambda: shown(user, "MA decides now."))
            assert "AL" in choice.options
            assert choice.value is None
    assert actors.done == [(EVENTS, "switch", "MA")]


@in_a_loop
async def test_a_scheme_that_is_refused_is_shown_with_the_reason_and_is_never_sent() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "AL decides now."))
            choice = field(user, "Scheme that is to decide")
            (button,) = user.find(kind=ui.button, content="Switch to it").elements
            assert not button.enabled, "nothing is chosen"
            assert choice.options["oracle"] == "oracle – refused: it knows what a live run does not tell"
            choice.value = "oracle"
            assert shown(user, "oracle is refused: it knows what a live run does not tell")
            assert not button.enabled
            choice.value = "MA"
            assert button.enabled
            actors.outcome = ValueError("MA is in force already")
            user.find(kind=ui.button, content="Switch to it").click()
            await until(lambda: shown(user, "MA is in force already"))
    assert actors.done == [(EVENTS, "switch", "MA")]


@in_a_loop
async def test_a_refusal_is_read_in_the_gateway_s_words_and_a_token_is_asked_for() -> None:
    actors = Actors()
    with Server(calls=actors, keys=Keys(control=Secret("right"))) as server:
        async with visitor(f"http://127.0.0.1:{server.port}") as (user, room):
            look(room)
            await until(lambda: shown(user, "control needs the token of EDGEBED_TOKEN"))
            given = field(user, "Token of the testbed (EDGEBED_TOKEN)")
            given.value = "right"
            user.find("Use it").click()
            await until(lambda: shown(user, "undone by hand"))
            assert given.value == ""
            actors.outcome = ValueError("event 0 is over since 12.0 s")
            user.find("Undo").click()
            await until(lambda: shown(user, "event 0 is over since 12.0 s"))


@in_a_loop
async def test_a_recorded_run_has_nothing_to_steer() -> None:
    async with visitor(None) as (user, _):
        assert shown(user, "no live testbed here to steer")
