"""Tiny checkpoints, made once for several sessions of tests: the libraries that make them take long to load."""

from __future__ import annotations

import fcntl
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("torch", "transformers", "diffusers", "safetensors")
SOURCES = Path(__file__).parents[2] / "edgebed" / "models"


def made_once(folder: Path) -> Path:
    """All of them, below a folder, by the sources and the libraries that they are made by."""
    state = blake2b(" ".join(map(version, LIBRARIES)).encode(), digest_size=8)
    for source in sorted(SOURCES.glob("*.py")):
        state.update(source.read_bytes())
    made = folder / state.hexdigest()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            from edgebed.models.checkpoints import make_tiny

            make_tiny(made)
    return made
