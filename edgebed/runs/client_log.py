"""Joins a live record with the client's log, by request id: what was intended, what the client saw, what got lost.

The gateway cannot know when a client meant to send, and a request that never reached it is in no record of its own;
the canonical record of a live run therefore takes intended and sent times from the client, and conservation counts
from there. The client's own view (`answered_s`: when it had the answer) and the platform's share are side data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from emulation.domain.measured import Measured
from emulation.domain.records import Record, RequestRecord, RunFooter, RunHeader
from emulation.domain.request import Outcome, Request
from emulation.domain.request_id import client_id_of
from emulation.jsonl import RecordError
from emulation.metrics.client_books import held_against, side_of
from emulation.record_lines import request_record
from emulation.recording import Run, read_run, rows_of, write_records
from workloads.load import ClientResult, client_log

CLIENT_LOG = "client.jsonl"

RecordWithSide = tuple[Record, Mapping[str, Any] | None]


def join_client_log(folder: Path) -> Run:
    """Rewrite the record in `folder` with what the client's log beside it says; returns the run.

    Before that the two are held against each other; what was found stands beside the footer. Requests nobody logged
    (sent by hand while the run went on) stay as the gateway saw them. Raises `RecordError` if the record is not closed.
    """
    rows = rows_of(folder)
    header = next((r for r, _ in rows if isinstance(r, RunHeader)), None)
    footer, beside = next(((r, side) for r, side in rows if isinstance(r, RunFooter)), (None, None))
    if header is None or footer is None:
        raise RecordError(f"{folder}: the run was not closed")
    log = {result.request_id: result for result in client_log(folder / CLIENT_LOG)}
    books = side_of(
        held_against(
            [record for record, _ in rows if isinstance(record, RequestRecord)],
            log.keys(),
            [name for name, seen in log.items() if seen.outcome == "done"],
        )
    )
    joined: list[RecordWithSide] = []
    for record, side in rows:
        if isinstance(record, RequestRecord):
            joined.append(_joined(record, side or {}, log.pop(client_id_of(record.request_id), None), header))
        elif not isinstance(record, RunFooter):
            joined.append((record, side))
    joined += [(_never_arrived(result, header), None) for result in log.values()]
    requests = [record for record, _ in joined if isinstance(record, RequestRecord)]
    joined.append((_recount(footer, requests), {**(beside or {}), **books}))
    write_records(folder, joined)
    return read_run(folder)


def _joined(
    record: RequestRecord, side: Mapping[str, Any], seen: ClientResult | None, header: RunHeader
) -> RecordWithSide:
    if seen is None:
        return record, side
    more = {
        "request_id": record.request_id,
        "answered_s": seen.ended_s,
        "client_sent_s": seen.sent_s,
        "client_first_token_s": seen.first_token_s,
        "client_outcome": seen.outcome,
    }
    if record.outcome == "done":
        submitted_s = record.ended_s if record.dispatched_s is None else record.dispatched_s
        overhead_s = max(0.0, submitted_s - seen.intended_s) + max(0.0, seen.ended_s - record.ended_s)
        more["platform_overhead_s"] = overhead_s / header.speedup
    sent_s = record.sent_s if seen.sent_s is None else seen.sent_s
    counted = seen.intended_s < header.horizon_s
    return replace(record, intended_s=seen.intended_s, sent_s=sent_s, counted=counted), {**side, **more}


def _never_arrived(seen: ClientResult, header: RunHeader) -> RequestRecord:
    """A request the client intended and no gateway has recorded."""
    request = Request(seen.request_id, seen.model, "", seen.intended_s, inf, prompts=0, tenant=seen.tenant)
    outcome: Outcome = "aborted" if seen.outcome == "aborted" else "error"
    counted, sent = seen.intended_s < header.horizon_s, Measured(attempt=0, sent_s=seen.sent_s)
    why = "answered, and in no record" if seen.outcome == "done" else seen.error or "never reached a gateway"
    return request_record(request, outcome, seen.ended_s, counted, sent, reason=why)


def _recount(footer: RunFooter, requests: Sequence[RequestRecord]) -> RunFooter:
    ends: dict[str, dict[str, int]] = {}
    ended = Counter((r.model, r.outcome) for r in requests if r.outcome != "unfinished")
    for (model, outcome), n in sorted(ended.items()):
        ends.setdefault(model, {})[outcome] = n
    arrived = dict(sorted(Counter(r.model for r in requests).items()))
    last_s = max([footer.t_s, *(r.t_s for r in requests)])
    return replace(footer, t_s=last_s, arrived=arrived, ends=ends)
