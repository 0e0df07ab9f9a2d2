"""`--backend real-tiny`: every model of any testbed by a tiny checkpoint made here, on the CPU."""

from __future__ import annotations

import zlib
from pathlib import Path

from edgebed.commands.console import say
from edgebed.models.checkpoints import TINY, make_tiny
from emulation.domain.cluster import BackendEntry, ModelSpec
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from serve_apps.testbed.state import home

REAL_TINY = "real-tiny"
SPEEDUP = 2.0
"""What two cores carry of the demo's load; at 4 they are saturated: replicas that share cores slow each other."""
_STEPS = 2
"""Denoising steps of the tiny image model: a picture of noise looks the same after two."""


def with_backend(scenario: Scenario, backend: str, speedup: float | None) -> tuple[Scenario, str]:
    """The scenario for a value of `--backend`, and the backend of models its testbed names none for.

    `real-tiny` makes the checkpoints at its first use. They stand in for larger models: a second they compute counts
    `speedup` seconds, which is at most `SPEEDUP` unless another was asked for. Raises `ConfigError` if there is no
    making them.
    """
    if backend != REAL_TINY:
        return scenario, backend
    folder = tiny_folder()
    if not folder.exists():
        say(f"making tiny checkpoints in {folder} (seconds, once) ...")
        _make(folder)
    entries = tuple(_entry(model, folder) for model in scenario.testbed.models)
    testbed = scenario.testbed.model_copy(update={"backends": (*scenario.testbed.backends, *entries)})
    live = scenario.live
    if speedup is None and live.speedup > SPEEDUP:
        say(
            f"tiny real models: speedup {SPEEDUP:g} in place of {live.speedup:g}, a second they compute counts as many"
        )
        live = live.model_copy(update={"speedup": SPEEDUP})
    return scenario.model_copy(update={"testbed": testbed, "live": live}), "emulated"


def tiny_folder() -> Path:
    """Where they are kept, by what they are: other shapes are another folder."""
    return home() / f"tiny-{zlib.crc32(repr(TINY).encode()):08x}"


def _make(folder: Path) -> None:
    try:
        make_tiny(folder)
    except ConfigError:
        if not folder.exists():  # else somebody else was faster
            raise


def _entry(model: ModelSpec, folder: Path) -> BackendEntry:
    if model.modality == "image":
        settings = {"source": str(folder / "sd"), "device": "cpu", "steps": _STEPS}
        return BackendEntry(model=model.id, backend="diffusers", settings=settings, stand_in=True)
    name = "blip" if model.modality == "caption" else "gpt2-large" if "large" in model.id else "gpt2"
    settings = {"source": str(folder / name), "device": "cpu"}
    return BackendEntry(model=model.id, backend="transformers", settings=settings, stand_in=True)
