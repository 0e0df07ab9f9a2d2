"""What the network of a live run took is computed again with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgebed.runs.network import crossings
from edgebed.runs.parity import closed_loop_rows, replay_rows
from edgebed.runs.virtual import simulate
from emulation.domain.records import LinkRecord
from emulation.domain.scenario import Scenario
from emulation.metrics.summary import summarise
from emulation.recording import MemorySink, Run, as_run, decode, encode
from tests.build.fakes import device_testbed, scenario

ONE_WAY_S = 0.4


def world() -> Scenario:
    return scenario(device_testbed(nodes=2), horizon_s=200.0)


@pytest.fixture(scope="module")
def run() -> Run:
    """A run whose gateway is this far from its nodes, and has measured it."""
    sink = MemorySink()
    simulate(world(), "sect", 3, sink, crossings=[(0.0, "d0", ONE_WAY_S), (0.0, "d1", ONE_WAY_S)])
    links = tuple(LinkRecord(t_s=0.0, node=n, gateway=0, rtt_s=2 * ONE_WAY_S) for n in ("d0", "d1"))
    return replace(sink.run(), links=links)


def test_the_network_is_in_the_transfer_time_of_every_request(run: Run) -> None:
    assert {r.transfer_s for r in run.requests if r.outcome == "done"} == {2 * ONE_WAY_S}


def test_the_summary_has_the_round_trip_of_every_link(run: Run) -> None:
    fast = replace(run, header=replace(run.header, speedup=2.0))
    assert summarise(fast).links_s == {"d0": ONE_WAY_S, "d1": ONE_WAY_S}, "in wall seconds"


def test_both_definitions_of_parity_agree_with_it_and_disagree_without(run: Run) -> None:
    without = replace(run, links=())
    assert [row.ok for row in replay_rows(run, world())] == [True]
    assert [row.ok for row in replay_rows(without, world())] == [False]
    assert [row.ok for row in closed_loop_rows(run, world(), 5)] == [True]
    assert [row.ok for row in closed_loop_rows(without, world(), 5)] == [False]


def test_the_first_row_holds_from_the_beginning_and_later_ones_from_their_time() -> None:
    links = [LinkRecord(0.2, "a", 0, 4.0), LinkRecord(0.3, "a", 1, 8.0), LinkRecord(9.0, "a", 0, 2.0)]
    records = MemorySink()
    simulate(world(), "sect", 3, records)
    found = as_run([*records.records, *(decode(encode(link)) for link in links)])
    assert list(crossings(found)) == [(0.0, "a", 2.0), (0.0, "a", 3.0), (9.0, "a", 2.5)]
