"""What became of a metric that a decision promised to move."""

from __future__ import annotations

import numpy as np

from edgebed.ui.sources.requests import Requests
from edgebed.ui.sources.sorted import Floats, Ints
from emulation.domain.records import DecisionRecord
from emulation.metrics.view import node_of

TASKS = 50
"""Requests before and after the decision landed that a metric is taken over."""


def became(line: DecisionRecord, verdict: DecisionRecord | None, requests: Requests) -> str | None:
    """In words with numbers: the verdict of who promised it where the record has one, else the metric of the requests.

    None where nothing was promised, it never landed, or no request tells.
    """
    if line.promised is None:
        return None
    if isinstance(line.choice, dict) and "verdict" in line.choice:
        return f"{line.choice['verdict']}: {line.reason}"
    if verdict is not None:
        undone = ", and was undone" if verdict.outcome == "reverted" else ""
        return f"{verdict.choice['verdict']}{undone}: {verdict.reason}"
    if line.landed_s is None:
        return None
    return _measured(line, line.landed_s, requests)


def _measured(line: DecisionRecord, landed_s: float, requests: Requests) -> str | None:
    node = _device(line)
    before, after = _around(requests, landed_s, node if line.promised != "stretch" else None)
    values = [_metric(line.promised or "", requests, rows) for rows in (before, after)]
    if values[1] is None:
        return None
    first = "unknown" if values[0] is None else f"{values[0]:.3g}"
    said = f"{first} over the {len(before)} requests before, {values[1]:.3g} over the {len(after)} after"
    return f"{line.promised} {said}"


def _device(line: DecisionRecord) -> str | None:
    arguments = line.choice.get("arguments") if isinstance(line.choice, dict) else None
    device = arguments.get("device") if isinstance(arguments, dict) else None
    return device if isinstance(device, str) else None


def _around(requests: Requests, t_s: float, node: str | None) -> tuple[Ints, Ints]:
    """The last requests sent before a moment, and the first after it, to one node or to any."""
    rows = requests.by_dispatch.rows
    place = int(requests.by_dispatch.keys.searchsorted(t_s, side="right"))
    if node is not None:
        names = requests.names["executor"].names
        here = [code for code, name in enumerate(names) if node_of(name) == node]
        kept = np.isin(requests["executor"][rows], here)
        place, rows = int(kept[:place].sum()), rows[kept]
    return rows[max(0, place - TASKS) : place], rows[place : place + TASKS]


def _metric(name: str, requests: Requests, rows: Ints) -> float | None:
    """Stutter rate, residual (mean absolute log of measured over predicted) or stretch (latency in predictions)."""
    if name == "stutter_rate":
        return float(requests["stutter"][rows].mean()) if len(rows) else None
    done = rows[requests["outcome"][rows] == requests.names["outcome"]["done"]]
    predicted, service = requests["predicted_s"][done], requests["service_s"][done]
    if name == "residual":
        fit = requests.in_one_go(done) & (predicted > 0) & (service > 0)
        return _mean(np.abs(np.log(service[fit] / predicted[fit])))
    if name == "stretch":
        latency = requests["ended_s"][done] - requests["intended_s"][done]
        return _mean((latency / predicted)[predicted > 0])
    return None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
