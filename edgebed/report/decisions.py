"""Which decisions of a run are worth a reader's time, and how to put them in one line."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from controller.scoring import AVOID_S, OFF_S, UNROUTED_S
from edgebed.report.figures import number
from emulation.domain.records import HYPOTHETICAL, DecisionRecord
from emulation.metrics.shares import share_percent
from emulation.recording import Run

PER_ACTOR = 6
"""Decisions shown of each kind of actor."""
ROUTES = 5
"""Sample of routed requests."""


def control_lines(run: Run, per_actor: int = PER_ACTOR) -> list[dict[str, str]]:
    """The most telling decisions of each kind of actor, in the order they were taken.

    Refused ones first, then those with a cause out of turn, then those that changed most, the latest of each.
    """
    by_kind: dict[str, list[DecisionRecord]] = defaultdict(list)
    for decision in run.decisions:
        kind = decision.actor.split(":", 1)[0]
        if kind != "router" and decision.outcome != HYPOTHETICAL:
            by_kind[kind].append(decision)
    order = {"planner": 0, "meta": 1, "scheduler": 2, "deployer": 3}
    kinds = sorted(by_kind, key=lambda k: (order.get(k, 9), k))
    return [_line(d) for kind in kinds for d in _telling(by_kind[kind], per_actor)]


def _telling(decisions: Sequence[DecisionRecord], limit: int) -> list[DecisionRecord]:
    causes = Counter(_cause(d) for d in decisions)
    share = max(2, limit // max(1, len({d.actor for d in decisions})))

    def interest(decision: DecisionRecord) -> tuple[bool, bool, int, float]:
        unusual = causes[_cause(decision)] * 5 < len(decisions)
        return (_refused(decision), unusual, decision.changes, decision.t_s)

    seen: set[str] = set()
    taken: Counter[str] = Counter()
    kept: list[DecisionRecord] = []
    for decision in sorted(decisions, key=interest, reverse=True):
        wording = f"{decision.actor} {decision.reason} {decision.choice}"
        if wording not in seen and taken[decision.actor] < share and len(kept) < limit:
            seen.add(wording)
            taken[decision.actor] += 1
            kept.append(decision)
    return sorted(kept, key=lambda d: (d.t_s, d.actor))


def _cause(decision: DecisionRecord) -> str:
    """The kind of cause: `slot 7` and `slot 8` are one."""
    return decision.cause.split(" ", 1)[0]


def route_lines(run: Run, limit: int = ROUTES) -> list[dict[str, Any]]:
    """Routed requests spread evenly over the run, those with a real choice (two candidates or more) first.

    Each with the executors that were weighed, best first.
    """
    routes = [d for d in run.decisions if d.actor.split(":", 1)[0] == "router"]
    routes = [d for d in routes if len(d.candidates) > 1] or routes
    step = max(1, len(routes) // limit)
    return [
        {
            "t": number(d.t_s, 1),
            "request": d.request_id or "",
            "choice": compact(d.choice),
            "reason": d.reason,
            "candidates": [(executor, score_text(score)) for executor, score in d.candidates[:4]],
        }
        for d in routes[step // 2 :: step][:limit]
    ]


def score_text(score_s: float) -> str:
    """A candidate's score in seconds; of one that was avoided, as what: the tier it is in is no time."""
    if score_s >= UNROUTED_S:
        return "masked: not routed to"
    if score_s >= OFF_S:
        return "masked: off"
    return "masked" if score_s >= AVOID_S else number(score_s, 2)


def _line(decision: DecisionRecord) -> dict[str, str]:
    result = decision.outcome
    if decision.changes:
        result += f", {decision.changes} changed"
    if decision.thinking_s:
        result += f", after {number(decision.thinking_s, 1)} s of thinking"
    if decision.violations:
        result += f": {'; '.join(decision.violations)}"
    return {
        "t": number(decision.t_s, 1),
        "actor": decision.actor,
        "cause": decision.cause,
        "choice": compact(decision.choice),
        "reason": decision.reason,
        "result": result,
        "tone": "bad" if _refused(decision) else "",
    }


def _refused(decision: DecisionRecord) -> bool:
    return decision.outcome != "applied" or bool(decision.violations)


def audit_text(choice: Mapping[str, Any]) -> str:
    """One entry of the meta-controller's audit trail in words."""
    change = f": {choice['old']} → {choice['new']}" if "new" in choice else ""
    if "exchange" in choice:
        exchange = choice["exchange"]
        called = ", ".join(call[1] for call in exchange["calls"])
        if exchange["text"] and not called:
            return exchange["failure"] or f"answers {exchange['text']}"
        return exchange["failure"] or f"asks for {called or 'nothing'}"
    if "verdict" in choice:
        target = choice["device"] or "all"
        undone = f", undone{change}" if choice["reverted"] else ""
        return f"entry {choice['of']}, {choice['tool']} of {target}: {choice['verdict']}{undone}"
    if "tool" in choice:
        given = choice["arguments"]
        said = ", ".join(f"{k} {v}" for k, v in given.items()) if isinstance(given, dict) else str(given)
        return f"{choice['tool']}({said}) by {choice['by']}{change}"
    return f"{choice.get('rule', 'change')} of {choice.get('device', 'all')}{change}"


def compact(choice: Any, limit: int = 220) -> str:
    """A choice as short text, cut at `limit` characters: modes, shares per model, destinations per model."""
    if isinstance(choice, str):
        text = choice
    elif not isinstance(choice, dict):
        text = json.dumps(choice, ensure_ascii=False)
    elif "entry" in choice or "exchange" in choice:
        text = audit_text(choice)
    elif isinstance(choice.get("modes"), dict):
        text = _pairs(choice["modes"]) or "everything off"
    else:
        parts = [_part(key, value) for key, value in choice.items() if value not in ({}, [], None, "")]
        text = "; ".join(parts) or "no change"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _part(key: str, value: Any) -> str:
    if key == "load" and isinstance(value, dict):
        return _load(value)
    if key == "p" and isinstance(value, dict):
        return "; ".join(f"{model} to {_shares(nodes)}" for model, nodes in value.items())
    if key == "table" and isinstance(value, dict):
        return _destinations(value)
    if key == "roles" and isinstance(value, dict):
        return "roles " + "; ".join(f"{node} {_pairs(modes)}" for node, modes in value.items())
    return f"{key} {json.dumps(value, separators=(', ', ' '), ensure_ascii=False)}".replace('"', "")


def _load(load: dict[str, Any]) -> str:
    """What somebody had the testbed send itself from then on."""
    if not load["rate"]:
        return f"no more requests of {load['scenario']}"
    return f"requests of {load['scenario']}, seed {load['seed']}, {load['rate']:g} times as dense"


def _pairs(modes: dict[str, Any]) -> str:
    return ", ".join(f"{model} {mode}" for model, mode in modes.items())


def _shares(nodes: dict[str, float]) -> str:
    return ", ".join(f"{node} {share_percent(share, 0)}" for node, share in nodes.items())


def _destinations(table: dict[str, str]) -> str:
    """`origin|model` to node, as model to nodes, each with the number of origins sent there."""
    by_model: dict[str, Counter[str]] = defaultdict(Counter)
    for pair, node in table.items():
        by_model[pair.rpartition("|")[2]][node] += 1
    return "; ".join(
        f"{model} to {', '.join(f'{node} ({n})' for node, n in nodes.most_common())}"
        for model, nodes in by_model.items()
    )
