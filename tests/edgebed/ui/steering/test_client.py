"""Steering a testbed from outside: nothing is sent that its types refuse, and its own words are what the user reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edgebed.ui.steering.client import Control, NotDone
from emulation.domain.mistakes import ConfigError
from emulation.files import load_scenario
from serve_apps.wire.names import EVENTS
from serve_apps.wire.secret import Keys, Secret
from serve_apps.wire.steer import EventList, Load, Rate
from tests.build.asgi import MadeUpCalls
from tests.build.command_line import edgebed
from tests.build.http_server import Server
from tests.build.steered import LEDGER, Actors
from workloads.demand_digest import demand_digest

EVENT = {"kind": "leave", "node": "d0"}
T = TypeVar("T")


def done(port: int, ask: Callable[[Control], Awaitable[T]], token: str | None = None) -> T:
    async def asked() -> T:
        async with Control(f"http://127.0.0.1:{port}", token) as control:
            return await ask(control)

    return asyncio.run(asked())


@pytest.mark.parametrize(("for_s", "until_s"), [(30.0, 42.0), (inf, inf)])
def test_an_event_begins_now_and_has_a_number(for_s: float, until_s: float) -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        assert done(server.port, lambda c: c.inject(dict(EVENT), for_s)) == 7
    event: Any = actors.called[-1][2]
    assert (event.at_s, event.until_s) == (12.0, until_s)


def test_an_event_is_undone_by_its_number_and_all_are_listed() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        assert done(server.port, lambda c: c.undo(7)) == 13.5
        assert done(server.port, lambda c: c.events()) == LEDGER
    assert actors.called == [(EVENTS, "undo", 7), (EVENTS, "ledger")]


def test_a_load_is_begun_paced_and_asked_for() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        begun = done(server.port, lambda c: c.send("demo", 3, "2"))
        assert (begun.scenario, begun.seed, begun.rate) == ("demo", 3, 2.0)
        assert done(server.port, lambda c: c.change_rate("0.5")).rate == 0.5
        state = done(server.port, lambda c: c.load())
    assert state.load == actors.sent
    assert actors.done == [
        (EVENTS, "start_load", Load(scenario="demo", seed=3, rate=2.0)),
        (EVENTS, "change_load", Rate(rate=0.5)),
    ]


@pytest.mark.parametrize("rate", ["-1", "101", "x", "nan", ""])
def test_no_load_is_sent_at_a_rate_that_is_none(rate: str) -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        for ask in (lambda c: c.change_rate(rate), lambda c: c.send(None, 0, rate)):
            with pytest.raises(ConfigError, match="rate: must be a number from 0"):
                done(server.port, ask)
    assert actors.called == []


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"kind": "slowdown", "node": "d0", "factor": -1}, r"slowdown.factor: must be a number from 0.001"),
        ({"kind": "slowdown", "node": "d0"}, "slowdown.factor: is missing"),
        ({"kind": "meteor"}, "unknown kind 'meteor'"),
        ({}, "has no kind"),
        ({**EVENT, "stregth": 1}, "unknown key 'stregth'"),
    ],
)
def test_what_the_types_refuse_is_never_sent(event: dict[str, Any], words: str) -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        for broken in (lambda c: c.inject(event, 30.0),):
            with pytest.raises(ConfigError, match=words):
                done(server.port, broken)
        with pytest.raises(ConfigError, match="event: must be a whole number from 0"):
            done(server.port, lambda c: c.undo(-1))
    assert actors.called == []


def test_a_refusal_is_told_in_the_gateway_s_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBED_TOKEN", "wrong")
    with Server(keys=Keys(control=Secret("right")), calls=Actors()) as server:
        with pytest.raises(NotDone, match=r"401.*needs the token of EDGEBED_TOKEN") as refused:
            done(server.port, lambda c: c.inject(dict(EVENT), 30.0))
        assert refused.value.wants_token
        assert "wrong" not in str(refused.value)
        assert done(server.port, lambda c: c.undo(7), token="right") == 13.5
    with Server(calls=Actors(ValueError("event 7 is over since 12.0 s"))) as server:
        with pytest.raises(NotDone) as refused:
            done(server.port, lambda c: c.undo(7))
        assert (refused.value.sentence, refused.value.status) == ("event 7 is over since 12.0 s", 400)


def test_a_port_nobody_answers_on_is_said() -> None:
    with pytest.raises(NotDone, match="no testbed answers"):
        done(9, lambda c: c.inject(dict(EVENT), 30.0))


def test_a_server_of_another_kind_is_said() -> None:
    calls = MadeUpCalls({"other": 1})
    with (
        Server(calls=calls) as server,
        pytest.raises(NotDone, match="not what a gateway of this version says"),
    ):
        done(server.port, lambda c: c.now_s())


def test_a_detached_load_says_what_it_means_by_the_scenario_s_name(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    workload = [{"kind": "poisson", "rate_per_s": 5, "mix": {"gpt2": 1}}]
    file.write_text(json.dumps({"name": "demo", "testbed": "demo", "workload": workload}))
    actors = Actors()
    with Server(calls=actors) as server:
        edgebed("load", str(file), "--detach", "--url", f"http://127.0.0.1:{server.port}")
    asked = Load(scenario="demo", demand=demand_digest(load_scenario(file)))
    assert actors.done == [(EVENTS, "start_load", asked)]
    assert asked.demand != demand_digest(load_scenario("demo"))


@pytest.mark.slow
def test_the_commands_say_what_was_done_and_what_is_in_force() -> None:
    with Server(calls=Actors()) as server:
        url = ("--url", f"http://127.0.0.1:{server.port}")
        assert (
            "event 7: leave for 5 virtual"
            in edgebed("inject", "leave", "--node", "d0", "--for", "5", *url).stdout
        )
        assert "event 7: undone at 13.5" in edgebed("undo", "7", *url).stdout
        listed = edgebed("events", *url).stdout
        assert all(word in listed for word in ("slowdown", "d0", "in force", "12.2 s", "never", "yes"))
        assert EventList.model_validate_json(edgebed("events", "--json", *url).stdout) == LEDGER
        assert (
            "load of demo: begins at 12.0" in edgebed("load", "demo", "--detach", "--rate", "2", *url).stdout
        )
        assert "load of demo: 3 times as densely" in edgebed("rate", "3", *url).stdout
        assert "load of demo: no more is sent" in edgebed("rate", "0", *url).stdout
    refused = edgebed("undo", "7", "--url", "http://127.0.0.1:9", code=2)
    assert refused.stderr.startswith("error: no testbed answers at http://127.0.0.1:9")
