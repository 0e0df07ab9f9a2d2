"""Records on disk: what the present version reads of the ones before it."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

import orjson
import pytest
from pydantic import TypeAdapter

from emulation.domain.cluster import TestbedConfig
from emulation.domain.events import Event, Leave
from emulation.domain.records import RECORD_VERSION
from emulation.faults import timeline
from emulation.ledger import Ledger
from emulation.recording import RECORD_FILE, SIDE_FILE, JsonlSink, RecordError, encode, read_run
from tests.build.records import footer, header, request
from tests.build.workloads import TESTBED


def written(folder: Path, version: int, side: dict[str, float]) -> Path:
    """A live run of one request that ended for its gateway at 9 s."""
    one = request(0, 9)
    lines = [replace(header(), version=version), one, footer([one])]
    (folder / RECORD_FILE).write_bytes(b"".join(encode(line) for line in lines))
    (folder / SIDE_FILE).write_bytes(orjson.dumps({"line": 1, "request_id": one.request_id, **side}) + b"\n")
    return folder


def test_a_live_run_of_version_1_ends_its_requests_at_their_nodes(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, 1, {"node_ended_s": 7.5, "overhead_s": 1.5}))
    assert run.header.version == 2
    assert [(r.ended_s, r.t_s) for r in run.requests] == [(7.5, 7.5)]
    assert (run.side[1]["heard_s"], run.side[1]["answered_s"]) == (9.0, 9.0)


def test_one_that_was_joined_with_its_clients_log_keeps_what_the_client_saw(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, 1, {"node_ended_s": 7.5, "answered_s": 9.0, "client_ended_s": 9.25}))
    assert (run.side[1]["heard_s"], run.side[1]["answered_s"]) == (9.0, 9.25)


def test_the_present_version_is_read_as_it_is(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, RECORD_VERSION, {"heard_s": 9.5, "answered_s": 9.75}))
    assert run.requests[0].ended_s == 9.0
    assert run.side[1]["answered_s"] == 9.75


def test_a_version_that_is_not_known_yet_is_refused_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="record version 99"):
        read_run(written(tmp_path, 99, {}))


def test_an_event_that_never_ends_is_read_from_a_record_as_it_was_played(tmp_path: Path) -> None:
    event = Leave(node="n1", at_s=1.0, until_s=inf)
    testbed = TestbedConfig.model_validate(TESTBED)
    sink = JsonlSink(tmp_path)
    ledger = Ledger(header(), sink, testbed)
    ledger.event(timeline([event], testbed)[0], 1.0)
    sink.close()
    (recorded,) = read_run(tmp_path).events
    assert TypeAdapter(Event).validate_python(recorded.detail["spec"]) == event
