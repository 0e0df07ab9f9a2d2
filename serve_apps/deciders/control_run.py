"""What a controller is handed at the begin of a run: its control loop, a clock, and which part it plays."""

from __future__ import annotations

from dataclasses import dataclass

from serve_apps.wire.clock import LiveClock
from serve_apps.wire.switching import news_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRun:
    """Begin of a run for one controller."""

    run_id: str
    loop: bytes | None
    """A pickled control loop of `controller/loop.py`; None if the scheme has none here. (Pickled: arrays
    that come straight out of a Ray message are read-only, and a loop learns.)"""
    clock: LiveClock
    nodes: tuple[str, ...]
    """Node ids, in inventory order."""
    slot_s: float
    epoch_slots: int
    end_s: float
    """Virtual seconds after which nothing is decided any more."""
    dispatch_lag_s: float
    """Virtual seconds after a slot's begin at which a deployment agent looks, its requests being dispatched by then."""
    follows_planner: bool
    """Whether it works under a planner's policies."""
    scheme: str = ""
    switch: int = 0
    """Number of the switch that brought this scheme in; 0: the run began with it."""

    @property
    def news_id(self) -> str:
        """Under which name deciders of this scheme publish."""
        return news_id(self.run_id, self.switch)
