"""Spans of a live run: OTLP that OpenTelemetry's own types read, whole stages on wall time, in the client's trace."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.records import Record
from emulation.recording import write_records
from tests.build.command_line import edgebed
from tests.build.records import decision, footer, header, request

trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2", reason="Ray brings it along")
json_format = pytest.importorskip("google.protobuf.json_format", reason="Ray brings it along")

T0 = 1_700_000_000.0
TRACE, SPAN, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "1111111111111111"


def written(tmp_path: Path, *rows: tuple[Record, dict[str, Any] | None], world: str = "live") -> Path:
    """A run's folder with these records, at speedup 2."""
    ends = [record for record, _ in rows if record.kind == "request"]
    write_records(tmp_path, [(header(world=world, speedup=2.0), None), *rows, (footer(ends), None)])  # type: ignore[arg-type, list-item]
    return tmp_path


def served(**side: Any) -> tuple[Record, dict[str, Any]]:
    """Sent at 10, dispatched at 11, queued at 12, in service at 14, delivered at 20, answered at 22."""
    record = request(
        10.0, 10.0, sent_s=10.0, dispatched_s=11.0, enqueued_s=12.0, started_s=14.0, request_id="r1"
    )
    return record, {"wall": T0 + 21.0 / 2, "heard_s": 21.0, "answered_s": 22.0, **side}


def spans(folder: Path) -> list[Any]:
    """What the command wrote, as OpenTelemetry reads it (its JSON has ids in hexadecimal, protobuf's in base64)."""
    edgebed("metrics", "spans", str(folder), "--out", str(folder / "spans.jsonl"))
    found = []
    for line in (folder / "spans.jsonl").read_text().splitlines():
        data = json.loads(line)
        for span in data["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for key in {"traceId", "spanId", "parentSpanId"} & set(span):
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
        (resource,) = json_format.ParseDict(data, trace_pb2.TracesData()).resource_spans
        found += list(resource.scope_spans[0].spans)
    return found


def seconds(nanoseconds: int) -> float:
    """Virtual seconds of an instant."""
    return round((nanoseconds / 1e9 - T0) * 2, 3)


def test_the_stages_of_a_request_are_its_whole_without_gap_or_overlap(tmp_path: Path) -> None:
    whole, *stages = spans(written(tmp_path, served()))
    assert (seconds(whole.start_time_unix_nano), seconds(whole.end_time_unix_nano)) == (10.0, 22.0)
    assert [s.name for s in stages] == ["route", "transfer", "queue", "serve", "answer"]
    assert [seconds(s.end_time_unix_nano) for s in stages] == [11.0, 12.0, 14.0, 20.0, 22.0]
    begins = [whole.start_time_unix_nano, *(s.end_time_unix_nano for s in stages[:-1])]
    assert [s.start_time_unix_nano for s in stages] == begins
    assert {s.parent_span_id for s in stages} == {whole.span_id}
    assert {s.trace_id for s in stages} == {whole.trace_id}
    assert len({s.span_id for s in (whole, *stages)}) == 6


def test_a_request_goes_on_in_its_client_s_trace(tmp_path: Path) -> None:
    whole, *_ = spans(written(tmp_path, served(trace_id=TRACE, span_id=SPAN, parent_id=PARENT)))
    assert (whole.trace_id.hex(), whole.span_id.hex(), whole.parent_span_id.hex()) == (TRACE, SPAN, PARENT)


def test_one_that_never_came_to_a_node_has_no_stages_there(tmp_path: Path) -> None:
    refused = request(10.0, 1.0, outcome="rejected", dispatched_s=None, enqueued_s=None, started_s=None)
    whole, *stages = spans(written(tmp_path, (refused, {}), served()))
    assert [s.name for s in stages][:1] == ["answer"]
    assert whole.status.code == 2


def test_a_decision_lasts_as_long_as_it_was_thought_about(tmp_path: Path) -> None:
    thought = decision(30.0, "planner", landed_s=34.0, thinking_s=4.0)
    router = decision(30.0, "router", landed_s=30.0)
    last = spans(written(tmp_path, served(), (thought, None), (router, None)))[-1]
    assert (last.name, seconds(last.start_time_unix_nano), seconds(last.end_time_unix_nano)) == (
        "decide planner", 30.0, 34.0,
    )  # fmt: skip


def test_the_same_record_gives_the_same_spans(tmp_path: Path) -> None:
    folder = written(tmp_path, served())
    assert [s.span_id for s in spans(folder)] == [s.span_id for s in spans(folder)]


def test_a_run_in_virtual_time_has_none_and_says_so(tmp_path: Path) -> None:
    folder = written(tmp_path, (request(1.0, 1.0), None), world="virtual")
    said = edgebed("metrics", "spans", str(folder), "--out", str(tmp_path / "s"), code=2)
    assert "live run" in said.stderr
    assert not (tmp_path / "s").exists()
