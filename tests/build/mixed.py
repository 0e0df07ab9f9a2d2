"""A testbed of real (tiny) models on one node and emulated ones on two others, behind two gateways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulation.domain.scenario import Scenario
from serve_apps.testbed.live import LiveOptions

TWO_GATEWAYS = LiveOptions(port=0, gateways=2)


def scenario(checkpoints: Path, **live: Any) -> Scenario:
    """Node `real` runs all three kinds of model on the CPU; nodes `fake` and `n` emulate a text model of their own."""
    models = [
        {"id": "gpt2", "modality": "text", "features": "tokens", "modes": ["cpu"]},
        {"id": "blip", "modality": "caption", "modes": ["cpu"]},
        {"id": "sd", "modality": "image", "modes": ["cpu"]},
        {"id": "emulated", "modality": "text", "features": "tokens", "modes": ["cpu"]},
        {"id": "big", "modality": "text", "ram_gb": 1, "modes": ["cpu"]},
    ]
    tokens, prompts = {"mode": "cpu", "theta": [0.001, 0.01]}, {"mode": "cpu", "theta": [0.5]}
    return Scenario.model_validate(
        {
            "name": "real",
            "testbed": {
                "name": "mixed",
                "models": models,
                "nodes": [
                    {"id": "real", "cores": 8, "models": ["gpt2", "blip", "sd"]},
                    {"id": "fake", "cores": 8, "models": ["emulated"]},
                    {"id": "n", "cores": 8, "ram_gb": 16, "hosting": "device", "models": ["big"]},
                ],
                "profile": [
                    {"model": "gpt2", **tokens},
                    {"model": "emulated", **tokens},
                    {"model": "blip", **prompts},
                    {"model": "sd", **prompts},
                    {"model": "big", "mode": "cpu", "theta": [1.0]},
                ],
                "backends": [
                    {
                        "model": "gpt2",
                        "backend": "transformers",
                        "settings": {"source": str(checkpoints / "gpt2")},
                    },
                    {
                        "model": "blip",
                        "backend": "transformers",
                        "settings": {"source": str(checkpoints / "blip")},
                    },
                    {
                        "model": "sd",
                        "backend": "diffusers",
                        "settings": {"source": str(checkpoints / "sd"), "steps": 3},
                    },
                ],
            },
            "workload": [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"gpt2": 1.0}}],
            "slots": 10_000,
            "deadline_s": 600.0,
            "live": live,
        }
    )
