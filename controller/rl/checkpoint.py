"""Checkpoints: the weights of both networks and where they come from, in one file of plain arrays (numpy's `.npz`).

Nothing in it is code: it is read without pickle, and every array is held to its name, shape and kind.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ValidationError

from controller.rl.features import Floats
from controller.rl.nets import SHAPES
from emulation.domain.complaints import complaint
from emulation.domain.quantities import Note, Range, SomeLine
from emulation.domain.strict import Strict
from emulation.recording import write_whole

SHIPPED = Path(__file__).with_name("weights") / "drl.npz"
"""What the scheme `DRL` decides by unless a scenario names another checkpoint."""
FORMAT = 1
"""Of the features and networks; weights of another one mean nothing here."""
ABOUT = "about"
"""Name of the array whose bytes are the provenance as JSON."""
_MOST_BYTES = 4_000_000
Count = Annotated[int, Range(0, 10**12)]
Seconds = Annotated[float, Range(0, 10**9, "s")]


class Trained(Strict):
    """Where weights come from."""

    format: int = FORMAT
    scenario: SomeLine
    """What they were trained on."""
    seed: Count
    """Of the draws of the training."""
    first_world: Count
    """Seed of the first scenario drawn; the others follow one by one. None of them may be evaluated."""
    episodes: Count
    steps: Count
    """Slots that were played."""
    cpu_s: Seconds
    """Processor seconds of the training, all its processes together."""
    wall_s: Seconds | None = None
    """Wall seconds of it, whatever else the machine did; None: not measured."""
    edgebed: SomeLine
    note: Note = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights and their provenance."""

    weights: dict[str, Floats]
    about: Trained


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write it whole or not at all, weights as 32-bit numbers. Raises `OSError`."""
    arrays = {name: checkpoint.weights[name].astype(np.float32) for name in SHAPES}
    about = np.frombuffer(checkpoint.about.model_dump_json().encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(
        buffer, "w"
    ) as archive:  # numpy's own writer stamps the time: same training, same bytes
        for name, array in {**arrays, ABOUT: about}.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), part.getvalue())
    write_whole(path, buffer.getvalue())


@lru_cache(maxsize=8)
def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check one. Raises `ValueError` naming the file and what is wrong with it, and `OSError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {i.filename.removesuffix(".npy"): i.file_size for i in archive.infolist()}
        if sum(sizes.values()) > _MOST_BYTES:
            raise ValueError(f"holds {sum(sizes.values())} bytes, more than {_MOST_BYTES}")
        _check_names(set(sizes))
        with np.load(path, allow_pickle=False) as arrays:
            weights = {name: _checked(name, arrays[name]) for name in SHAPES}
            about = Trained.model_validate_json(arrays[ABOUT].tobytes())
    except ValidationError as error:
        raise ValueError(f"checkpoint {path}: {complaint(Trained, error)}") from error
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise ValueError(f"checkpoint {path}: {error}; give one that `edgebed train drl` wrote") from error
    if about.format != FORMAT:
        raise ValueError(
            f"checkpoint {path}: is of format {about.format}, this program reads {FORMAT}; train again"
        )
    return Checkpoint(weights, about)


def _check_names(names: set[str]) -> None:
    wanted = {*SHAPES, ABOUT}
    if names != wanted:
        missing, strange = sorted(wanted - names), sorted(names - wanted)
        raise ValueError(f"lacks {missing[0]!r}" if missing else f"has an unknown array {strange[0]!r}")


def _checked(name: str, array: Floats) -> Floats:
    """As 64-bit numbers, in which the networks are computed."""
    if array.dtype.kind != "f" or array.shape != SHAPES[name]:
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, must be float of {SHAPES[name]}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has a number that is not finite")
    return array.astype(np.float64)
