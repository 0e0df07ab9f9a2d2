"""Deployers: once per slot and node, which models run here and on what. One file each; one object per node.

Read first: `patterns.py` (the candidate patterns of a node), `lyapunov.py` (MA eqs. 15-19), `agent.py`
(follows the planner's role). Every class takes `(testbed, node_id, config, seed)`, has a pydantic `Config`,
and is a `DeploymentAgent`. A new one is a file here and a line in `DEPLOYERS`.
"""

from __future__ import annotations

from typing import Any, Protocol

from controller.deployers.agent import AgentDeployer
from controller.deployers.full import FullDeployer
from controller.deployers.lyapunov import LyapunovDeployer
from controller.deployers.random import RandomDeployer
from controller.deployers.static import StaticDeployer
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import DeploymentAgent


class DeployerType(Protocol):
    """What every entry of `DEPLOYERS` is: a class with a `Config`, built for one node."""

    Config: type[Any]

    def __call__(self, testbed: TestbedConfig, node_id: str, config: Any, seed: int) -> DeploymentAgent: ...


DEPLOYERS: dict[str, DeployerType] = {
    "agent": AgentDeployer,
    "full": FullDeployer,
    "lyapunov": LyapunovDeployer,
    "random": RandomDeployer,
    "static": StaticDeployer,
}

__all__ = ["DEPLOYERS", "DeployerType"]
