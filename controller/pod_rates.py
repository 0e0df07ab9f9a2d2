"""What the pods of one plan can serve each second under a demand: the arithmetic of `capacity.py`, for a single plan.

Where `RoleTable` compares many plans at once, a prompt scheduler asks of the roles in force in every slot. They have a
dozen pods, for which arrays would take longer to be called than to compute. Same laws, same order of sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mypy_extensions import mypyc_attr

from controller.belief import Laws
from controller.capacity import ROUNDS, rate_of
from emulation.domain.cluster import Mode, NodeSpec, TestbedConfig
from emulation.domain.feasibility import pack_gpus


@mypyc_attr(allow_interpreted_subclasses=True)
class _Gpu:
    """One GPU and the models that have a slice of it, by their number."""

    def __init__(self, node: NodeSpec, index: int) -> None:
        gpu = node.gpus[index]
        speeds = [gpu.share(busy) for busy in range(1, gpu.slices + 1)]
        self.alone = speeds[0]
        self.drops = [-(more - less) for less, more in zip(speeds, speeds[1:], strict=False)]
        """Speed lost when one more of the others becomes busy."""
        self.models: list[int] = []

    def load(self, busy: Sequence[float]) -> float:
        """Busy shares of its models; the first model of the testbed is added last, as numpy does."""
        first = rest = 0.0
        for m in self.models:
            if m == 0:
                first = busy[m]
            else:
                rest += busy[m]
        return first + rest

    def speed(self, others: float) -> float:
        """Of a pod while so many of the others are busy; a fraction counts, linear in between."""
        speed = self.alone
        for s, drop in enumerate(self.drops):
            speed -= drop * min(max(others - s, 0.0), 1.0)
        return speed


@mypyc_attr(allow_interpreted_subclasses=True)
class _Pod:
    """One model on one node."""

    def __init__(self, node: str, model: int, mode: Mode, gpu: _Gpu | None, share: float) -> None:
        self.node, self.model, self.mode, self.gpu = node, model, mode, gpu
        self.share = share
        """Of the reference cores, on a CPU."""
        self.full_s = 0.0
        """Units per second on a whole idle GPU, or on its share of the CPU."""
        self.per_s = 0.0


@mypyc_attr(allow_interpreted_subclasses=True)
class PodRates:
    """The pods of one role per node that requests may be routed to, in inventory order."""

    def __init__(self, testbed: TestbedConfig, roles: Mapping[str, Mapping[str, Mode]]) -> None:
        self._testbed = testbed
        self._models = [m.id for m in testbed.models]
        self._pods: list[_Pod] = []
        for node in testbed.nodes:
            self._pods.extend(self._of(node, roles.get(node.id, {})))

    def _of(self, node: NodeSpec, role: Mapping[str, Mode]) -> list[_Pod]:
        testbed = self._testbed
        spec = testbed.node(node.id)
        on_gpu = [i for i, m in enumerate(testbed.models) if role.get(m.id) == "gpu"]
        placed = pack_gpus(spec, [testbed.models[i].vram_gb for i in on_gpu]) or []
        gpus = [_Gpu(node, g) for g in range(len(node.gpus))]
        gpu_of = dict(zip(on_gpu, placed, strict=False))
        share = testbed.cpu.share(spec.cores, sum([mode == "cpu" for mode in role.values()]))
        pods: list[_Pod] = []
        for i, model in enumerate(self._models):
            mode = role.get(model)
            if node.id not in testbed.routable(model):
                continue
            if mode == "cpu":
                pods.append(_Pod(node.id, i, "cpu", None, share))
            elif i in gpu_of:
                gpus[gpu_of[i]].models.append(i)
                pods.append(_Pod(node.id, i, "gpu", gpus[gpu_of[i]], 1.0))
        return pods

    def learn(self, laws: Laws) -> None:
        """These are the laws from now on."""
        for pod in self._pods:
            model = self._models[pod.model]
            theta = laws.get((pod.node, model, pod.mode))
            rate = self._testbed.batching(pod.node, model, pod.mode).full_rate(
                rate_of(self._testbed.model(model), theta)
            )
            pod.full_s = rate if pod.gpu is not None else pod.share * rate

    def seconds_per_prompt(self, units_per_s: Sequence[float]) -> dict[tuple[str, str], float]:
        """(node, model) to seconds per unit of work there under this demand, in units per second, by model."""
        busy = [0.0] * len(self._models)
        for _ in range(ROUNDS):
            total = [0.0] * len(self._models)
            for pod in self._pods:
                gpu = pod.gpu
                if gpu is None:
                    pod.per_s = pod.full_s
                else:
                    pod.per_s = pod.full_s * gpu.speed(gpu.load(busy) - busy[pod.model])
                total[pod.model] += pod.per_s
            busy = [
                min(1.0, wanted / max(there, 1e-12)) if there > 0.0 else 0.0
                for wanted, there in zip(units_per_s, total, strict=True)
            ]
        return {(pod.node, self._models[pod.model]): 1.0 / pod.per_s for pod in self._pods if pod.per_s > 0.0}
