"""A text model from a GGUF file: its weights as numbers again, in a folder that the real backends serve.

GGUF is the file of llama.cpp and what stands on it; its weights are stored in 2 to 8 bits, mostly. transformers reads
the architectures that it knows, tokenizer included, and makes float32 of them. What was rounded stays rounded: the
folder answers as the file does, and takes four bytes for each parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from edgebed.models.checkpoints import Made, whole
from emulation.domain.complaints import valid
from emulation.domain.quantities import Name
from emulation.files import ConfigError
from serve_apps.engines.needs import need

MAGIC = b"GGUF"
PROCESS_GB = 0.5
"""RAM of a replica's process beside its weights, torch included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a testbed file says of a model that a replica really runs."""

    model: str
    folder: Path
    weights_gb: float
    context_tokens: int | None
    """Tokens of prompt and answer together; None: the model states none."""

    def to_data(self) -> dict[str, Any]:
        """Its lines under `models` and `backends`; the law of its service times is measured by `edgebed profile`."""
        ram_gb = round(self.weights_gb + PROCESS_GB, 2)
        model: dict[str, Any] = {
            "id": self.model, "modality": "text", "features": "tokens", "modes": ["cpu"], "min_ram_gb": ram_gb,
            "ram_gb": ram_gb, "init_s": 5.0, "unload_s": 1.0,
        }  # fmt: skip
        if self.context_tokens is not None:
            model["context_tokens"] = self.context_tokens
        settings = {"source": str(self.folder), "threads": 1}
        return {
            "models": [model],
            "backends": [{"model": self.model, "backend": "transformers", "settings": settings}],
        }

    def to_yaml(self) -> str:
        """The same as it stands in a file."""
        return yaml.safe_dump(self.to_data(), sort_keys=False)


def from_gguf(file: Path, folder: Path) -> tuple[Made, Entry]:
    """Make the folder, and say what a testbed's file must say of it. Written whole or not at all.

    Raises `ConfigError` if the file is none of this kind or of an architecture that transformers does not know, if the
    folder is there already or has a name that no model can have, or a library is missing.
    """
    valid(Name, folder.name, "--out")
    _check(file)
    for library in ("torch", "gguf"):
        need(library)
    found: list[int | None] = []

    def fill(building: Path) -> list[Made]:
        model, tokenizer = _read(file)
        found.append(getattr(model.config, "max_position_embeddings", None))
        for part in (model, tokenizer):
            part.save_pretrained(building)
        size = sum(f.stat().st_size for f in building.rglob("*") if f.is_file())
        return [Made(file.stem, building, sum(p.numel() for p in model.parameters()), size / 1e6)]

    made = whole(folder, fill)[0]
    return made, Entry(
        model=folder.name, folder=folder, weights_gb=made.parameters * 4 / 1e9, context_tokens=found[0]
    )


def _check(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(MAGIC))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; give a GGUF file") from error
    if magic != MAGIC:
        raise ConfigError(f"{file}: is no GGUF file: it does not begin with {MAGIC.decode()!r}")


def _read(file: Path) -> tuple[Any, Any]:
    """Model and tokenizer of a file. Raises `ConfigError`."""
    transformers = need("transformers")
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        settings = transformers.GgufConfig(dequantize=True)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            **where, quantization_config=settings, dtype=need("torch").float32
        )
    except (
        Exception
    ) as error:  # a stranger's reader over a stranger's file: struct.error, KeyError and others
        said = " ".join(str(error).split())[:300]
        raise ConfigError(f"{file}: transformers cannot read it: {said or type(error).__name__}") from error
    return model, tokenizer
