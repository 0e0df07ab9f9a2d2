"""No decider reads the truth: every hidden object raises when code of `controller/` is anywhere on the stack."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.domain.truth import Condition, RequestTruth, WorldTruth
from emulation.files import load_scenario
from emulation.recording import MemorySink

CONTROLLER = str(Path(__file__).parents[2] / "controller")


class LeakError(AssertionError):
    """A decider read something hidden."""


def _guard(allowed: str | None) -> None:
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(CONTROLLER) and not (allowed and file.endswith(allowed)):
            raise LeakError(f"{file}:{frame.f_lineno} read the truth")
        if allowed and file.endswith(allowed):
            return
        frame = frame.f_back  # type: ignore[assignment]


def _trap(
    monkeypatch: pytest.MonkeyPatch, cls: type, fields: tuple[str, ...], allowed: str | None = None
) -> list[int]:
    reads = [0]
    for name in fields:
        slot = cls.__dict__[name]

        def read(self: Any, slot: Any = slot) -> Any:
            _guard(allowed)
            reads[0] += 1
            return slot.__get__(self, cls)

        monkeypatch.setattr(
            cls, name, property(read, lambda self, value, slot=slot: slot.__set__(self, value))
        )
    return reads


def _short(name: str) -> Scenario:
    scenario = load_scenario(name)
    return scenario.model_copy(update={"slots": 12, "tail_slots": 0, "mismatch_sigma": 0.3})


@pytest.mark.parametrize("scheme", ["AL", "RR", "MA", "MAL", "MA+sect", "sect", "LL"])
def test_controllers_never_touch_hidden_fields(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    traps = [
        _trap(monkeypatch, RequestTruth, ("output_tokens", "noise")),
        _trap(monkeypatch, Condition, ("slowdown", "per_coefficient", "stutter")),
        _trap(monkeypatch, WorldTruth, ("mismatch",)),
    ]
    sink = MemorySink()
    simulate(_short("demo"), scheme, 3, sink)
    assert len(sink.run().requests) > 50
    assert all(reads[0] > 0 for reads in traps), "the trap itself must be live"


@pytest.mark.parametrize("scheme", ["e3", "e3-nnls"])
def test_the_meta_controller_never_touches_hidden_fields(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    from emulation.domain.events import Drift, Slowdown

    base = load_scenario("e3-basic")
    events = (
        Slowdown(at_s=100.0, until_s=200.0, node="LLM#1", factor=3.0, hint="game"),
        Slowdown(at_s=300.0, until_s=400.0, node="SD#1", factor=2.0, visible="never"),
        Drift(at_s=400.0, until_s=700.0, node="LLM#0", factors=(3.0, 3.0)),
    )
    scenario = base.model_copy(update={"events": events, "mismatch_sigma": 0.3, "service_cv": 0.1})
    traps = [
        _trap(monkeypatch, RequestTruth, ("output_tokens", "noise")),
        _trap(monkeypatch, Condition, ("slowdown", "per_coefficient", "stutter")),
        _trap(monkeypatch, WorldTruth, ("mismatch",)),
        *(_trap_model(monkeypatch, kind) for kind in (Slowdown, Drift)),
    ]
    sink = MemorySink()
    simulate(scenario, scheme, 3, sink)
    assert sum(d.actor == "meta" for d in sink.run().decisions) > 5
    assert all(reads[0] > 0 for reads in traps), "the trap itself must be live"


def _trap_model(monkeypatch: pytest.MonkeyPatch, cls: type) -> list[int]:
    """A controller that reads anything of an event of the plan is caught."""
    reads = [0]
    plain = cls.__getattribute__

    def read(self: Any, name: str) -> Any:
        if name in ("factor", "factors", "until_s"):
            _guard(None)
            reads[0] += 1
        return plain(self, name)

    monkeypatch.setattr(cls, "__getattribute__", read)
    return reads


def test_the_oracle_reads_the_truth_only_through_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    _trap(monkeypatch, RequestTruth, ("output_tokens", "noise"))
    with pytest.raises(LeakError):
        simulate(_short("demo"), "oracle", 3)


def test_requests_carry_no_hidden_field() -> None:
    from workloads.generate import generate

    scenario = load_scenario("demo")
    for request, truth in generate(scenario, 1).items:
        assert request.known_output_tokens is None, "length knowledge is `predicted`"
        assert not hasattr(request, "output_tokens")
        assert not hasattr(request, "noise")
        assert len(truth.noise) >= 1
