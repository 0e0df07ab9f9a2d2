"""The meta-controller: a fast path with an exception handler beside it (E3 section "Meta-controller").

It is the fast path to whoever dispatches (port `FastPath`), so it senses completions, dispatches and churn where they
happen, and routes exactly as the fast path does. What it senses becomes triggers; a trigger that passes the gate
becomes a question the world puts to the reasoner when and where it likes; the tools run when the answer is in. Nothing
here waits for anything. The same picklable object runs in the engine and in the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mypy_extensions import mypyc_attr

from controller.agents.llm import LLM, Query, ToolCall
from controller.agents.loop import Thought
from controller.agents.tools import run_call
from controller.fast_path import FastPath, SupervisedPath
from controller.meta.audit import AuditTrail
from controller.meta.config import MetaConfig
from controller.meta.invocations import Invocations
from controller.meta.observations import Flight, Observation
from controller.meta.promises import Promises, undo_of
from controller.meta.steered import SteeredFastPath
from controller.meta.tools import TOOLS, MetaTools
from controller.meta.triggers import Gate, ResidualWatch, Trigger
from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.ports import Believed, Completion
from emulation.domain.records import DecisionRecord
from emulation.domain.request import Request
from emulation.domain.snapshot import ExecutorState

NO_RISK = frozenset({"drift"})
"""Hints that announce another speed, not a device its user needs."""


@mypyc_attr(allow_interpreted_subclasses=True)
class _Line:
    """To whoever is told that there is something to take. It does not travel: where it comes to, nobody is."""

    def __init__(self) -> None:
        self.notify: Callable[[], None] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Line, ()


@mypyc_attr(allow_interpreted_subclasses=True)
class MetaController:
    """Ports `FastPath` and `MetaController` round one fast path."""

    def __init__(
        self, testbed: TestbedConfig, fast_path: FastPath, llm: LLM, config: MetaConfig | None = None
    ) -> None:
        self.config = config or MetaConfig()
        self.fast_path = fast_path
        self.steered = SteeredFastPath(testbed, fast_path, self.config)
        self.trail = AuditTrail(self.steered, llm.label)
        self.promises = Promises(self.steered, self.trail, self.config)
        self.tools = MetaTools(self.steered)
        self.invocations = Invocations(self.steered, self.tools, self.trail, self.promises, llm, self.config)
        self._gate = Gate(self.config)
        self._watch = ResidualWatch(self.config)
        self._returned: set[str] = set()
        """Devices that came back and have yet to show that they are as they were."""
        self._factors_before: dict[str, dict[str, float]] = {}
        """Device with a hint in force to model to calibration factor before its onset."""
        self._warmup = _points(self.steered.warmup_tasks, self.config.warmup_points)
        self._line = _Line()

    @property
    def meta(self) -> MetaController:
        """Itself: who dispatches by it has its records and questions to carry."""
        return self

    @property
    def innermost(self) -> FastPath:
        """The fast path it is round."""
        return self.fast_path

    def take_over(self, before: SupervisedPath) -> None:
        """As the fast path. What others dispatched tells nothing of ordinary times: nobody watched the hints then."""
        self.fast_path.take_over(before)
        self.steered.take_over()

    # -- the world's side -----------------------------------------------------------------------------------

    def attach(self, notify: Callable[[], None], recorded: bool = True) -> None:
        """`notify` is called whenever there is something to take: a question or records. `recorded`: whether anybody
        takes records; what is only for them is not made otherwise.

        A question that was out when this object was saved is given up: nobody will answer it.
        """
        self._line.notify, self.trail.recorded = notify, recorded
        self.invocations.give_up(self.steered.now_s, at_once=True)

    def take_records(self) -> list[DecisionRecord]:
        """Audit records since the last call, oldest first."""
        return self.trail.take()

    def take_question(self) -> Query | None:
        """What to ask the reasoner now, or None."""
        return self.invocations.take_question()

    def think(self, question: Query) -> Thought:
        """Ask the reasoner. May block, changes nothing: call it anywhere, in any thread."""
        return self.invocations.think(question)

    def answered(self, question: Query, thought: Thought, now_s: float) -> None:
        """The thinking is over; its tools run now."""
        self._hear(now_s)
        self.invocations.answered(question, thought)
        self._tell()

    def voided(self, question: Query, thought: Thought | None, why: str, now_s: float) -> None:
        """Nothing comes of a question that was taken. Its record is there to take; nobody is told so."""
        self._hear(now_s)
        self.invocations.voided(question, thought, why)

    def outage(self, failure: str | None, now_s: float) -> None:
        """The reasoner fails in this way from now on; None: it works again."""
        self._hear(now_s)
        self.invocations.outage = failure

    def hinted(self, device: str, hints: tuple[str, ...], now_s: float) -> None:
        """Exposed hints of a device, all that are in force. An onset masks it at once, by rule."""
        self._hear(now_s)
        steered = self.steered
        old = steered.hints[device]
        if hints == old:
            return
        steered.hints[device] = hints
        self._state_changed(device)
        if hints and not old:
            laws = steered.laws[device]
            self._factors_before[device] = {m: steered.calibration.factor((e, m)) for m, e in laws.items()}
        if set(hints) - set(old):
            self._onset(device, hints)
        elif not hints:
            self._offset(device)
        self._tell()

    def _onset(self, device: str, hints: tuple[str, ...]) -> None:
        steered = self.steered
        if self.config.risk_gate and set(hints) - NO_RISK:
            self._mask(device, f"onset:{device}", "provisional: a hint came into force")
        facts = {"hints": list(hints), "another_device_can_serve": steered.has_alternatives(device)}
        self._raise(Trigger("onset", device, facts=facts))

    def _offset(self, device: str) -> None:
        cause = f"offset:{device}"
        self.promises.void(device)
        for model, factor in self._factors_before.pop(device, {}).items():
            law = (self.steered.laws[device][model], model)
            old = self.steered.calibration.factor(law)
            if old != factor:
                self.steered.set_factor(law, factor)
                self.trail.changed(
                    cause, "restore_calibration", device, {model: old}, {model: factor}, "hint is over"
                )
        if device in self.steered.masks:
            self._by_rule("clear_device_risky", {"device": device}, cause, "hint is over")

    # -- port FastPath --------------------------------------------------------------------------------------

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        """The fast path's own answer."""
        return self.fast_path.route(request, now_s)

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """One more task; masks and warm-up are counted in them."""
        self.fast_path.dispatched(request, decision, now_s)
        self._hear(now_s)
        steered = self.steered
        steered.tasks += 1
        device = steered.device_of[decision.executor or ""]
        steered.flights[request.id] = Flight(device, steered.tasks, bool(steered.hints[device]))
        if steered.masks:
            for expired in steered.expired():
                self._expire(expired)
        if self._warmup and steered.tasks >= self._warmup[0]:
            self._warmup.pop(0)
            self._raise(
                Trigger(
                    "warmup", facts={"tasks_left": self._warmup[-1] - steered.tasks if self._warmup else 0}
                )
            )
        if self.invocations.busy:
            self.invocations.give_up(now_s)
        self._tell()

    def completed(self, completion: Completion) -> None:
        """Feed back, remember, and see whether predictions still hold.

        A result whose device had a hint in force meanwhile tells nothing of its ordinary law: the model does not see
        it, unless it keeps the laws of both states apart.
        """
        self._hear(completion.ended_s)
        steered = self.steered
        flight = steered.flights.pop(completion.request.id, None)
        if flight is None or flight.device != steered.device_of.get(completion.executor):
            self.fast_path.completed(completion)
            return
        one = self._observation(completion, flight)
        kept_apart = one.device in steered.masks and steered.calibration.knows_regimes
        ordinary = not (one.hinted or one.mixed)
        self.fast_path.completed(completion if ordinary or kept_apart else replace(completion, teaches=False))
        steered.observations.add(one)
        steered.served_s[one.device] += one.service_s or 0.0
        if one.device in self._returned and not self._suspected(one.device):
            self._returned.discard(one.device)
        ratio = self._watch.seen(one)
        if ratio is not None:
            self._alarm(one, ratio)
        if self.promises.open:
            self.promises.settle()
        self._tell()

    def executor_changed(
        self, executor: str, state: ExecutorState, mode: Mode, ready_at_s: float, now_s: float
    ) -> None:
        """Telemetry; a device that leaves or returns is seen to."""
        self._hear(now_s)
        steered = self.steered
        device = steered.device_of[executor]
        before = steered.state(device)
        self.fast_path.executor_changed(executor, state, mode, ready_at_s, now_s)
        after = steered.state(device)
        if before == after or "away" not in (before, after):
            return
        self._state_changed(device)
        if after == "away":
            lonely = [m for m in steered.laws[device] if not steered.has_safe_alternative(device, m)]
            if lonely:
                self._raise(Trigger("leave", device, facts={"models_without_a_safe_device": lonely}))
        else:
            steered.suspect(device)
            self._returned.add(device)
            self.trail.changed(
                f"return:{device}", "suspect", device, 0, self.config.fresh_samples, "was away"
            )
        self._tell()

    def guide(self, guide: RouteGuide) -> None:
        """As the fast path."""
        self.fast_path.guide(guide)

    def policy(self, policy: MacroPolicy) -> None:
        """As the fast path."""
        self.fast_path.policy(policy)

    def believed(self, now_s: float) -> list[Believed]:
        """As the fast path."""
        return self.fast_path.believed(now_s)

    def limits_s(self) -> dict[str, float]:
        """As the fast path."""
        return self.fast_path.limits_s()

    # -- inside ---------------------------------------------------------------------------------------------

    def _observation(self, completion: Completion, flight: Flight) -> Observation:
        request = completion.request
        view = self.fast_path.view
        key = view.key(completion.executor, request.model, completion.measured.mode)
        pool = view.pools[request.model]
        served = completion.served_work(pool.features)
        x, service_s = ((), None) if served is None else served
        predicted_s = sd_s = 0.0
        if service_s is not None:
            predicted = self.steered.calibration.predict(key, x)
            predicted_s, sd_s = predicted.mean_s, predicted.sd_s
        return Observation(
            flight.device, key, x, flight.task, completion.ended_s,
            completion.ended_s - request.arrival_s, service_s, predicted_s, sd_s, completion.outcome,
            completion.measured.stutter, flight.hinted, flight.mixed,
            completion.measured.turn_prompts == request.prompts,
        )  # fmt: skip

    def _state_changed(self, device: str) -> None:
        """What is in flight there tells neither of the old state nor of the new one."""
        self._watch.forget(device)
        for flight in self.steered.flights.values():
            if flight.device == device:
                flight.mixed = True

    def _expire(self, device: str) -> None:
        """A mask has covered its tasks: it ends, unless the hint it was set for is still in force."""
        mask = self.steered.masks[device]
        hints = self.steered.hints[device]
        if not set(hints) - NO_RISK:
            self._by_rule(
                "clear_device_risky", {"device": device}, f"expiry:{device}", "time to live is over"
            )
            return
        facts = {"hints": list(hints), "masked_tasks": self.steered.tasks - mask.since_task}
        self._mask(device, f"expiry:{device}", "provisional: the hint is still in force")
        self._raise(Trigger("expiry", device, facts=facts))

    def _alarm(self, one: Observation, ratio: float) -> None:
        facts = {
            "observed_over_predicted": round(ratio, 3),
            "window_s": self.config.drift_window_s,
            "after_return": one.device in self._returned,
            "hints": list(self.steered.hints[one.device]),
        }
        self._raise(Trigger("residual", one.device, one.key.model, facts))

    def _suspected(self, device: str) -> bool:
        laws = self.steered.laws[device].items()
        return any(self.steered.calibration.suspected((executor, model)) for model, executor in laws)

    def _mask(self, device: str, cause: str, reason: str) -> None:
        arguments = {"device": device, "ttl_tasks": self.config.ttl_tasks}
        self._by_rule("set_device_risky", arguments, cause, reason)

    def _by_rule(self, tool: str, arguments: dict[str, Any], cause: str, reason: str) -> None:
        """A tool call that needs no reasoner; audited like any other."""
        undo = undo_of(self.steered, tool, TOOLS[tool].arguments.model_validate(arguments))
        called = run_call(ToolCall("rule", tool, json.dumps(arguments)), TOOLS, self.tools.run)
        self.promises.audited(called, cause, undo, None, 0.0, reason)

    def _raise(self, trigger: Trigger) -> None:
        if self._gate.passes(trigger, self.steered.tasks):
            self.invocations.raise_(trigger)

    def _hear(self, now_s: float) -> None:
        if now_s > self.steered.now_s:
            self.steered.now_s = now_s

    def _tell(self) -> None:
        notify = self._line.notify
        if notify is not None and (self.invocations.wants or (self.trail.recorded and self.trail.waiting)):
            notify()


def _points(warmup_tasks: int, count: int) -> list[int]:
    """Task counts of the warm-up invocations, evenly spread, the last one at its end."""
    if not warmup_tasks or not count:
        return []
    return sorted({max(1, warmup_tasks * (i + 1) // count) for i in range(count)})
