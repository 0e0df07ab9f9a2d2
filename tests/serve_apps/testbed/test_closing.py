"""Before books are closed every record is collected: a full disk and a recorder that restarts are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.agents.llm import ReasonerError
from emulation.recording import RECORD_FILE
from serve_apps.records.store import Unwritten
from serve_apps.testbed import closing as module
from serve_apps.testbed.closing import (
    ask_recorder,
    close_limit_s,
    collect,
    complain,
    drain,
    end_in_gateways,
    seal,
)
from serve_apps.wire.calls import Unreached, failure_of
from serve_apps.wire.testbed import NAMESPACE

FULL = ValueError("the record cannot be written: No space left on device")


def broke(text: str) -> Unreached:
    error = Unreached(text)
    error.broke = True
    return error


def silent() -> Unreached:
    return cast(Unreached, failure_of("stalled", "flush", TimeoutError()))


def everybody(name: str) -> bool:
    """Whoever is asked for lives."""
    return True


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


def test_a_long_record_has_longer_to_be_closed(tmp_path: Path) -> None:
    short = close_limit_s(tmp_path)
    with (tmp_path / RECORD_FILE).open("wb") as record:
        record.truncate(3 * 10**9)
    assert close_limit_s(tmp_path) == short + 3000.0


def test_patience_ends() -> None:
    calls: Any = Answers(recorder=[FULL])
    with pytest.raises(ValueError, match="No space left"):
        ask_recorder(calls, "close", patience_s=0.0)


def test_of_a_testbed_that_cannot_go_on_nothing_is_waited_for() -> None:
    calls: Any = Answers(recorder=[Unreached("no such actor")], node=[broke("node.flush: no answer")])
    with pytest.raises(Unreached, match="no such actor"):
        ask_recorder(calls, "close", lost=lambda: True)
    with pytest.raises(Unreached, match="no answer"):
        collect(calls, ["node"], everybody, lost=lambda: True)
    assert calls.asked == ["recorder", "node"]


def test_what_is_in_flight_is_waited_for_when_no_more_is_taken_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    left = [2, 1, 0, 7]

    def ask(method: str) -> Any:
        said.append(method)
        return SimpleNamespace(in_system=left.pop(0))

    drain(
        lambda method: said.append(method) if method == "end" else ask(method), lambda: said.append("flush")
    )
    assert said == ["end", "flush", "progress", "progress", "progress"]
    monkeypatch.setattr(module, "DRAIN_S", 0.0)
    drain(lambda method: None if method == "end" else ask(method), lambda: None)


def test_whoever_is_gone_has_nothing_and_whoever_waits_is_asked_again() -> None:
    calls: Any = Answers(
        gone=[Unreached("no such actor")],
        slow=[FULL, broke("recorder.append: no answer"), None],
        quick=[None],
    )
    collect(calls, ["gone", "slow", "quick"], everybody)
    assert calls.asked == ["gone", "slow", "quick", "slow", "slow"]


def test_whoever_is_silent_is_waited_for_as_long_as_it_lives() -> None:
    calls: Any = Answers(stalled=[silent(), silent(), None], dead=[silent()])
    collect(calls, ["stalled", "dead"], lambda name: name == "stalled")
    assert calls.asked == ["stalled", "dead", "stalled", "stalled"]
    with pytest.raises(Unreached, match="no answer in time"):
        collect(Answers(stalled=[silent()]), ["stalled"], everybody, patience_s=0.0)  # type: ignore[arg-type]


def test_books_stay_open_until_every_gateway_that_lives_has_said_its_last_word() -> None:
    unsealed, asked = [["a", "b", "dead"], ["b", "dead"], ["dead"]], []

    def ask(method: str) -> Any:
        asked.append(method)
        return unsealed.pop(0) if len(unsealed) > 1 else unsealed[0]

    seal(ask, lambda source: source != "dead")
    assert asked == ["seal"] * 3
    with pytest.raises(Unreached, match="stalled: lives, and has not handed over"):
        seal(lambda method: ["stalled"], everybody, patience_s=0.0)
    with pytest.raises(Unreached, match="stalled"):
        seal(lambda method: ["stalled"], everybody, lost=lambda: True)


def test_records_that_cannot_be_collected_are_no_success() -> None:
    calls: Any = Answers(node=[Unwritten("the record cannot be written: full")])
    with pytest.raises(Unwritten):
        collect(calls, ["node"], everybody, patience_s=0.0)


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
