"""A deployer of mine, and a scheme to compare it by."""

from __future__ import annotations

from controller.deployers.patterns import hungriest_first
from controller.schemes import Scheme
from emulation.domain.actions import Choice, NodeConfig
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import DeploymentAgent
from emulation.domain.snapshot import NodeView


class Mine(DeploymentAgent):
    """All that full activation would run, less what nobody waits for here."""

    repeats = True
    """Alike views give alike choices: it remembers nothing."""

    class Config(Strict):
        """Parameters, set in a scenario under `controllers`."""

    def __init__(self, testbed: TestbedConfig, node_id: str, config: Config, seed: int) -> None:
        self._node_id = node_id
        self._all = hungriest_first(testbed, node_id)

    def decide(self, view: NodeView) -> Choice[NodeConfig]:
        """The mode of every model on this node for the next slot; a model that is left out is off."""
        waiting = {m for e in view.executors for m, n in e.backlog_prompts.items() if n > 0}
        wanted = waiting or set(self._all)
        modes = {m: mode for m, mode in self._all.items() if m in wanted}
        return Choice(NodeConfig(self._node_id, modes), f"waiting: {', '.join(sorted(waiting)) or 'nothing'}")


MINE = Scheme(
    name="mine",
    paper="outside",
    summary="shortest completion, learning, over what is waited for",
    router="sect",
    perf="nnls",
    deployer="edgebed.starts.deployer:Mine",
)
