"""Admission limits of an epoch: what is refused as too late, chosen by emulating what the planner believes.

A limit makes a model's queue short, so that what is taken ends early, and nothing is worked at that then ends too late.
It also refuses, and J alone would refuse ever more (it counts the latency of the served). So a limit must not cost
anybody anything: under it every model's success and served prompts must be at least those of a yardstick, the second
paper's scheme, whose layers are emulated under the same plan on the same requests. Where no limit passes, there is
none; a model that loses nothing without a limit gets none either. Without a limit, what is predicted to miss its
deadline is refused; where that gives a model less than the yardstick, nothing of it is refused at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from controller.whatif import BelievedWorld, WhatIf
from emulation.domain.actions import MacroPolicy
from emulation.domain.quantities import Fraction, Range
from emulation.domain.strict import Strict
from emulation.metrics.fairness import EpochResult

Forecast = Callable[[Sequence[MacroPolicy], str | None], list[EpochResult]]
"""What policies would come to; the name of another scheme: with its controllers below the planner."""
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
        try:
            limited, said = self._admission.within(
                policy,
                lambda asked, scheme: self._what_if.forecast(world, asked, self._draws, self._seed, scheme),
            )
        except RuntimeError as error:
            return Limited(policy, f"no limits: {error}", thinking_s)
        return Limited(limited, said, thinking_s)


class Admission:
    """Chooses what is refused under a policy.

    `keep_gain`: share of J by which a lower limit must better a higher one.
    """

    def __init__(self, config: LimitsConfig, deadline_s: float, keep_gain: float) -> None:
        self._config, self._deadline_s, self._keep_gain = config, deadline_s, keep_gain

    def within(self, policy: MacroPolicy, forecast: Forecast) -> tuple[MacroPolicy, str]:
        """The policy with what is refused under it, and why that. Raises what `forecast` does."""
        bare = replace(policy, admission_limit_s={}, unrefused=frozenset())
        free = forecast([bare], None)[0]
        losing = [m for m, share in free.success.items() if share < 1.0 - self._config.least_lost]
        if not losing:
            return bare, "no limits: nothing is lost without"
        least = forecast([bare], YARDSTICK)[0]
        found = self._tightest(losing, bare, (free, least), forecast)
        if found is None:
            return self._opened(bare, (free, least), forecast)
        best, chosen = found
        if len(losing) > 1:
            for model in losing:
                wider = {**chosen, model: min(chosen[model] / self._config.ratio, self._deadline_s)}
                one = self._under(wider, bare, forecast)
                if one.objective < best.objective and self._costs_nobody(one, wider, least):
                    best, chosen = one, wider
        said = ", ".join(f"{m} {limit_s:.0f} s" for m, limit_s in sorted(chosen.items()))
        return (
            replace(bare, admission_limit_s=chosen),
            f"limits {said}: J {best.objective:.3f}, without {free.objective:.3f}",
        )

    def _opened(
        self, bare: MacroPolicy, known: tuple[EpochResult, EpochResult], forecast: Forecast
    ) -> tuple[MacroPolicy, str]:
        """Where no limit passes, deadlines alone refuse; nothing of a model that so has less than by the yardstick.

        Opening one model may cost another, which is opened then, too. Where that leaves them no better off, none is.
        """
        free, least = known
        said = f"no limits: none is better and costs nobody {YARDSTICK}'s success and goodput"
        one, policy = free, bare
        while more := self._lacking(one, least).keys() - policy.unrefused:
            policy = replace(policy, unrefused=policy.unrefused | more)
            one = forecast([policy], None)[0]
        if not policy.unrefused:
            return bare, said
        names = ", ".join(sorted(policy.unrefused))
        if sum(self._lacking(one, least).values()) >= sum(self._lacking(free, least).values()):
            return bare, f"{said}; to refuse nothing of {names} would not help"
        return policy, f"{said}; nothing of {names} is refused, or it would have less than by {YARDSTICK}"

    def _tightest(
        self,
        losing: Sequence[str],
        bare: MacroPolicy,
        known: tuple[EpochResult, EpochResult],
        forecast: Forecast,
    ) -> tuple[EpochResult, Limits] | None:
        """By halving: the tightest of the limits that costs nobody anything and betters every looser one looked at.

        `known`: what the policy comes to without limits, and what the yardstick does. None: no limit betters none.
        """
        free, least = known
        found: tuple[EpochResult, Limits] | None = None
        bar = free.objective * (1.0 - self._keep_gain)
        loosest, tightest = 1, self._config.rungs
        while loosest <= tightest:
            rung = (loosest + tightest) // 2
            limits = dict.fromkeys(losing, self._deadline_s * self._config.ratio**rung)
            one = self._under(limits, bare, forecast)
            if one.objective < bar and self._costs_nobody(one, limits, least):
                found, bar, loosest = (one, limits), one.objective, rung + 1
            else:
                tightest = rung - 1
        return found

    def _under(self, limits: Limits, bare: MacroPolicy, forecast: Forecast) -> EpochResult:
        return forecast([replace(bare, admission_limit_s=limits)], None)[0]

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
