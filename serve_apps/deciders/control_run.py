"""What a controller actor is handed: its part of a run, a clock, and the names of its peers. Knows no Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class WallClock(Protocol):
    """Virtual seconds on wall time; `serve_apps.wire.clock.LiveClock`."""

    @property
    def started(self) -> bool: ...

    def start(self, t0_wall: float) -> None: ...

    def now_s(self) -> float: ...

    def wall_until_s(self, t_s: float) -> float: ...


@dataclass(frozen=True, slots=True)
class ControlRun:
    """Begin of a run for one controller."""

    run_id: str
    loop: bytes | None
    """A pickled control loop of `controller/loop.py`; None if the scheme has none here. (Pickled: arrays
    that come straight out of a Ray message are read-only, and a loop learns.)"""
    clock: WallClock
    nodes: tuple[str, ...]
    """Node ids, in inventory order."""
    slot_s: float
    epoch_slots: int
    end_s: float
    """Virtual seconds after which nothing is decided any more."""
    planned: bool
    """Whether a planner's policies are to be followed."""


@dataclass(frozen=True, slots=True)
class Peers:
    """How the other actors are called."""

    namespace: str
    recorder: str = "recorder"
    planner: str = "planner"
    events: str = "events"
    runtime_prefix: str = "node:"
