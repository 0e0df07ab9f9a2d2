"""What would this policy do? The question, and who may answer it.

A planner asks with its belief only: the testbed with the speeds it has learned, the arrivals it has seen, the queues
telemetry shows. The answer comes from a world built from that belief, in a process that is given nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Protocol

from controller.objective import Objective
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.snapshot import Arrived
from emulation.metrics.fairness import EpochResult

NO_WHAT_IF = "no what-if"
"""Stands in the reason of a decision that was made without a forecast, since nobody gave one."""
MOST_SLOTS = 200
"""Slots of an epoch that are emulated; a longer one is judged by its first. No clock bounds it: the answer of a slower
machine is the same."""
MOST_WAITING = 5_000
"""Waiting requests that an emulated epoch begins with, at most; of arrivals a window tells no more either."""


@dataclass(frozen=True, slots=True)
class BelievedWorld:
    """Everything a what-if world is built from. Plain data; knows no scenario."""

    testbed: TestbedConfig
    """The inventory, its profile replaced by the service laws as learned."""
    objective: Objective
    arrivals: tuple[Arrived, ...]
    """What is expected to arrive, seconds from now."""
    backlog: tuple[Arrived, ...] = ()
    """Work that waits now, entered at its present node at time 0."""
    absent: frozenset[str] = frozenset()
    """Nodes that are away now, and are taken to stay away."""
    service_cv: float = 0.25

    @property
    def slots(self) -> int:
        """Slots that are emulated: the epoch's, or as many of them as a what-if has."""
        return min(self.objective.epoch_slots, MOST_SLOTS)

    def with_share(self, share: float) -> BelievedWorld:
        """The same with this share of the arrivals of every model, evenly chosen."""
        if share >= 1.0:
            return self
        kept, before = list[Arrived](), Counter[str]()
        for arrived in self.arrivals:
            number = before[arrived.model]
            before[arrived.model] += 1
            if floor((number + 1) * share) > floor(number * share):
                kept.append(arrived)
        return replace(self, arrivals=tuple(kept))

    def prompts_per_s(self) -> dict[str, float]:
        """Model to what arrives of it in the slots that are emulated."""
        horizon_s = self.slots * self.objective.slot_s
        prompts = Counter[str]()
        for arrived in self.arrivals:
            if arrived.t_s < horizon_s:
                prompts[arrived.model] += arrived.prompts
        return {model: count / horizon_s for model, count in prompts.items()}


class WhatIf(Protocol):
    """Emulates policies. Picklable; may hold a process of its own, which ends with it."""

    def forecast(
        self,
        world: BelievedWorld,
        policies: Sequence[MacroPolicy],
        draws: int,
        seed: int,
        scheme: str | None = None,
    ) -> list[EpochResult]:
        """One forecast per policy, each the mean over `draws` draws of service noise, the same for all policies.

        `scheme`: whose controllers work below the planner in that world; None: those that do in this one. Raises
        `RuntimeError` that says `NO_WHAT_IF` where nobody answers.
        """
