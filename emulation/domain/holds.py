"""What a record says of requests that wait to be sent somewhere: each reason once, however often they are looked at."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from emulation.domain.routing import RoutingDecision


@mypyc_attr(allow_interpreted_subclasses=True)
class Holds:
    """The reasons for which requests are held, as far as they were told."""

    def __init__(self) -> None:
        self._told: dict[str, set[tuple[str | None, str]]] = {}
        """Request to (executor it waits for, if it is one, reason)."""

    def is_new(self, request_id: str, decision: RoutingDecision) -> bool:
        """Whether a request that is held now was not yet told to be, for this reason; from now on it was."""
        told, said = self._told.setdefault(request_id, set()), (decision.executor, decision.reason)
        if said in told:
            return False
        told.add(said)
        return True

    def over(self, request_id: str) -> None:
        """The request was sent somewhere, or has ended; should it be held once more, that is told of anew."""
        self._told.pop(request_id, None)
