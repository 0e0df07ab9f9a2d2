"""What the events in force do to one node, by its own state: the engine's proof that they landed and ended."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from emulation.executor.paths import Paths
from emulation.executor.service import Service


@mypyc_attr(allow_interpreted_subclasses=True)
class NodeEffects:
    """What whoever plays events may ask of a node: `NodeState.effects`. Says what each event adds to the others."""

    def __init__(self, service: Service, paths: Paths) -> None:
        self._service, self._paths = service, paths

    def slowed(self, event: int) -> float | None:
        """How many times slower this event makes the work it hits: the geometric mean over a law's coefficients."""
        return self._service.speed.slowed_by(event)

    def stands_still(self, event: int) -> float | None:
        """1 if what this event hits stands still by it, else 0; None: nothing is there that it could hit."""
        found = self._service.speed.in_force(event)
        return None if found is None else float(found.paused)

    def fails(self, event: int) -> float | None:
        """Probability with which this event makes requests fail; None: nothing is there that it could hit."""
        found = self._service.speed.in_force(event)
        return None if found is None else found.error_rate

    def away(self, event: int) -> float:
        """1 if this event keeps the node away, else 0."""
        return float(event in self._service.away_by)

    def delay_s(self, event: int) -> float:
        """Seconds this event adds to every transfer, each way."""
        return self._paths.delay_s(event)

    def loses(self, event: int) -> float:
        """Probability with which this event makes a message get lost."""
        return self._paths.loss_rate(event)
