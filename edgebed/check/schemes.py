"""What every scheme promises of a whole run in virtual time, on pods and on always-ready devices."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

from controller.loop import INVALID
from controller.schemes import Scheme
from edgebed.check.law import Law, require
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.controllers import build_controllers
from emulation.domain.scenario import Scenario
from emulation.files import load_testbed
from emulation.recording import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeSubject:
    """A scheme on one small scenario."""

    scheme: Scheme
    scenario: Scenario

    def __str__(self) -> str:
        return self.scenario.name

    def run(self) -> Run:
        """What it records of seed 1."""
        return simulate_in_memory(self.scenario, self.scheme, 1)


def small_scenarios() -> list[Scenario]:
    """Two minutes on the demo's pods and on E3's four devices; a node leaves, another becomes slow."""
    return [_small("pods", "demo"), _small("devices", "e3-pool")]


def _small(name: str, testbed: str) -> Scenario:
    bed = load_testbed(testbed)
    leaving, slowed = bed.nodes[0].id, bed.nodes[-1].id
    models = [m.id for m in bed.models]
    return Scenario.model_validate(
        {
            "name": name, "testbed": bed, "slot_s": 20, "slots": 6, "epoch_slots": 3, "deadline_s": 60,
            "workload": [{"kind": "poisson", "rate_per_s": 0.8, "mix": dict.fromkeys(models, 1.0 / len(models))}],
            "events": [
                {"kind": "leave", "node": leaving, "at_s": 30, "until_s": 60},
                {"kind": "slowdown", "node": slowed, "factor": 3, "at_s": 50, "until_s": 90},
            ],
        }
    )  # fmt: skip


def _every_request_ends_once(subject: SchemeSubject) -> None:
    run = subject.run()
    ended = [r.request_id for r in run.requests]
    require(len(set(ended)) == len(ended), f"on {subject} a request ended twice")
    require(bool(ended), f"on {subject} no request was recorded")


def _same_seed_same_record(subject: SchemeSubject) -> None:
    first, second = subject.run(), subject.run()
    require(first.requests == second.requests, f"on {subject} the same seed gave two records of requests")
    require(first.decisions == second.decisions, f"on {subject} the same seed gave two records of decisions")


def _needs_no_replacement(subject: SchemeSubject) -> None:
    for decision in subject.run().decisions:
        said = "; ".join(decision.violations) or decision.reason.removeprefix(f"{INVALID}: ")
        require(not decision.reason.startswith(INVALID), f"on {subject}, {decision.actor}: {said}")


def _can_be_sent(subject: SchemeSubject) -> None:
    pickle.loads(pickle.dumps(build_controllers(subject.scheme, subject.scenario, 1)))


LAWS: tuple[Law[SchemeSubject], ...] = (
    Law("can be sent to another process", _can_be_sent, first=True),
    Law("ends every request exactly once", _every_request_ends_once, first=True),
    Law("leaves the same record for the same seed", _same_seed_same_record),
    Law("gives no answer that has to be replaced", _needs_no_replacement),
)
