"""What an act promises to move, measured afterwards; an act that made it worse is undone.

Metrics: `residual`, mean absolute log of observed / predicted service time of the laws concerned; `stretch`, mean
latency in predicted service times; `stutter_rate` of the device. Lower is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from controller.agents.tools import Called
from controller.meta.audit import AuditTrail
from controller.meta.config import MetaConfig
from controller.meta.observations import misfit
from controller.meta.steered import SteeredFastPath

UNVERIFIED_AFTER = 5
"""Times `verdict_tasks` after which a promise nobody could measure is closed."""
NOISE = {"residual": 0.1, "stretch": 1.5}
"""Values of a metric that refute nothing, however good it was before."""
MASKING = ("set_device_risky", "clear_device_risky")


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take back a change. Picklable, so of bound methods only."""

    apply: Callable[[], None]
    """Puts back what was in force before."""
    in_force: Callable[[], Any]
    """The value that is changed, as plain data."""


def undo_of(steered: SteeredFastPath, tool: str, arguments: Any) -> Undo | None:
    """How to take back a call that is about to be made; None if it changes nothing, or names what is not there."""
    if tool == "update_calibration" and arguments.model in steered.laws.get(arguments.device, {}):
        factor, law = (
            steered.calibration.factor,
            (steered.laws[arguments.device][arguments.model], arguments.model),
        )
        return Undo(partial(steered.set_factor, law, factor(law)), partial(factor, law))
    if tool == "switch_router":
        return Undo(partial(steered.set_router, steered.router), partial(getattr, steered, "router"))
    if tool == "set_router_params":
        return Undo(partial(steered.set_weights, *steered.weights_ms()), steered.weights_ms)
    if tool == "trigger_online_profile_update":
        return Undo(partial(steered.put_refits_back, dict(steered.calibration.refits)), steered.refitted)
    if tool in MASKING:
        device, mask = arguments.device, steered.masks.get(arguments.device)
        return Undo(partial(steered.put_mask_back, device, mask), partial(steered.ttl_left, device))
    return None


@dataclass(frozen=True, slots=True)
class Promise:
    """An act whose metric is still to be measured."""

    entry: int
    cause: str
    tool: str
    metric: str
    device: str | None
    model: str | None
    before: float | None
    made_s: float
    made_task: int
    undo: Undo
    reverts: bool

    def takes_over(self, tool: str, device: str | None, model: str | None) -> bool:
        """Whether an act by this tool is on the same target, and so takes over the promise."""
        alike = tool == self.tool or (tool in MASKING and self.tool in MASKING)
        return alike and (device, model) == (self.device, self.model)


class Promises:
    """The promises that are still open."""

    def __init__(self, steered: SteeredFastPath, trail: AuditTrail, config: MetaConfig) -> None:
        self.open: list[Promise] = []
        self._steered, self._trail, self._config = steered, trail, config

    def audited(
        self,
        called: Called,
        cause: str,
        undo: Undo | None,
        invocation: int | None,
        thinking_s: float,
        reason: str,
    ) -> None:
        """Enter a tool call in the trail; an act opens its promise, and closes an older one on the same target."""
        metric = None if undo is None or called.result is None else self._metric(called, invocation is None)
        if metric is None or undo is None or called.tool is None:
            self._trail.called(called, cause, invocation, thinking_s, reason, None)
            return
        device, model = called.target
        before, _ = self._measure(metric, device, model, None)
        for old in [p for p in self.open if p.takes_over(called.tool.name, device, model)]:
            self._close(old, "superseded", None, 0)
        entry = self._trail.called(called, cause, invocation, thinking_s, reason, metric)
        self.open.append(
            Promise(entry, cause, called.tool.name, metric, device, model, before, self._steered.now_s,
                    self._steered.tasks, undo, reverts=invocation is not None)
        )  # fmt: skip

    def _metric(self, called: Called, by_rule: bool) -> str | None:
        """What the call promises to move.

        Nothing where a rule says that a hint is over. A mask of a device without a hint is there for speed.
        """
        if called.tool is None or (by_rule and called.tool.name == "clear_device_risky"):
            return None
        device, _ = called.target
        if called.tool.name == "set_device_risky" and device is not None and not self._steered.hints[device]:
            return "stretch"
        return called.tool.promised

    def settle(self) -> None:
        """Judge every promise that can be judged now; undo what was refuted."""
        config, tasks = self._config, self._steered.tasks
        for promise in list(self.open):
            age = tasks - promise.made_task
            by_stutter = promise.metric == "stutter_rate"
            lifted = by_stutter and promise.tool == "clear_device_risky"
            if age < config.verdict_tasks and not lifted:
                continue
            after, n = self._measure(promise.metric, promise.device, promise.model, promise)
            if lifted and after:
                self._judge(promise, after, n)
            elif age < config.verdict_tasks:
                continue
            elif n >= config.verdict_samples or (by_stutter and not lifted):
                self._judge(promise, after, n)
            elif age >= UNVERIFIED_AFTER * config.verdict_tasks:
                self._close(promise, "unverified", after, n)

    def void(self, device: str) -> None:
        """The state a promise was made for is over: nothing of it is judged or undone any more."""
        for promise in [p for p in self.open if p.device == device]:
            after, n = self._measure(promise.metric, promise.device, promise.model, promise)
            held = promise.metric == "stutter_rate" and not after
            self._close(promise, "confirmed" if held else "superseded", after, n)

    def _judge(self, promise: Promise, after: float | None, n: int) -> None:
        before, after = promise.before, after or 0.0
        if promise.metric == "stutter_rate":
            worse = after > (before or 0.0)
        elif before is None:
            self._close(promise, "unverified", after, n)
            return
        else:
            worse = after > max(before, 1e-9) * self._config.worse_ratio and after > NOISE[promise.metric]
        self._close(promise, "refuted" if worse else "confirmed", after, n)

    def _close(self, promise: Promise, verdict: str, after: float | None, n: int) -> None:
        self.open.remove(promise)
        revert = verdict == "refuted" and promise.reverts and self._config.revert
        old = new = None
        if revert:
            old = promise.undo.in_force()
            promise.undo.apply()
            new = promise.undo.in_force()
        judged = {
            "verdict": verdict, "of": promise.entry, "tool": promise.tool, "device": promise.device,
            "model": promise.model, "before": promise.before, "after": after, "n": n, "reverted": revert,
            "old": old, "new": new,
        }  # fmt: skip
        said = f"{promise.metric} {_said(promise.before)} before, {_said(after)} after ({n})"
        self._trail.judged(promise.cause, judged, said, promise.metric)

    def _measure(
        self, metric: str, device: str | None, model: str | None, promise: Promise | None
    ) -> tuple[float | None, int]:
        """The metric since the promise was made, or (None) over the tasks before now; and the number behind it."""
        results = list(self._steered.observations)
        if promise is not None:
            results = [
                o
                for o in results
                if (o.ended_s > promise.made_s if metric == "residual" else o.task > promise.made_task)
            ]
        elif metric == "residual":
            since_s = self._steered.now_s - self._config.drift_window_s
            results = [o for o in results if o.ended_s >= since_s]
        else:
            results = results[-self._config.verdict_tasks :]
        here = [o for o in results if device in (None, o.device)]
        if metric == "residual":
            fits = [o for o in here if not o.mixed and model in (None, o.key.model)]
            return misfit(fits), sum(o.ratio is not None for o in fits)
        if metric == "stutter_rate":
            return _mean([float(o.stutter) for o in here]), len(here)
        stretches = [o.stretch for o in results if o.stretch is not None]
        return _mean(stretches), len(stretches)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _said(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
