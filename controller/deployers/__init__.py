"""Deployers: once per slot and node, which models run here and on what. One file each; one object per node.

Read first: `patterns.py` (the candidate patterns of a node), `lyapunov.py` (MA eqs. 15-19), `agent.py`
(follows the planner's role). Every class takes `(testbed, node_id, config, seed)`, has a pydantic `Config`,
and is a `DeploymentAgent`. A new one is a file here and a line in `DEPLOYERS`.
"""

from __future__ import annotations

from controller.deployers.agent import AgentDeployer
from controller.deployers.dqn import DqnDeployer
from controller.deployers.full import FullDeployer
from controller.deployers.lyapunov import LyapunovDeployer
from controller.deployers.random import RandomDeployer
from controller.deployers.static import StaticDeployer
from controller.registry import DeciderType
from emulation.domain.ports import DeploymentAgent

DEPLOYERS: dict[str, DeciderType[DeploymentAgent]] = {
    "agent": AgentDeployer,
    "dqn": DqnDeployer,
    "full": FullDeployer,
    "lyapunov": LyapunovDeployer,
    "random": RandomDeployer,
    "static": StaticDeployer,
}
