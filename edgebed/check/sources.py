"""What every source of requests promises, on small runs of packaged testbeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from math import inf

from edgebed.check.law import Broken, Law, require
from edgebed.check.sealed import reads_of
from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import OutsideSource, Scenario
from workloads.outside import RequestSource, accepted
from workloads.sources import Draft, Draws

SLOTS = 40
MOST = 20_000
"""Requests that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSubject:
    """A source with its default parameters, on one testbed."""

    make: Callable[[], RequestSource]
    testbed: TestbedConfig

    @property
    def scenario(self) -> Scenario:
        """A run of twenty minutes."""
        return Scenario(
            name="check", testbed=self.testbed, workload=(OutsideSource(source="checked"),), slots=SLOTS
        )

    def drafts(self, source: RequestSource, seed: int = 1) -> Iterator[Draft]:
        """What a source gives for a seed, `MOST` at most."""
        scenario = self.scenario
        draws = Draws(scenario.workload[0], scenario, seed, "workload/0")
        return islice(source.requests(draws), MOST)


def _is_of_the_run(subject: SourceSubject) -> None:
    scenario, last_s = subject.scenario, -inf
    for number, draft in enumerate(subject.drafts(subject.make())):
        try:
            last_s = accepted(draft, scenario, last_s).arrival_s
        except ValueError as error:
            raise Broken(f"on {subject.testbed.name} request {number} {error}") from None


def _ends(subject: SourceSubject) -> None:
    count = sum(1 for _ in subject.drafts(subject.make()))
    require(
        count < MOST,
        f"on {subject.testbed.name} it gives {MOST} requests and more in {subject.scenario.end_s:g} s",
    )


def _same_seed_same_requests(subject: SourceSubject) -> None:
    first, second = (list(subject.drafts(subject.make())) for _ in range(2))
    require(first == second, f"on {subject.testbed.name} the same seed gave two lists of requests")


def _stands_alone(subject: SourceSubject) -> None:
    alone = list(subject.drafts(subject.make()))
    one = subject.make()
    beside = zip_longest(subject.drafts(one), subject.drafts(subject.make(), seed=2))
    first = [draft for draft, _ in beside if draft is not None]
    require(first == alone, f"on {subject.testbed.name} another source of its kind changed what it gives")
    again = list(subject.drafts(one))
    require(again == alone, f"on {subject.testbed.name} one that was used before gives other requests")


def _reads_no_clock(subject: SourceSubject) -> None:
    seen = reads_of(subject.make, lambda source: list(subject.drafts(source)))
    require(not seen, "; ".join(seen))


LAWS: tuple[Law[SourceSubject], ...] = (
    Law("gives requests of the testbed, in order of arrival and within the run", _is_of_the_run, first=True),
    Law("comes to an end", _ends, first=True),
    Law("gives the same requests for the same seed", _same_seed_same_requests),
    Law("gives the same beside others and when it is used again", _stands_alone),
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock),
)
