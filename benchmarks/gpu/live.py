"""The calibration check: three minutes of real GPT-2 on the card under live load, held against its measured law."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import yaml

from benchmarks.gpu.parts import weights
from benchmarks.gpu.plan import MODEL, Setting
from emulation.recording import write_whole

SECONDS, DRY_SECONDS = 180, 30
LOAD = 0.5
"""Utilisation of each node by the law; ours."""
NODES = ("gpu-a", "gpu-b")


def calibration(setting: Setting) -> dict[str, Any]:
    """Run the scenario live, then compare it with virtual time request by request.

    Raises `RuntimeError` with what the command said where one fails; a check that fails is a figure.
    """
    law = orjson.loads(setting.raw("profile:gpt2").read_bytes())["profile"]["law"]["theta"]
    weights(setting, MODEL["gpt2"])
    scenario = setting.folder / "calibration.yaml"
    write_whole(scenario, yaml.safe_dump(scenario_of(setting, law), sort_keys=False).encode())
    run = _fresh(setting.folder / "calibration")
    arguments = (
        "compare", str(scenario), "--live", "--schemes", "sect", "--seeds", "1", "--out", str(run), "--json",
    )  # fmt: skip
    _edgebed(arguments, (0,))
    checked = _edgebed(("calibrate", "check", str(run), "--json"), (0, 1))
    return {
        "law": law,
        "run": run.name,
        "agrees": checked.returncode == 0,
        "check": orjson.loads(checked.stdout),
    }


def scenario_of(setting: Setting, theta: list[float]) -> dict[str, Any]:
    """Two nodes that share the card, one model, Poisson arrivals; the law is the measured one."""
    prompt_tokens, output_tokens = ([4, 8, 16], [2, 4]) if setting.dry else ([32, 128, 384], [16, 48, 96])
    mean_s = theta[0] * _mean(prompt_tokens) + theta[1] * _mean(output_tokens)
    mode = "cpu" if setting.dry else "gpu"
    gpus = {} if setting.dry else {"gpus": [{"slices": 1, "vram_gb": MODEL["gpt2"].vram_gb}]}
    seconds = DRY_SECONDS if setting.dry else SECONDS
    settings = {"source": str(setting.weights(MODEL["gpt2"])), "device": setting.device, "threads": 1}
    testbed = {
        "name": "gpu-measure",
        "models": [
            {
                "id": "gpt2", "modality": "text", "features": "tokens", "modes": [mode], "min_ram_gb": 0.5,
                "ram_gb": 1.5, "vram_gb": MODEL["gpt2"].vram_gb, "init_s": 5.0, "unload_s": 1.0,
            }
        ],
        "nodes": [{"id": n, "cores": 1, "ram_gb": 4, **gpus} for n in NODES],
        "profile": [{"model": "gpt2", "mode": mode, "theta": theta, "source": "measured by this very script"}],
        "backends": [{"model": "gpt2", "backend": "transformers", "settings": settings}],
    }  # fmt: skip
    return {
        "name": "gpu-measure",
        "testbed": testbed,
        "workload": [
            {
                "kind": "poisson", "rate_per_s": min(len(NODES) * LOAD / max(mean_s, 1e-6), 20.0), "mix": {"gpt2": 1},
                "lengths": {"prompt_tokens": prompt_tokens, "output_tokens": output_tokens},
            }
        ],
        "slot_s": 10, "epoch_slots": seconds // 10, "slots": seconds // 10, "deadline_s": 60,
        "service_cv": 0.05, "length_knowledge": "predicted", "live": {"speedup": 1, "lifecycle": "warm"},
    }  # fmt: skip


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)


def _fresh(folder: Path) -> Path:
    """A folder that is not there yet: what a part that failed left stays to be looked at."""
    number = 1
    while (found := folder.with_name(f"{folder.name}-{number}")).exists():
        number += 1
    return found


def _edgebed(arguments: tuple[str, ...], codes: tuple[int, ...]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "edgebed", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in codes:
        raise RuntimeError(f"edgebed {arguments[0]}: exit code {done.returncode}: {done.stderr[-2000:]}")
    return done
