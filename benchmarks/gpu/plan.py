"""What is measured on the card, part by part, and what every part may know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from edgebed.profile.grid import Grid
from emulation.domain.cluster import Modality
from emulation.recording import write_whole

LIMIT_S = 600.0
"""Wall seconds of one call; what does not fit is left to the next."""
VLLM_PYTHON = "EDGEBED_VLLM_PYTHON"
"""Variable that names the Python of vLLM's own environment; without it, vLLM is looked for beside this program."""


class Skipped(Exception):
    """A part needs what is not there: it is not measured, and is missing until it can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of the four models of the second paper."""

    id: str
    """As testbeds name it."""
    published: str
    """Full-size shape, as `edgebed models make-random` names it."""
    tiny: str
    """Its stand-in of a dry run."""
    modality: Modality
    backend: Literal["transformers", "diffusers"]
    vram_gb: float
    """What the second paper deploys it with."""


MODELS = (
    Model(id="gpt2", published="gpt2", tiny="gpt2", modality="text", backend="transformers", vram_gb=3.0),
    Model(
        id="gpt2-large", published="gpt2-large", tiny="gpt2-large", modality="text", backend="transformers",
        vram_gb=9.0,
    ),
    Model(
        id="blip", published="blip-large", tiny="blip", modality="caption", backend="transformers", vram_gb=2.5
    ),
    Model(id="sd", published="sd-v1-5", tiny="sd", modality="image", backend="diffusers", vram_gb=3.5),
)  # fmt: skip
MODEL = {m.id: m for m in MODELS}

FULL_GRID = Grid(
    inputs=(16, 128, 384), outputs=(1, 16, 64), prompts=(1, 2, 3), size=(512, 512), steps=20, repeats=2
)
TINY_GRID = Grid(inputs=(4, 16), outputs=(1, 4), prompts=(1, 2), size=(64, 64), steps=2, repeats=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where parts run, and where their files go."""

    folder: Path
    dry: bool
    """Tiny models on the CPU: nothing that comes out is a figure of any device."""

    @property
    def device(self) -> str:
        """For the engines."""
        return "cpu" if self.dry else "cuda"

    @property
    def dtype(self) -> str:
        """Of the weights."""
        return "float32" if self.dry else "float16"

    @property
    def grid(self) -> Grid:
        """Sizes to measure."""
        return TINY_GRID if self.dry else FULL_GRID

    @property
    def levels(self) -> tuple[int, ...]:
        """Replicas at once."""
        return (1, 2) if self.dry else (1, 2, 3, 4)

    def weights(self, model: Model) -> Path:
        """Folder of a model's weights; it may not be there yet."""
        return self.folder / "models" / (model.tiny if self.dry else model.published)

    def raw(self, part: str) -> Path:
        """File of a part's figures."""
        return self.folder / "raw" / f"{part.replace(':', '-')}.json"

    def measured(self, part: str) -> bool:
        """Whether a part has figures. Files of earlier versions that say that it was skipped are none."""
        file = self.raw(part)
        return file.exists() and "skipped" not in orjson.loads(file.read_bytes())

    def write(self, part: str, figures: dict[str, Any]) -> None:
        """Write a part's figures whole. A dry run says so in every file."""
        head = {"part": part, "dry_run": self.dry}
        if self.dry:
            head["meaning"] = "none: tiny models on a CPU, to see that the script works"
        self.raw(part).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.raw(part), orjson.dumps(head | figures, option=orjson.OPT_INDENT_2 | _KEYS))


_KEYS = orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True, slots=True)
class Part:
    """One part, run in a process of its own."""

    name: str
    limit_s: float
    """Wall seconds after which it is ended, and counts as failed."""


PARTS = (
    Part("host", 30),
    *(Part(f"profile:{m.id}", 75) for m in MODELS),
    Part("memory", 30),
    Part("contention:gpt2", 90),
    Part("contention:sd", 90),
    Part("injection", 75),
    Part("vllm", 90),
    Part("calibration", 230),
)
"""In this order: what comes later may use what came before. Limits are ceilings, not what is expected."""
