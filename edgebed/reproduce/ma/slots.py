"""What became of the requests of each slot: all that figures over time need of a run, counted while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulation.domain.records import Record, RequestRecord, RunHeader
from emulation.metrics.fairness import jain, jain_normalised, objective

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

    def period(self, start: int, end: int) -> Period:
        """Figures of the requests of slots start to end - 1."""
        arrived, done, latency_s = (
            a[start:end].sum(axis=0) for a in (self.arrived, self.done, self.latency_s)
        )
        success = {m: float(d / a) for m, a, d in zip(self.models, arrived, done, strict=True) if a > 0}
        mean_s = float(latency_s.sum() / done.sum()) if done.sum() else None
        fair = jain_normalised(jain(list(success.values())), len(success))
        t_norm = None if mean_s is None else mean_s / self.deadline_s
        return Period(success, mean_s, fair, objective(t_norm, fair, self.weight))

    def epochs(self) -> list[Period]:
        """Figures of every whole epoch, by arrival."""
        last = self.slots - self.epoch_slots
        return [self.period(i, i + self.epoch_slots) for i in range(0, last + 1, self.epoch_slots)]


@dataclass(frozen=True, slots=True)
class Period:
    """MA's figures over the requests that arrived in a stretch of slots."""

    success: Mapping[str, float]
    """Model to rho_i (eq. 5), for models that had arrivals."""
    mean_s: float | None
    fairness_norm: float | None
    objective: float | None
    """J (eq. 10) with the request-weighted mean."""


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
        slot = min(int(record.intended_s / self._header.slot_s + 1e-9), self._header.slots - 1)
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
            models=header.models,
            arrived=arrived,
            done=done,
            latency_s=latency_s,
            deadline_s=header.deadline_s,
            weight=header.objective_weight,
            epoch_slots=header.epoch_slots,
        )
