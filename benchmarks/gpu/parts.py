"""The parts that measure engines: the host, profiles, contention, vLLM's batches, injection."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from benchmarks import injection
from benchmarks.gpu.plan import MODEL, VLLM_PYTHON, Model, Setting, Skipped
from edgebed.models.checkpoints import make_random, make_tiny
from edgebed.profile.colocate import Colocation, colocate, shared_settings
from edgebed.profile.file import write_profile
from edgebed.profile.grid import middle
from edgebed.profile.measuring import Measurement, measured
from edgebed.profile.sharing import fit_sharing
from serve_apps.engines.caption import CaptionEngine, CaptionSettings
from serve_apps.engines.needs import need
from serve_apps.engines.picture import PictureEngine, PictureSettings
from serve_apps.engines.prompting import TextSettings
from serve_apps.engines.text import TextEngine

FRACTIONS = (None, 1.0, 0.5, 0.25)
"""Shares of the card that each of several replicas is held to; None: to none."""
BATCHES = (1, 2, 4, 8)
PAIRS = 1
"""Rounds of every disturbance per model; the pieces of one round are in the file."""


def host(setting: Setting) -> dict[str, Any]:
    """What was measured on."""
    figures: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in ("torch", "transformers", "diffusers", "vllm", "ray")},
    }
    if setting.dry:
        return figures
    torch = need("torch")
    query = "name,uuid,driver_version,memory.total,power.limit,clocks.max.sm,mig.mode.current"
    said = subprocess.run(
        ["nvidia-smi", f"--query-gpu={query}", "--format=csv"], capture_output=True, text=True, check=False
    )
    return figures | {
        "gpu": torch.cuda.get_device_name(0),
        "cuda": torch.version.cuda,
        "nvidia_smi": (said.stdout or said.stderr).splitlines(),
        "mps": os.environ.get("CUDA_MPS_PIPE_DIRECTORY"),
    }


def profile(setting: Setting, model: Model) -> dict[str, Any]:
    """Every point of the grid and the law; on a card the profile file too."""
    made = weights(setting, model)
    found = measured(_measurement(setting, model), quiet=True)
    if not setting.dry:
        (setting.folder / "profiles").mkdir(exist_ok=True)
        write_profile(setting.folder / "profiles" / f"{model.id}.yaml", found)
    return {"weights": made, "profile": found.model_dump(mode="json", exclude_none=True)}


def contention(setting: Setting, model: Model) -> dict[str, Any]:
    """Service times of 1 to 4 replicas at once, held to no share of the card, or to all, half or a quarter of it."""
    weights(setting, model)
    curves: dict[str, Any] = {}
    for fraction in FRACTIONS[:1] if setting.dry else FRACTIONS:
        fitting = tuple(n for n in setting.levels if fraction is None or n * fraction <= 1.0)
        held, environment = shared_settings(fraction, setting.device)
        plan = Colocation(
            model.backend, model.modality, _settings(setting, model) | held, setting.grid, fitting,
            repeats=3, environment=environment,
        )  # fmt: skip
        name = "uncapped" if fraction is None else f"fraction {fraction:g}"
        services_s = colocate(plan)
        curves[name] = {"services_s": services_s}
        if len(fitting) > 1:
            x = tuple(float(n) for n in middle(setting.grid, model.modality))
            fitted = fit_sharing(services_s, x, "cpu" if setting.dry else "gpu", fraction)
            curves[name]["law"] = fitted.model_dump(mode="json", exclude_none=True)
    return {"model": model.id, "curves": curves}


def vllm(setting: Setting) -> dict[str, Any]:
    """GPT-2 in batches of 1 to 8. Raises `Skipped` where there is no vLLM beside this program."""
    if find_spec("vllm") is None:
        raise Skipped(
            "vllm is not installed; pip install 'edgebed[vllm]' into an environment of its own, and name that by"
            f" {VLLM_PYTHON}=<its folder>/bin/python"
        )
    model = MODEL["gpt2"]
    weights(setting, model)
    wanted = replace(
        _measurement(setting, model), backend="vllm", batches=BATCHES[:2] if setting.dry else BATCHES
    )
    found = measured(wanted, quiet=True)
    return {"profile": found.model_dump(mode="json", exclude_none=True)}


def injected(setting: Setting) -> dict[str, Any]:
    """How far a slowed, changed or paused request is from the time it should take, per kind of model."""
    common = {"device": setting.device, "dtype": setting.dtype}
    engines: dict[str, Any] = {
        "gpt2": lambda source: TextEngine(TextSettings(source=source, **common), ("cpu",)),
        "blip": lambda source: CaptionEngine(CaptionSettings(source=source, **common), ("cpu",)),
        "sd": lambda source: PictureEngine(PictureSettings(source=source, **common), ("cpu",)),
    }
    figures: dict[str, Any] = {}
    for name in ("gpt2",) if setting.dry else tuple(engines):
        weights(setting, MODEL[name])
        engine = engines[name](str(setting.weights(MODEL[name])))
        figures[name] = injection.measure(engine, MODEL[name].modality, PAIRS)
        del engine
    return figures


def weights(setting: Setting, model: Model) -> dict[str, Any] | None:
    """Make a model with random weights where it is not there yet; what was made."""
    folder = setting.weights(model)
    if folder.exists():
        return None
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    if setting.dry:
        made = next(m for m in make_tiny(folder.parent) if m.name == model.tiny)
    else:
        folder.parent.mkdir(exist_ok=True)
        made = make_random(model.published, folder, 0, "float16")
    return {"parameters": made.parameters, "megabytes": made.megabytes}


def _measurement(setting: Setting, model: Model) -> Measurement:
    return Measurement(
        source=str(setting.weights(model)), model=model.id, modality=model.modality, backend=model.backend,
        device=setting.device, dtype=setting.dtype, threads=1, grid=setting.grid, seed=0, anyway=setting.dry,
    )  # fmt: skip


def _settings(setting: Setting, model: Model) -> dict[str, Any]:
    return {
        "source": str(setting.weights(model)), "device": setting.device, "dtype": setting.dtype, "threads": 1,
    }  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
