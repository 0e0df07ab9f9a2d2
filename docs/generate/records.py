"""Lines of a run record, and how it is kept."""

from __future__ import annotations

from docs.generate.fields import WORDS
from docs.generate.markdown import cell, table
from docs.generate.sources import field_docs, first_paragraph, source_annotations
from emulation.domain import records
from serve_apps.records.batch import MOST_WAITING_MB, PERIOD_S
from serve_apps.records.segments import LONGEST_H, MOST_MB
from serve_apps.testbed.closing import DRAIN_S, PATIENCE_S, SEAL_S

LINES = (
    records.RunHeader,
    records.RequestRecord,
    records.DecisionRecord,
    records.EventRecord,
    records.ExecutorRecord,
    records.LinkRecord,
    records.RunFooter,
)


def page() -> str:
    """Lines of a run record."""
    text = (
        "# Run record\n\n`record.jsonl`, one JSON object per line, format version "
        f"{records.RECORD_VERSION}, in virtual seconds, ordered by (time, priority, order of writing);\npriorities: "
        "event, executor, request, decision. The header is first, the footer last; a record without a footer\nwas "
        "cut. In virtual time the same scenario, scheme and seed give the same bytes. What is not canonical (wall\n"
        "clock, pid, host, the client's view) is in `side.jsonl`, each row with the `line` it belongs to (the "
        "header\nis line 0). What was not measured is null, never 0.\n\n"
        "Of a live request its side row has `heard_s`, when the gateway had the answer, and `answered_s`, when the "
        "client had it\n(before its log is joined: the gateway's time); that of a live decision has "
        "`policy_heard_s`, when its actor\nheard of a policy of the planner's, if it did so since its decision "
        "before. Records of versions 1 and 2 still open; "
        "they carry no provenance, and\ndo not name what was in the system when they closed. In those of version 1, "
        "where "
        "their `ended_s` was a gateway's time,\nit is read as the node's, which their side rows have.\n"
        "Version 4 has the fields of version 3; schemes that route at random (RR, RF, RL) draw anew, so that the same "
        "seed gives\nother requests to other nodes. Version 5 has the request's `tenant`, left out where there is "
        "none; a virtual record in which\nnobody can have one is of version 4 still, byte for byte.\n\n"
    )
    text += kept_section()
    for cls in LINES:
        docs, written = field_docs(cls), source_annotations(cls)
        rows = [
            [f"`{n}`", f"`{cell(t)}`", cell(docs.get(n, WORDS["fields of record lines"].get(n, "")))]
            for n, t in written.items()
        ]
        kind = cls.__dataclass_fields__["kind"].default  # type: ignore[attr-defined]
        text += f"## `{kind}`\n\n{first_paragraph(cls)}\n\n" + table(["field", "type", "what"], rows) + "\n"
    return text


def kept_section() -> str:
    """How a live record is kept, with the figures the code has."""
    return f"""## How a live record is kept

The recorder acknowledges a batch when it is written; whoever sent it keeps it until then. A gateway answers a
request when its end lies in a file of the gateway's machine, and sends its records every {PERIOD_S:g} s: no
process that is killed, gateway, recorder or both, takes a request that was answered out of the record. Where
that file cannot be written, `/health` says so, and killing the gateway may lose the ends of its last
{PERIOD_S:g} s. Written means handed to the operating system; a loss of power may cost what that had not put on
the disk.

A run ends in this order: gateways take no further request, and what is in flight is answered for {DRAIN_S:g} s at
most; then they refuse whoever is left (503; `unfinished` in the record), and each says so behind the last end
it answered; only then the books are closed. So nobody is answered of a run that is closed. A gateway or
controller that lives and says nothing is waited for, {SEAL_S:g} s at most; then the run has failed, its record
stays open, and the command says so.

A recorder that is killed is restarted and goes on from the files of its run: while a run is open, its folder
holds `.open/`, for its owner only, with a journal of every batch. When the disk is full, nothing is
acknowledged: senders keep up to {MOST_WAITING_MB} MB of records each, `/health` says `degraded`, and beyond
that a gateway refuses requests (503 `records_full`). Once there is room, all of it is written. At the end of a
run that is waited for, {PATIENCE_S:g} s at most; then the run has failed, and its folder is left for `edgebed
recover`.

`edgebed recover` closes the record of a run that was cut: it keeps what was acknowledged, adds a line
`unfinished` for each request in the system and a footer that says `interrupted`, and joins the client's log.

The record of `edgebed up` is kept in segments, each of at most {MOST_MB} MB (or an eighth of `--keep-records`)
and {LONGEST_H:g} hours. Those that are over are below `segments/`, each a folder that `edgebed report` reads,
times counted from the begin of the testbed; the oldest go once all are larger than `--keep-records` says. A
request has its line in the segment in which it ended, so in each of them arrived = ends; the side row of its
footer has `carried`, how many were in the system then, that of its header `segment` and `begin_s`. An event is
in the fault ledger of the segment in which it began and ended.

The side row of the footer has `client`, what the client's log said of the record before they were joined:
`asked`, `answered`, `unrecorded` (answered, and no such end in the record: a run in which it is not 0 has not
passed), `undelivered` (done by the record, no answer at the client), `twice`, and the first of their names. Its
`recorder` says how often the recorder was restarted and found no room, where it did.

"""
