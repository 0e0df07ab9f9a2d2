"""The network between machines is measured apart from the platform, whatever the clocks of the machines say."""

from __future__ import annotations

from typing import Any

import pytest

from emulation.domain.measured import Measured
from serve_apps.gateway.links import FIRST, WINDOW, Links
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import CALL_LIMIT_S, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Served
from serve_apps.wire.names import RECORDER, runtime_name
from tests.build.controllers import Books
from tests.build.waiting import in_a_loop

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


@pytest.mark.parametrize(("up_s", "down_s"), [(0.01, 0.01), (0.02, 0.0), (0.003, 0.017)])
@pytest.mark.parametrize("ahead_s", [0.0, 3600.0, -0.5])
@in_a_loop
async def test_the_way_is_transfer_time_and_nothing_of_it_overhead(
    up_s: float, down_s: float, ahead_s: float
) -> None:
    """Neither ways of unequal length nor clocks that differ change what is network, what platform, what queue."""
    world = World(up_s, down_s, ahead_s)
    await world.links.begin(["n"])
    assert world.links.network_s("n") == pytest.approx(0.02)
    served, sent_s, heard_s = world.attempt()
    seen = world.links.travelled("n", served)
    assert seen.measured.uplink_s + seen.measured.downlink_s == pytest.approx(0.02 * SPEEDUP)
    assert seen.measured.dispatched_s == pytest.approx(sent_s), "no overhead before"
    assert seen.ended_s == pytest.approx(heard_s), "and none after"
    started_s, enqueued_s = seen.measured.started_s, seen.measured.enqueued_s
    assert started_s is not None
    assert enqueued_s is not None
    assert started_s - enqueued_s == pytest.approx(0.3 * SPEEDUP)
    assert enqueued_s - sent_s == pytest.approx(seen.measured.uplink_s)


@in_a_loop
async def test_nodes_on_the_gateways_own_machine_are_never_probed() -> None:
    world = World(0.01, 0.01, machine="here")
    await world.links.begin(["n"])
    await world.links.run()
    served, _, _ = world.attempt()
    assert world.links.travelled("n", served) is served
    assert (world.asked, world.links.network_s("n"), await world.rows()) == (0, 0.0, [])


@in_a_loop
async def test_the_quickest_of_the_last_probes_counts() -> None:
    """One that waited at a busy node tells of the platform, not of the way; what is long ago tells nothing."""
    world = World(0.01, 0.01)
    world.waits = [0.5, 0.2, 0.4, 0.1, 0.0]
    await world.links.begin(["n"])
    assert world.links.network_s("n") == pytest.approx(0.02)
    world.up_s = 0.05
    for _ in range(WINDOW):
        assert world.links.network_s("n") == pytest.approx(0.02)
        await world.links.probe("n")
    assert world.links.network_s("n") == pytest.approx(0.06)


@in_a_loop
async def test_a_link_has_a_row_when_it_is_known_and_when_it_has_changed() -> None:
    world = World(0.01, 0.01, ahead_s=5.0)
    await world.links.begin(["n"])
    for _ in range(2 * WINDOW):
        await world.links.probe("n")
    ((record, side),) = await world.rows()
    assert (record.node, record.rtt_s) == ("n", pytest.approx(0.02 * SPEEDUP))
    assert (side["rtt_wall_s"], side["clock_ahead_s"]) == (pytest.approx(0.02), pytest.approx(5.0))
    world.down_s = 0.002
    await world.links.probe("n")
    _, (record, _) = await world.rows()
    assert record.rtt_s == pytest.approx(0.012 * SPEEDUP)


@in_a_loop
async def test_a_node_that_is_silent_keeps_the_way_it_had_until_it_is_found_again() -> None:
    world = World(0.01, 0.01)
    await world.links.begin(["n"])
    world.up_s = float("inf")
    for _ in range(2 * WINDOW):
        await world.links.look()
    assert world.links.network_s("n") == pytest.approx(0.02)
    world.up_s = 0.05
    await world.links.look()
    assert world.links.network_s("n") == pytest.approx(0.06), "it is another process, elsewhere"
    world.up_s = float("inf")
    await world.links.look()
    world.up_s, world.machine = 0.0, "here"
    await world.links.look()
    assert world.links.network_s("n") == 0.0


@in_a_loop
async def test_a_node_that_is_silent_when_the_run_begins_is_found_later() -> None:
    world = World(float("inf"), 0.01)
    await world.links.begin(["n"])
    assert world.links.network_s("n") == 0.0
    world.up_s = 0.01
    await world.links.look()
    assert (world.asked, world.links.network_s("n")) == (FIRST, pytest.approx(0.02))
