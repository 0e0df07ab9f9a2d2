"""How late somebody looks, lands or hears: at once, or as late as in a live run (jittered runs of the parity check)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulation.engine.kernel import DELIVERY, Kernel


class Hearing:
    """Of one run, whatever scheme is in force. What is said of one thing is heard in the order in which it was said."""

    def __init__(self, kernel: Kernel, delay_s: Callable[[str, float], float] | None) -> None:
        """`delay_s`: see `ControlPlane`; without it nobody is late."""
        self._kernel, self._delay_s = kernel, delay_s
        self._heard_s: dict[str, float] = {}
        """What is spoken of to when the last that was said of it so far is heard."""

    @property
    def jittered(self) -> bool:
        """Whether anybody may be late in this run."""
        return self._delay_s is not None

    @property
    def at_once(self) -> bool:
        """Whether what is said now is heard now: nobody is late, or the run has not begun."""
        return self._delay_s is None or self._kernel.now_s == 0

    def late_s(self, who: str) -> float:
        """By how many seconds somebody is late who begins now; before a run begins nobody is."""
        if self._delay_s is None or self._kernel.now_s == 0:
            return 0.0
        return self._delay_s(who, self._kernel.now_s)

    def look(
        self,
        look: Callable[[Any], None],
        of: Any,
        who: str,
        first_too: bool = False,
        lag_s: float = 0.0,
        since_s: float = 0.0,
    ) -> None:
        """Somebody looks; `first_too`: at time 0 it is late as well, for it looks once the run has begun.

        `lag_s`: it means to look so long after `since_s`, or now if that is later; how late it was measured counts from
        `since_s`, and so has the lag in it.
        """
        now_s = self._kernel.now_s
        if self._delay_s is None or (now_s == 0 and not first_too):
            look(of)
        else:
            late_s = max(self._delay_s(who, now_s) - lag_s, 0.0)
            self._kernel.at(max(since_s + lag_s, now_s) + late_s, DELIVERY, look, of)

    def tell(self, hear: Callable[[Any], None], news: Any, about: str, whom: str = "gateway") -> None:
        """Somebody hears news, never before what was said earlier `about` the same thing."""
        now_s = self._kernel.now_s
        if self._delay_s is None or now_s == 0:
            hear(news)
        else:
            heard_s = max(now_s + self._delay_s(whom, now_s), self._heard_s.get(about, 0.0))
            self._heard_s[about] = heard_s
            self._kernel.at(heard_s, DELIVERY, hear, news)
