"""Admission limits of an epoch: what is refused as too late, chosen by emulating what the planner believes.

A limit makes a model's queue short, so that what is taken ends early, and nothing is worked at that then ends too late.
It also refuses, and J alone would refuse ever more (it counts the latency of the served). So a limit must not cost
anybody anything: under it every model's success and served prompts must be at least those of a yardstick, the second
paper's scheme, whose layers are emulated under the same plan on the same requests. Where no limit passes, there is
none; a model that loses nothing without a limit gets none either. Without a limit, what is predicted to miss its
deadline is refused; where that gives a model less than the yardstick, nothing of it is refused at all.

What is emulated is the demand that is expected. Where less comes, the same limit may cost what it did not then. So the
same is asked for less and less of that demand, and each limit stands with the demand from which on it costs nobody
anything; which of them is in force hangs on what is seen to come (`controller/limits_in_force.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Annotated

from controller.whatif import BelievedWorld, WhatIf
from emulation.domain.actions import MacroPolicy
from emulation.domain.quantities import Fraction, Range
from emulation.domain.strict import Strict
from emulation.metrics.fairness import EpochResult

Forecast = Callable[[MacroPolicy, str | None, float], EpochResult]
"""What a policy would come to; the name of another scheme: with its controllers below the planner; the share of the
expected demand that comes."""
Limits = Mapping[str, float]
"""Model to predicted latency above which a request is refused, virtual seconds."""

YARDSTICK = "MA"
"""Scheme that no model may fare worse than."""


class LimitsConfig(Strict):
    """Which limits are tried, and what they are held against."""

    rungs: Annotated[int, Range(1, 40, "limits")] = 7
    """Limits tried, each `ratio` times the one before; the first is that share of the deadline."""
    ratio: Annotated[float, Range(0.1, 0.95)] = 0.667
    least_lost: Fraction = 0.01
    """Share of a model's requests that must be lost without limits, or it gets none."""
    margin: Fraction = 0.03
    """Share by which success and goodput must exceed the yardstick's: what the emulation may be wrong by."""
    shares: Annotated[int, Range(1, 100, "shares")] = 8
    """Equal parts of the expected demand: limits are also sought for one part less, two parts less, and so on, until
    none passes. 1: for that demand alone, and in force whatever comes."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A policy with its admission limits."""

    policy: MacroPolicy
    said: str
    """Why these limits, or none."""
    thinking_s: float
    """Virtual seconds that it took to emulate them."""


class Limiter:
    """Sets the limits of whatever policy a planner chose: they are arithmetic, and nobody's judgement.

    Without anybody who emulates there are none.
    """

    def __init__(
        self, admission: Admission, what_if: WhatIf, draws: int, seed: int, thinking_s: float
    ) -> None:
        """`draws`: of service noise each policy is emulated with. `thinking_s`: virtual seconds that are charged."""
        self._admission, self._what_if = admission, what_if
        self._draws, self._seed, self._thinking_s = draws, seed, thinking_s

    def limited(self, policy: MacroPolicy, world: BelievedWorld, t_s: float) -> Limited:
        """The policy with its limits, by what is believed; without any if nobody answers what they would do.

        `t_s`: now. The first plan, made before a run begins, is free.
        """
        thinking_s = self._thinking_s if t_s > 0 else 0.0

        def forecast(asked: MacroPolicy, scheme: str | None, share: float) -> EpochResult:
            of = world.with_share(share)
            return self._what_if.forecast(of, [asked], self._draws, self._seed, scheme)[0]

        try:
            limited, said = self._admission.within(policy, world.prompts_per_s(), forecast)
        except RuntimeError as error:
            return Limited(policy, f"no limits: {error}", thinking_s)
        return Limited(limited, said, thinking_s)


class _Demand:
    """A share of the expected demand: what a policy comes to there without limits, under some, and by the yardstick."""

    def __init__(self, bare: MacroPolicy, forecast: Forecast, share: float = 1.0) -> None:
        """`bare`: the policy without any."""
        self.bare, self.share, self._forecast = bare, share, forecast
        self.free = forecast(bare, None, share)

    @cached_property
    def least(self) -> EpochResult:
        """By the yardstick."""
        return self._forecast(self.bare, YARDSTICK, self.share)

    def under(self, limits: Limits) -> EpochResult:
        """Under limits."""
        return self._forecast(replace(self.bare, admission_limit_s=limits), None, self.share)

    def opened(self, unrefused: frozenset[str]) -> EpochResult:
        """Without limits, and nothing of some models refused."""
        return self._forecast(replace(self.bare, unrefused=unrefused), None, self.share)

    def part(self, share: float) -> _Demand:
        """So much of what is expected, instead."""
        return _Demand(self.bare, self._forecast, share)


