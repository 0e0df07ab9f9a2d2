"""Queues without an engine, to choose admission limits by: what a limit lets through, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.whatif import BelievedWorld
from emulation.domain.actions import MacroPolicy
from emulation.metrics.fairness import EpochResult

DEADLINE_S = 900.0


class World:
    """Each model's queue: what a limit lets through of it, how late that is, and what is lost of it by caution."""

    def __init__(
        self,
        load: Mapping[str, float],
        yardstick: Mapping[str, float],
        caution: Mapping[str, float] | None = None,
        bursts: float = 0.0,
    ) -> None:
        """`bursts`: share of a model that a limit of no seconds refuses at any load, and half as much one of 100 s."""
        self.load, self.yardstick, self.caution, self.bursts = load, yardstick, caution or {}, bursts
        self.asked: list[tuple[MacroPolicy, str | None, float]] = []

    def forecast(self, policy: MacroPolicy, scheme: str | None, share: float, draw: int = 0) -> EpochResult:
        self.asked.append((policy, scheme, share))
        return self.of(policy.admission_limit_s, scheme, policy.unrefused, share)

    def of(
        self,
        limits: Mapping[str, float],
        scheme: str | None = None,
        unrefused: frozenset[str] = frozenset(),
        share: float = 1.0,
    ) -> EpochResult:
        """Of a share of the load. Under overload: 1 / load served, less where the limit is too short to keep the
        executor busy; late as it."""
        loads = {m: load * share for m, load in self.load.items()}
        late = {m: limits.get(m, DEADLINE_S) if load > 1 else 5.0 for m, load in loads.items()}
        success = {
            m: min(1.0, self.yardstick[m] / share)
            if scheme
            else min(1.0, (1.0 - 20.0 / (20.0 + late[m])) / load)
            for m, load in loads.items()
            for load in [load if load > 1 else 0.1]
        }
        if scheme is None:
            success = {
                m: min(s, 1.0 - self.bursts * 100.0 / (100.0 + limits[m]) if m in limits else 1.0)
                * (1.0 - (0.0 if m in unrefused else self.caution.get(m, 0.0)))
                for m, s in success.items()
            }
        fair = min(success.values()) / max(success.values())
        t_norm = sum(late.values()) / len(late) / DEADLINE_S
        prompts = {m: 100.0 * share for m, share in success.items()}
        return EpochResult(success, late, t_norm, fair, (t_norm + 1.0 - fair) / 2, prompts)


class Answers:
    """Port `WhatIf`, by such a world; or nobody."""

    def __init__(self, world: World | None) -> None:
        self.world = world
        self.expected = 0
        """Requests of the most that was asked about: less is a share of it."""

    def forecast(
        self,
        world: BelievedWorld,
        policies: Sequence[MacroPolicy],
        draws: int,
        seed: int,
        scheme: str | None = None,
    ) -> list[EpochResult]:
        if self.world is None:
            raise RuntimeError("nobody is there")
        self.expected = max(self.expected, len(world.arrivals))
        share = len(world.arrivals) / self.expected
        return [self.world.forecast(policy, scheme, share) for policy in policies]
