"""The executors that may serve one model, a column each, and how a request is scored over them.

Two ways of doing the same sums, to the last bit: in plain Python where there are few columns, for which numpy would
take longer to be called than to compute (`short_pool.py`), and by numpy where there are many (`wide_pool.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from math import inf
from typing import Protocol

from mypy_extensions import mypyc_attr

from controller.scoring import AVOID_S, AWAY_S, OFF_S, UNROUTED_S, Ranking
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import Spread


class Row(Protocol):
    """One figure per column."""

    def __len__(self) -> int: ...

    def __getitem__(self, column: int, /) -> float: ...


@mypyc_attr(allow_interpreted_subclasses=True)
class Pool(ABC):
    """The executors of one model, the routable ones first, in inventory order. Seconds, one entry per column."""

    def __init__(self, testbed: TestbedConfig, model: str, executor_of: dict[str, int]) -> None:
        spec = testbed.model(model)
        nodes = pool_nodes(testbed, model)
        device = {n.id for n in testbed.nodes if n.hosting == "device"}
        size = len(nodes)
        self.model = model
        self.features = 2 if spec.features == "tokens" else 1
        self.start_s = spec.init_s + spec.unload_s
        """Guess of the time until ready of an executor that waits for resources."""
        self.routable = len(testbed.routable(model))
        self.names = tuple(n if n in device else f"{n}/{model}" for n in nodes)
        self.column_of_node = {n: i for i, n in enumerate(nodes)}
        self.order = tuple(executor_of[name] for name in self.names)
        """Column to position in the testbed's list of executors; rising over the routable columns."""
        self.limit_s = inf
        """Admission limit in force: of the policy, or what the guide has in its place."""
        self.unrefused = False
        """Whether by that policy nothing is refused because it would be late."""
        self.at_risk: set[int] = set()
        """Columns under hard avoidance for their risk alone: present, up, and not masked by the guide."""
        self.uncertainty = [0.0] * size
        self.energy = [0.0] * size
        """Seconds of score that a second of service in each column costs for its energy."""
        self.before: dict[int, tuple[float, ...]] = {}
        """Column to the law it had before it became slower, where that was noticed."""
        self.sent = 0
        """Requests of this model dispatched so far."""
        self.heard = [0] * size
        """Value of `sent` when something was last learned of each column."""
        self.tier = [OFF_S if c < self.routable else OFF_S + UNROUTED_S for c in range(size)]
        """Hard avoidance of each column."""
        self._present = list(range(self.routable))
        self._free = list(range(self.routable))
        self.open = self._free
        """Routable columns present and not under hard avoidance; all present ones where none is so. Rising."""

    # -- what is known of a column --------------------------------------------------------------------------

    def set_law(self, column: int, theta: tuple[float, ...], uncertainty: float, spread: Spread) -> None:
        """The law of an executor, which was heard of just now."""
        self.uncertainty[column] = uncertainty
        self.heard[column] = self.sent
        if spread.before is not None and any([b < c for b, c in zip(spread.before, theta, strict=True)]):
            self.before[column] = spread.before
        else:
            self.before.pop(column, None)
        c00, c01, c11 = spread.covariance
        covariance = (max(c00, 0.0), 2.0 * c01, max(c11, 0.0))
        self._put_law(column, theta, covariance, spread.noise_cv)

    def set_bias(self, column: int, tier_s: float, soft_s: float) -> None:
        """Set hard avoidance tier and additive bias of one column."""
        if column >= self.routable:
            tier_s += UNROUTED_S
        elif tier_s != self.tier[column]:
            _keep(self._present, column, tier_s < AWAY_S)
            _keep(self._free, column, tier_s < AWAY_S and tier_s % OFF_S < AVOID_S)
            self.open = self._free or self._present
        self.tier[column] = tier_s
        self._put_extra(column, tier_s + soft_s)

    @abstractmethod
    def _put_law(
        self, column: int, theta: tuple[float, ...], covariance: tuple[float, float, float], noise_cv: float
    ) -> None:
        """Coefficients; c00, 2 c01 and c11 of their covariance, so that x' C x is one sum; and the noise."""

    @abstractmethod
    def _put_extra(self, column: int, extra_s: float) -> None:
        """Tier and bias together."""

    @abstractmethod
    def set_prior(self, column: int, theta: tuple[float, ...]) -> None:
        """The profiled law of a column, which `quickest_by_profile` goes by."""

    @abstractmethod
    def set_free(self, column: int, free_at_s: float, floor_s: float) -> None:
        """When the backlog of a column would be over, and the least wait there."""

    # -- one request ----------------------------------------------------------------------------------------

    @abstractmethod
    def evaluate(
        self, site: int, x: tuple[float, float], moved_bytes: int, now_s: float, x1_sd: float = 0.0
    ) -> None:
        """Score one request: `wait`, `service`, `sigma` and `score` are of it from now on. Changes nothing else.

        `x1_sd`: standard deviation of the second feature, where it is itself a prediction.
        """

    @property
    @abstractmethod
    def wait(self) -> Row:
        """Seconds until the request would start."""

    @property
    @abstractmethod
    def service(self) -> Row:
        """Predicted service time."""

    @property
    @abstractmethod
    def sigma(self) -> Row:
        """Standard deviation of that."""

    @property
    @abstractmethod
    def score(self) -> Row:
        """Wait, service, transfer, tier and bias; the lowest wins."""

    @abstractmethod
    def sigma_s(self, column: int) -> float:
        """`sigma` of one column."""

    @abstractmethod
    def epistemic_s(self, column: int) -> float:
        """The part of `sigma` of one column that could be learned."""

    @abstractmethod
    def bend(self, courtesy: float, explore: float) -> None:
        """Add so many waits to every score, and take so many epistemic standard deviations from it."""

    @abstractmethod
    def rescore(self, column: int, score_s: float) -> None:
        """Replace one score."""

    @abstractmethod
    def overrule(self, column: int, wait_s: float, service_s: float, score_s: float) -> None:
        """Replace what was predicted of a column by what somebody knows for sure."""

    @abstractmethod
    def lowest(self) -> int:
        """The column of the lowest score; the first of several."""

    @abstractmethod
    def soonest(self) -> int:
        """The column of the least wait within the lowest avoidance tier."""

    @abstractmethod
    def quickest_by_profile(self, x: tuple[float, float]) -> int:
        """The column that would serve these features soonest by the profile, within the lowest tier."""

    @abstractmethod
    def ranking(self, column: int) -> Ranking:
        """The candidates that a decision for this column lists: the routable ones, if it is one."""

    @abstractmethod
    def link(self, column: int, site: int) -> tuple[float, float]:
        """Seconds to and from a column, and per byte."""

    @abstractmethod
    def service_s(self, column: int, x: tuple[float, float]) -> float:
        """Predicted service time of features x on one column."""

    def latency_s(self, column: int, site: int, moved_bytes: int) -> float:
        """Predicted latency of the request last evaluated, on one column: wait, service and transfer."""
        latency_s, per_byte_s = self.link(column, site)
        return float(self.wait[column] + self.service[column]) + latency_s + per_byte_s * moved_bytes


def _keep(rising: list[int], column: int, there: bool) -> None:
    """See that a rising list has this column, or has it not."""
    at = bisect_left(rising, column)
    has = at < len(rising) and rising[at] == column
    if there and not has:
        insort(rising, column)
    elif has and not there:
        del rising[at]


def pool_nodes(testbed: TestbedConfig, model: str) -> tuple[str, ...]:
    """Nodes that can host a model, those it may be routed to first."""
    routable = testbed.routable(model)
    known = set(routable)
    return (*routable, *(n for n in testbed.hosts(model) if n not in known))
