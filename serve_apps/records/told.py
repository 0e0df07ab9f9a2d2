"""How far each gateway has told what it saw, slot by slot: who says so, and who waits for it before counting.

Records come in batches, a quarter of a second of wall time apart: at speedup 10 what a planner is told at the boundary
of an epoch would lack the last seconds of it. So every gateway sends what it has when a slot begins, and says so.
"""

from __future__ import annotations

import asyncio
import logging

from emulation.domain.slots import slot_of, slot_start_s
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Unreached
from serve_apps.wire.clock import LiveClock

log = logging.getLogger("edgebed")

TOLD_LIMIT_S = 0.5
"""Wall seconds that are waited for gateways which told of the slot before and have not told of this one yet."""


class Told:
    """Of one run. A gateway that missed the slot before is not waited for: nobody stands still for one that is gone."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        """Gateway to the last slot at whose begin it had told everything."""
        self._changed = asyncio.Condition()

    async def note(self, source: str, slot: int) -> None:
        """All that this gateway saw before the begin of a slot is told."""
        async with self._changed:
            self._slots[source] = max(slot, self._slots.get(source, slot))
            self._changed.notify_all()

    async def missing(self, slot: int) -> tuple[str, ...]:
        """Wait until everything before the begin of a slot is told, `TOLD_LIMIT_S` at most.

        Returns the gateways that told of the slot before and then not of this one.
        """
        try:
            async with asyncio.timeout(TOLD_LIMIT_S), self._changed:
                await self._changed.wait_for(lambda: not self._late(slot))
        except TimeoutError:
            pass
        return self._late(slot)

    def _late(self, slot: int) -> tuple[str, ...]:
        return tuple(sorted(source for source, told in self._slots.items() if told == slot - 1))


async def tell_slots(batch: RecordBatch, clock: LiveClock, slot_s: float) -> None:
    """For ever: when a slot begins, send what is there and say that all before it is told. The clock has started.

    The present slot too, at once: of what came before, whoever begins now has seen nothing.
    """
    slot = slot_of(clock.now_s(), slot_s)
    while True:
        await asyncio.sleep(clock.wall_until_s(slot_start_s(slot, slot_s)))
        try:
            await batch.flush(slot)
        except (Unreached, ValueError) as error:
            log.warning("%s: slot %d is not told of: %s", batch.source, slot, error)
        # A clock may be read a moment before the boundary that was slept for: it is not slept for again.
        slot = max(slot, slot_of(clock.now_s(), slot_s)) + 1
