"""What every deployer promises, on every node of every packaged testbed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace

from edgebed.check.law import Law, require
from edgebed.check.sealed import reads_of
from edgebed.check.views import random_view
from emulation.domain.actions import NodeConfig
from emulation.domain.cluster import TestbedConfig
from emulation.domain.feasibility import node_violations
from emulation.domain.ports import DeploymentAgent

SEEDS = range(12)
"""Of the views that each is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployerSubject:
    """The deployer of one node."""

    make: Callable[[TestbedConfig, str, int], DeploymentAgent]
    """From a testbed, a node and a seed."""
    testbed: TestbedConfig
    node_id: str

    def __str__(self) -> str:
        return f"{self.testbed.name}/{self.node_id}"

    def made(self) -> DeploymentAgent:
        """A new one, of always the same seed."""
        return self.make(self.testbed, self.node_id, 1)

    def answers(self, deployer: DeploymentAgent) -> list[NodeConfig]:
        """What one chooses on random views, one after the other."""
        return [deployer.decide(random_view(self.testbed, self.node_id, seed)).command for seed in SEEDS]


def _is_feasible(subject: DeployerSubject) -> None:
    for command in subject.answers(subject.made()):
        require(command.node == subject.node_id, f"on {subject} it commands node {command.node}")
        wrong = node_violations(subject.testbed, subject.node_id, command.modes)
        require(not wrong, f"on {subject}: {'; '.join(wrong)}")


def _same_seed_same_answers(subject: DeployerSubject) -> None:
    first, second = subject.answers(subject.made()), subject.answers(subject.made())
    require(first == second, f"on {subject} the same seed and views gave two answers")


def _goes_on_after_pickling(subject: DeployerSubject) -> None:
    deployer = subject.made()
    subject.answers(deployer)
    twin = pickle.loads(pickle.dumps(deployer))
    require(
        subject.answers(twin) == subject.answers(deployer), f"on {subject} a pickled copy decided otherwise"
    )


def _leaves_what_it_sees(subject: DeployerSubject) -> None:
    deployer = subject.made()
    for seed in SEEDS:
        view = random_view(subject.testbed, subject.node_id, seed)
        before = copy.deepcopy(view)
        deployer.decide(view)
        require(view == before, f"on {subject} it changed the view")


def _repeats_if_it_says_so(subject: DeployerSubject) -> None:
    deployer = subject.made()
    for seed in SEEDS if deployer.repeats else ():
        view = random_view(subject.testbed, subject.node_id, seed)
        first, later = (
            deployer.decide(view),
            deployer.decide(replace(view, taken_at_s=view.taken_at_s + 30.0)),
        )
        alike = (first.command, first.reason) == (later.command, later.reason)
        require(alike, f"on {subject} repeats is true, and the same view gave two choices")


def _reads_no_clock(subject: DeployerSubject) -> None:
    seen = reads_of(subject.made, subject.answers)
    require(not seen, "; ".join(seen))


LAWS: tuple[Law[DeployerSubject], ...] = (
    Law("answers with a pattern that its node can run", _is_feasible, first=True),
    Law("decides alike with the same seed and views", _same_seed_same_answers),
    Law("goes on alike after pickling", _goes_on_after_pickling),
    Law("leaves what it sees unchanged", _leaves_what_it_sees),
    Law("repeats itself, where it says that it does", _repeats_if_it_says_so),
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock),
)
