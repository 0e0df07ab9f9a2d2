"""What became of the requests of each slot: all that figures over time need of a run, counted while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulation.domain.records import Record, RequestRecord, RunHeader
from emulation.domain.slots import slot_of
from emulation.metrics.fairness import Counted, EpochResult, epoch_result_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SlotFigures:
    """Counted requests by the slot they were intended in (rows) and by model (columns): arrays (S, M)."""

    models: tuple[str, ...]
    arrived: Floats
    done: Floats
    latency_s: Floats
    """Sum over those done."""
    deadline_s: float
    weight: float
    """lambda of MA eq. 10."""
    epoch_slots: int

    @property
    def slots(self) -> int:
        """Number of slots, S."""
        return len(self.arrived)

    @property
    def cost_s(self) -> Floats:
        """Per slot, (S,): sum of latencies, every lost request counted with the whole deadline.

        Refusing or losing work can so never look fast.
        """
        lost = self.arrived - self.done
        cost: Floats = (self.latency_s + self.deadline_s * lost).sum(axis=1)
        return cost

    def period(self, start: int, end: int) -> EpochResult:
        """Figures of the requests of slots start to end - 1; latencies count as shares of the deadline."""
        sums = [a[start:end].sum(axis=0).tolist() for a in (self.arrived, self.done, self.latency_s)]
        counts = {m: Counted(*of) for m, *of in zip(self.models, *sums, strict=True)}
        return epoch_result_of(counts, self.deadline_s, self.weight)

    def epochs(self) -> list[EpochResult]:
        """Figures of every whole epoch, by arrival."""
        last = self.slots - self.epoch_slots
        return [self.period(i, i + self.epoch_slots) for i in range(0, last + 1, self.epoch_slots)]


class SlotTally:
    """A record sink that keeps no records. Raises `ValueError` for a run without a deadline: J needs one."""

    def __init__(self) -> None:
        self._counts: Floats = np.zeros((3, 0, 0))
        self._column: dict[str, int] = {}
        self._header: RunHeader | None = None

    def write(self, record: Record, side: Mapping[str, Any] | None = None) -> None:
        """Count one record."""
        if isinstance(record, RequestRecord):
            if record.counted:
                self._count(record)
        elif isinstance(record, RunHeader):
            self._header = record
            self._column = {m: i for i, m in enumerate(record.models)}
            self._counts = np.zeros((3, record.slots, len(record.models)))

    def _count(self, record: RequestRecord) -> None:
        assert self._header is not None
        slot = slot_of(record.intended_s, self._header.slot_s)
        cell = self._counts[:, slot, self._column[record.model]]
        cell[0] += 1
        if record.outcome == "done":
            cell[1] += 1
            cell[2] += record.ended_s - record.intended_s

    def figures(self) -> SlotFigures:
        """What was counted. Raises `ValueError` for a run without a deadline, or none at all."""
        header = self._header
        if header is None or header.deadline_s is None:
            raise ValueError("figures by slot need a run with a deadline")
        arrived, done, latency_s = self._counts
        return SlotFigures(
            header.models,
            arrived,
            done,
            latency_s,
            header.deadline_s,
            header.objective_weight,
            header.epoch_slots,
        )
