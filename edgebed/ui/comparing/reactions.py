"""What changed first after each event of a run, and when latency was back: from its record, scheme by scheme."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebed.report.decisions import compact
from edgebed.report.plots_time import EventBand, event_bands
from emulation.domain.records import PERSON, DecisionRecord, EventRecord, RequestRecord
from emulation.domain.slots import slot_of
from emulation.metrics.series import latency_series
from emulation.metrics.view import is_exchange, last_s, mean, node_of, ratio
from emulation.recording import Run

CALM_SLOTS = 5
"""Slots before the first event of a run whose mean latency is what it counts as back to."""
LEVEL = 1.5
"""Up to this multiple of the calm latency a slot counts as back."""
STAYS = 2
"""Slots in a row that must be back."""


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that changed something, after an event."""

    actor: str
    cause: str
    after_s: float
    """From the onset of the event until it was in force."""
    said: str
    """What it changed, in plain words."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a run did about one event."""

    band: EventBand
    first: Change | None
    """The first decision above the router that changed anything."""
    at_target: Change | None
    """The first one that changed something of what the event hit; None where it hit no node."""
    sent_before: float | None
    """Share of all requests whose last dispatch went to the node that was hit: as long before the event as it was in
    force after it."""
    sent_during: float | None
    calm_s: float | None
    """Mean latency in the slots before the first event of the run."""
    worst_s: float | None
    """The highest mean of a slot between the event and its end, or until latency was back."""
    back_after_s: float | None
    """From the onset until latency was back to `LEVEL` of calm; 0 if it never rose above that, None if it was not back
    when the next event began, or the run ended."""


def reactions(run: Run) -> list[Reaction]:
    """One per event that took effect, in the order of their onsets."""
    end_s = min(run.header.horizon_s, last_s(run))
    bands = sorted(event_bands(run.events, end_s), key=lambda b: b.start_s)
    starts = [b.start_s for b in bands]
    changes = list(_changes(run.decisions))
    calm_s = _calm_s(run, starts[0]) if starts else None
    return [
        _reaction(run, band, changes, calm_s, next((s for s in starts if s > band.start_s), end_s))
        for band in bands
    ]


def _reaction(
    run: Run, band: EventBand, changes: Sequence[_Changed], calm_s: float | None, next_s: float
) -> Reaction:
    node = node_of(band.target)
    nodes = {node_of(e.executor) for e in run.executors} | {d.actor.partition(":")[2] for d in run.decisions}
    hits = node in nodes
    long_s = band.end_s - band.start_s
    worst_s, back_after_s = _back(run, band, calm_s, next_s)
    return Reaction(
        band,
        next((c.as_change(band) for c in changes if c.after(band)), None),
        next((c.as_change(band, node) for c in changes if c.after(band) and c.touches(node)), None)
        if hits
        else None,
        _sent(run.requests, node, band.start_s - long_s, band.start_s) if hits else None,
        _sent(run.requests, node, band.start_s, band.end_s) if hits else None,
        calm_s,
        worst_s,
        back_after_s,
    )


# -- what changed


@dataclass(frozen=True, slots=True)
class _Changed:
    """A decision in force with the choice of the same actor before it."""

    decision: DecisionRecord
    landed_s: float
    before: Any

    def after(self, band: EventBand) -> bool:
        """Decided after the event, and in force within the run: what was being thought of before is no answer to it."""
        return self.decision.t_s >= band.start_s

    def touches(self, node: str) -> bool:
        """Whether it says something else of this node than the choice before it."""
        return bool(_of(self.decision.choice, node) != _of(self.before, node))

    def as_change(self, band: EventBand, node: str | None = None) -> Change:
        """As told to a reader; with a node, only what it says of that."""
        said = difference(self.before, self.decision.choice, node)
        return Change(self.decision.actor, self.decision.cause, self.landed_s - band.start_s, said)


def _changes(decisions: Sequence[DecisionRecord]) -> Iterator[_Changed]:
    """Decisions above the router that were applied and chose something else than their controller had before."""
    last: dict[str, Any] = {}
    for decision in decisions:
        if decision.actor in ("router", PERSON) or decision.outcome != "applied" or is_exchange(decision):
            continue
        before = last.get(decision.actor)
        last[decision.actor] = decision.choice
        if decision.landed_s is not None and decision.choice != before:
            yield _Changed(decision, decision.landed_s, before)


def _of(choice: Any, node: str) -> Any:
    """What a choice says of a node: the parts of it that name the node, or None."""
    if isinstance(choice, Mapping):
        if choice.get("node") == node or choice.get("device") == node:
            return choice
        found = {k: v if _names(k, node) else _of(v, node) for k, v in choice.items()}
        return {k: v for k, v in found.items() if v is not None} or None
    if isinstance(choice, list | tuple):
        return [v for v in (_of(one, node) for one in choice) if v is not None] or None
    return choice if isinstance(choice, str) and _names(choice, node) else None


def _names(text: object, node: str) -> bool:
    return isinstance(text, str) and (text == node or text.startswith(f"{node}/"))


