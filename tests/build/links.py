"""A gateway and a node on two machines, whose time and clocks are a test's."""

from __future__ import annotations

from typing import Any

from emulation.domain.measured import Measured
from serve_apps.gateway.links import Links
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import CALL_LIMIT_S, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Served
from serve_apps.wire.names import RECORDER, runtime_name
from tests.build.controllers import Books

SPEEDUP, T0_S = 2.0, 1000.0


class World:
    """A gateway and a node on two machines: time goes on as messages travel, and the node's clock is off."""

    def __init__(self, up_s: float, down_s: float, ahead_s: float = 0.0, machine: str = "there") -> None:
        self.up_s, self.down_s, self.ahead_s, self.machine = up_s, down_s, ahead_s, machine
        self.wall_s = T0_S
        self.waits: list[float] = []
        """Seconds the next messages wait for something beside the way, on their way there."""
        self.books, self.asked = Books(), 0
        self.batch = RecordBatch(self, "gateway")
        self.batch.begin("run")
        self.links = Links(self, self.batch, Clock(self), "here")

    async def call(self, name: str, method: str, *args: Any, limit_s: float = CALL_LIMIT_S) -> Any:
        if name == RECORDER:
            return await getattr(self.books, method)(*args)
        if self.up_s == float("inf"):
            raise Unreached("silent")
        if method == "where":
            return {"machine": self.machine}
        assert (name, method) == (runtime_name("n"), "echo")
        self.asked += 1
        self.wall_s += self.up_s + (self.waits.pop(0) if self.waits else 0.0)
        there_s = self.wall_s + self.ahead_s
        self.wall_s += self.down_s
        return there_s

    def stream(self, name: str, method: str, *args: Any) -> Any: ...

    def tell(self, name: str, method: str, *args: Any) -> None: ...

    async def rows(self) -> list[Any]:
        """What is in the record of links."""
        await self.batch.flush()
        return [args for method, args in self.books.entries if method == "link"]

    def attempt(self, queue_s: float = 0.3, service_s: float = 2.0) -> tuple[Served, float, float]:
        """What the node says of an attempt sent now, and when it left the gateway and was heard of there again;
        virtual seconds. Times at the node are on its own clock."""
        sent_s = self.wall_s
        at_node_s = sent_s + self.up_s + self.ahead_s
        ended_s = at_node_s + queue_s + service_s
        heard_s = sent_s + self.up_s + queue_s + service_s + self.down_s
        measured = Measured(
            executor="n/m", dispatched_s=virtual(at_node_s), enqueued_s=virtual(at_node_s),
            started_s=virtual(at_node_s + queue_s), service_s=service_s * SPEEDUP,
        )  # fmt: skip
        served = Served(outcome="done", ended_s=virtual(ended_s), measured=measured)
        return served, virtual(sent_s), virtual(heard_s)


class Clock(LiveClock):
    """The gateway's."""

    def __init__(self, world: World) -> None:
        super().__init__(SPEEDUP, T0_S)
        self._world = world

    def wall_s(self) -> float:
        return self._world.wall_s


def virtual(wall_s: float) -> float:
    return (wall_s - T0_S) * SPEEDUP
