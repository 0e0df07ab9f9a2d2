"""What planners and schedulers plan for: the public terms of a scenario, without its events or seed."""

from __future__ import annotations

from dataclasses import dataclass

from emulation.domain.scenario import Scenario, SlotOrder


@dataclass(frozen=True, slots=True)
class Objective:
    """Time scales, deadline and weight of MA eq. 10."""

    slot_s: float = 30.0
    epoch_slots: int = 50
    slots: int = 50
    """Slots over which a plan is judged, from empty queues."""
    deadline_s: float | None = 900.0
    """tau; None: requests never expire."""
    weight: float = 0.5
    """lambda of MA eq. 10."""
    energy_weight: float = 0.0
    """Weight in J of the energy of a request above idle, per kJ."""
    slot_order: SlotOrder = "dispatch-first"
    """When within a slot deployment agents look."""

    @classmethod
    def of(cls, scenario: Scenario) -> Objective:
        """The objective of a scenario."""
        return cls(
            slot_s=scenario.slot_s,
            epoch_slots=scenario.epoch_slots,
            slots=scenario.slots,
            deadline_s=scenario.deadline_s,
            weight=scenario.objective_weight,
            energy_weight=scenario.energy_weight,
            slot_order=scenario.slot_order,
        )

    @property
    def scale_s(self) -> float:
        """What a latency is a share of: the deadline, or an epoch where requests never expire."""
        return self.deadline_s or self.epoch_slots * self.slot_s

    @property
    def energy_s_per_j(self) -> float:
        """Seconds of latency that weigh in J as much as a joule; 0 where energy weighs nothing."""
        return self.energy_weight * self.scale_s / (1000.0 * self.weight) if self.energy_weight else 0.0

    @property
    def horizon_s(self) -> float:
        """Virtual seconds over which a plan is judged."""
        return self.slots * self.slot_s
