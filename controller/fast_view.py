"""What the fast path believes of every executor, laid out so that a request is scored in microseconds.

One `Pool` per model. It holds the controller's own view (what it dispatched, what came back, what telemetry said),
never the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
from mypy_extensions import mypyc_attr
from numpy.typing import NDArray

from controller.backlog import Backlog, Entry
from controller.perf.prior import Prior
from controller.pool import Pool as Pool
from controller.pool import pool_nodes
from controller.scoring import AVOID_S, AWAY_S, OFF_S
from controller.short_pool import SHORT, ShortPool
from controller.wide_pool import WidePool
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.ports import PerfKey, PerformanceModel
from emulation.domain.snapshot import ExecutorState

Array = NDArray[np.float64]


def make_pool(testbed: TestbedConfig, model: str, executor_of: dict[str, int], sites: dict[str, int]) -> Pool:
    """The pool of a model, of the kind that suits its size. `sites`: site to its row in the tables of transfers."""
    nodes = pool_nodes(testbed, model)
    latency_s, per_byte_s = _links(testbed, nodes, sites)
    if len(nodes) > SHORT:
        return WidePool(testbed, model, executor_of, latency_s, per_byte_s)
    bytes_s = None if per_byte_s is None else per_byte_s.tolist()
    return ShortPool(testbed, model, executor_of, latency_s.tolist(), bytes_s)


def _links(
    testbed: TestbedConfig, nodes: tuple[str, ...], sites: dict[str, int]
) -> tuple[Array, Array | None]:
    """Round-trip latency and seconds per byte, shape (sites + 1, columns); last row: unknown origin, 0.

    Only the links that are listed are looked at: where every node has a site of its own, most pairs have none.
    """
    latency, per_byte = np.zeros((len(sites) + 1, len(nodes))), np.zeros((len(sites) + 1, len(nodes)))
    site_of = {n.id: n.site for n in testbed.nodes}
    columns: dict[str, list[int]] = {}
    for column, node in enumerate(nodes):
        columns.setdefault(site_of[node], []).append(column)
    for link in testbed.links:
        for origin, site in ((link.a, link.b), (link.b, link.a)):
            if origin in sites and site in columns:
                row, where = sites[origin], columns[site]
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
    unheard: bool = False
    """It is risky, and nothing that ended since tells how fast it is now."""
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
            pool.set_free(column, free_at_s, floor_s)


@mypyc_attr(allow_interpreted_subclasses=True)
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
        self._keys: dict[tuple[str, str, str], PerfKey] = {}
        index = {e.id: i for i, e in enumerate(executors)}
        self.pools = {m.id: make_pool(testbed, m.id, index, sites) for m in testbed.models}
        self.beliefs = {e.id: _first_belief(testbed, e.id, e.node) for e in executors}
        prior = Prior(testbed)
        for pool in self.pools.values():
            for column, name in enumerate(pool.names):
                belief = self.beliefs[name]
                belief.places.append((pool, column))
                self.refresh_law(pool, column, self.key(name, pool.model, belief.mode), perf, prior)
                belief.backlog.serves_by(testbed.batching(belief.node, pool.model, belief.mode))
        self._testbed = testbed
        for belief in self.beliefs.values():
            for pool, column in belief.places:
                pool.set_bias(column, belief.tier_s(), 0.0)
        self._prior = prior

    def site_of(self, origin: str) -> int:
        """Row of the origin's site in the transfer arrays; the last, free one for an unknown origin."""
        return self._sites.get(origin, self._nowhere)

    def key(self, executor: str, model: str, mode: Mode) -> PerfKey:
        """What a service law is learned for: made once, as that takes longer than to find it."""
        key = self._keys.get((executor, model, mode))
        if key is None:
            key = self._keys[executor, model, mode] = PerfKey(executor, model, mode)
        return key

    def refresh_law(
        self, pool: Pool, column: int, key: PerfKey, perf: PerformanceModel, prior: Prior | None = None
    ) -> None:
        """Reread the law of one column, `key` naming the mode it is in; with `prior`, its profile too."""
        theta, uncertainty = perf.theta(key)
        pool.set_law(column, theta, uncertainty, perf.spread(key))
        if prior is not None:
            pool.set_prior(column, prior.theta(key)[0])

    def reread(
        self, belief: Belief, perf: PerformanceModel, model: str | None = None, mode: Mode | None = None
    ) -> None:
        """The laws of an executor have changed: all of them, or that of one model; with `mode`, it runs in another one.

        What is outstanding there is predicted to take longer, or less long, in proportion.
        """
        places = [place for place in belief.places if model is None or place[0].model == model]
        outstanding: list[tuple[Entry, Pool, int, float]] = []
        for entry in belief.backlog.entries.values():
            for pool, column in places:
                if pool.model == entry.model:
                    outstanding.append((entry, pool, column, pool.service_s(column, entry.x)))
        belief.mode = mode or belief.mode
        for pool, column in places:
            key = self.key(belief.name, pool.model, belief.mode)
            self.refresh_law(pool, column, key, perf, self._prior if mode else None)
            if mode:
                belief.backlog.serves_by(self._testbed.batching(belief.node, pool.model, mode))
        for entry, pool, column, old_s in outstanding:
            entry.predicted_s *= pool.service_s(column, entry.x) / old_s if old_s > 0 else 1.0
        belief.backlog.recount()


def _first_belief(testbed: TestbedConfig, executor: str, node_id: str) -> Belief:
    node = testbed.node(node_id)
    if node.hosting == "device":
        first = testbed.hosted(node_id)
        mode: Mode = testbed.modes(node_id, first[0])[0] if first else "off"
        return Belief(executor, node_id, "ready", mode)
    return Belief(executor, node_id, "off", "off", backlog=Backlog(running=False))
