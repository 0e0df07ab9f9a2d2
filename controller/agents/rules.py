"""The deterministic reasoner of the meta-controller: same questions, same tools, same checks as a language model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any, TypeVar

from controller.agents.llm import Form, Query, Reply, ToolCall
from controller.agents.reasoner import RULES, ReasonerLabel
from controller.agents.tools import Result
from controller.meta.config import MetaConfig
from controller.meta.tool_types import DriftResult, RecentResults, SystemStatus

Plan = list[tuple[str, dict[str, Any]]]
"""Tools and arguments, in order."""

ResultT = TypeVar("ResultT", bound=Result)

MAX_TTL_TASKS = 1000
SURE = 2.0
"""Standard deviations a ratio must be off before a law is corrected: an error costs more than a delay."""


class RulesLlm:
    """Looks in the first round, acts in the second. Pure: the answer follows from the question."""

    label: ReasonerLabel = RULES

    def __init__(self, config: MetaConfig | None = None) -> None:
        self._config = config or MetaConfig()

    def form(self, agent: str) -> Form:
        """A program's."""
        return "program"

    def ask(self, query: Query) -> Reply:
        """The rules for this kind of cause; what they have no rule for they leave alone."""
        kind = query.situation.get("kind", "")
        if query.round == 0:
            plan, why = self._look(kind, query.situation), f"look at {query.situation.get('cause', kind)}"
        else:
            act = {
                "onset": self._mask, "expiry": self._mask, "residual": self._calibrate, "warmup": self._settle_in,
            }.get(kind)  # fmt: skip
            plan, why = act(query.situation, query.results) if act is not None else ([], "nothing to do")
        calls = tuple(
            ToolCall(f"call-{query.number}-{query.round}-{i}", name, json.dumps(arguments))
            for i, (name, arguments) in enumerate(plan)
        )
        return Reply(calls, why, self._config.thinking_s)

    def _look(self, kind: str, situation: Mapping[str, Any]) -> Plan:
        window_s = self._config.drift_window_s
        pull = ("pull_observations", {"window_s": window_s, "limit": 20})
        if kind == "residual":
            law = {"device": situation["device"], "model": situation["model"]}
            return [("compute_drift", {**law, "window_s": window_s}), pull]
        return [("get_system_status", {}), pull]

    def _mask(self, situation: Mapping[str, Any], results: Sequence[Any]) -> tuple[Plan, str]:
        """Confirm a mask while its hint lasts, for longer each time; lift it otherwise."""
        device = situation["device"]
        status = _found(SystemStatus, results)
        if status is None or not any(d.hints for d in status.devices if d.id == device):
            return [("clear_device_risky", {"device": device})], f"{device} has no hint any more"
        masked = int(situation["facts"].get("masked_tasks", 0))
        ttl_tasks = min(max(self._config.ttl_tasks, masked), MAX_TTL_TASKS)
        return [
            ("set_device_risky", {"device": device, "ttl_tasks": ttl_tasks})
        ], f"{device} is in use: keep off"

    def _calibrate(self, situation: Mapping[str, Any], results: Sequence[Any]) -> tuple[Plan, str]:
        """Correct a law whose results of the window the model, as it is now, would still get wrong for sure.

        A model that detects changes by itself has mostly followed by now, and then nothing is done.
        """
        config, drift = self._config, _found(DriftResult, results)
        device, model = situation["device"], situation["model"]
        if drift is None or not drift.ratio or drift.n < config.min_samples:
            return [], "too few results to tell"
        limit = log(config.drift_threshold)
        if abs(log(drift.ratio)) < max(limit, SURE * (drift.relative_sd or 0.0)):
            return (
                [],
                f"{device} {model}: the model has followed, or it is noise (ratio {drift.ratio:.2f})",
            )
        target = (1.0 - config.smoothing) * log(drift.ratio) + log(drift.factor)
        factor = round(min(max(exp(target), 0.05), 20.0), 4)
        arguments = {"device": device, "model": model, "factor": factor}
        return [
            ("update_calibration", arguments)
        ], f"{device} {model}: ratio {drift.ratio:.2f} over {drift.n}"

    def _settle_in(self, situation: Mapping[str, Any], results: Sequence[Any]) -> tuple[Plan, str]:
        """Warm-up: fit afresh if the latest results are still far from their predictions."""
        recent = _found(RecentResults, results)
        ratios = [] if recent is None else [row.ratio for row in recent.rows if row.ratio]
        latest = [abs(log(ratio)) for ratio in ratios[len(ratios) // 2 :]]
        if latest and sum(latest) / len(latest) > log(self._config.drift_threshold):
            return [("trigger_online_profile_update", {"window_s": 600.0, "min_samples": 1})], "still far off"
        return [], "the model follows"


def _found(kind: type[ResultT], results: Sequence[Any]) -> ResultT | None:
    """The first of these results that is of this kind; an outage may have had other tools called."""
    return next((result for result in results if isinstance(result, kind)), None)
