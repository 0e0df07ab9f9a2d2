"""The stages of a live run's requests, and its controllers' decisions, as spans of OpenTelemetry.

Made from the record, so that tracing costs a run nothing: OTLP as JSON, some hundred spans a line, which the
`otlpjsonfile` receiver of OpenTelemetry's collector reads. Virtual seconds become wall time. A request whose client
sent `traceparent` is in the client's trace; others, and decisions, have one each, the same however often it is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from emulation.domain.mistakes import ConfigError
from emulation.domain.records import DecisionRecord, Record, RequestRecord, RunHeader
from emulation.recording import rows_of, write_whole

_A_LINE = 200
"""Spans of one line of the file."""
_INTERNAL, _SERVER = 1, 2
_OK, _ERROR = 1, 2
Span = dict[str, Any]


def write_spans(folder: Path, file: Path) -> int:
    """Write the spans of a run's folder to a file; how many.

    Raises `RecordError` if there is no record, `ConfigError` if it is not of a live run, the only one with wall times.
    """
    rows = rows_of(folder)
    header = next((record for record, _ in rows if isinstance(record, RunHeader)), None)
    clock = None if header is None else _clock_of(header, rows)
    if header is None or clock is None:
        raise ConfigError(
            f"{folder}: has no wall times; give the folder of a live run, `<out>/<scheme>/seed-<n>`"
        )
    spans = [span for record, side in rows for span in _spans(record, side or {}, clock)]
    lines = (_line(header, spans[at : at + _A_LINE]) for at in range(0, len(spans), _A_LINE))
    write_whole(file, b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return len(spans)


@dataclass(frozen=True, slots=True)
class _Clock:
    """Virtual seconds of a run as nanoseconds since the epoch, and what its made-up ids come from."""

    t0_wall_s: float
    speedup: float
    run: str

    def nanoseconds(self, t_s: float) -> str:
        """The instant, as OTLP's JSON has it."""
        return str(round((self.t0_wall_s + t_s / self.speedup) * 1e9))

    def made_up(self, *of: object, digits: int) -> str:
        """An id in hexadecimal."""
        return sha256(repr((self.run, *of)).encode()).hexdigest()[:digits]


def _clock_of(header: RunHeader, rows: list[tuple[Record, Mapping[str, Any] | None]]) -> _Clock | None:
    """None where no request says when it ended by the wall's clock."""
    for record, side in rows:
        if isinstance(record, RequestRecord) and side and "wall" in side and "heard_s" in side:
            run = f"{header.scenario}/{header.scheme}/{header.seed}"
            return _Clock(side["wall"] - side["heard_s"] / header.speedup, header.speedup, run)
    return None


def _spans(record: Record, side: Mapping[str, Any], clock: _Clock) -> Iterator[Span]:
    if isinstance(record, RequestRecord):
        yield from _of_request(record, side, clock)
    elif isinstance(record, DecisionRecord) and record.actor != "router" and record.landed_s is not None:
        about = {
            "edgebed.cause": record.cause,
            "edgebed.outcome": record.outcome,
            "edgebed.reasoner": record.reasoner,
        }
        trace_id = clock.made_up(record.actor, record.t_s, record.cause, digits=32)
        yield _span(f"decide {record.actor}", trace_id, clock, record.t_s, record.landed_s, about)


def _of_request(record: RequestRecord, side: Mapping[str, Any], clock: _Clock) -> Iterator[Span]:
    """A span for the whole request, and one below it for each of its stages that it came to."""
    trace_id = side.get("trace_id") or clock.made_up(record.request_id, digits=32)
    end_s = max(side.get("answered_s", record.ended_s), record.ended_s)
    about: dict[str, str | int] = {
        "edgebed.request_id": record.request_id, "edgebed.outcome": record.outcome,
        "edgebed.executor": record.executor or "", "edgebed.attempt": record.attempt,
        "gen_ai.request.model": record.model, "gen_ai.usage.input_tokens": record.prompt_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
    }  # fmt: skip
    whole = _span(f"request {record.model}", trace_id, clock, record.sent_s, end_s, about)
    whole |= {"kind": _SERVER, "status": {"code": _OK if record.outcome == "done" else _ERROR}}
    if side.get("span_id"):
        whole |= {"spanId": side["span_id"], "parentSpanId": side["parent_id"]}
    yield whole
    ends = (
        ("route", record.dispatched_s), ("transfer", record.enqueued_s), ("queue", record.started_s),
        ("serve", record.ended_s if record.started_s is not None else None), ("answer", end_s),
    )  # fmt: skip
    begin_s = record.sent_s
    for stage, until_s in ends:
        if until_s is not None:
            span = _span(stage, trace_id, clock, begin_s, max(begin_s, until_s), {}, record.request_id)
            yield span | {"parentSpanId": whole["spanId"]}
            begin_s = max(begin_s, until_s)


def _span(
    name: str, trace_id: str, clock: _Clock, begin_s: float, end_s: float, about: Mapping[str, str | int],
    *within: object,
) -> Span:  # fmt: skip
    return {
        "traceId": trace_id,
        "spanId": clock.made_up(trace_id, name, *within, digits=16),
        "name": name,
        "kind": _INTERNAL,
        "startTimeUnixNano": clock.nanoseconds(begin_s),
        "endTimeUnixNano": clock.nanoseconds(end_s),
        "attributes": [_attribute(key, value) for key, value in about.items()],
    }


def _attribute(key: str, value: str | int) -> dict[str, Any]:
    held = {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
    return {"key": key, "value": held}


def _line(header: RunHeader, spans: list[Span]) -> dict[str, Any]:
    about: dict[str, str | int] = {"service.name": "edgebed", "edgebed.scheme": header.scheme}
    about |= {"edgebed.scenario": header.scenario, "edgebed.seed": header.seed}
    resource = {"attributes": [_attribute(key, value) for key, value in about.items()]}
    return {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": {"name": "edgebed"}, "spans": spans}]}
        ]
    }
