"""Puts the controllers of another scheme in the place of those in force: built, written by the recorder, taken up."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from emulation.domain.mistakes import Mistake
from emulation.domain.scenario import Scenario
from serve_apps.deciders.cast import deciding_parts
from serve_apps.wire.calls import CALL_LIMIT_S, Calls
from serve_apps.wire.names import PLANNER, RECORDER, SCHEDULER, deployer_name
from serve_apps.wire.switching import Schemes, Stage, TakenUp

MadeT = TypeVar("MadeT")
TAKEN_UP_S = 10.0
"""Wall seconds processes have to take up a switch before its record says who has not."""


@dataclass(frozen=True, slots=True)
class Switched:
    """A switch that is in force."""

    reasoner: str
    taken: TakenUp


class Switcher:
    """Of one run."""

    def __init__(self, calls: Calls, run_id: str, scenario: Scenario, stage: Stage) -> None:
        self._calls, self._run_id, self._scenario, self._stage = calls, run_id, scenario, stage
        self._schemes: Schemes | None = None
        self._refused: dict[str, str] | None = None
        self.own = stage.own
        """The scheme that the run began with."""

    async def check(self, to: str) -> None:
        """Raise `ValueError` with the reason if the run cannot be switched to a scheme."""
        await self._made(lambda schemes: schemes.check(to))

    async def refusals(self) -> dict[str, str]:
        """Every scheme, to why the run cannot be switched to it; empty: it can. Raises `ValueError`."""
        if self._refused is None:
            self._refused = await self._made(lambda schemes: schemes.refusals())
        return self._refused

    async def switch(self, to: str) -> Switched:
        """Switch, and wait until all have taken it up, or for a while. Raises `ValueError`, and `Unreached`."""
        cast = await self._made(lambda schemes: schemes.cast(to))
        parts = deciding_parts(self._run_id, self._scenario, cast, self._stage)
        number = await self._calls.call(RECORDER, "switch", self._run_id, parts)
        names = [PLANNER, SCHEDULER, *(deployer_name(n.id) for n in self._scenario.testbed.nodes)]
        asked = (self._run_id, number, names, TAKEN_UP_S)
        taken = await self._calls.call(RECORDER, "taken_up", *asked, limit_s=TAKEN_UP_S + CALL_LIMIT_S)
        return Switched(cast.reasoner, taken)

    async def shadow(self, scheme: str) -> bytes:
        """The fast path of a scheme alone, pickled. Raises `ValueError` with the reason if it cannot be a shadow."""
        return await self._made(lambda schemes: pickle.dumps(schemes.shadow(scheme)))

    async def _made(self, what: Callable[[Schemes], MadeT]) -> MadeT:
        """What the schemes make, in a thread. Raises `ValueError` with the reason, also where a reasoner of theirs
        refuses for good."""
        try:
            return await asyncio.to_thread(lambda: what(self._known()))
        except Mistake as error:
            raise ValueError(str(error)) from error

    def _known(self) -> Schemes:
        """In a thread: what makes schemes takes seconds to import."""
        if self._schemes is None:
            if self._stage.schemes is None:
                raise ValueError("this run was given no schemes to switch to")
            self._schemes = pickle.loads(self._stage.schemes)
        return self._schemes
