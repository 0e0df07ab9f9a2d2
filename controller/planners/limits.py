"""Admission limits of an epoch: what is refused as too late, chosen by emulating what the planner believes.

A limit makes a model's queue short, so that what is taken ends early, and nothing is worked at that then ends too late.
It also refuses, and J alone would refuse ever more (it counts the latency of the served). So a limit must not cost
anybody anything: under it every model's success and served prompts must be at least those of a yardstick, the second
paper's scheme, whose layers are emulated under the same plan on the same requests. Where no limit passes, there is
none; a model that loses nothing without a limit gets none either. Without a limit, what is predicted to miss its
deadline is refused; where that gives a model less than the yardstick, nothing of it is refused at all.

What is emulated is the demand that is expected. Where less comes, the same limit may cost what it did not then. So the
same is asked for less of that demand, by halving, and each limit stands with the demand from which on it costs nobody
anything; which of them is in force hangs on what is seen to come (`controller/limits_in_force.py`).

Emulating is what a planner's CPU time goes to, so nothing is that is settled already. Of less demand limits are never
tighter than of more; where the loosest costs somebody something, so do all; where the yardstick serves nearly all of a
model, none can pass; and where the first draw of service noise leaves no doubt, there is no second.
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
from emulation.metrics.fairness import EpochResult, mean_of

Forecast = Callable[[MacroPolicy, str | None, float, int], EpochResult]
"""What a policy would come to; the name of another scheme: with its controllers below the planner; the share of the
expected demand that comes; the number of the draw of service noise."""
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
    """Equal parts of the expected demand: limits are also sought for fewer of them, by halving, down to where none
    passes. 1: for that demand alone, and in force whatever comes."""


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

    def __init__(self, admission: Admission, what_if: WhatIf, seed: int, thinking_s: float) -> None:
        """`thinking_s`: virtual seconds that are charged."""
        self._admission, self._what_if = admission, what_if
        self._seed, self._thinking_s = seed, thinking_s

    def limited(self, policy: MacroPolicy, world: BelievedWorld, t_s: float) -> Limited:
        """The policy with its limits, by what is believed; without any if nobody answers what they would do.

        `t_s`: now. The first plan, made before a run begins, is free.
        """
        thinking_s = self._thinking_s if t_s > 0 else 0.0

        def forecast(asked: MacroPolicy, scheme: str | None, share: float, draw: int) -> EpochResult:
            of = world.with_share(share)
            return self._what_if.forecast(of, [asked], 1, self._seed + draw, scheme)[0]

        try:
            limited, said = self._admission.within(policy, world.prompts_per_s(), forecast)
        except RuntimeError as error:
            return Limited(policy, f"no limits: {error}", thinking_s)
        return Limited(limited, said, thinking_s)


class _Demand:
    """A share of the expected demand: what a policy comes to there without limits, under some, and by the yardstick.

    Further draws of service noise are left out where the first one settles what is asked.
    """

    def __init__(self, bare: MacroPolicy, forecast: Forecast, draws: int, share: float = 1.0) -> None:
        """`bare`: the policy without any."""
        self.bare, self.share, self._forecast, self._draws = bare, share, forecast, draws

    @cached_property
    def free(self) -> EpochResult:
        """Without limits; of the first draw alone where that loses nothing."""
        return self._emulated(self.bare, lambda first: min(first.success.values(), default=1.0) == 1.0)

    @cached_property
    def least(self) -> EpochResult:
        """By the yardstick."""
        return self._emulated(self.bare, scheme=YARDSTICK)

    def bars(self, models: Sequence[str]) -> list[float]:
        """Success of models by the yardstick."""
        return [self.least.success.get(m, 0.0) for m in models]

    def under(self, limits: Limits, enough: Callable[[EpochResult], bool] = lambda _: False) -> EpochResult:
        """Under limits; of the first draw alone where that is `enough`."""
        return self._emulated(replace(self.bare, admission_limit_s=limits), enough)

    def opened(self, unrefused: frozenset[str]) -> EpochResult:
        """Without limits, and nothing of some models refused."""
        return self._emulated(replace(self.bare, unrefused=unrefused))

    def part(self, share: float) -> _Demand:
        """So much of what is expected, instead."""
        return _Demand(self.bare, self._forecast, self._draws, share)

    def _emulated(
        self,
        policy: MacroPolicy,
        enough: Callable[[EpochResult], bool] = lambda _: False,
        scheme: str | None = None,
    ) -> EpochResult:
        drawn = [self._forecast(policy, scheme, self.share, 0)]
        if not enough(drawn[0]):
            drawn += [self._forecast(policy, scheme, self.share, draw) for draw in range(1, self._draws)]
        return mean_of(drawn)


class Admission:
    """Chooses what is refused under a policy.

    `keep_gain`: share of J by which a lower limit must better a higher one; `draws`: of service noise that each policy
    is emulated with, unless the first settles it.
    """

    def __init__(self, config: LimitsConfig, deadline_s: float, keep_gain: float, draws: int = 1) -> None:
        self._config, self._deadline_s = config, deadline_s
        self._keep_gain, self._draws = keep_gain, draws
        self._first = 1
        """The rung that is looked at first: the one that was found last, or the loosest."""

    def within(
        self, policy: MacroPolicy, prompts_per_s: Mapping[str, float], forecast: Forecast
    ) -> tuple[MacroPolicy, str]:
        """The policy with what is refused under it, and why that. Raises what `forecast` does.

        `prompts_per_s`: model to what is expected of it.
        """
        bare = replace(policy, admission_limit_s={}, limits_from={}, unrefused=frozenset())
        demand = _Demand(bare, forecast, self._draws)
        losing = self._losing(demand)
        if not losing:
            return bare, "no limits: nothing is lost without"
        found = self._tightest(losing, demand, demand.free.objective, (1, self._config.rungs), self._first)
        self._first = 1 if found is None else max([self._rung(limit_s) for limit_s in found[1].values()])
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
        found: dict[int, Limits | None] = {0: None, parts: chosen}
        self._between(0, parts, found, demand)
        steps, before = [(1.0, chosen)], chosen
        for part in sorted(found.keys() - {0, parts}, reverse=True):
            limits = found[part]
            if limits is None:
                break
            before = {m: max(limit_s, before.get(m, 0.0)) for m, limit_s in limits.items()}
            steps.append((part / parts, before))
        return steps[::-1]

    def _between(self, less: int, more: int, found: dict[int, Limits | None], demand: _Demand) -> None:
        """Find limits for parts of the demand between two for which they are known, by halving: where less and more
        have the same ones, all between have them."""
        if more - less < 2 or found[less] == found[more]:
            return
        part, limits = (less + more) // 2, found[more]
        assert limits is not None  # of more there are some wherever there are of less
        found[part] = self._of_less(demand.part(part / self._config.shares), found[less], limits)
        if found[part] is not None:
            self._between(less, part, found, demand)
        self._between(part, more, found, demand)

    def _of_less(self, demand: _Demand, looser: Limits | None, tighter: Limits) -> Limits | None:
        """Limits for less demand than that which has the `tighter` ones, and more than that of the `looser`; None: none
        passes. They are to better the yardstick's J, which saves emulating what there would be without any."""
        loosest = max(1, min([self._rung(limit_s) for limit_s in (looser or {}).values()], default=1))
        tightest = max([self._rung(limit_s) for limit_s in tighter.values()])
        losing = [m for m in tighter if demand.least.success.get(m, 1.0) < 1.0 - self._config.least_lost]
        if not losing:
            return None
        found = self._tightest(losing, demand, demand.least.objective, (loosest, tightest))
        return None if found is None else found[1]

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
        self,
        losing: Sequence[str],
        demand: _Demand,
        objective: float,
        rungs: tuple[int, int],
        first: int | None = None,
    ) -> tuple[EpochResult, Limits] | None:
        """By halving: the tightest of the limits that costs nobody anything and betters every looser one looked at.

        `objective`: what it must better clearly. `rungs`: the loosest and the last that may be taken. `first`: the one
        looked at first, and if it does not pass, the loosest: where that costs somebody something, all others do.
        None: no limit passes.
        """
        if any([least * (1.0 + self._config.margin) > 1.0 for least in demand.bars(losing)]):
            return None  # of no model more can be served than all
        found: tuple[EpochResult, Limits] | None = None
        bar, (loosest, tightest) = objective * (1.0 - self._keep_gain), rungs
        rung = (loosest + tightest) // 2 if first is None else first
        while loosest <= tightest:
            limits = dict.fromkeys(losing, self._deadline_s * self._config.ratio**rung)
            one = demand.under(limits, lambda drawn, of=limits: self._clear(drawn, of, demand.least))  # type: ignore[misc]
            costs_nobody = self._costs_nobody(one, limits, demand.least)
            if costs_nobody and one.objective < bar:
                found, bar, loosest = (one, limits), one.objective, rung + 1
            elif costs_nobody and rung == first == 1:
                loosest = 2
            else:
                tightest = rung - 1
            look_at_loosest = rung == first and found is None and loosest == 1
            rung = 1 if look_at_loosest else (loosest + tightest) // 2
        return found

    def _costs_nobody(
        self, one: EpochResult, limits: Limits, least: EpochResult, besides: float = 0.0
    ) -> bool:
        """Whether no model has less than by the yardstick: with a limit a margin more and as much `besides`, else no
        less than by chance."""
        more, slack = 1.0 + self._config.margin + besides, 1.0 - self._config.least_lost
        return all(
            one.success.get(m, 0.0) >= share * (more if m in limits else slack)
            and one.prompts.get(m, 0.0) >= least.prompts.get(m, 0.0) * (more if m in limits else slack)
            for m, share in least.success.items()
        )

    def _clear(self, one: EpochResult, limits: Limits, least: EpochResult) -> bool:
        """Whether the first draw settles it that limits cost somebody something, or that they do not."""
        clearly = 2.0 * self._config.margin
        if max(self._lacking(one, least).values(), default=0.0) > clearly:
            return True
        return self._costs_nobody(one, limits, least, clearly)

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
