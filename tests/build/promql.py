"""The queries of the shipped dashboard and alert rules, and what they are about."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from edgebed.observability.files import ALERTS, DASHBOARD, HERE
from serve_apps.observe.metrics import GPUS, METRICS

SOMETIMES = {
    "edgebed_admission_limit_seconds", "edgebed_requests_of_others", "edgebed_node_news_age_seconds",
    "edgebed_link_round_trip_seconds",
    *(name for name, metric in METRICS.items() if metric.group == GPUS),
}  # fmt: skip
"""Metrics that a run has only where there are limits, several gateways, several machines, or GPUs of real models."""
_COMPARED = re.compile(r"^(?P<value>.+) [<>] [0-9.]+$", re.S)
_NAME = re.compile(r"\b(?:edgebed_|vllm:|process_)[a-z0-9_:]+")


def panels() -> list[dict[str, Any]]:
    """Panels of the dashboard that show something."""
    board = json.loads((HERE / DASHBOARD).read_text())
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries() -> dict[str, str]:
    """`panel: letter` to query, Grafana's variables filled in as Prometheus wants them."""
    return {
        f"{panel['title']}: {target['refId']}": filled(target["expr"])
        for panel in panels()
        for target in panel["targets"]
    }


def filled(query: str) -> str:
    return query.replace("$__rate_interval", "1m").replace("$model", ".*").replace("$node", ".*")


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    (group,) = yaml.safe_load((HERE / ALERTS).read_text())["groups"]
    return list(group["rules"])


def value_of(rule: dict[str, Any]) -> str:
    """What a rule compares with its threshold."""
    found = _COMPARED.match(rule["expr"])
    assert found, f"{rule['alert']}: write <value> < or > <number>"
    return found["value"]


def metrics_in(query: str) -> set[str]:
    """Names in a query, histograms by the name of the whole."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in _NAME.findall(query)}
