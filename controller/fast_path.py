"""The fast path: one decision per request in microseconds, and the books behind it.

The same object runs in the discrete-event engine and in the live gateway. It sees only what a gateway could:
its own dispatches, their ends, and telemetry of executor lifecycles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Protocol

from mypy_extensions import mypyc_attr

from controller.admission import LEAST_LOOK_S, admitted, limit
from controller.backlog import Entry
from controller.energy import reweigh, weigh
from controller.fast_path_config import FastPathConfig
from controller.fast_view import Belief, FastView, Pool
from controller.lengths import OutputLengths
from controller.routers.router import HOLD, Router
from controller.scoring import AVOID_S, guide_penalty_s, soft_bias_s
from controller.succession import succeed
from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.ports import Believed, Completion, MetaController, PerformanceModel, ServedWork
from emulation.domain.request import Request
from emulation.domain.snapshot import ExecutorState

UNHEARD_SLOWER = 2.0
"""Times as slow as it was that a risky executor is taken to be until something was learned of it, where its avoidance
has a bound. Ours; a hint does not say how much."""


class SupervisedPath(Protocol):
    """A fast path, whatever is round it."""

    @property
    def innermost(self) -> FastPath:
        """The fast path itself."""


@mypyc_attr(allow_interpreted_subclasses=True)
class FastPath:
    """Routes requests over a testbed with one router and one performance model (port `FastPath`).

    Plain data throughout: it pickles, and asking (`route`) changes nothing that a later answer depends on.
    """

    meta: MetaController | None = None
    """Nobody watches over it; a meta-controller is a fast path round this one."""

    def __init__(
        self,
        testbed: TestbedConfig,
        router: Router,
        perf: PerformanceModel,
        config: FastPathConfig | None = None,
    ) -> None:
        self.config = config or FastPathConfig()
        self._energy_s_per_j, self._explore_s, self._risk_bound, self._in_time = _often_read(self.config)
        self._eta_s, self._risk_penalty_s = self.config.eta_s, self.config.risk_penalty_s
        self.perf = perf
        self.router = router
        self.lengths = OutputLengths(self.config.prior_output_tokens)
        self.view = FastView(testbed, perf)
        self._where: dict[str, Belief] = {}
        self._unlearned: list[tuple[Completion, ServedWork]] = []
        """Ends heard and not yet learned: they are told the performance model in the router's batches."""
        self._weights: Mapping[tuple[str, str], float] = {}
        self._weighed: frozenset[str] = frozenset()
        """Models of which the guide has any weight: its p is 0 where one of these has none."""
        self._limits: Mapping[str, float] = {}
        """Those of the policy in force."""
        self._instead: Mapping[str, float | None] = {}
        """Those that the guide in force puts in the place of the policy's."""
        self._watts = testbed.watts()
        for belief in self.view.beliefs.values():
            self._rebias(belief)
        self._price_energy(self._watts)

    @property
    def innermost(self) -> FastPath:
        """Itself: nothing is round it."""
        return self

    def take_over(self, before: SupervisedPath) -> None:
        """Go on in the place of another, which must not be used any more; see `succession.py`. For a new one only."""
        old = before.innermost
        succeed(self, old)
        for request_id, belief in old._where.items():
            self._where[request_id] = self.view.beliefs[belief.name]
        for belief in self.view.beliefs.values():
            self._rebias(belief)
        self._price_energy(self._watts)
        for each in old._unlearned:
            self._learn(*each)

    # -- one request --------------------------------------------------------------------------------------

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        """Choose an executor, hold or refuse; never changes the view, the ledger or the router's state."""
        view = self.view
        pool = view.pools.get(request.model)
        if pool is None:
            return RoutingDecision(None, "no_host", f"no node hosts {request.model}")
        view.x = x = self._features(request, pool)
        site = view.site_of(request.origin)
        moved_bytes = request.up_bytes + request.down_bytes
        pool.evaluate(site, x, moved_bytes, now_s, self._length_sd(request, pool))
        if self._energy_s_per_j:
            weigh(pool)
        if self._risk_bound is not None and pool.at_risk:
            self._bound_risk(pool, self._risk_bound)
        column, reason = self.router.choose(request, pool, view)
        if column < 0:
            return RoutingDecision(None, "hold" if column == HOLD else "no_host", reason)
        candidates = pool.ranking(column)
        service_s, sigma_s = float(pool.service[column]), pool.sigma_s(column)
        decision = RoutingDecision(pool.names[column], "route", reason, candidates, service_s, sigma_s)
        if self._in_time is not None:
            terms = (self._in_time, self.config.defer_s)
            return admitted(request, pool, view, (column, decision), terms, now_s)
        if pool.limit_s < inf:
            latency_s = pool.latency_s(column, site, moved_bytes)
            if latency_s > pool.limit_s:
                reason = f"predicted {latency_s:.3g} s > limit {pool.limit_s:g} s"
                idle_s = latency_s - float(pool.wait[column])
                again_s = max(latency_s - pool.limit_s, LEAST_LOOK_S) if idle_s <= pool.limit_s else None
                return RoutingDecision(None, "reject", reason, candidates, service_s, sigma_s, again_s)
        return decision

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """The request was sent to `decision.executor`; a second dispatch moves it there.

        Raises `ValueError` if the decision names no executor, `KeyError` if the testbed has no such one.
        """
        if decision.executor is None:
            raise ValueError(f"request {request.id} was not routed but {decision.action}")
        belief = self.view.beliefs[decision.executor]
        pool, column = _place(belief, request.model)
        self._hear(now_s)
        if request.id in self._where:
            self._forget(request.id, now_s)
        x = self._features(request, pool)
        predicted_s = pool.service_s(column, x) if decision.predicted_s is None else decision.predicted_s
        belief.backlog.add(request.id, Entry(request.model, x, predicted_s), now_s)
        self._where[request.id] = belief
        belief.publish()
        pool.sent += 1
        self.router.dispatched(request, pool, column)

    def completed(self, completion: Completion) -> None:
        """The request ended, in whatever way. Unknown requests and second ends are ignored."""
        request = completion.request
        if request.id not in self._where:
            return
        self._hear(completion.ended_s)
        self._forget(request.id, completion.ended_s)
        features = self.view.pools[request.model].features
        served = completion.served_work(features) if features == 2 or self.perf.learns else None
        if served is None:
            return
        self._unlearned.append((completion, served))
        if len(self._unlearned) < self.router.learn_batch:
            return
        batch, self._unlearned = self._unlearned, []
        for each in batch:
            self._learn(*each)

    def _bound_risk(self, pool: Pool, bound: float) -> None:
        """Score risky executors like others where every other one would take `bound` times as long.

        Of one that nothing was learned of since it is risky, all that is predicted is of before: it counts as slower.
        """
        elsewhere_s = min((float(pool.score[c]) for c in pool.open if c not in pool.at_risk), default=inf)
        for column in sorted(pool.at_risk):
            here_s = float(pool.score[column]) - AVOID_S - self.config.risk_penalty_s
            if self.view.beliefs[pool.names[column]].unheard:
                here_s += (UNHEARD_SLOWER - 1.0) * float(pool.wait[column] + pool.service[column])
            if inf > elsewhere_s > bound * here_s:
                pool.rescore(column, here_s)

    def _forget(self, request_id: str, now_s: float) -> None:
        belief = self._where.pop(request_id)
        belief.backlog.remove(request_id, now_s)
        belief.publish()

    def _learn(self, completion: Completion, served: ServedWork) -> None:
        request, (x, service_s) = completion.request, served
        belief = self.view.beliefs[completion.executor]
        pool, column = _place(belief, request.model)
        if pool.features == 2:
            said, stated = completion.measured.output_tokens, request.known_output_tokens
            each = None if stated is None else stated / request.prompts
            self.lengths.observe(request.model, said / request.prompts, each)
        if not self.perf.learns:
            return
        belief.unheard = False
        key = self.view.key(belief.name, request.model, completion.measured.mode)
        self.perf.observe(key, x, service_s, completion.ended_s)
        if completion.measured.mode == belief.mode:
            self.view.refresh_law(pool, column, key, self.perf)
        if self._explore_s:
            self._rebias(belief)

    def _features(self, request: Request, pool: Pool) -> tuple[float, float]:
        if pool.features == 1:
            return float(request.prompts), 0.0
        tokens = self.lengths.expected_tokens(request.model, request.known_output_tokens)
        return float(request.prompt_tokens), float(tokens * _answers(request))

    def _length_sd(self, request: Request, pool: Pool) -> float:
        if pool.features == 1:
            return 0.0
        return self.lengths.sd_tokens(request.model, request.known_output_tokens) * _answers(request)

    def _hear(self, now_s: float) -> None:
        if now_s > self.view.now_s:
            self.view.now_s = now_s

    # -- telemetry and the layers above ---------------------------------------------------------------------

    def executor_changed(
        self, executor: str, state: ExecutorState, mode: Mode, ready_at_s: float, now_s: float
    ) -> None:
        """Lifecycle of one executor. Raises `KeyError` on an unknown one.

        A new mode rescales the outstanding work. Off, pending and away executors keep theirs, unworked from `now_s` on.
        """
        self._hear(now_s)
        belief = self.view.beliefs[executor]
        tier_s, was, belief.state = belief.tier_s(), belief.state, state
        if moved := mode not in ("off", belief.mode):
            self.view.reread(belief, self.perf, mode=mode)
        self._retime(belief, was, ready_at_s)
        belief.publish()
        if moved or belief.tier_s() != tier_s:
            self._rebias(belief)
        self._price_energy((belief.node,))

    def _retime(self, belief: Belief, was: ExecutorState, ready_at_s: float) -> None:
        state, backlog = belief.state, belief.backlog
        coming = state in ("starting", "pending")
        if state == was == "ready":
            return
        if was == "ready" or not (state == "ready" or (coming and ready_at_s < inf)):
            guess_s = max(pool.start_s for pool, _ in belief.places) if coming and belief.places else 0.0
            backlog.pause(guess_s, self.view.now_s)
        if state == "ready" or (coming and ready_at_s < inf):
            backlog.resume(ready_at_s if ready_at_s < inf else self.view.now_s)

    def guide(self, guide: RouteGuide) -> None:
        """Follow this guide from now on; it replaces the one before."""
        self.view.table = dict(guide.table)
        alike = guide.weights == self._weights
        self._weights = dict(guide.weights)
        self._weighed = frozenset(model for model, _ in guide.weights)
        for belief in self.view.beliefs.values():
            masked = belief.name in guide.masked
            if not alike or masked != belief.masked:
                belief.masked = masked
                self._rebias(belief)
        self._instead = dict(guide.admission_limit_s)
        limit(self.view.pools.values(), self._limits, self._instead)

    def policy(self, policy: MacroPolicy) -> None:
        """Take over what the policy says of refusals; a model it does not name has no limit, and its deadlines."""
        self._limits = dict(policy.admission_limit_s)
        limit(self.view.pools.values(), self._limits, self._instead)
        for pool in self.view.pools.values():
            pool.unrefused = pool.model in policy.unrefused

    def believed(self, now_s: float) -> list[Believed]:
        """What is believed of every executor now."""
        return [
            Believed(b.name, b.node, b.backlog.wait_s(now_s), b.risky, b.masked)
            for b in self.view.beliefs.values()
        ]

    def limits_s(self) -> dict[str, float]:
        """Model to its admission limit, where one is in force."""
        return {m: pool.limit_s for m, pool in self.view.pools.items() if pool.limit_s < inf}

    def set_risky(self, executor: str, risky: bool) -> None:
        """Put an executor under hard avoidance, or lift it. Raises `KeyError` on an unknown one."""
        belief = self.view.beliefs[executor]
        if risky != belief.risky:
            self.perf.regime(executor, risky)
            for pool, column in belief.places:
                self.view.refresh_law(
                    pool, column, self.view.key(executor, pool.model, belief.mode), self.perf
                )
        belief.risky = belief.unheard = risky
        self._rebias(belief)

    def relearned(self, executor: str, model: str) -> None:
        """The performance model changed its mind about a law by itself: reread it, for what is queued there too.

        Raises `KeyError` if the executor is unknown or cannot serve the model.
        """
        belief = self.view.beliefs[executor]
        _place(belief, model)
        self.view.reread(belief, self.perf, model=model)
        belief.publish()
        self._rebias(belief)

    def configure(self, config: FastPathConfig) -> None:
        """Change the parameters of the score (all but the length prior) while running."""
        self.config = config
        self._energy_s_per_j, self._explore_s, self._risk_bound, self._in_time = _often_read(config)
        self._eta_s, self._risk_penalty_s = config.eta_s, config.risk_penalty_s
        for belief in self.view.beliefs.values():
            self._rebias(belief)

    def _price_energy(self, nodes: Iterable[str]) -> None:
        if self._energy_s_per_j:
            for node in nodes:
                reweigh(self.view, self._watts, node, self._energy_s_per_j)

    def _rebias(self, belief: Belief) -> None:
        tier_s, explore_s = belief.tier_s(), self._explore_s
        eta_s, penalty_s = self._eta_s, self._risk_penalty_s
        for pool, column in belief.places:
            p = self._weights.get((pool.model, belief.node), 0.0 if pool.model in self._weighed else None)
            guide_s = guide_penalty_s(p, eta_s)
            u = pool.uncertainty[column]
            if belief.risky and not belief.masked and tier_s == AVOID_S:
                pool.at_risk.add(column)
            else:
                pool.at_risk.discard(column)
            pool.set_bias(column, tier_s, soft_bias_s(u, explore_s, belief.risky, penalty_s, guide_s))


def _often_read(config: FastPathConfig) -> tuple[float, float, float | None, float | None]:
    """What is read for every request, kept beside the parameters: a read of these takes fifty times as long."""
    return config.energy_s_per_j, config.explore_s, config.risk_bound, config.in_time


def _answers(request: Request) -> int:
    """Answers whose lengths add up: those of all prompts, unless what is stated is of all of them already."""
    return request.prompts if request.known_output_tokens is None else 1


def _place(belief: Belief, model: str) -> tuple[Pool, int]:
    """Pool and column of an executor for one model. Raises `KeyError` if it cannot serve it."""
    for place in belief.places:
        if place[0].model == model:
            return place
    raise KeyError(f"{belief.name} cannot serve {model}")
