"""Prompt schedulers: once per slot, a route guide for the fast path. One file each.

Read first: `agent.py` (backlog-aware table within the roles), `weights.py` (roles and p as mask and bias).
Every class takes `(testbed, config, seed, objective)`, has a pydantic `Config`, and is a `PromptScheduler`.
"""

from __future__ import annotations

from typing import Any, Protocol

from controller.objective import Objective
from controller.schedulers.agent import AgentScheduler
from controller.schedulers.weights import WeightsScheduler
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import PromptScheduler


class SchedulerType(Protocol):
    """What every entry of `SCHEDULERS` is."""

    Config: type[Any]

    def __call__(
        self, testbed: TestbedConfig, config: Any, seed: int, objective: Objective
    ) -> PromptScheduler: ...


SCHEDULERS: dict[str, SchedulerType] = {"agent": AgentScheduler, "weights": WeightsScheduler}

__all__ = ["SCHEDULERS", "SchedulerType"]
