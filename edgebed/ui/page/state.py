"""A run at a moment as the flat table that a browser holds (`deltas.py`), and what each of its keys means.

- `run`: name, scheme it began with (its place in the palette), scheme that decides
- `facts`: pairs of a word and a figure with its unit
- `time`: [t, from, to, end, following, playing, pace, growing, problem]
- `order`: ids of nodes; `n/<node>`: what its card says; `e/<executor>`: a row of it
- `f/<origin>/<node>`: requests per second; `d/<number>`: a decision; `v/<number>`: an event
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from edgebed.ui.page.moment import Moment
from edgebed.ui.page.shared import beat
from edgebed.ui.page.words import one_line, percent, seconds
from edgebed.ui.views import DecisionView, EventView, ExecutorView, Frame, NodeView, Source, Span

FEED = 30
"""Decisions in the feed beside the map."""


def state_of(source: Source, moment: Moment, span: Span) -> dict[str, Any]:
    """Everything beside plots and tables that a viewer of this run sees at that moment."""
    seen = _seen(source, moment.t_s, span, beat() if span.growing else 0)
    return {**seen, "time": _time(moment, span)}


@lru_cache(maxsize=8)
def _seen(source: Source, t_s: float, span: Span, beat: int) -> dict[str, Any]:
    """What all see who look at that moment of the run, within one beat: reckoned once, changed by nobody."""
    frame = source.frame(t_s)
    state: dict[str, Any] = {
        "run": [one_line(source.name), source.scheme, one_line(source.decides(t_s)[0], 60)],
        "facts": _facts(source, frame, span),
        "order": [node.id for node in frame.nodes],
    }
    for node in frame.nodes:
        state[f"n/{node.id}"] = _node(node)
        state |= {f"e/{node.id}/{e.model}": _executor(e) for e in node.executors}
    state |= {
        f"f/{f.origin}/{f.node}": [f.origin, f.node, round(f.per_s, 3)] for f in frame.flows if f.per_s > 0
    }
    state |= {f"d/{d.number}": _decision(d) for d in source.decisions(t_s, most=FEED)}
    state |= _events(source.events(t_s))
    return state


def _facts(source: Source, frame: Frame, span: Span) -> list[list[str]]:
    end = f" of {seconds(span.end_s)}" if span.end_s < 1e8 else ""
    ended = frame.done + frame.failed
    share = f" ({percent(frame.done / ended)} of what ended)" if ended else ""
    return [
        ["time", f"{frame.t_s:,.0f} s{end}"],
        ["arrived", f"{frame.arrived:,}"],
        ["served in time", f"{frame.done:,}{share}"],
        ["failed", f"{frame.failed:,}"],
        ["in the system", f"{frame.in_system:,}"],
    ]


def _time(moment: Moment, span: Span) -> list[Any]:
    return [
        round(moment.t_s, 3), span.from_s, span.to_s, min(span.end_s, 1e8), moment.following, moment.playing,
        moment.pace, span.growing, one_line(span.problem),
    ]  # fmt: skip


def _node(node: NodeView) -> list[Any]:
    """Id, devices, whether it is there, and what is wrong with it, in words."""
    wrong = [fault for fault in node.faults if not (fault == "slowdown" and node.slowdown != 1)]
    if node.slowdown != 1:
        wrong.insert(0, f"×{node.slowdown:.3g} slower" if node.slowdown > 1 else f"×{node.slowdown:.3g}")
    if not node.available:
        wrong.insert(0, "away")
    rtt = "" if node.rtt_s is None else f" · {1000 * node.rtt_s:.0f} ms away"
    return [node.id, f"{' + '.join(node.devices)}{rtt}", node.available, [one_line(w, 40) for w in wrong]]


def _executor(executor: ExecutorView) -> list[Any]:
    """Node, model, state, mode, share of the GPU, queue, masked, predicted s, measured s."""
    return [
        executor.node, executor.model, executor.state, executor.mode, executor.gpu_share, executor.queued,
        executor.masked, executor.predicted_s, executor.measured_s,
    ]  # fmt: skip


def _decision(decision: DecisionView) -> list[Any]:
    """Number, time, actor, what it said, what became of it, whether by hand."""
    by_hand = decision.actor == "person"
    said = one_line(decision.said, 160)
    return [decision.number, decision.t_s, one_line(decision.actor, 40), said, decision.outcome, by_hand]


def _events(events: Sequence[EventView]) -> dict[str, Any]:
    """Type, target, onset, end, whether by hand."""
    return {
        f"v/{e.number}": [one_line(e.type, 40), one_line(e.target, 60), e.onset_s, e.undone_s, e.by_hand]
        for e in events
    }
