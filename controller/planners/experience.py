"""What a planner carries from epoch to epoch: the speeds it has learned, and what came of the policies it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.belief import BeliefConfig, ServiceBelief
from controller.demand import Demand, DemandPrior, estimated
from controller.objective import Objective
from controller.planners.memory import Case, CaseMemory, MemoryConfig, Telemetry
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot, TypeStats
from emulation.metrics.fairness import Counted, EpochResult, epoch_result_of


@dataclass(frozen=True, slots=True)
class EpochBoundary:
    """What is known where one epoch ends and the next begins."""

    demand: Demand
    """As it was counted in the epoch that ended."""
    telemetry: Telemetry
    result: EpochResult | None
    """What the epoch that ended came to; None if no request has ended."""


class Experience:
    """Belief, case memory and the policy in force. Raises `ValueError` at construction for a broken memory file."""

    def __init__(
        self,
        testbed: TestbedConfig,
        objective: Objective,
        belief: BeliefConfig,
        memory: MemoryConfig,
        prior: DemandPrior | None = None,
    ) -> None:
        self.belief = ServiceBelief(testbed, belief)
        self.memory = CaseMemory(memory)
        self.policy: MacroPolicy | None = None
        """The policy in force: the next case is one of it."""
        self._testbed = testbed
        self._objective = objective
        self._prior = prior or DemandPrior()
        self._absent: tuple[str, ...] = ()
        """Nodes that were away when the policy in force was made."""

    def learn(self, snapshot: ClusterSnapshot) -> EpochBoundary:
        """Finished work corrects the belief; the epoch that ended becomes a case, under the demand really met in it."""
        self.belief.learn(snapshot.window)
        demand = estimated(self._testbed, self._objective, self._prior, snapshot)
        rates = {m.id: float(r) for m, r in zip(self._testbed.models, demand.prompts_per_s, strict=True)}
        away = tuple(sorted(v.id for v in snapshot.nodes if not v.available))
        boundary = EpochBoundary(
            demand,
            Telemetry(prompts_per_s=rates, absent=away),
            _result(snapshot.stats, self._objective),
        )
        self._remember(boundary, max(snapshot.slot // self._objective.epoch_slots - 1, 0))
        self._absent = away
        return boundary

    def share_cases(self, other: Experience) -> None:
        """Where both keep their cases in the same file, keep one list with the other.

        Each list is written whole: of two, only the cases of the one that was written last would be left.
        """
        files = [m.config.file for m in (self.memory, other.memory) if m.config.file is not None]
        if len(files) == 2 and Path(files[0]).resolve() == Path(files[1]).resolve():
            self.memory = other.memory

    def _remember(self, boundary: EpochBoundary, epoch: int) -> None:
        policy, result = self.policy, boundary.result
        if policy is None or result is None:
            return
        case = Case(
            telemetry=boundary.telemetry.model_copy(update={"absent": self._absent}),
            p={m: dict(shares) for m, shares in policy.p.items()},
            roles={n: dict(modes) for n, modes in policy.roles.items()},
            success=result.success, latency_s=result.latency_s, fairness_norm=result.fairness_norm,
            latency_norm=result.latency_norm, objective=result.objective, epoch=epoch,
        )  # fmt: skip
        self.memory.add(case)


def _result(stats: Mapping[str, TypeStats], terms: Objective) -> EpochResult | None:
    """Over the requests that ended, as what still waits has no outcome yet; None if none did."""
    counts = {m: Counted(s.done + s.failed, s.done, s.latency_sum_s) for m, s in sorted(stats.items())}
    ended = any(c.asked for c in counts.values())
    return epoch_result_of(counts, terms.scale_s, terms.weight) if ended else None
