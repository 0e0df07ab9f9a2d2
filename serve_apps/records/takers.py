"""Who has taken up a switch of the scheme, and whoever waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Collection


class Takers:
    """Of one run. Times in virtual seconds."""

    def __init__(self) -> None:
        self._took: dict[int, dict[str, float]] = {}
        """Number of a switch to who took it up when."""
        self._changed = asyncio.Condition()

    async def note(self, switch: int, name: str, t_s: float) -> None:
        """A process decides by the scheme of this switch; the first word counts."""
        async with self._changed:
            self._took.setdefault(switch, {}).setdefault(name, t_s)
            self._changed.notify_all()

    async def all(self, switch: int, names: Collection[str], limit_s: float) -> dict[str, float]:
        """Who has taken it up, once all of these have, or so many wall seconds later."""
        try:
            async with asyncio.timeout(limit_s), self._changed:
                await self._changed.wait_for(lambda: not set(names) - self._took.get(switch, {}).keys())
        except TimeoutError:
            pass
        return dict(self._took.get(switch, {}))
