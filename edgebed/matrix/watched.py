"""CPU time of deciding alone: whoever decides is called through somebody who looks at the clock before and after.

What is decided does not change: arguments and answers pass as they are, and the clock is no controller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

import psutil

from edgebed.wiring.controllers import Controllers

_ROUTING = frozenset(("route", "dispatched", "completed", "executor_changed", "guide", "policy"))
"""What the fast path is called for: decisions, and the bookkeeping that they rest on."""
_CONTROL = frozenset(("observe", "accept"))


@dataclass(slots=True)
class Spent:
    """CPU seconds of one run."""

    routing_s: float = 0.0
    control_s: float = 0.0
    """Of scheduler, deployment agents and planner, its what-if processes included."""


@dataclass(slots=True)
class Watch:
    """Puts itself before the controllers of a run, and adds up."""

    spent: Spent = field(default_factory=Spent)

    def __call__(self, controllers: Controllers) -> Controllers:
        """The same controllers, each call of which is counted."""
        below: Any = {
            node: _Timed(loop, _CONTROL, self._control) for node, loop in controllers.deployers.items()
        }
        fast_path: Any = _Timed(controllers.fast_path, _ROUTING, self._routing)
        scheduler: Any = controllers.scheduler and _Timed(controllers.scheduler, _CONTROL, self._control)
        planner: Any = controllers.planner and _Timed(
            controllers.planner, _CONTROL, self._control, children_s
        )
        return replace(
            controllers, fast_path=fast_path, planner=planner, scheduler=scheduler, deployers=below
        )

    def _routing(self, taken_s: float) -> None:
        self.spent.routing_s += taken_s

    def _control(self, taken_s: float) -> None:
        self.spent.control_s += taken_s


def children_s() -> float:
    """CPU seconds so far of the processes below this one."""
    taken_s = 0.0
    for below in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            of = below.cpu_times()
            taken_s += of.user + of.system
    return float(taken_s)


def _nothing() -> float:
    return 0.0


class _Timed:
    """Somebody else's object, of which some methods are timed; everything else of it is as it is."""

    def __init__(
        self,
        inner: Any,
        methods: frozenset[str],
        add: Callable[[float], None],
        elsewhere_s: Callable[[], float] = _nothing,
    ) -> None:
        self._inner = inner
        for name in methods:
            if (method := getattr(inner, name, None)) is not None:
                setattr(self, name, _timed(method, add, elsewhere_s))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _timed(
    method: Callable[..., Any], add: Callable[[float], None], elsewhere_s: Callable[[], float]
) -> Callable[..., Any]:
    def called(*given: Any) -> Any:
        before_s, begun_s = elsewhere_s(), process_time()
        try:
            return method(*given)
        finally:
            own_s = process_time() - begun_s
            add(own_s + max(0.0, elsewhere_s() - before_s))

    return called


def can_be_watched(events: Sequence[Any]) -> bool:
    """Whether nothing in a run hands one fast path over to another, which must then be the other itself."""
    return not any(event.kind == "scheme" for event in events)
