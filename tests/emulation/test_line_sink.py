"""To a file the lines of requests go as fields that are filled again and again: the bytes are those of a record."""

from __future__ import annotations

from dataclasses import MISSING, fields
from math import inf
from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.virtual import simulate
from emulation.domain.measured import Measured
from emulation.domain.records import DecisionRecord, RequestRecord
from emulation.domain.request import Request
from emulation.domain.routing import RoutingDecision
from emulation.files import load_scenario
from emulation.line_sink import encode
from emulation.record_lines import (
    blank_request,
    blank_routing,
    fill_request,
    fill_routing,
    request_record,
    routing_record,
)
from emulation.recording import RECORD_FILE, SIDE_FILE, JsonlSink, MemorySink

REQUEST = Request("r1", "m", "d", 1.5, inf, prompt_tokens=50, tenant="one")
NOBODYS = Request("r2", "m", "d", 1.5, inf)
DECISION = RoutingDecision("d", "route", 'so it "is"', (("d", 1.0), ("e", 2.5)), 2.0, 0.5)
MEASURED = Measured(2, "d", "gpu", 1.5, 1.6, 1.7, 1.8, 2.5, 2.0, 1, 0.5, True, 1, 0.1, 0.2, True, 12, 50)

HELD = RoutingDecision(None, "hold", "no room")
ENDS: list[dict[str, Any]] = [
    {"outcome": "done", "measured": MEASURED, "decision": DECISION, "reason": "why"},
    {"outcome": "expired"},
]


def lines(folder: Path) -> list[bytes]:
    return (folder / RECORD_FILE).read_bytes().splitlines(keepends=True)


def test_fields_stand_in_the_order_of_the_record() -> None:
    named, nobodys = blank_request(), blank_request()
    assert list(fill_request(named, REQUEST, "done", 9.0, True)) == [f.name for f in fields(RequestRecord)]
    assert fill_request(nobodys, NOBODYS, "done", 9.0, True) is nobodys
    assert list(nobodys) == [f.name for f in fields(RequestRecord) if f.name != "tenant"]
    assert list(blank_routing()) == [f.name for f in fields(DecisionRecord)]


def test_nothing_stays_blank() -> None:
    routing, ending = blank_routing(), blank_request()
    fill_routing(routing, REQUEST, DECISION, 1.5)
    fill_request(ending, NOBODYS, "expired", 9.0, False)
    assert MISSING not in [*routing.values(), *ending.values()]


def test_fields_are_written_as_their_record_is_and_say_nothing_of_the_one_before(tmp_path: Path) -> None:
    sink, expected = JsonlSink(tmp_path), list[bytes]()
    ending, routing = blank_request(), blank_routing()
    for request in (REQUEST, NOBODYS, REQUEST):
        for end in ENDS:
            sink.write_fields(fill_request(ending, request, t_s=9.0, counted=True, **end))
            expected.append(encode(request_record(request, t_s=9.0, counted=True, **end)))
        for decision in (DECISION, HELD):
            fill_routing(routing, request, decision, 1.5, landed_s=1.5)
            sink.write_fields(routing, {"pid": 7})
            expected.append(encode(routing_record(request, decision, 1.5, landed_s=1.5)))
    sink.close()
    assert lines(tmp_path) == expected
    assert b'"tenant":"one"' in expected[0]
    assert b"tenant" not in expected[4]
    assert (tmp_path / SIDE_FILE).read_bytes().splitlines()[0] == b'{"line":2,"pid":7}'


@pytest.mark.parametrize(("scenario", "scheme"), [("e3-churn", "e3"), ("tenants", "sect")])
def test_a_run_is_the_same_in_a_file_and_in_memory(tmp_path: Path, scenario: str, scheme: str) -> None:
    world = load_scenario(scenario)
    kept, sink = MemorySink(), JsonlSink(tmp_path)
    simulate(world, scheme, 3, kept)
    simulate(world, scheme, 3, sink)
    sink.close()
    assert lines(tmp_path) == [encode(record) for record in kept.records]


def test_what_was_written_is_handed_over_in_batches(tmp_path: Path) -> None:
    """Of a run that is cut the lines before the last batch are there."""
    sink, routing = JsonlSink(tmp_path, flush_every=2), blank_routing()
    fill_routing(routing, REQUEST, DECISION, 1.5)
    for written in range(1, 6):
        sink.write_fields(routing)
        assert len(lines(tmp_path)) == written // 2 * 2
    sink.close()
    assert len(lines(tmp_path)) == 5
