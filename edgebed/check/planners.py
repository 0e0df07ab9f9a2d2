"""What every planner promises, for any counts, on every packaged testbed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from edgebed.check.law import Law, require
from edgebed.check.sealed import reads_of
from edgebed.check.views import random_snapshot
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import policy_violations
from emulation.domain.plain import command_data
from emulation.domain.ports import GlobalPlanner

SEEDS = range(3)
"""Of the snapshots that each is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerSubject:
    """A planner on one testbed."""

    make: Callable[[TestbedConfig, int], GlobalPlanner]
    """From a testbed and a seed."""
    testbed: TestbedConfig

    def __str__(self) -> str:
        return self.testbed.name

    def made(self) -> GlobalPlanner:
        """A new one, of always the same seed."""
        return self.make(self.testbed, 1)

    def answers(self, planner: GlobalPlanner) -> list[MacroPolicy]:
        """What one plans for random snapshots, one after the other."""
        return [planner.decide(random_snapshot(self.testbed, s, slot=50 * s)).command for s in SEEDS]


def _is_valid(subject: PlannerSubject) -> None:
    for policy in subject.answers(subject.made()):
        wrong = policy_violations(subject.testbed, policy)
        require(not wrong, f"on {subject}: {'; '.join(wrong)}")


def _same_seed_same_policies(subject: PlannerSubject) -> None:
    first, second = subject.answers(subject.made()), subject.answers(subject.made())
    require(first == second, f"on {subject} the same seed and snapshots gave two policies")


def _can_be_recorded(subject: PlannerSubject) -> None:
    for policy in subject.answers(subject.made()):
        recorded_as_it_is(subject.testbed, policy)


def recorded_as_it_is(testbed: TestbedConfig, policy: MacroPolicy) -> None:
    """Raise `Broken` unless what is recorded of a policy passes the checks that it passed itself."""
    said = orjson.loads(orjson.dumps(command_data(policy)))
    steps = {m: tuple([(at, limit_s) for at, limit_s in s]) for m, s in said.get("limits_from", {}).items()}
    never = frozenset(said.get("unrefused", ()))
    kept = MacroPolicy(said["p"], said["roles"], said["admission_limit_s"], steps, never)
    alike = sorted(policy_violations(testbed, kept)) == sorted(policy_violations(testbed, policy))
    require(alike, f"on {testbed.name} what is recorded of a policy is not what was planned")
    shares = {m: {n: w for n, w in p.items() if w > 0} for m, p in policy.p.items()}
    require(kept.p == shares, f"on {testbed.name} the recorded shares are others than the planned ones")


def _leaves_what_it_sees(subject: PlannerSubject) -> None:
    snapshot = random_snapshot(subject.testbed, 5)
    before = copy.deepcopy(snapshot)
    subject.made().decide(snapshot)
    require(snapshot == before, f"on {subject} it changed the snapshot")


def _goes_on_after_pickling(subject: PlannerSubject) -> None:
    planner, snapshot = subject.made(), random_snapshot(subject.testbed, 5)
    planner.decide(snapshot)
    twin = pickle.loads(pickle.dumps(planner))
    same = twin.decide(snapshot).command == planner.decide(snapshot).command
    require(same, f"on {subject} a pickled copy decided otherwise")


def _reads_no_clock(subject: PlannerSubject) -> None:
    snapshot = random_snapshot(subject.testbed, 5)
    seen = reads_of(subject.made, lambda planner: planner.decide(snapshot))
    require(not seen, "; ".join(seen))


LAWS: tuple[Law[PlannerSubject], ...] = (
    Law("answers with a policy that its testbed can follow", _is_valid, first=True),
    Law("plans alike with the same seed and snapshots", _same_seed_same_policies),
    Law("plans what can be recorded", _can_be_recorded),
    Law("leaves what it sees unchanged", _leaves_what_it_sees),
    Law("goes on alike after pickling", _goes_on_after_pickling),
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock),
)
