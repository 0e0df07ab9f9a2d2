"""Before books are closed every record is collected: a full disk and a recorder that restarts are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from controller.agents.llm import ReasonerError
from serve_apps.records.store import Unwritten
from serve_apps.testbed import closing as module
from serve_apps.testbed.closing import ask_recorder, collect, complain, drain, end_in_gateways
from serve_apps.wire.calls import Unreached
from serve_apps.wire.testbed import NAMESPACE

FULL = ValueError("the record cannot be written: No space left on device")


def broke(text: str) -> Unreached:
    error = Unreached(text)
    error.broke = True
    return error


class Answers:
    """Calls that are answered as a script says, by name; the last answer stays."""

    def __init__(self, **script: list[Any]) -> None:
        self._script = script
        self.asked: list[str] = []

    def call_each(self, asked: Sequence[tuple[Any, ...]], limit_s: float) -> list[Any]:
        found = []
        for name, *_ in asked:
            self.asked.append(name)
            answers = self._script[name]
            found.append(answers.pop(0) if len(answers) > 1 else answers[0])
        return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_S", 0.0)


def test_a_recorder_that_restarts_or_has_no_room_is_asked_again() -> None:
    calls: Any = Answers(recorder=[Unreached("restarting"), FULL, "footer"])
    assert ask_recorder(calls, "close") == "footer"


@pytest.mark.parametrize("error", [broke("ConservationError"), ValueError("no such run")])
def test_what_the_recorder_says_for_good_is_not_asked_again(error: Exception) -> None:
    calls: Any = Answers(recorder=[error, "footer"])
    with pytest.raises(type(error)):
        ask_recorder(calls, "close")
    assert calls.asked == ["recorder"]


def test_patience_ends() -> None:
    calls: Any = Answers(recorder=[FULL])
    with pytest.raises(ValueError, match="No space left"):
        ask_recorder(calls, "close", patience_s=0.0)


def test_of_a_testbed_that_cannot_go_on_nothing_is_waited_for() -> None:
    calls: Any = Answers(recorder=[Unreached("no such actor")], node=[broke("node.flush: no answer")])
    with pytest.raises(Unreached, match="no such actor"):
        ask_recorder(calls, "close", lost=lambda: True)
    with pytest.raises(Unreached, match="no answer"):
        collect(calls, ["node"], list, lost=lambda: True)
    assert calls.asked == ["recorder", "node"]


def test_what_is_in_flight_is_waited_for_when_no_more_is_taken_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    left = [2, 1, 0, 7]

    def ask(method: str) -> Any:
        said.append(method)
        return SimpleNamespace(in_system=left.pop(0))

    def flush() -> list[Exception]:
        said.append("flush")
        return []

    drain(lambda method: said.append(method) if method == "end" else ask(method), flush)
    assert said == ["end", "flush", "progress", "progress", "progress"]
    monkeypatch.setattr(module, "DRAIN_S", 0.0)
    drain(lambda method: None if method == "end" else ask(method), flush)


def test_whoever_is_gone_has_nothing_and_whoever_waits_is_asked_again() -> None:
    calls: Any = Answers(
        gone=[Unreached("no such actor")],
        slow=[FULL, broke("recorder.append: no answer"), None],
        quick=[None],
    )
    gateways = [[FULL], [], []]
    collect(calls, ["gone", "slow", "quick"], lambda: gateways.pop(0))
    assert calls.asked == ["gone", "slow", "quick", "slow", "slow"]


def test_records_that_cannot_be_collected_are_no_success() -> None:
    calls: Any = Answers(node=[None])
    with pytest.raises(Unwritten):
        collect(calls, ["node"], lambda: [Unwritten("the record cannot be written: full")], patience_s=0.0)


class Gateways:
    """What a broadcast to the gateways comes to: an answer of each, or that none is there."""

    def __init__(self, *said: Any) -> None:
        self._said = said
        self.called: list[str] = []

    def broadcast(self, method: str) -> Any:
        self.called.append(method)
        return self

    def results(self, timeout_s: float, return_exceptions: bool) -> list[Any]:
        if self._said == (TimeoutError,):
            raise TimeoutError("no answer in time")
        return list(self._said)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("", ""), []),
        (("401 (revoked)", "", "401 (revoked)"), ["401 (revoked)"]),
        ((RuntimeError("it died"), "no line is left"), ["no line is left"]),
        ((TimeoutError,), []),
    ],
)
def test_why_meta_controllers_stopped_is_told_once_and_a_gateway_that_is_gone_stops_nobody(
    said: tuple[Any, ...], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateways = Gateways(*said)
    monkeypatch.setenv(NAMESPACE, "here")
    monkeypatch.setattr(module.serve, "get_deployment_handle", lambda *args, **named: gateways)
    assert end_in_gateways(head_alive=True) == told
    assert gateways.called == ["end_run"]
    assert end_in_gateways(head_alive=False) == []


def test_what_stopped_a_reasoner_ends_the_run_as_its_error() -> None:
    complain(["", None])
    with pytest.raises(ReasonerError, match=r"planner: a script ended; meta: 401"):
        complain(["planner: a script ended", None, "", "meta: 401"])
