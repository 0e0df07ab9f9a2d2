"""Which GPU an executor computes on, where a node has several: placed again by the rule of the nodes themselves."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from edgebed.ui.sources.steps import Steps
from edgebed.ui.sources.world import World
from emulation.domain.cluster import NodeSpec, TestbedConfig
from emulation.executor.executor import Executor
from emulation.executor.resources import allocate, needs_of


class Seats:
    """The executors of one node with the GPU each has; told of every change, in order of time."""

    def __init__(self, testbed: TestbedConfig, node: NodeSpec) -> None:
        self._node = node
        self._needs = needs_of(testbed.models)
        self._executors = {e.id: Executor(spec=e) for e in testbed.executors_of(node.id)}

    def change(self, executor: str, state: str, mode: str) -> int | None:
        """The GPU that an executor has after it changed; None if it has none."""
        seat = self._executors[executor]
        if self._node.hosting == "device":
            return 0 if mode == "gpu" else None
        if state in ("starting", "ready") and mode == "gpu" and seat.gpu is None:
            seat.target = "gpu"
            if not allocate(seat, list(self._executors.values()), self._needs, self._node):
                seat.gpu = None  # the record is of another world than its inventory
        if mode != "gpu" or state in ("off", "pending"):
            seat.gpu = None
        seat.state, seat.mode = state, mode  # type: ignore[assignment]
        return seat.gpu


class Seating:
    """The GPU of every executor of a testbed at any moment."""

    def __init__(self, testbed: TestbedConfig, world: World) -> None:
        self._testbed, self._world = testbed, world
        self._told: dict[str, tuple[int, dict[str, Steps[int | None]]]] = {}
        """Node to how many changes were told, and to what came of them."""

    def at(self, node: NodeSpec, executor: str, mode: str, t_s: float) -> int | None:
        """The GPU of an executor in a mode; None if it computes on none."""
        if mode != "gpu" or not node.gpus:
            return None
        if len(node.gpus) == 1:
            return 0
        steps = self._of(node).get(executor)
        return None if steps is None else steps.at(t_s)

    def _of(self, node: NodeSpec) -> dict[str, Steps[int | None]]:
        names = [e.id for e in self._testbed.executors_of(node.id)]
        own = {name: self._world.executors[name] for name in names if name in self._world.executors}
        count, placed = sum(map(len, own.values())), dict[str, Steps[int | None]]()
        if node.id in self._told and self._told[node.id][0] == count:
            return self._told[node.id][1]
        seats = Seats(self._testbed, node)
        changes = sorted(
            ((t, name, *change) for name, steps in own.items() for t, change in steps.until(inf)),
            key=lambda change: change[0],
        )
        for t_s, name, state, mode in changes:
            placed.setdefault(name, Steps()).add(t_s, seats.change(name, state, mode))
        self._told[node.id] = count, placed
        return placed


def shares(node: NodeSpec, at_work: Sequence[tuple[str, int | None]]) -> dict[str, float]:
    """Executor at work to its share of the GPU it computes on, by the law of that GPU."""
    found: dict[str, float] = {}
    for index, gpu in enumerate(node.gpus):
        group = [name for name, gpu_index in at_work if gpu_index == index]
        found |= dict.fromkeys(group, gpu.share(len(group)))
    return found
