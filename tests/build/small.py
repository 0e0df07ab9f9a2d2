"""A scenario of a few slots on the packaged demo testbed: runs of it take a fraction of a second."""

from __future__ import annotations

from typing import Any

from emulation.domain.scenario import Scenario
from emulation.files import load_testbed


def small_scenario(testbed: str = "demo", rate_per_s: float = 1.0, **changes: Any) -> Scenario:
    """Poisson requests for two models; any field can be another one."""
    source = {"kind": "poisson", "rate_per_s": rate_per_s, "mix": {"gpt2": 0.7, "sd": 0.3}}
    fields: dict[str, Any] = {
        "name": "small", "testbed": load_testbed(testbed), "workload": [source], "slot_s": 20, "slots": 4,
        "epoch_slots": 2, "deadline_s": 60,
    }  # fmt: skip
    return Scenario.model_validate({**fields, **changes})
