"""Small scenarios for the tests of demand."""

from __future__ import annotations

from typing import Any

from emulation.domain.scenario import Scenario

TESTBED: dict[str, Any] = {
    "name": "two-nodes",
    "models": [
        {"id": "gpt2", "modality": "text", "features": "tokens"},
        {"id": "batch", "modality": "text"},
        {"id": "blip", "modality": "caption"},
        {"id": "sd", "modality": "image"},
    ],
    "nodes": [{"id": "n1"}, {"id": "n2", "gpus": [{}]}],
    "profile": [
        {"model": "gpt2", "mode": "cpu", "theta": [0.001, 0.01]},
        {"model": "gpt2", "mode": "gpu", "theta": [0.0001, 0.001]},
        *({"model": m, "mode": "cpu", "theta": [1.0]} for m in ("batch", "blip", "sd")),
    ],
}
POISSON: dict[str, Any] = {
    "kind": "poisson",
    "rate_per_s": 2.0,
    "mix": {"gpt2": 0.5, "batch": 0.2, "blip": 0.2, "sd": 0.1},
    "prompts": [1, 2, 3],
}
BURST: dict[str, Any] = {
    "kind": "burst",
    "base_rate_per_s": 0.5,
    "burst_rate_per_s": 5.0,
    "on_s": 10,
    "off_s": 30,
    "mix": {"gpt2": 1.0, "sd": 1.0},
}
SLOTTED: dict[str, Any] = {"kind": "slotted", "offset": "uniform"}
PERIODIC: dict[str, Any] = {"kind": "periodic", "interval_s": 2.5, "count": 400, "models": ["gpt2", "sd"]}
TRACE: dict[str, Any] = {
    "kind": "trace",
    "trace": "azure-conv",
    "rate_per_s": 1.5,
    "mix": {"gpt2": 0.6, "blip": 0.4},
    "prompts": [1, 2],
}
SOURCES = {"poisson": POISSON, "burst": BURST, "slotted": SLOTTED, "periodic": PERIODIC, "trace": TRACE}


def scenario(*sources: dict[str, Any], **changes: Any) -> Scenario:
    """600 virtual seconds of the given sources on two nodes."""
    base = {"name": "test", "testbed": TESTBED, "workload": list(sources), "slot_s": 20, "slots": 25}
    return Scenario.model_validate({**base, "tail_slots": 5, "deadline_s": 100, **changes})
