"""A made-up testbed that is steered: it says the time, numbers events and loads, and lists what it was told to."""

from __future__ import annotations

from serve_apps.wire.steer import EventEntry, EventList
from tests.build.asgi import MadeUpCalls

LEDGER = EventList(
    t_s=14.0,
    events=(
        EventEntry(
            event=0, kind="slowdown", target="d0", state="in_force", by_hand=True, at_s=12.0, until_s=None,
            onset_s=12.25, undone_s=None, spec={"kind": "slowdown", "node": "d0", "factor": 2.0},
        ),
    ),
)  # fmt: skip


class Actors(MadeUpCalls):
    """Behind a gateway. With an exception as `outcome` it refuses everything, or does not answer."""

    async def call(self, name: str, method: str, *args: object, limit_s: float = 1.0) -> object:
        self.called.append((name, method, *args))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return {"progress": {"t_s": 12.0}, "inject": 7, "undo": 13.5, "ledger": LEDGER}[method]

    @property
    def done(self) -> list[tuple[object, ...]]:
        """What it was told to do, questions left out."""
        return [call for call in self.called if call[1] not in ("progress", "ledger")]
