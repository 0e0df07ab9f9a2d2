"""A prompt scheduler of mine, and a scheme to compare it by."""

from __future__ import annotations

from controller.objective import Objective
from controller.schemes import Scheme
from emulation.domain.actions import Choice, MacroPolicy, RouteGuide
from emulation.domain.cluster import Strict, TestbedConfig
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot


class Mine(PromptScheduler):
    """Keeps requests off the executors with the longest queue, while another can serve."""

    class Config(Strict):
        """Parameters, set in a scenario under `controllers`."""

        most_prompts: float = 50.0
        """Prompts queued on an executor above which it is masked."""

    def __init__(self, testbed: TestbedConfig, config: Config, seed: int, objective: Objective) -> None:
        self._config = config

    def decide(self, snapshot: ClusterSnapshot, policy: MacroPolicy | None) -> Choice[RouteGuide]:
        """The guide of the slot that begins, from what the nodes told at the end of the last one."""
        queued = {e.id: sum(e.backlog_prompts.values()) for node in snapshot.nodes for e in node.executors}
        masked = frozenset(name for name, prompts in queued.items() if prompts > self._config.most_prompts)
        return Choice(RouteGuide(masked=masked), f"{len(masked)} executors with long queues")


MINE = Scheme(
    name="mine",
    paper="outside",
    summary="shortest completion, learning, off the longest queues",
    router="sect",
    perf="nnls",
    deployer="full",
    scheduler="edgebed.starts.scheduler:Mine",
)
