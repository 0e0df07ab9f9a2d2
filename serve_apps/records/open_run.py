"""What a recorder that is killed needs to go on: which run is open, its parts, and what actors left with it.

It lies in the `.open` folder of the run, for its owner only, and goes when the run is closed. A pickle is read only by
the recorder that wrote it, never by a command that is given a folder.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import orjson

from emulation.domain.cluster import TestbedConfig
from emulation.domain.records import RunHeader
from emulation.recording import write_whole
from serve_apps.records.store import OPEN_FOLDER

log = logging.getLogger("edgebed")

RUN_FILE = "run.pickle"
POINTER = "run.json"
"""In a recorder's own folder: which run is open, and where."""
_LEFT = ".left"


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is not closed."""

    run_id: str
    header: RunHeader
    testbed: TestbedConfig
    speedup: float
    folder: str
    parts: Mapping[str, Any]
    """Actor name to what it needs to take up the run."""
    keep_bytes: int | None = None
    switch: int = 0
    """Number of the switch that the parts are of."""

    def write(self) -> None:
        """Write it in the place of what was written before. Raises `OSError`."""
        write_whole(Path(self.folder) / OPEN_FOLDER / RUN_FILE, pickle.dumps(self))

    def keep(self, pointer: Path | None) -> None:
        """Write it into its folder, and the name of that folder where the next process looks. Raises `OSError`."""
        private = Path(self.folder) / OPEN_FOLDER
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in private.glob(f"*{_LEFT}"):
            left.unlink()
        self.write()
        if pointer is not None:
            write_whole(pointer, orjson.dumps({"folder": self.folder, "run_id": self.run_id}))


@dataclass(frozen=True, slots=True)
class Found:
    """The last run of the process before this one."""

    run_id: str
    folder: Path
    run: OpenRun | None
    """None: it was closed."""


def find(pointer: Path | None) -> Found | None:
    """What was open when the process before this one died. Raises `OSError` and more if it cannot be read."""
    if pointer is None or not pointer.exists():
        return None
    said = orjson.loads(pointer.read_bytes())
    folder = Path(said["folder"])
    file = folder / OPEN_FOLDER / RUN_FILE
    if not file.exists():
        return Found(said["run_id"], folder, None)
    if file.stat().st_uid != os.getuid():
        raise PermissionError(f"{file}: is somebody else's")
    return Found(said["run_id"], folder, pickle.loads(file.read_bytes()))


def leave(folder: Path, name: str, content: Any) -> None:
    """Keep what an actor leaves for its successor; where there is no room, this process alone has it."""
    try:
        write_whole(folder / OPEN_FOLDER / f"{quote(name, safe='')}{_LEFT}", pickle.dumps(content))
    except OSError as error:
        log.warning("what %s left is not written: %s", name, error.strerror)


def left(folder: Path) -> dict[str, Any]:
    """What actors left, by name."""
    files = sorted((folder / OPEN_FOLDER).glob(f"*{_LEFT}"))
    return {unquote(f.name.removesuffix(_LEFT)): pickle.loads(f.read_bytes()) for f in files}


def clear(folder: Path) -> None:
    """The run is closed: nothing of this is needed any more."""
    private = folder / OPEN_FOLDER
    for file in private.glob("*"):
        file.unlink(missing_ok=True)
    for file in private.glob(".*.part"):
        file.unlink(missing_ok=True)
    with suppress(OSError):
        private.rmdir()
