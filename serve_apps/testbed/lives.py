"""What of a testbed lives, what died unplanned, what came back, and whether it can go on: a core without Ray.

It is shown again and again who lives in which role (`look`). A life that is there no more has died, however quickly
another one took its place, and so has one that came and went between two looks, if a later one of the same actor is
there; a role that stays empty for longer than its patience did not come back.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

log = logging.getLogger("edgebed")


class Life(NamedTuple):
    """One life of an actor or a process."""

    of: str
    """A name that no other actor or process ever has."""
    before: int = 0
    """How many lives it had before this one."""


Lives = Mapping[str, Set[Life]]
"""Role to the lives in it."""


@dataclass(frozen=True, slots=True)
class Role:
    """What must be there."""

    name: str
    patience_s: float
    """Wall seconds it may be away."""
    vital: bool
    """Whether the testbed cannot go on without it."""


class Watch:
    """The state of one testbed."""

    def __init__(self) -> None:
        self.roles: dict[str, Role] = {}
        self.died: Counter[str] = Counter()
        """Role to unplanned deaths since the last `begin`."""
        self.lost: str | None = None
        """Why the testbed cannot go on, in a sentence; None while it can."""
        self._lives: dict[str, frozenset[Life]] = {}
        self._last: dict[str, int] = {}
        """Of everybody ever seen alive: how many lives it had had before the latest one."""
        self._away_since: dict[str, float] = {}
        self.given_up: set[str] = set()
        """Roles that were away for longer than their patience, and still are."""

    def expect(self, role: Role) -> None:
        """Have a role watched from the first time on that it is filled."""
        self.roles[role.name] = role

    def begin(self) -> None:
        """A run begins: deaths are counted anew; what is away since before stays away."""
        self.died = Counter()

    def look(self, now_s: float, lives: Lives) -> None:
        """Take in who lives at this time (wall seconds of any clock). Roles that nobody expects are left out."""
        for role in self.roles.values():
            before, now = self._lives.get(role.name, frozenset()), frozenset(lives.get(role.name, ()))
            self._lives[role.name] = now
            if deaths := len(before - now) + self._unseen(now):
                log.warning("%s died", role.name)
                self.died[role.name] += deaths
                self._away_since.setdefault(role.name, now_s)
            if now:
                if self._away_since.pop(role.name, None) is not None:
                    log.info("%s is there again", role.name)
                self.given_up.discard(role.name)
            elif (since := self._away_since.get(role.name)) is not None and now_s - since >= role.patience_s:
                self._give_up(role)

    def waits(self) -> bool:
        """Whether something is away that the testbed cannot do without."""
        return any(self.roles[name].vital for name in self._away_since)

    def said(self) -> str:
        """Who died in the present run, in a line; empty if nobody did."""
        return said_of(self.died, self.given_up)

    def _unseen(self, now: Set[Life]) -> int:
        """How many lives of those who live now came and went since one was last seen."""
        between = sum(max(0, life.before - self._last.get(life.of, life.before) - 1) for life in now)
        self._last.update(now)
        return between

    def _give_up(self, role: Role) -> None:
        if role.name not in self.given_up:
            log.error("%s did not come back", role.name)
        self.given_up.add(role.name)
        if role.vital and self.lost is None:
            waited = f" within {role.patience_s:g} s" if role.patience_s else ""
            self.lost = f"{role.name} died and did not come back{waited}"


def said_of(died: Mapping[str, int], gone: Set[str] = frozenset()) -> str:
    """`gateway ×1, recorder ×2`; behind those that did not come back it says so."""
    return ", ".join(
        f"{name} ×{count}" + (" (did not come back)" if name in gone else "")
        for name, count in sorted(died.items())
    )
