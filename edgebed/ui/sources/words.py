"""Decisions in plain words, and all that is known of one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from controller.scoring import AVOID_S
from edgebed.report.decisions import compact
from edgebed.ui.sources.decisions import ROUTER
from edgebed.ui.sources.intake import Tables
from edgebed.ui.sources.planned import PLANNER, came_to, promised_j
from edgebed.ui.sources.promised import became
from edgebed.ui.views import DecisionDetail, DecisionView
from emulation.domain.records import HYPOTHETICAL, DecisionRecord
from emulation.metrics.view import is_exchange

LONGEST = 220
"""Characters of a line."""
_REFUSALS = {"hold": "held back", "reject": "refused", "no_host": "nowhere to send"}


def view_of(number: int, actor: str, t_s: float, line: DecisionRecord | None) -> DecisionView:
    """A decision in a line."""
    if line is None:
        return DecisionView(
            number=number, t_s=t_s, actor=actor, said="its line cannot be read any more", outcome="", reasoner=""
        )  # fmt: skip
    return DecisionView(
        number=number, t_s=line.t_s, actor=line.actor, said=said(line), outcome=line.outcome,
        reasoner=line.reasoner,
    )  # fmt: skip


def said(line: DecisionRecord) -> str:
    """What was chosen, in one line, cut where it is long."""
    text = _routed(line) if line.actor == ROUTER or line.outcome == HYPOTHETICAL else _chosen(line.choice)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _routed(line: DecisionRecord) -> str:
    request = line.request_id or "a request"
    if isinstance(line.choice, str) and line.choice in _REFUSALS:
        return f"{request}: {_REFUSALS[line.choice]}: {line.reason}"
    best = (
        f", {line.candidates[0][1]:.2f} s expected"
        if line.candidates and line.candidates[0][1] < AVOID_S
        else ""
    )
    return f"{request} to {compact(line.choice)}{best}"


def _chosen(choice: Any) -> str:
    try:
        return compact(choice, LONGEST)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):  # a record of somebody else's
        return json.dumps(choice, ensure_ascii=False, default=str)[:LONGEST]


def detail_of(number: int, tables: Tables) -> DecisionDetail:
    """All about one decision. Raises `KeyError` if there is none of this number."""
    decisions = tables.decisions
    line = decisions.line(number)
    view = view_of(number, decisions.actor(number), decisions.moment(number), line)
    if line is None:
        return DecisionDetail(
            view=view, cause="", inputs_age_s=0.0, reason="", thinking_s=0.0, landed_s=None, choice=None,
            candidates=(), exchanges=(), violations=(), promised=None, became=None,
        )  # fmt: skip
    asked = decisions.exchanges(number, line)
    promised, outcome = line.promised, became(line, decisions.verdict(line), tables.requests)
    if line.actor == PLANNER and not is_exchange(line):
        promised, outcome = _planned(number, line, asked, tables)
    return DecisionDetail(
        view=view,
        cause=line.cause,
        inputs_age_s=line.inputs_age_s,
        reason=line.reason,
        thinking_s=line.thinking_s,
        landed_s=line.landed_s,
        choice=line.choice,
        candidates=tuple((executor, score, score >= AVOID_S) for executor, score in line.candidates),
        exchanges=tuple(map(_exchange, asked)),
        violations=line.violations,
        promised=promised,
        became=outcome,
    )


def _planned(
    number: int, line: DecisionRecord, asked: Sequence[DecisionRecord], tables: Tables
) -> tuple[str | None, str | None]:
    """What a plan promised, and what came of it: until the next one landed, or another scheme took over."""
    told = promised_j(line, asked)
    promised = line.promised if told is None else f"J {told:.3f}"
    if line.landed_s is None or tables.header is None:
        return promised, None
    ends = [s.t_s for s in tables.switches()] + [tables.decisions.next_landing_s(number), tables.last_s]
    until_s = min(end_s for end_s in ends if end_s > line.landed_s or end_s == tables.last_s)
    return promised, came_to(tables.header, tables.requests, line.landed_s, until_s)


def _exchange(line: DecisionRecord) -> Mapping[str, Any]:
    """Question, reply and tool calls as recorded, with what the calls were answered and what was wrong."""
    said = line.choice["exchange"]
    more = {"results": line.choice.get("results", []), "violations": list(line.violations)}
    return {**(said if isinstance(said, dict) else {"text": said}), **more}
