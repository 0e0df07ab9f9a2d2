"""How fast the executors of one node go: the true service law, the conditions in force, the shares of its resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.request import Request
from emulation.domain.sharing import ONE_BY_ONE, Batching
from emulation.domain.truth import HEALTHY, Condition, RequestTruth, WorldTruth, fails
from emulation.executor.executor import Executor

_LEAST_S = 1e-9
"""A unit of work never takes no time at all."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Speed:
    """Truth of one node's speed. Knows no queue and no lifecycle."""

    def __init__(self, testbed: TestbedConfig, node_id: str, truth: WorldTruth) -> None:
        self._spec = testbed.node(node_id)
        self._cpu_law = testbed.cpu
        self._theta = {
            (m, mode): (testbed.theta(node_id, m, mode) or (), truth.ratios(node_id, m, mode))
            for m in testbed.hosted(node_id)
            for mode in testbed.modes(node_id, m)
        }
        self._healthy = {
            law: tuple(c * r for c, r in zip(*both, strict=False)) for law, both in self._theta.items()
        }
        """True seconds per feature while no condition is in force."""
        self._batching = {law: testbed.batching(node_id, *law) for law in self._theta}
        self._share_alone = [gpu.share(1) for gpu in self._spec.gpus]
        self._share_of_gpu: dict[tuple[int, int], float] = {}
        """GPU and how many are at work on it, to the share of each."""
        self._share_of_cores: dict[int, float] = {}
        """How many executors split the cores, to the share of each."""
        self._conditions: dict[int, tuple[str | None, Condition, str | None]] = {}
        self._in_force: dict[str, tuple[Condition, ...]] = {}
        self.stops = False
        """Whether a condition in force may keep work from coming into service: else nobody need ask."""

    def set_condition(
        self, event: int, condition: Condition | None, model: str | None, hint: str | None
    ) -> None:
        """Put the effect of an event in force for one model, or all (None), or take it away (condition None)."""
        if condition is None or condition == HEALTHY:
            self._conditions.pop(event, None)
        else:
            self._conditions[event] = (model, condition, hint)
        self._in_force.clear()
        self.stops = any(c.paused or c.error_rate > 0 for _, c, _ in self._conditions.values())

    def in_force(self, event: int) -> Condition | None:
        """What an event puts in force on a model that is here; healthy if nothing, None if no model is."""
        hit = self._conditions.get(event)
        if hit is None:
            return HEALTHY if self._theta else None
        model, condition, _ = hit
        return next(
            (condition for m, _ in self._theta if model in (None, m) and condition in self._of(m)), None
        )

    def slowed_by(self, event: int) -> float | None:
        """How many times slower an event makes a model here, beside all others in force; None if no model is here.

        The geometric mean over the coefficients of its law, as work is timed by it now.
        """
        hit = self._conditions.get(event)
        if hit is None:
            return 1.0 if self._theta else None
        for (model, _), (theta, _) in self._theta.items():
            if hit[0] in (None, model):
                others = [c for e, (m, c, _) in self._conditions.items() if e != event and m in (None, model)]
                ratios = [
                    _product([c.factor(i) for c in self._of(model)]) / _product([c.factor(i) for c in others])
                    for i in range(len(theta))
                ]
                return float(_product(ratios) ** (1.0 / len(ratios)))
        return None

    def hints(self) -> tuple[str, ...]:
        """Exposed hints of the conditions in force, sorted."""
        return tuple(sorted({h for _, _, h in self._conditions.values() if h is not None}))

    def stutters(self, model: str) -> bool:
        """Whether work of this model dispatched here now would stutter (E3 eq. 3)."""
        return bool(self._conditions) and any(c.stutter for c in self._of(model))

    def paused(self, model: str) -> bool:
        """Whether work of this model stands still."""
        return self.stops and any(c.paused for c in self._of(model))

    def fails(self, model: str, request_id: str, attempt: int) -> bool:
        """Whether this attempt would fail if it came into service now."""
        return self.stops and any(
            fails(c.error_rate, c.error_seed, event, request_id, attempt)
            for event, (m, c, _) in self._conditions.items()
            if m is None or m == model
        )

    def factors(self, model: str) -> tuple[float, float]:
        """How many times slower each coefficient of this model's law is under the conditions in force.

        Infinity while it is paused.
        """
        if self.paused(model):
            return inf, inf
        factors = [1.0, 1.0]
        for condition in self._of(model):
            factors = [f * condition.factor(i) for i, f in enumerate(factors)]
        return factors[0], factors[1]

    def unit_s(self, mode: Mode, request: Request, truth: RequestTruth) -> float:
        """True seconds per unit (prompt) of this request's work on a whole idle resource; infinity while it is paused.

        Tokens are those of the whole request: each of its prompts is an equal part of the work.

        s = sum_i theta_i * ratio_i * prod_c factor_c(i) * x_i (E3 eqs. 1 and 2): the ratios are the hidden mismatch,
        the conditions c the hidden slowdowns in force.
        """
        law = request.model, mode
        if not self._conditions:
            healthy = self._healthy[law]
            if len(healthy) == 1:
                return healthy[0] or _LEAST_S
            whole_s = healthy[0] * _read(request, truth) + healthy[1] * truth.output_tokens
            return whole_s / len(truth.noise) or _LEAST_S
        if self.paused(request.model):
            return inf
        theta, ratios = self._theta[law]
        x: tuple[float, ...] = (1.0,)
        parts = 1
        if len(theta) == 2:
            x, parts = (_read(request, truth), truth.output_tokens), len(truth.noise)
        total = 0.0
        for i, (coefficient, feature) in enumerate(zip(theta, x, strict=True)):
            value = coefficient * ratios[i] * feature
            for condition in self._of(request.model):
                value *= condition.factor(i)
            total += value
        return total / parts or _LEAST_S

    def batching(self, executor: Executor) -> Batching:
        """How it serves its model in the mode it is in."""
        return self._batching.get((executor.model, executor.mode), ONE_BY_ONE)

    def alone(self, executor: Executor, executors: Sequence[Executor]) -> float:
        """Share of its resource an executor has while no other one is busy."""
        if executor.mode == "cpu":
            return self._of_cores(executors)
        return self._share_alone[executor.gpu or 0]

    def shared(self, executor: Executor, executors: Sequence[Executor]) -> tuple[list[Executor], float]:
        """The executors at work that share this one's resource, and the share each of them has.

        One that stands still is not at work: a stopped process computes nothing.
        """
        if executor.mode == "gpu":
            group = [e for e in executors if e.gpu == executor.gpu and e.working]
            return group, self._of_gpu(executor.gpu or 0, len(group))
        if executor.mode == "cpu":
            group = [e for e in executors if e.mode == "cpu" and e.working]
            return group, self._of_cores(executors)
        return [], 1.0

    def _of_cores(self, executors: Sequence[Executor]) -> float:
        number = on_cpu(executors)
        share = self._share_of_cores.get(number)
        if share is None:
            share = self._share_of_cores[number] = self._cpu_law.share(self._spec.cores, number)
        return share

    def _of_gpu(self, gpu: int, busy: int) -> float:
        share = self._share_of_gpu.get((gpu, busy))
        if share is None:
            share = self._share_of_gpu[gpu, busy] = self._spec.gpus[gpu].share(busy)
        return share

    def _of(self, model: str) -> tuple[Condition, ...]:
        if model not in self._in_force:
            self._in_force[model] = tuple(
                c for m, c, _ in self._conditions.values() if m is None or m == model
            )
        return self._in_force[model]


def _read(request: Request, truth: RequestTruth) -> int:
    """Input tokens the model really reads."""
    return request.prompt_tokens if truth.input_tokens is None else truth.input_tokens


def on_cpu(executors: Sequence[Executor]) -> int:
    """Executors that hold a place on the CPU: its cores are split equally over them, busy or not."""
    return sum([e.mode == "cpu" and e.holds for e in executors])


def _product(factors: Iterable[float]) -> float:
    """As `math.prod`, which mypyc takes for one of integers."""
    product = 1.0
    for factor in factors:
        product *= factor
    return product