class Admission:
    """Chooses what is refused under a policy.

    `keep_gain`: share of J by which a lower limit must better a higher one.
    """

    def __init__(self, config: LimitsConfig, deadline_s: float, keep_gain: float) -> None:
        self._config, self._deadline_s, self._keep_gain = config, deadline_s, keep_gain

    def within(
        self, policy: MacroPolicy, prompts_per_s: Mapping[str, float], forecast: Forecast
    ) -> tuple[MacroPolicy, str]:
        """The policy with what is refused under it, and why that. Raises what `forecast` does.

        `prompts_per_s`: model to what is expected of it.
        """
        bare = replace(policy, admission_limit_s={}, limits_from={}, unrefused=frozenset())
        demand = _Demand(bare, forecast)
        losing = self._losing(demand)
        if not losing:
            return bare, "no limits: nothing is lost without"
        found = self._tightest(losing, demand, self._config.rungs)
        if found is None:
            return self._opened(demand)
        best, chosen = self._widened(found, demand)
        said = ", ".join(f"{m} {limit_s:.0f} s" for m, limit_s in sorted(chosen.items()))
        steps = self._steps(chosen, demand)
        limits_from = {
            m: tuple(
                [(share * prompts_per_s.get(m, 0.0), limits[m]) for share, limits in steps if m in limits]
            )
            for m in chosen
        }
        return (
            replace(bare, admission_limit_s=chosen, limits_from=limits_from if steps else {}),
            f"limits {said}: J {best.objective:.3f}, without {demand.free.objective:.3f}",
        )

    def _losing(self, demand: _Demand) -> list[str]:
        """Models that lose requests without limits."""
        return [m for m, share in demand.free.success.items() if share < 1.0 - self._config.least_lost]

    def _widened(self, found: tuple[EpochResult, Limits], demand: _Demand) -> tuple[EpochResult, Limits]:
        """The same limits for all, and then each model's alone a step wider where that is better."""
        best, chosen = found
        if len(chosen) > 1:
            for model in tuple(chosen):
                wider = {**chosen, model: min(chosen[model] / self._config.ratio, self._deadline_s)}
                one = demand.under(wider)
                if one.objective < best.objective and self._costs_nobody(one, wider, demand.least):
                    best, chosen = one, wider
        return best, chosen

    def _steps(self, chosen: Limits, demand: _Demand) -> list[tuple[float, Limits]]:
        """Limits and the share of the expected demand from which on each holds, least first; nothing where one holds
        for whatever comes.

        Of less demand never tighter ones than of more.
        """
        parts = self._config.shares
        if parts == 1:
            return []
        steps = [(1.0, chosen)]
        for part in range(parts - 1, 0, -1):
            less = demand.part(part / parts)
            losing = [m for m in self._losing(less) if m in chosen]
            tightest = max(self._rung(limit_s) for limit_s in steps[-1][1].values())
            found = self._tightest(losing, less, tightest) if losing else None
            if found is None:
                break
            before = steps[-1][1]
            steps.append(
                (less.share, {m: max(limit_s, before.get(m, 0.0)) for m, limit_s in found[1].items()})
            )
        return steps[::-1]

    def _rung(self, limit_s: float) -> int:
        return round((log(limit_s) - log(self._deadline_s)) / log(self._config.ratio))

    def _opened(self, demand: _Demand) -> tuple[MacroPolicy, str]:
        """Where no limit passes, deadlines alone refuse; nothing of a model that so has less than by the yardstick.

        Opening one model may cost another, which is opened then, too. Where that leaves them no better off, none is.
        """
        bare, free, least = demand.bare, demand.free, demand.least
        said = f"no limits: none is better and costs nobody {YARDSTICK}'s success and goodput"
        one, unrefused = free, frozenset[str]()
        while more := self._lacking(one, least).keys() - unrefused:
            unrefused |= more
            one = demand.opened(unrefused)
        if not unrefused:
            return bare, said
        names = ", ".join(sorted(unrefused))
        if sum(self._lacking(one, least).values()) >= sum(self._lacking(free, least).values()):
            return bare, f"{said}; to refuse nothing of {names} would not help"
        told = f"nothing of {names} is refused, or it would have less than by {YARDSTICK}"
        return replace(bare, unrefused=unrefused), f"{said}; {told}"

    def _tightest(
        self, losing: Sequence[str], demand: _Demand, tightest: int
    ) -> tuple[EpochResult, Limits] | None:
        """By halving: the tightest of the limits that costs nobody anything and betters every looser one looked at.

        `tightest`: the last that may be taken. None: no limit betters none.
        """
        found: tuple[EpochResult, Limits] | None = None
        bar = demand.free.objective * (1.0 - self._keep_gain)
        loosest = 1
        while loosest <= tightest:
            rung = (loosest + tightest) // 2
            limits = dict.fromkeys(losing, self._deadline_s * self._config.ratio**rung)
            one = demand.under(limits)
            if one.objective < bar and self._costs_nobody(one, limits, demand.least):
                found, bar, loosest = (one, limits), one.objective, rung + 1
            else:
                tightest = rung - 1
        return found

    def _costs_nobody(self, one: EpochResult, limits: Limits, least: EpochResult) -> bool:
        """Whether no model has less than by the yardstick: with a limit a margin more, else no less than by chance."""
        more, slack = 1.0 + self._config.margin, 1.0 - self._config.least_lost
        return all(
            one.success.get(m, 0.0) >= share * (more if m in limits else slack)
            and one.prompts.get(m, 0.0) >= least.prompts.get(m, 0.0) * (more if m in limits else slack)
            for m, share in least.success.items()
        )

    def _lacking(self, one: EpochResult, least: EpochResult) -> dict[str, float]:
        """Model to the share of the yardstick's success or served prompts that it lacks, where that is no chance."""
        lack = {
            m: max(
                _lack(one.success.get(m, 0.0), share),
                _lack(one.prompts.get(m, 0.0), least.prompts.get(m, 0.0)),
            )
            for m, share in least.success.items()
        }
        return {m: share for m, share in lack.items() if share > self._config.least_lost}


def _lack(has: float, bar: float) -> float:
    return 1.0 - has / bar if bar > 0.0 else 0.0
