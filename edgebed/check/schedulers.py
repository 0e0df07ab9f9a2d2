"""What every prompt scheduler promises, with and without a policy, on every packaged testbed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from controller.objective import Objective
from controller.planners.search import SearchPlanner
from edgebed.check.law import Law, require
from edgebed.check.sealed import reads_of
from edgebed.check.views import random_snapshot
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import guide_violations
from emulation.domain.ports import PromptScheduler
from emulation.domain.snapshot import ClusterSnapshot

SEEDS = range(6)
"""Of the snapshots that each is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSubject:
    """A scheduler on one testbed."""

    make: Callable[[TestbedConfig, int], PromptScheduler]
    """From a testbed and a seed."""
    testbed: TestbedConfig

    def __str__(self) -> str:
        return self.testbed.name

    def made(self) -> PromptScheduler:
        """A new one, of always the same seed."""
        return self.make(self.testbed, 1)

    def policies(self) -> tuple[MacroPolicy | None, MacroPolicy]:
        """None, and one that a planner made: each time a new one, as a scheduler may change it that should not."""
        return None, pickle.loads(_planned(self.testbed.model_dump_json()))


@lru_cache(maxsize=16)
def _planned(testbed: str) -> bytes:
    """The pickle of a policy for a testbed, given as JSON."""
    planner = SearchPlanner(
        TestbedConfig.model_validate_json(testbed), SearchPlanner.Config(), 1, Objective()
    )
    return pickle.dumps(planner.decide(ClusterSnapshot(0.0, 0, ())).command)


def _is_valid(subject: SchedulerSubject) -> None:
    for policy in subject.policies():
        for seed in SEEDS:
            guide = subject.made().decide(random_snapshot(subject.testbed, seed, slot=seed), policy).command
            wrong = guide_violations(subject.testbed, guide)
            require(not wrong, f"on {subject}: {'; '.join(wrong)}")


def _same_seed_same_guides(subject: SchedulerSubject) -> None:
    for policy in subject.policies():
        for seed in SEEDS:
            snapshot = random_snapshot(subject.testbed, seed, slot=seed)
            first, second = (subject.made().decide(snapshot, policy).command for _ in range(2))
            require(first == second, f"on {subject} the same seed and snapshot gave two guides")


def _leaves_what_it_sees(subject: SchedulerSubject) -> None:
    for policy in subject.policies():
        for seed in SEEDS:
            snapshot = random_snapshot(subject.testbed, seed, slot=seed)
            before = copy.deepcopy((snapshot, policy))
            subject.made().decide(snapshot, policy)
            require((snapshot, policy) == before, f"on {subject} it changed the snapshot or the policy")


def _goes_on_after_pickling(subject: SchedulerSubject) -> None:
    scheduler, snapshot = subject.made(), random_snapshot(subject.testbed, 3)
    _, policy = subject.policies()
    scheduler.decide(snapshot, policy)
    twin = pickle.loads(pickle.dumps(scheduler))
    same = twin.decide(snapshot, policy).command == scheduler.decide(snapshot, policy).command
    require(same, f"on {subject} a pickled copy decided otherwise")


def _reads_no_clock(subject: SchedulerSubject) -> None:
    _, policy = subject.policies()
    snapshot = random_snapshot(subject.testbed, 3)
    seen = reads_of(subject.made, lambda scheduler: scheduler.decide(snapshot, policy))
    require(not seen, "; ".join(seen))


LAWS: tuple[Law[SchedulerSubject], ...] = (
    Law("answers with a guide that its testbed can follow", _is_valid, first=True),
    Law("decides alike with the same seed and snapshot", _same_seed_same_guides),
    Law("leaves what it sees unchanged", _leaves_what_it_sees),
    Law("goes on alike after pickling", _goes_on_after_pickling),
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock),
)
