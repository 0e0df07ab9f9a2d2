"""When the reasoner is called: events, residual alarms, warm-up points; and what limits how often."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import log
from typing import Any, Literal

from mypy_extensions import mypyc_attr

from controller.meta.config import MetaConfig
from controller.meta.observations import Observation

Kind = Literal["onset", "expiry", "offset", "leave", "return", "residual", "warmup"]

EVENTS: frozenset[Kind] = frozenset({"onset", "expiry", "offset", "leave", "return"})
"""What the world tells; the rest are our own conclusions, and obey the minimum gap."""


@mypyc_attr(native_class=False)
@dataclass(frozen=True, slots=True)
class Trigger:
    """A reason to call the reasoner."""

    kind: Kind
    device: str = ""
    model: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    """What is known of it, for the prompt."""

    @property
    def signature(self) -> str:
        """Triggers of one signature share a cooldown."""
        return ":".join(part for part in (self.kind, self.device, self.model) if part)

    @property
    def is_event(self) -> bool:
        """Whether the minimum gap does not apply."""
        return self.kind in EVENTS


@mypyc_attr(allow_interpreted_subclasses=True)
class Gate:
    """Lets a trigger pass, or not: signature cooldown, and a minimum gap for what is no event. Counts tasks."""

    def __init__(self, config: MetaConfig) -> None:
        self._cooldown = config.cooldown_tasks
        self._gap = config.min_gap_tasks
        self._last: int | None = None
        self._passed: dict[str, int] = {}

    def passes(self, trigger: Trigger, task: int) -> bool:
        """Whether the reasoner may be called for it now; if so, this counts as the call."""
        last = self._passed.get(trigger.signature)
        if last is not None and task - last < self._cooldown:
            return False
        if not trigger.is_event and self._last is not None and task - self._last < self._gap:
            return False
        self._passed[trigger.signature] = self._last = task
        return True


@mypyc_attr(allow_interpreted_subclasses=True)
class ResidualWatch:
    """Raises an alarm per (device, model) when the model has been wrong in one direction for a while.

    Over the results of the last `drift_window_s`: sum of observed / sum of predicted is off by the threshold, so is
    each of the latest `sustained`, and the difference of the sums is significant for the model's own deviations.
    """

    def __init__(self, config: MetaConfig) -> None:
        self._config = config
        self._window_s, self._sustained = config.drift_window_s, config.sustained
        self._enough, self._limit = max(config.min_samples, config.sustained), log(config.drift_threshold)
        self._latest: dict[tuple[str, str], deque[Observation]] = {}

    def seen(self, one: Observation) -> float | None:
        """One more result; the ratio if it completes an alarm."""
        last = one.ratio
        if last is None or last <= 0 or one.mixed:
            return None
        law = (one.device, one.key.model)
        latest = self._latest.get(law)
        if latest is None:
            latest = self._latest[law] = deque(maxlen=32)
        latest.append(one)
        while latest and latest[0].ended_s < one.ended_s - self._window_s:
            latest.popleft()
        if len(latest) < self._enough:
            return None
        limit = self._limit
        if -limit <= log(last) <= limit:
            return None
        off = [log(latest[-1 - i].ratio or 1.0) for i in range(self._sustained)]
        up = all(v > limit for v in off)
        if not (up or all(v < -limit for v in off)):
            return None
        observed_s = sum([o.service_s or 0.0 for o in latest])
        predicted_s = sum([o.predicted_s for o in latest])
        deviation_s = sum([o.sd_s**2 for o in latest]) ** 0.5
        ratio = observed_s / predicted_s
        if abs(log(ratio)) < limit or (ratio > 1) != up:
            return None
        return ratio if abs(observed_s - predicted_s) >= self._config.significance * deviation_s else None

    def forget(self, device: str) -> None:
        """The state of a device has changed: what was seen before says nothing of it now."""
        for law in [law for law in self._latest if law[0] == device]:
            del self._latest[law]
