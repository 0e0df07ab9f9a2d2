"""Where in somebody's code something was seen: the innermost line that is not of Python's own library."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from types import FrameType

_LIBRARY = sysconfig.get_paths()["stdlib"]


def place_of(frame: FrameType | None) -> str:
    """` (careful.py, line 12)`; empty where there is none."""
    found = frame
    while found is not None and _of_python(found.f_code.co_filename):
        found = found.f_back
    found = found or frame
    return "" if found is None else f" ({Path(found.f_code.co_filename).name}, line {found.f_lineno})"


def _of_python(file: str) -> bool:
    inside = file.startswith(_LIBRARY) and "site-packages" not in file and "dist-packages" not in file
    return inside or file.startswith("<")
