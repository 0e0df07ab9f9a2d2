"""Which of the two runs: the sources as they stand, or the hot modules compiled from exactly these sources.

What is compiled never lies beside its source, where the import system would prefer it, edited or not. It lies in
`_compiled/`, in a folder named after the digest of every source it depends on, and is found by `CompiledModules` only
where that digest is the present one. So an edit is in force at once, at the speed of plain Python; `make compiled`
makes it fast again. All modules of one build come from one library and know each other's memory: it is all of them or
none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
PACKAGES = ("controller", "emulation")
"""What is compiled lies in these, and depends on nothing of ours elsewhere."""
FOLDER = Path("emulation", "_compiled")
"""Where builds lie, relative to the packages."""
LIBRARY = "edgebed__mypyc"
"""The one library; each compiled module is a name that leads into it."""
SUFFIX = EXTENSION_SUFFIXES[0]
PURE = "EDGEBED_PURE"
"""Environment variable: anything but empty or 0 runs the sources, whatever was compiled."""


def digest(root: Path = ROOT) -> str:
    """Of every source of the packages, names and contents: a constant of any may have been compiled into another."""
    state = blake2b(digest_size=12)
    for name in sorted(_sources(root)):
        content = Path(root, name).read_bytes()
        state.update(f"{name}:{len(content)}:".encode())
        state.update(content)
    return state.hexdigest()


def _sources(root: Path) -> Iterable[str]:
    for package in PACKAGES:
        for folder, _, names in os.walk(root / package):
            inside = os.path.relpath(folder, root)
            yield from (f"{inside}/{name}" for name in names if name.endswith(".py"))


class CompiledModules(MetaPathFinder):
    """Finds the compiled modules of one build, before the import system looks for their sources."""

    def __init__(self, build: Path) -> None:
        self._files = {f.name.removesuffix(SUFFIX): str(f) for f in build.glob(f"*{SUFFIX}")}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The compiled module of that name; None where there is none."""
        file = self._files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def use(root: Path = ROOT) -> str | None:
    """Have the compiled modules found from now on. Returns why they are not, or None if they are."""
    if os.environ.get(PURE, "") not in ("", "0"):
        return f"{PURE} is set"
    builds = root / FOLDER
    if not builds.is_dir():
        return "nothing was compiled here; `make compiled` does"
    build = builds / digest(root)
    if not (build / f"{LIBRARY}{SUFFIX}").is_file():
        return "no build is of these sources; `make compiled` makes one"
    finder = CompiledModules(build)
    sys.meta_path.insert(0, finder)
    try:
        import_module(LIBRARY)
    except ImportError as error:  # of another machine, say, from which the folder was copied
        sys.meta_path.remove(finder)
        return f"what was compiled cannot be loaded here: {error}"
    return None


WHY_NOT = use()
"""Why the sources run in this process; None: the hot modules run compiled."""


def said() -> str:
    """Which of the two runs, in words."""
    return "compiled" if WHY_NOT is None else f"uncompiled: {WHY_NOT}"
