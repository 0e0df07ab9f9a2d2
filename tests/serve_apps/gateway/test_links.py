"""The network between machines is measured apart from the platform, whatever the clocks of the machines say."""

from __future__ import annotations

import asyncio

import pytest

from serve_apps.gateway.links import FIRST, WINDOW
from tests.build.asgi import MadeUpRun, asked
from tests.build.links import SPEEDUP, World
from tests.build.waiting import in_a_loop


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
    assert world.links.samples() == []


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
    (sample,) = world.links.samples()
    assert (sample.metric, sample.labels) == ("edgebed_link_round_trip_seconds", ("n",))
    assert sample.value == pytest.approx(0.06)


def test_a_gateway_tells_its_scraper_of_the_nodes_on_other_machines() -> None:
    run, world = MadeUpRun(), World(0.01, 0.03)
    run.links = world.links
    assert b"edgebed_link_round_trip_seconds{" not in asked("/metrics/gateway", run=run).body
    asyncio.run(world.links.begin(["n"]))
    (line,) = (
        line
        for line in asked("/metrics/gateway", run=run).body.splitlines()
        if line.startswith(b"edgebed_link_round_trip_seconds")
    )
    name, value = line.decode().split()
    assert name == 'edgebed_link_round_trip_seconds{node="n"}'
    assert float(value) == pytest.approx(0.04)


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
