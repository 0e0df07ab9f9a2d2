"""What no decider may do whatever it decides: read a clock, a file or unseeded randomness, or import the truth."""

from __future__ import annotations

import ast
import gc
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec, resolve_name
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from edgebed.check.places import place_of

SEALED = (
    "emulation.domain.truth", "emulation.engine", "emulation.executor", "emulation.faults", "serve_apps", "workloads",
)  # fmt: skip
"""Modules from which the truth could be had."""
_OF_FILES = (
    "posix.open",
    "io.open",
    "io.open_code",
    "posix.stat",
    "posix.lstat",
    "posix.listdir",
    "posix.scandir",
)
_ENVIRON = type(os.environ).__getitem__.__code__
_DATES = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
_FUNCTIONS = {
    "time": (
        "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
        "process_time_ns", "thread_time", "thread_time_ns", "sleep", "localtime", "gmtime",
    ),
    "posix": ("urandom", "getrandom", "open", "stat", "lstat", "listdir", "scandir", "getpid"),
    "_socket": ("gethostname",),
    "_io": ("open", "open_code"),
    "io": ("open",),
}  # fmt: skip


MadeT = TypeVar("MadeT")


def reads_of(make: Callable[[], MadeT], use: Callable[[MadeT], object]) -> list[str]:
    """As `clock_reads`, of a decider that is made and used; while it is made, it may read its weights from a file
    that the environment names."""
    made: list[MadeT] = []
    while_made = clock_reads(lambda: made.append(make()), files=True)
    return [*while_made, *clock_reads(lambda: use(made[0]))]


def clock_reads(run: Callable[[], object], files: bool = False) -> list[str]:
    """Where something reads a clock, a file or the environment, or draws from the interpreter's own randomness, while
    `run` runs.

    `it calls time.monotonic (careful.py, line 12)`; what Python itself does to import a module does not count. `files`:
    files and the environment may be read.
    """
    seen: dict[str, None] = {}

    def look(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and not frame.f_code.co_filename.startswith("<frozen"):
            name = _forbidden(called)
            if name and not (name in _OF_FILES and (files or _is_shown(frame))):
                seen[f"it calls {name}{place_of(frame)}"] = None
        elif event == "call" and frame.f_code is _ENVIRON and not files:
            seen[f"it reads os.environ{place_of(frame)}"] = None

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # whoever is called when the collector runs is not `run`
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return list(seen)


def _is_shown(frame: FrameType | None) -> bool:
    """Whether Python itself is at work to show a warning, or a line of source with one."""
    while frame is not None:
        if frame.f_globals.get("__name__") in ("linecache", "warnings"):
            return True
        frame = frame.f_back
    return False


def _forbidden(called: Any) -> str:
    """The name of a function that no decider may call; empty: it may."""
    module, name = getattr(called, "__module__", None), getattr(called, "__name__", "")
    if module in _FUNCTIONS and name in _FUNCTIONS[module]:
        return f"{module.removeprefix('_')}.{name}"
    qualified = str(getattr(called, "__qualname__", ""))
    if qualified in _DATES:
        return qualified
    owner = type(getattr(called, "__self__", None))
    if any(cls.__module__ == "_random" for cls in owner.__mro__):
        return f"random.{name}"
    return ""


def truth_imports(cls: type) -> list[str]:
    """Where the module of a class, or what it imports of its own package, imports something sealed."""
    return [
        f"{Path(file).name}, line {line}, imports {name}"
        for file, line, name in _imports(cls.__module__, cls.__module__.partition(".")[0], set())
        if name.startswith(SEALED)
    ]


def _imports(module: str, package: str, done: set[str]) -> Iterator[tuple[str, int, str]]:
    """File, line and name of all that a module and its own package's modules import."""
    done.add(module)
    spec = sys.modules[module].__spec__ if module in sys.modules else find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    inner = module if spec.submodule_search_locations else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
        for name in _names(node, inner):
            yield spec.origin, getattr(node, "lineno", 0), name
            if name.partition(".")[0] == package and name not in done and _is_module(name):
                yield from _imports(name, package, done)


def _names(node: ast.AST, inner: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        of = resolve_name("." * node.level + (node.module or ""), inner) if node.level else str(node.module)
        return [of, *(f"{of}.{alias.name}" for alias in node.names)]
    return []


def _is_module(name: str) -> bool:
    try:
        return name in sys.modules or find_spec(name) is not None
    except (ImportError, ValueError):
        return False
