"""What a scenario asks for, as a digest: by its name alone one process may mean another scenario than the next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from emulation.domain.scenario import Scenario, TraceSource
from workloads.trace_files import told_by_content

_FIELDS: Mapping[str, Any] = {
    "workload": True,
    "slot_s": True,
    "slots": True,
    "tail_slots": True,
    "live": {"stream_share"},
}
"""From which requests follow, beside the seed. A testbed that stands has its own nodes, models, controllers, events,
deadline and speed, whatever the scenario says of them."""


def demand_digest(scenario: Scenario) -> str:
    """SHA-256, hexadecimal, of a scenario's sources and of how long they last; a trace file counts by its content."""
    plain: dict[str, Any] = json.loads(scenario.model_dump_json(include=dict(_FIELDS)))
    for source, given in zip(plain["workload"], scenario.workload, strict=True):
        if isinstance(given, TraceSource):
            source["trace"] = told_by_content(given.trace)
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