def difference(before: Any, after: Any, node: str | None = None) -> str:
    """What one choice changes of the one before it, in one line; with a node, only what it changes of that."""
    if not isinstance(after, Mapping):
        return compact(after, 90)
    old = before if isinstance(before, Mapping) else {}
    for key, told in _TOLD.items():
        if isinstance(after.get(key), Mapping):
            said = told(old.get(key) or {}, after[key], node)
            return (said or compact(after, 90))[:160]
    return compact(after, 90)


def _modes(old: Mapping[str, Any], new: Mapping[str, Any], node: str | None) -> str:
    models = [m for m in {**new, **old} if old.get(m) != new.get(m)]
    return ", ".join(f"{m} {old.get(m, 'off')} → {new.get(m, 'off')}" for m in models)


def _table(old: Mapping[str, Any], new: Mapping[str, Any], node: str | None) -> str:
    """How many pairs of origin and model are sent to a node, and of which models; without a node, to each."""
    was, now = _routes(old, node), _routes(new, node)
    moved = sorted((n for n in {*was, *now} if was[n] != now[n]), key=lambda n: (-abs(now[n] - was[n]), n))
    if not moved:
        return "the same number of routes, other origins"
    said = ", ".join(f"{n} {was[n]} → {now[n]}" for n in moved[:4])
    return f"routes to {node}: {said}" if node else f"routes to {said} of {len(new)}"


def _routes(table: Mapping[str, Any], node: str | None) -> Counter[str]:
    """Entries of a table by where they lead; with a node, those that lead there by model."""
    if node is None:
        return Counter(map(str, table.values()))
    return Counter(pair.rpartition("|")[2] for pair, to in table.items() if to == node)


def _shares(old: Mapping[str, Any], new: Mapping[str, Any], node: str | None) -> str:
    """Routing probabilities, model by model."""
    said = []
    for model, nodes in new.items():
        was = old.get(model) or {}
        for name in (
            [node] if node else [max(nodes, key=lambda n: abs(nodes[n] - was.get(n, 0)))] if nodes else []
        ):
            if abs(nodes.get(name, 0) - was.get(name, 0)) >= 0.005:
                said.append(f"{model} to {name} {was.get(name, 0):.0%} → {nodes.get(name, 0):.0%}")
    return ", ".join(said)


_TOLD = {"modes": _modes, "table": _table, "p": _shares}


# -- what came of it


def _sent(requests: Sequence[RequestRecord], node: str, from_s: float, to_s: float) -> float | None:
    sent = [r for r in requests if r.dispatched_s is not None and from_s <= r.dispatched_s < to_s]
    return ratio(sum(r.executor is not None and node_of(r.executor) == node for r in sent), len(sent))


def _calm_s(run: Run, onset_s: float) -> float | None:
    whole = slot_of(onset_s, run.header.slot_s)
    bins = latency_series(run)[max(0, whole - CALM_SLOTS) : whole]
    return mean([b.mean_latency_s for b in bins if b.mean_latency_s is not None])


def _back(
    run: Run, band: EventBand, calm_s: float | None, next_s: float
) -> tuple[float | None, float | None]:
    """The worst slot, and how long after the onset latency was back; by intended send time."""
    bins = [
        b for b in latency_series(run)
        if band.start_s <= b.t_s + run.header.slot_s / 2 and b.t_s < next_s and b.arrived
    ]  # fmt: skip
    known = [b.mean_latency_s for b in bins if b.mean_latency_s is not None]
    if calm_s is None or not known:
        return max(known, default=None), None
    high = [b.mean_latency_s is None or b.mean_latency_s > LEVEL * calm_s for b in bins]
    if not any(high):
        return max(known), 0.0
    risen = high.index(True)
    for i in range(risen + 1, len(bins) - STAYS + 1):
        if not any(high[i : i + STAYS]):
            worst = [b.mean_latency_s for b in bins[:i] if b.mean_latency_s is not None]
            return max(worst, default=None), max(0.0, bins[i].t_s - band.start_s)
    return max(known), None


# -- events in words


def event_text(event: EventRecord, band: EventBand, end_s: float) -> str:
    """`At 130 s arc-b60 became 2.5 times slower, until 230 s.`"""
    spec = event.detail.get("spec")
    given: Mapping[str, Any] = spec if isinstance(spec, Mapping) else {}
    until = f", until {band.end_s:.0f} s" if band.end_s < end_s else ", to the end"
    return f"At {band.start_s:.0f} s {_happened(event.type, event.target, given)}{until}."


def _happened(kind: str, target: str, given: Mapping[str, Any]) -> str:
    factor = given.get("factor")
    if kind in ("slowdown", "ramp") and isinstance(factor, int | float):
        how = "began to slow, in the end" if kind == "ramp" else "became"
        return f"{target} {how} {factor:g} times slower"
    said = {
        "leave": "left", "drain": "was drained", "node_kill": "was killed", "pause": "stood still",
        "error": "began to fail", "replica_crash": "crashed", "replica_kill": "was killed",
        "link_delay": "got a slower link", "link_loss": "began to lose messages", "drift": "changed its speed",
    }  # fmt: skip
    if kind == "scheme":
        return f"{target} took over"
    if kind == "llm_outage":
        return "the language model of the agents failed"
    return f"{target} {said[kind]}" if kind in said else f"{kind} of {target} began"
