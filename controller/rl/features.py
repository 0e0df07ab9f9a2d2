"""What the agents of the DRL baseline see: public figures only, one row per thing that may be chosen.

A row says what one choice would mean (a node for a model, a mode for a model of a node), in seconds and shares instead
of names and positions. So one set of weights serves every node, every model and every testbed: agents of a kind share
their weights, and a permutation of nodes permutes the rows.
Seconds enter as log(1 + seconds / slot).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, log1p

import numpy as np
from numpy.typing import NDArray

from controller.capacity import full_rate
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import ClusterSnapshot, ExecutorView, NodeView

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MODES: tuple[Mode, ...] = ("off", "cpu", "gpu")
"""Order of a model's rows at a deployment agent."""
CANDIDATE = 17
"""Figures of one node as a destination of one model."""
MODEL_MODE = 16
"""Figures of one model in one mode of a node."""
PATTERN = 6
"""Figures of a whole pattern of a node."""
LIMIT = 10.0
"""Every figure is held within [-LIMIT, LIMIT]."""
_UP = ("ready", "starting", "pending")


@dataclass(frozen=True, slots=True)
class Terms:
    """What times are measured by."""

    slot_s: float
    scale_s: float
    """Deadline, or an epoch where requests never expire."""


class Speeds:
    """Seconds that a prompt (or a typical request of a token model) takes by the profile, per node, model and mode."""

    def __init__(self, testbed: TestbedConfig) -> None:
        self._seconds: dict[tuple[str, str, Mode], float] = {}
        for node in testbed.nodes:
            for model in testbed.hosted(node.id):
                for mode in testbed.modes(node.id, model):
                    self._seconds[node.id, model, mode] = 1.0 / full_rate(testbed, node.id, model, mode)
        self._cpu, self._nodes = testbed.cpu, {n.id: n for n in testbed.nodes}

    def seconds(self, node: str, model: str, mode: Mode, cpu_pods: int, gpu_pods: int) -> float | None:
        """In company: `cpu_pods` share the node's cores, `gpu_pods` its GPUs, all busy; None where it cannot run."""
        alone = self._seconds.get((node, model, mode))
        if alone is None:
            return None
        spec = self._nodes[node]
        if mode == "cpu":
            return alone / self._cpu.share(spec.cores, max(cpu_pods, 1))
        per_gpu = max(1, -(-gpu_pods // max(len(spec.gpus), 1)))
        return alone / spec.gpus[0].share(per_gpu)

    def best(self, node: str, model: str) -> float:
        """In the fastest mode the node has, alone."""
        alone = [self.seconds(node, model, mode, 1, 1) for mode in MODES]
        return min(s for s in alone if s is not None)


def _mode(executor: ExecutorView | None) -> Mode:
    return executor.mode if executor is not None and executor.state in _UP else "off"


def _prompts(executor: ExecutorView | None, model: str) -> float:
    return 0.0 if executor is None else executor.backlog_prompts.get(model, 0.0)


class RouterFeatures:
    """What a routing agent sees: the same for all but for where it stands itself."""

    def __init__(self, testbed: TestbedConfig, terms: Terms) -> None:
        self._terms, self._testbed, self._speeds = terms, testbed, Speeds(testbed)
        self.nodes = tuple(n.id for n in testbed.nodes)
        self.models = tuple(m.id for m in testbed.models)
        self.routable = np.array([[n in testbed.routable(m) for n in self.nodes] for m in self.models])
        """(M, N): whether requests of the model may be sent there."""

    def mask(self, snapshot: ClusterSnapshot) -> NDArray[np.bool_]:
        """(M, N): the destinations that may be chosen; all routable ones where every one of them is away."""
        up = {v.id for v in snapshot.nodes if v.available}
        here = self.routable & np.array([n in up for n in self.nodes])
        return np.where(here.any(axis=1)[:, None], here, self.routable)

    def candidates(self, snapshot: ClusterSnapshot) -> Floats:
        """(M, N, CANDIDATE): the figures of every node for every model; zeros where it may not be sent."""
        views = {v.id: v for v in snapshot.nodes}
        rows = np.zeros((len(self.models), len(self.nodes), CANDIDATE))
        now_s = np.ones((len(self.models), len(self.nodes)))
        up = np.zeros((len(self.models), len(self.nodes)))
        wait_s = np.zeros((len(self.models), len(self.nodes)))
        for n, node in enumerate(self.nodes):
            if (view := views.get(node)) is not None:
                self._node(view, rows[:, n], now_s[:, n], up[:, n], wait_s[:, n])
        self._compare(rows, now_s, up, wait_s)
        rows *= self.routable[:, :, None]
        return np.clip(rows, -LIMIT, LIMIT)

    def _node(self, view: NodeView, rows: Floats, now_s: Floats, up: Floats, wait_s: Floats) -> None:
        """Fill in what one node tells: its rows (M, CANDIDATE), seconds per prompt, whether up, seconds of backlog."""
        spec, slot_s = self._testbed.node(view.id), self._terms.slot_s
        executor_of = {m: e for e in view.executors for m in e.models}
        modes = {m: _mode(executor_of.get(m)) for m in executor_of}
        cpu_pods, gpu_pods = (sum(mode == kind for mode in modes.values()) for kind in ("cpu", "gpu"))
        for m, model in enumerate(self.models):
            executor = executor_of.get(model)
            if executor is None:
                continue
            mode = modes[model]
            best_s = self._speeds.best(view.id, model)
            held_s = self._speeds.seconds(view.id, model, mode, cpu_pods, gpu_pods)
            now_s[m] = held_s if held_s is not None else best_s
            up[m] = float(mode != "off")
            wait_s[m] = _prompts(executor, model) * now_s[m]
            rows[m, :9] = (
                executor.state == "ready", executor.state in ("starting", "pending"), mode == "gpu",
                mode == "cpu", log1p(10.0 * now_s[m] / slot_s), log1p(10.0 * best_s / slot_s),
                log1p(wait_s[m] / slot_s), min(executor.ready_in_s / slot_s, 5.0), float(executor.busy),
            )  # fmt: skip
        total_s = float(wait_s.sum())
        rows[:, 9] = [log1p((total_s - s) / slot_s) for s in wait_s]
        rows[:, 10] = 1.0 - view.slices_used / spec.gpu_slices if spec.gpu_slices else 0.0
        rows[:, 11] = view.cores_busy / spec.cores
        rows[:, 12] = float(view.available)

    def _compare(self, rows: Floats, now_s: Floats, up: Floats, wait_s: Floats) -> None:
        """Fill in what makes a destination better than the others of its model."""
        for m in range(len(self.models)):
            may = self.routable[m]
            rate = up[m] * may / now_s[m]
            total = float(rate.sum())
            rows[m, :, 13] = rate / total * may.sum() if total > 0 else 0.0
            least_s = min((float(s) for s, ok in zip(wait_s[m], may, strict=True) if ok), default=0.0)
            rows[m, :, 14] = rows[m, :, 6] - log1p(least_s / self._terms.slot_s)
            rows[m, :, 15] = float((up[m] * may).sum()) / max(int(may.sum()), 1)
            rows[m, :, 16] = log1p(float((wait_s[m] * may).sum()) / self._terms.slot_s)


class DeployerFeatures:
    """What the deployment agent of one node sees: its own node, and what each feasible pattern would mean there."""

    def __init__(self, testbed: TestbedConfig, node_id: str, terms: Terms) -> None:
        self._terms, self._testbed, self._speeds = terms, testbed, Speeds(testbed)
        self.node_id = node_id
        self.models = testbed.hosted(node_id)
        self.patterns = feasible_configs(testbed, node_id)
        self.modes = np.array(
            [[MODES.index(p[m]) for m in self.models] for p in self.patterns], dtype=np.int64
        )
        """(P, M): index into `MODES` of every model in every pattern."""
        self._best_s = [self._speeds.best(node_id, m) for m in self.models]
        self._seconds = self._in_company()

    def _in_company(self) -> Floats:
        """(P, M): seconds per prompt of every model under every pattern; 0 where it is off."""
        seconds = np.zeros(self.modes.shape)
        for p, pattern in enumerate(self.patterns):
            cpu_pods, gpu_pods = (sum(mode == kind for mode in pattern.values()) for kind in ("cpu", "gpu"))
            for m, model in enumerate(self.models):
                seconds[p, m] = (
                    self._speeds.seconds(self.node_id, model, pattern[model], cpu_pods, gpu_pods) or 0.0
                )
        return seconds

    def rows(self, view: NodeView) -> tuple[Floats, Floats]:
        """(M, 3, MODEL_MODE) of every model in every mode, and (P, PATTERN) of every pattern."""
        executor_of = {m: e for e in view.executors for m in e.models}
        prompts = np.array([_prompts(executor_of.get(m), m) for m in self.models])
        held = np.array([MODES.index(_mode(executor_of.get(m))) for m in self.models], dtype=np.int64)
        return self._of_modes(executor_of, prompts, held), self._of_patterns(prompts, held)

    def backlog(self, view: NodeView) -> float:
        """Work that waits here as a share of the deadline, model by model at its best speed, each at most 1; summed."""
        executor_of = {m: e for e in view.executors for m in e.models}
        each = (
            _prompts(executor_of.get(m), m) * best_s / self._terms.scale_s
            for m, best_s in zip(self.models, self._best_s, strict=True)
        )
        return sum(min(share, 1.0) for share in each)

    def _of_modes(self, executor_of: Mapping[str, ExecutorView], prompts: Floats, held: Ints) -> Floats:
        rows = np.zeros((len(self.models), len(MODES), MODEL_MODE))
        work_s = prompts * self._best_s
        total_s = float(work_s.sum())
        for m, model in enumerate(self.models):
            executor, spec = executor_of.get(model), self._testbed.model(model)
            coming = executor is not None and executor.state in ("starting", "pending")
            for x, mode in enumerate(MODES):
                alone_s = 0.0 if mode == "off" else self._speeds.seconds(self.node_id, model, mode, 1, 1)
                if alone_s is None:
                    continue
                moves = mode != "off" and x != held[m]
                rows[m, x] = self._row(
                    mode, int(held[m]) == x, held[m] != 0, prompts[m], work_s[m], total_s, alone_s,
                    (spec.init_s + spec.unload_s) / self._terms.slot_s if moves else 0.0, coming,
                )  # fmt: skip
        return np.clip(rows, -LIMIT, LIMIT)

    def _row(
        self, mode: Mode, keeps: bool, was_on: bool, prompts: float, work_s: float, total_s: float,
        alone_s: float, init: float, coming: bool,
    ) -> Sequence[float]:  # fmt: skip
        slot_s, on = self._terms.slot_s, mode != "off"
        waiting = log1p(work_s / slot_s)
        return (
            float(not on), float(mode == "cpu"), float(mode == "gpu"), float(keeps),
            float(on and not was_on), float(not on and was_on), float(on and was_on and not keeps),
            waiting, log1p(prompts * alone_s / slot_s), log1p(10.0 * alone_s / slot_s),
            0.0 if on else waiting, init, float(coming), work_s / total_s if total_s > 0 else 0.0,
            float(on and prompts == 0), log(alone_s * prompts / work_s) if on and work_s > 0 else 0.0,
        )  # fmt: skip

    def _of_patterns(self, prompts: Floats, held: Ints) -> Floats:
        """Speed lost in company, what moves, and what would become of the work that waits here."""
        slot_s, scale_s = self._terms.slot_s, self._terms.scale_s
        on = self._seconds > 0.0
        needed_s = self._seconds * prompts
        waits = prompts > 0
        share = np.where(waits, np.where(on, np.minimum(needed_s / scale_s, 1.0), 1.0), 0.0)
        rows = np.zeros((len(self.patterns), PATTERN))
        rows[:, 0] = (self.modes == 1).sum(axis=1) / max(len(self.models), 1)
        rows[:, 1] = (self.modes == 2).sum(axis=1) / max(self._testbed.node(self.node_id).gpu_slices, 1)
        rows[:, 2] = (self.modes != held).sum(axis=1) / max(len(self.models), 1)
        rows[:, 3] = share.sum(axis=1)
        rows[:, 4] = (share**2).sum(axis=1)
        rows[:, 5] = np.where(on, np.log1p(needed_s / slot_s), 0.0).sum(axis=1) / max(len(self.models), 1)
        return np.clip(rows, -LIMIT, LIMIT)
