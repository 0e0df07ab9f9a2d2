"""The audit trail: every look, act and automatic change as a record, every promise checked, refuted acts undone.

Append-only: entries leave as `DecisionRecord`s of actor `meta` in the order they happened; a verdict is a record of its
own that names the entry it judges. Only promises that are still open are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.agents.reasoner import NONE
from controller.agents.tools import Arguments, Called
from controller.meta.calibration import Law
from controller.meta.config import MetaConfig
from controller.meta.observations import Observation, misfit
from controller.meta.surface import Mask, Surface
from emulation.domain.ports import PerformanceModel
from emulation.domain.records import DecisionRecord

UNVERIFIED_AFTER = 5
"""Times `verdict_tasks` after which a promise nobody could measure is closed."""


@dataclass(frozen=True, slots=True)
class Undo:
    """What was in force before a change; each field is None where the change does not touch it."""

    factor: tuple[Law, float] | None = None
    router: str | None = None
    weights_ms: tuple[float, float] | None = None
    models: tuple[tuple[Law, PerformanceModel | None], ...] | None = None
    mask: tuple[str, Mask | None] | None = None

    def apply(self, surface: Surface) -> None:
        """Put it back."""
        if self.factor is not None:
            surface.set_factor(*self.factor)
        if self.router is not None:
            surface.set_router(self.router)  # type: ignore[arg-type]
        if self.weights_ms is not None:
            surface.set_weights(*self.weights_ms)
        for law, model in self.models or ():
            surface.put_back(law, model)
        if self.mask is not None:
            device, mask = self.mask
            if mask is None:
                surface.unmask(device)
            else:
                surface.mask(device, max(1, mask.until_task - surface.tasks), mask.by)


def undo_of(surface: Surface, tool: str, arguments: Any) -> Undo:
    """How to take back a call that is about to be made; empty if it names what is not there."""
    if tool == "update_calibration":
        executor = surface.laws.get(arguments.device, {}).get(arguments.model)
        if executor is None:
            return Undo()
        law = (executor, arguments.model)
        return Undo(factor=(law, surface.calibration.factor(law)))
    if tool == "switch_router":
        return Undo(router=surface.router)
    if tool == "set_router_params":
        return Undo(weights_ms=surface.weights_ms())
    if tool == "trigger_online_profile_update":
        laws = [(executor, model) for laws in surface.laws.values() for model, executor in laws.items()]
        return Undo(models=tuple((law, surface.calibration.own(law)) for law in laws))
    if tool in ("set_device_risky", "clear_device_risky"):
        return Undo(mask=(arguments.device, surface.masks.get(arguments.device)))
    return Undo()


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

    @property
    def target(self) -> tuple[str, str | None, str | None]:
        """A later act on the same target takes over the promise."""
        kind = "mask" if self.tool in ("set_device_risky", "clear_device_risky") else self.tool
        return kind, self.device, self.model


class AuditTrail:
    """Entries on their way to the record, and open promises."""

    def __init__(self, surface: Surface, config: MetaConfig, reasoner: str) -> None:
        self.open: list[Promise] = []
        self._surface = surface
        self._config = config
        self._reasoner = reasoner
        self._entries = 0
        self._records: list[DecisionRecord] = []

    @property
    def waiting(self) -> bool:
        """Whether there are records to take."""
        return bool(self._records)

    def take(self) -> list[DecisionRecord]:
        """Every record since the last call, oldest first."""
        found, self._records = self._records, []
        return found

    # -- entries --------------------------------------------------------------------------------------------

    def exchanged(
        self, invocation: int, cause: str, exchange: Mapping[str, Any], injected: str | None, reasons: str
    ) -> None:
        """The reasoner was asked and answered, or failed to."""
        failure = exchange["failure"] or injected
        said = {**exchange, "injected": injected} if injected else dict(exchange)
        self._write(
            cause,
            {"invocation": invocation, "exchange": said},
            reasons,
            reasoner=self._reasoner,
            thinking_s=exchange["thinking_s"],
            outcome="applied" if failure is None else "rejected",
            violations=() if failure is None else (str(failure),),
        )

    def called(
        self,
        called: Called,
        cause: str,
        undo: Undo | None,
        invocation: int | None,
        thinking_s: float,
        reason: str,
    ) -> None:
        """One tool call, by the reasoner (`invocation`) or by a rule (None); an act opens its promise."""
        result = None if called.result is None else called.result.model_dump()
        choice: dict[str, Any] = {
            "tool": called.call.name,
            "by": "rule" if invocation is None else "reasoner",
            "arguments": called.call.arguments if called.arguments is None else called.arguments.model_dump(),
            "result": result,
        }
        if invocation is not None:
            choice["invocation"] = invocation
        if result is not None and "old" in result:
            choice["old"], choice["new"] = result["old"], result["new"]
        promised = None if called.tool is None or called.result is None else called.tool.promised
        if promised is not None and undo is not None and called.arguments is not None:
            promised = self._promise(
                called.call.name, promised, called.arguments, cause, undo, invocation is None
            )
        self._write(
            cause, choice, reason, NONE if invocation is None else self._reasoner, thinking_s, promised,
            "applied" if called.error is None else "rejected", () if called.error is None else (called.error,),
        )  # fmt: skip

    def changed(self, cause: str, what: str, device: str, old: Any, new: Any, reason: str) -> None:
        """A rule changed something that no tool does."""
        self._write(cause, {"rule": what, "by": "rule", "device": device, "old": old, "new": new}, reason)

    def _write(
        self,
        cause: str,
        choice: dict[str, Any],
        reason: str,
        reasoner: str = NONE,
        thinking_s: float = 0.0,
        promised: str | None = None,
        outcome: str = "applied",
        violations: tuple[str, ...] = (),
    ) -> None:
        self._entries += 1
        now_s = self._surface.now_s
        self._records.append(
            DecisionRecord(
                t_s=now_s, actor="meta", cause=cause, inputs_age_s=thinking_s,
                choice={"entry": self._entries, **choice},
                reason=reason, reasoner=reasoner, thinking_s=thinking_s,
                landed_s=now_s if outcome != "rejected" else None, promised=promised, outcome=outcome,
                violations=violations,
            )
        )  # fmt: skip

    # -- promises -------------------------------------------------------------------------------------------

    def _promise(
        self, tool: str, metric: str, arguments: Arguments, cause: str, undo: Undo, by_rule: bool
    ) -> str:
        device, model = getattr(arguments, "device", None), getattr(arguments, "model", None)
        if tool == "set_device_risky" and device is not None and not self._surface.hints[device]:
            metric = "stretch"
        before, _ = self._measure(metric, device, model, None)
        made = Promise(
            self._entries + 1, cause, tool, metric, device, model, before, self._surface.now_s, self._surface.tasks,
            undo, reverts=not by_rule,
        )  # fmt: skip
        for old in [p for p in self.open if p.target == made.target]:
            self._close(old, "superseded", None, 0)
        self.open.append(made)
        return metric

    def settle(self) -> None:
        """Judge every promise that can be judged now; undo what was refuted."""
        config, tasks = self._config, self._surface.tasks
        for promise in list(self.open):
            age = tasks - promise.made_task
            after, n = self._measure(promise.metric, promise.device, promise.model, promise)
            stutters = promise.metric == "stutter_rate"
            if stutters and promise.tool == "clear_device_risky" and after:
                self._judge(promise, after, n)
            elif age < config.verdict_tasks:
                continue
            elif n >= config.verdict_samples or (stutters and promise.tool == "set_device_risky"):
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
            old = self._in_force(promise)
            promise.undo.apply(self._surface)
            new = self._in_force(promise)
        choice = {
            "verdict": verdict, "of": promise.entry, "by": "rule", "tool": promise.tool, "device": promise.device,
            "model": promise.model, "before": promise.before, "after": after, "n": n, "reverted": revert,
            "old": old, "new": new,
        }  # fmt: skip
        said = f"{promise.metric} {_said(promise.before)} before, {_said(after)} after ({n})"
        self._write(
            promise.cause, choice, said, promised=promise.metric, outcome="reverted" if revert else "applied"
        )

    def _in_force(self, promise: Promise) -> Any:
        """The value a revert changes, as plain data."""
        surface, undo = self._surface, promise.undo
        if undo.factor is not None:
            return surface.calibration.factor(undo.factor[0])
        if undo.router is not None:
            return surface.router
        if undo.weights_ms is not None:
            return surface.weights_ms()
        if undo.mask is not None:
            return surface.ttl_left(undo.mask[0])
        return [f"{e}/{m}" for (e, m), _ in undo.models or () if surface.calibration.own((e, m)) is not None]

    def _measure(
        self, metric: str, device: str | None, model: str | None, promise: Promise | None
    ) -> tuple[float | None, int]:
        """The metric since the promise was made, or (None) over the tasks before now; and the number behind it."""
        found = list(self._surface.observations)
        if promise is None:
            found = found[-self._config.verdict_tasks :] if metric != "residual" else self._lately(found)
        elif metric == "residual":
            found = [o for o in found if o.ended_s > promise.made_s]
        else:
            found = [o for o in found if o.task > promise.made_task]
        if metric == "residual":
            fits = [
                o
                for o in found
                if not o.mixed and device in (None, o.device) and model in (None, o.key.model)
            ]
            return misfit(fits), sum(o.ratio is not None for o in fits)
        if metric == "stutter_rate":
            here = [o for o in found if device in (None, o.device)]
            return (sum(o.stutter for o in here) / len(here) if here else None), len(here)
        stretches = [o.stretch for o in found if o.stretch is not None]
        return (sum(stretches) / len(stretches) if stretches else None), len(stretches)

    def _lately(self, found: list[Observation]) -> list[Observation]:
        since_s = self._surface.now_s - self._config.drift_window_s
        return [o for o in found if o.ended_s >= since_s]


NOISE = {"residual": 0.1, "stretch": 1.5}
"""Values of a metric that refute nothing, however good it was before."""


def _said(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def counts(decisions: Any) -> tuple[int, int]:
    """Reasoner invocations and tool calls of a run, from its decision records."""
    invocations: set[int] = set()
    calls = 0
    for record in decisions:
        if record.actor == "meta" and isinstance(record.choice, dict):
            if "exchange" in record.choice:
                invocations.add(record.choice["invocation"])
            calls += record.choice.get("by") == "reasoner"
    return len(invocations), calls
