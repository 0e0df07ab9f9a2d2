"""What events may do to one node: slow it, stop it, cut it off, take it away or kill what runs there."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from mypy_extensions import mypyc_attr

from emulation.domain.events import InFlight, LinkLoss
from emulation.domain.truth import Condition
from emulation.executor.job import Job
from emulation.executor.lifecycle import Lifecycle
from emulation.executor.paths import Paths
from emulation.executor.service import Service
from emulation.executor.speed import Speed


@mypyc_attr(allow_interpreted_subclasses=True)
class NodeFaults:
    """The door for whoever plays events: `NodeState.faults`. Everything due before is let happen first."""

    def __init__(
        self,
        speed: Speed,
        service: Service,
        lifecycle: Lifecycle,
        paths: Paths,
        advance: Callable[[float], None],
        refresh: Callable[[], None],
        recall: Callable[[], list[Job]],
    ) -> None:
        """`advance` and `refresh`: of the node; `recall` takes what is on its way there."""
        self._speed, self._service, self._lifecycle, self._paths = speed, service, lifecycle, paths
        self._advance, self._refresh, self._recall = advance, refresh, recall

    def set_condition(
        self,
        event: int,
        condition: Condition | None,
        now_s: float,
        model: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Put the effect of event number `event` in force, or take it away; work in service feels it at once."""
        self._advance(now_s)
        self._speed.set_condition(event, condition, model, hint)
        self._service.respeed(now_s)
        self._refresh()

    def set_link_delay(self, event: int, site: str, extra_s: float, now_s: float) -> None:
        """Extra seconds each way between this node and a site, for requests dispatched from now on; 0 ends it."""
        self._advance(now_s)
        self._paths.set_delay(event, site, extra_s)

    def set_link_loss(self, event: int, site: str, loss: LinkLoss | None, now_s: float) -> None:
        """Messages to and from a site get lost from now on as the event says; None ends it."""
        self._advance(now_s)
        self._paths.set_loss(event, site, loss)

    def leave(self, event: int, in_flight: InFlight, now_s: float) -> None:
        """The node goes away; its work is given back, lost, or kept for its return at the last finished prompt."""
        self._advance(now_s)
        jobs = self._lifecycle.leave(event, in_flight, now_s)
        if in_flight != "resume":
            jobs.extend(self._recall())
        for job in jobs:
            self._service.give_up(job, now_s)
        self._refresh()

    def drain(self, event: int, now_s: float) -> None:
        """The node takes no new work: what waits or is on its way is given back, what is in service goes on."""
        self._advance(now_s)
        for job in (*self._lifecycle.drain(event, now_s), *self._recall()):
            self._service.give_back(job, now_s)
        self._refresh()

    def join(self, event: int, now_s: float) -> None:
        """This event no longer keeps the node away. If none does, it is back: its executors start again, a device is
        ready at once."""
        self._advance(now_s)
        self._lifecycle.join(event, now_s)
        self._refresh()

    def crash(self, event: int, model: str, now_s: float, until_s: float) -> None:
        """The replica of a model dies; it starts again at `until_s`. Its work stays queued."""
        self._advance(now_s)
        self._lifecycle.crash(event, model, now_s, until_s)
        self._refresh()

    def kill(self, event: int, model: str, now_s: float) -> None:
        """The replica of a model is gone until `restart`; its work is given back."""
        self._advance(now_s)
        for job in self._lifecycle.crash(event, model, now_s, inf):
            self._service.remove(job, now_s)
            self._service.give_back(job, now_s)
        self._refresh()

    def restart(self, event: int, model: str, now_s: float) -> None:
        """This event no longer keeps the replica of a model down. If none does, it starts again."""
        self._advance(now_s)
        self._lifecycle.restart(event, model, now_s)
        self._refresh()
