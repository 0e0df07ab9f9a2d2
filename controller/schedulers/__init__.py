"""Prompt schedulers: once per slot, a route guide for the fast path. One file each.

Read first: `agent.py` (backlog-aware table within the roles), `weights.py` (roles and p as mask and bias).
Every class takes `(testbed, config, seed, objective)`, has a pydantic `Config`, and is a `PromptScheduler`.
"""

from __future__ import annotations

from controller.registry import DeciderType
from controller.schedulers.agent import AgentScheduler
from controller.schedulers.mappo import MappoScheduler
from controller.schedulers.weights import WeightsScheduler
from emulation.domain.ports import PromptScheduler

SCHEDULERS: dict[str, DeciderType[PromptScheduler]] = {
    "agent": AgentScheduler,
    "mappo": MappoScheduler,
    "weights": WeightsScheduler,
}
