"""What the fast path believes of every executor, laid out so that a request is scored in microseconds.

One `Pool` per model: a column per executor that may serve it, the routable ones first, in inventory order.
It holds the controller's own view (what it dispatched, what came back, what telemetry said), never the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.backlog import Backlog
from controller.perf.prior import Prior
from controller.scoring import AVOID_S, AWAY_S, OFF_S, SCORE, SERVICE, SIGMA, UNROUTED_S, WAIT
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel
from emulation.domain.snapshot import ExecutorState

Array = NDArray[np.float64]


class Pool:
    """The executors that may serve one model. Arrays have one entry per column, in seconds."""

    def __init__(
        self, testbed: TestbedConfig, model: str, executor_of: dict[str, int], sites: dict[str, int]
    ) -> None:
        spec = testbed.model(model)
        routable = testbed.routable(model)
        nodes = (*routable, *(n for n in testbed.hosts(model) if n not in set(routable)))
        device = {n.id for n in testbed.nodes if n.hosting == "device"}
        self.model = model
        self.features = 2 if spec.features == "tokens" else 1
        self.start_s = spec.init_s + spec.unload_s
        """Guess of the time until ready of an executor that waits for resources."""
        self.routable = len(routable)
        self.names = tuple(n if n in device else f"{n}/{model}" for n in nodes)
        self.column_of_node = {n: i for i, n in enumerate(nodes)}
        self.order = tuple(executor_of[name] for name in self.names)
        """Column to position in the testbed's list of executors; rising over the routable columns."""
        self.limit_s = inf
        """Admission limit of the policy in force."""
        self.open: list[int] = list(range(self.routable))
        """Routable columns present and not under hard avoidance; all present ones where none is so."""
        self.at_risk: set[int] = set()
        """Columns under hard avoidance for their risk alone: present, up, and not masked by the guide."""
        size = len(nodes)
        self.theta = [np.zeros(size), np.zeros(size)]
        self.prior_theta = [np.zeros(size), np.zeros(size)]
        self.uncertainty, self.noise_cv = np.zeros(size), np.zeros(size)
        self.covariance = np.zeros((3, size))
        """Rows c00, 2 c01, c11 of the covariance of theta, so that x' C x is one product."""
        self.before: dict[int, tuple[float, ...]] = {}
        """Column to the law it had before it became slower, where that was noticed."""
        self.sent = 0
        """Requests of this model dispatched so far."""
        self.heard = np.zeros(size)
        """Value of `sent` when something was last learned of each column."""
        self.free_at, self.floor = np.full(size, -inf), np.zeros(size)
        self.tier = np.full(size, OFF_S)
        self.tier[self.routable :] += UNROUTED_S
        self.soft = np.zeros(size)
        self.transfer, self.per_byte = _links(testbed, nodes, sites)
        self.bias = self.transfer + self.tier
        self._frame(size)

    def _frame(self, size: int) -> None:
        self.frame = np.zeros((4, size))
        self.wait, self.service = self.frame[WAIT], self.frame[SERVICE]
        self.sigma, self.score = self.frame[SIGMA], self.frame[SCORE]
        self._term = np.zeros(size)
        self.epistemic = np.zeros(size)
        """Epistemic variance of the service time of the request last evaluated, seconds squared."""

    def __getstate__(self) -> dict[str, Any]:
        views = {"frame", "wait", "service", "sigma", "score", "_term", "epistemic"}
        return {k: v for k, v in self.__dict__.items() if k not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._frame(len(self.names))

    def evaluate(
        self, site: int, x: tuple[float, float], moved_bytes: int, now_s: float, x1_sd: float = 0.0
    ) -> None:
        """Score one request into `frame` (its rows: wait, service, sigma, score). Changes nothing else.

        `x1_sd`: standard deviation of the second feature, where it is itself a prediction.
        """
        wait, service, score = self.wait, self.service, self.score
        np.subtract(self.free_at, now_s, out=wait)
        np.maximum(wait, self.floor, out=wait)
        np.multiply(self.theta[0], x[0], out=service)
        if self.features == 2:
            np.multiply(self.theta[1], x[1], out=self._term)
            np.add(service, self._term, out=service)
        x0, x1 = x
        # Element by element: a BLAS product rounds differently with the alignment of memory, so runs would differ.
        np.multiply(self.covariance[0], x0 * x0, out=self.epistemic)
        if self.features == 2:
            np.multiply(self.covariance[1], x0 * x1, out=self._term)
            np.add(self.epistemic, self._term, out=self.epistemic)
            np.multiply(self.covariance[2], x1 * x1, out=self._term)
            np.add(self.epistemic, self._term, out=self.epistemic)
            np.maximum(self.epistemic, 0.0, out=self.epistemic)  # a rounded covariance may fall below
        np.multiply(service, self.noise_cv, out=self.sigma)
        np.multiply(self.sigma, self.sigma, out=self.sigma)
        np.add(self.sigma, self.epistemic, out=self.sigma)
        if x1_sd:
            np.multiply(self.theta[1], x1_sd, out=self._term)
            np.multiply(self._term, self._term, out=self._term)
            np.add(self.sigma, self._term, out=self.sigma)
        np.sqrt(self.sigma, out=self.sigma)
        np.add(wait, service, out=score)
        np.add(score, self.bias[site], out=score)
        if moved_bytes and self.per_byte is not None:
            np.multiply(self.per_byte[site], moved_bytes, out=self._term)
            np.add(score, self._term, out=score)

    def scores(self, column: int) -> Array:
        """The scores that a decision for `column` lists: those of the routable columns, if it is one."""
        scores: Array = self.score if column >= self.routable else self.score[: self.routable]
        return scores

    def latency_s(self, column: int, site: int, moved_bytes: int) -> float:
        """Predicted latency of the request last evaluated, on one column: wait, service and transfer."""
        total: float = self.wait.item(column) + self.service.item(column) + self.transfer.item(site, column)
        if moved_bytes and self.per_byte is not None:
            total += self.per_byte.item(site, column) * moved_bytes
        return total

    def service_s(self, column: int, x: tuple[float, float]) -> float:
        """Predicted service time of features x on one column."""
        total = self.theta[0].item(column) * x[0]
        return total + self.theta[1].item(column) * x[1] if self.features == 2 else total

    def prior_service_s(self, x: tuple[float, float]) -> Array:
        """Service times of features x by the profile alone, one per column."""
        total = self.prior_theta[0] * x[0]
        return total + self.prior_theta[1] * x[1] if self.features == 2 else total

    def set_bias(self, column: int, tier_s: float, soft_s: float) -> None:
        """Set hard avoidance tier and additive bias of one column."""
        self.tier[column] = tier_s if column < self.routable else tier_s + UNROUTED_S
        self.soft[column] = soft_s
        self.bias[:, column] = self.transfer[:, column] + (self.tier[column] + soft_s)

    def refresh_open(self) -> None:
        """Recompute which columns a router may pick freely."""
        tiers = self.tier[: self.routable]
        present = np.flatnonzero(tiers < AWAY_S)
        free = present[(tiers[present] % OFF_S) < AVOID_S]
        self.open = (free if free.size else present).tolist()


def _links(
    testbed: TestbedConfig, nodes: tuple[str, ...], sites: dict[str, int]
) -> tuple[Array, Array | None]:
    """Round-trip latency and seconds per byte, shape (sites + 1, columns); last row: unknown origin, 0."""
    latency, per_byte = np.zeros((len(sites) + 1, len(nodes))), np.zeros((len(sites) + 1, len(nodes)))
    site_of = {n.id: n.site for n in testbed.nodes}
    columns: dict[str, list[int]] = {}
    for column, node in enumerate(nodes):
        columns.setdefault(site_of[node], []).append(column)
    for origin, row in sites.items():
        for site, where in columns.items():
            link = testbed.link(origin, site)
            latency[row, where] = 2.0 * link.latency_s
            if link.bandwidth_mbps is not None:
                per_byte[row, where] = 8.0 / (link.bandwidth_mbps * 1e6)
    return latency, per_byte if per_byte.any() else None


@dataclass(slots=True)
class Belief:
    """One executor as the fast path sees it."""

    name: str
    node: str
    state: ExecutorState
    mode: Mode
    places: list[tuple[Pool, int]] = field(default_factory=list)
    """Every pool it is in, with its column there."""
    backlog: Backlog = field(default_factory=Backlog)
    risky: bool = False
    masked: bool = False

    def tier_s(self) -> float:
        """Hard avoidance tier: away, off or draining, masked or risky, or none."""
        if self.state == "away":
            return AWAY_S
        tier = OFF_S if self.state in ("off", "draining") else 0.0
        return tier + AVOID_S if self.masked or self.risky else tier

    def publish(self) -> None:
        """Write the backlog to the pools' arrays."""
        free_at_s, floor_s = self.backlog.free_at_s, self.backlog.floor_s
        for pool, column in self.places:
            pool.free_at[column] = free_at_s
            pool.floor[column] = floor_s


class FastView:
    """All pools and beliefs of a testbed. Pods are off until telemetry says otherwise."""

    def __init__(self, testbed: TestbedConfig, perf: PerformanceModel) -> None:
        executors = testbed.executors()
        sites = {s: i for i, s in enumerate(dict.fromkeys(n.site for n in testbed.nodes))}
        self.table: dict[tuple[str, str], str] = {}
        """Route guide's table in force: (origin, model) to destination node."""
        self.x: tuple[float, float] = (0.0, 0.0)
        """Features of the request being routed."""
        self.now_s = -inf
        """Latest time anything was heard of."""
        self._sites = {n.id: sites[n.site] for n in testbed.nodes}
        self._nowhere = len(sites)
        index = {e.id: i for i, e in enumerate(executors)}
        self.pools = {m.id: Pool(testbed, m.id, index, sites) for m in testbed.models}
        self.beliefs = {e.id: _first_belief(testbed, e.id, e.node) for e in executors}
        prior = Prior(testbed)
        for pool in self.pools.values():
            for column, name in enumerate(pool.names):
                belief = self.beliefs[name]
                belief.places.append((pool, column))
                self.refresh_law(pool, column, PerfKey(name, pool.model, belief.mode), perf, prior)
                belief.backlog.batch = testbed.batching(belief.node, pool.model, belief.mode)
        self._testbed = testbed
        for belief in self.beliefs.values():
            for pool, column in belief.places:
                pool.set_bias(column, belief.tier_s(), 0.0)
        self._prior = prior

    def site_of(self, origin: str) -> int:
        """Row of the origin's site in the transfer arrays; the last, free one for an unknown origin."""
        return self._sites.get(origin, self._nowhere)

    def refresh_law(
        self, pool: Pool, column: int, key: PerfKey, perf: PerformanceModel, prior: Prior | None = None
    ) -> None:
        """Reread the law of one column, `key` naming the mode it is in; with `prior`, its profile too."""
        theta, pool.uncertainty[column] = perf.theta(key)
        for row, coefficient in zip(pool.theta, theta, strict=False):
            row[column] = coefficient
        spread = perf.spread(key)
        c00, c01, c11 = spread.covariance
        pool.covariance[0, column], pool.covariance[1, column] = max(c00, 0.0), 2.0 * c01
        pool.covariance[2, column], pool.noise_cv[column] = max(c11, 0.0), spread.noise_cv
        pool.heard[column] = pool.sent
        if spread.before is not None and any(b < c for b, c in zip(spread.before, theta, strict=True)):
            pool.before[column] = spread.before
        else:
            pool.before.pop(column, None)
        if prior is not None:
            for row, coefficient in zip(pool.prior_theta, prior.theta(key)[0], strict=False):
                row[column] = coefficient

    def reread(
        self, belief: Belief, perf: PerformanceModel, model: str | None = None, mode: Mode | None = None
    ) -> None:
        """The laws of an executor have changed: all of them, or that of one model; with `mode`, it runs in another one.

        What is outstanding there is predicted to take longer, or less long, in proportion.
        """
        places = {pool.model: (pool, column) for pool, column in belief.places if model in (None, pool.model)}
        entries = [entry for entry in belief.backlog.entries.values() if entry.model in places]

        def predicted_s() -> list[float]:
            of = [(*places[entry.model], entry.x) for entry in entries]
            return [pool.service_s(column, x) for pool, column, x in of]

        before_s = predicted_s()
        belief.mode = mode or belief.mode
        for pool, column in places.values():
            key = PerfKey(belief.name, pool.model, belief.mode)
            self.refresh_law(pool, column, key, perf, self._prior if mode else None)
            if mode:
                belief.backlog.batch = self._testbed.batching(belief.node, pool.model, mode)
        for entry, old_s, new_s in zip(entries, before_s, predicted_s(), strict=True):
            entry.predicted_s *= new_s / old_s if old_s > 0 else 1.0
        belief.backlog.recount()


def _first_belief(testbed: TestbedConfig, executor: str, node_id: str) -> Belief:
    node = testbed.node(node_id)
    if node.hosting == "device":
        first = testbed.hosted(node_id)
        mode: Mode = testbed.modes(node_id, first[0])[0] if first else "off"
        return Belief(executor, node_id, "ready", mode)
    return Belief(executor, node_id, "off", "off", backlog=Backlog(running=False))
