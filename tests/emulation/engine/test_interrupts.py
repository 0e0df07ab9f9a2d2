"""Wherever a run is stopped, its books balance."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from edgebed.runs.virtual import simulate
from emulation.domain.records import Record
from emulation.domain.scenario import PoissonSource, Scenario
from emulation.engine import progress
from emulation.engine.progress import SimulationProgress
from emulation.metrics.conservation import conservation
from emulation.recording import MemorySink
from tests.build.fakes import device_testbed, scenario

WHOLE = 60
"""At most so many arrivals and ends."""


def world() -> Scenario:
    source = PoissonSource(rate_per_s=2.0, mix={"m": 1.0})
    return scenario(device_testbed(0.3), slots=4, slot_s=4.0, workload=(source,))


@pytest.fixture(autouse=True)
def pythons_own() -> Iterator[None]:
    """Python's own way to take a Ctrl-C: libraries that other tests import put theirs in its place for good."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("after", range(1, WHOLE, 3))
def test_whoever_listens_may_end_a_run_after_any_arrival_or_end(
    after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "TOLD_EVERY", 1)
    told = 0

    def listen(_: SimulationProgress) -> None:
        nonlocal told
        told += 1
        if told == after:
            raise KeyboardInterrupt

    sink = MemorySink()
    footer = simulate(world(), "sect", 0, sink, on_slot=listen)
    assert footer.interrupted == (told >= after)
    assert conservation(sink.run()).ok


@pytest.mark.parametrize("after", range(2, WHOLE, 3))
def test_a_ctrl_c_in_the_middle_of_an_event_ends_the_run_after_it(after: int) -> None:
    class Pressed(MemorySink):
        """Somebody presses Ctrl-C while a record is written."""

        def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None:
            super().write(record, side)
            if len(self.records) == after:
                signal.raise_signal(signal.SIGINT)

    sink = Pressed()
    footer = simulate(world(), "sect", 0, sink)
    assert footer.interrupted
    assert conservation(sink.run()).ok
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
