"""What the clients' logs say of the records, and how these were kept: lines under a table of live runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgebed.report.model import RunResult
from emulation.metrics.client_books import client_books, footer_side


def client_check(results: Sequence[RunResult]) -> tuple[bool, str] | None:
    """Whether every answer that a client has is in its record, and nothing was done twice; and in words.

    None if no log was joined.
    """
    found = [books for r in results if (books := client_books(r.run)) is not None]
    if not found:
        return None
    answered, missing = sum(b.answered for b in found), sum(b.unrecorded for b in found)
    text = f"{answered - missing} of {answered} answers that clients have are in the record"
    if undelivered := sum(b.undelivered for b in found):
        text += f"; {undelivered} done by the record reached no client"
    twice = sum(b.twice for b in found)
    if twice:
        text += f"; {twice} were done twice"
    return not (missing or twice), text


def client_json(results: Sequence[RunResult]) -> list[dict[str, Any]] | None:
    """The same for machines, a row for each run; None if no log was joined."""
    rows = [
        {"scheme": r.summary.scheme, "seed": r.summary.seed, **asdict(books)}
        for r in results
        if (books := client_books(r.run)) is not None
    ]
    return rows or None


def recorder_remarks(results: Sequence[RunResult]) -> list[str]:
    """Runs whose recorder was restarted, or found no room: nothing is missing, but it happened."""
    said = []
    for result in results:
        trouble = footer_side(result.run).get("recorder", {})
        what = []
        if restarts := trouble.get("restarts"):
            what.append(
                f"the recorder was restarted {restarts} times"
                if restarts > 1
                else "the recorder was restarted"
            )
        if errors := trouble.get("write_errors"):
            what.append(f"the record could not be written at {errors} tries, and was written later")
        if what:
            said.append(f"{result.summary.scheme}, seed {result.summary.seed}: {'; '.join(what)}")
    return said
