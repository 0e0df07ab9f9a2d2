"""At random, drawn once per origin, model and slot: MA's RR, RF and RL routing."""

from __future__ import annotations

from controller.fast_view import FastView, Pool
from controller.routers.router import ALL_AWAY, Pick, Router
from emulation.domain.cluster import Strict
from emulation.domain.quantities import SlotLength
from emulation.domain.request import Request
from emulation.domain.slots import slot_of
from emulation.rng import share


class RandomSlot(Router):
    """A uniform draw over the feasible nodes per (origin, model, slot), kept for the slot (MA schemes R*).

    The slot is that of the intended send time. The draw depends on (seed, origin, model, slot) only, not on what was
    routed before, so every scheme and both worlds draw alike.
    """

    class Config(Strict):
        """Parameters."""

        slot_s: SlotLength = 30.0
        """Length of a slot in seconds."""

    def __init__(self, config: Config | None = None, seed: int = 0) -> None:
        super().__init__(config, seed)
        self._seed, self._slot_s = seed, self.config.slot_s

    def choose(self, request: Request, pool: Pool, view: FastView) -> Pick:
        """The column drawn for this origin, model and slot."""
        if not pool.open:
            return ALL_AWAY
        slot = slot_of(request.arrival_s, self._slot_s)
        drawn = share(self._seed, f"router.random:{request.origin}:{pool.model}:{slot}")
        return pool.open[int(drawn * len(pool.open))], "drawn for the slot"
