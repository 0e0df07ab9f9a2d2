"""What other packages bring: an object by the path of its module, `package.module:NAME`, or by an entry point's name.

A module is looked for where the interpreter looks, and after that in the current folder, which so never stands before
anything that is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module, invalidate_caches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import cache_from_source
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from emulation.domain.mistakes import STRANGE, ConfigError, did_you_mean, told_of

_OURS = ("controller", "edgebed", "emulation", "serve_apps", "workloads")
_STAMPS: dict[str, tuple[int, int]] = {}
"""Modules that paths led to, and those of their packages, to what `_stamp` said of them when they were imported."""


def is_path(name: str) -> bool:
    """Whether a name reads `package.module:NAME`."""
    return ":" in name


def load(name: str, noun: str, group: str, shipped: Sequence[str]) -> Any:
    """The object of a path, or of an entry point of this group.

    `noun`: what it is to be, for messages; `shipped`: names that are known besides. Raises `ConfigError`: unknown, not
    importable, or offered by two packages.
    """
    if is_path(name):
        return _of_path(name, noun)
    found = offered(group)
    if name not in found:
        known = did_you_mean(name, [*shipped, *found])
        raise ConfigError(f"unknown {noun} {name!r}; {known}; one of your own is named package.module:NAME")
    points = found[name]
    if len(points) > 1:
        paths = " and ".join(sorted(point.value for point in points))
        raise ConfigError(f"{noun} {name!r}: is offered by {paths}; name the one you mean so")
    return _imported(points[0].value, f"{noun} {name!r}")


def find_class(name: str, noun: str, group: str, base: type, shipped: Mapping[str, Any] | None = None) -> Any:
    """The class of a name: a shipped one, or by `load`.

    Raises `ConfigError` for an unknown one, for what is no subclass of `base`, and for one without a `Config`.
    """
    if shipped and name in shipped:
        return shipped[name]
    found = load(name, noun, group, list(shipped or ()))
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(
            f"{noun} {name!r}: is {what(found)}; it must be a class derived from {base.__module__}.{base.__name__}"
        )
    config = getattr(found, "Config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise ConfigError(
            f"{noun} {name!r}: has no Config; give the class one, derived from emulation.domain.cluster.Strict, which"
            " holds its parameters"
        )
    return found


def what(found: Any) -> str:
    """An object in two words."""
    return f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"


def offered(group: str) -> dict[str, list[EntryPoint]]:
    """What the installed packages offer under a group of entry points, by name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        same = found.setdefault(point.name, [])
        if all(
            other.value != point.value for other in same
        ):  # a package may be found twice, as source and installed
            same.append(point)
    return found


def look_here() -> None:
    """Let modules be found in the current folder, too, after everywhere else."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def take_up_edits() -> None:
    """Forget every package of the current folder whose files changed since a path led there, so that it is imported
    anew: where a session goes on (a notebook), what was edited is otherwise run as it was before, and nobody says so.

    Not while something runs: all runs of a comparison are of one version. What is imported keeps what it is.
    """
    changed = {name for name, stamp in _STAMPS.items() if _stamp(name) not in (None, stamp)}
    tops = {name.partition(".")[0] for name in changed}
    for name in [n for n in sys.modules if n.partition(".")[0] in tops]:
        if name in changed:  # what was compiled counts as new for as long as a second
            Path(cache_from_source(str(_file(name)))).unlink(missing_ok=True)
        del sys.modules[name]
        _STAMPS.pop(name, None)


def _note_stamps(module: str) -> None:
    """Keep when the files of a module's package were written, those of the current folder."""
    top = module.partition(".")[0]
    if top in _OURS:
        return
    for name in [n for n in sys.modules if n.partition(".")[0] == top and n not in _STAMPS]:
        file, stamp = _file(name), _stamp(name)
        if file is not None and stamp is not None and file.is_relative_to(Path.cwd()):
            _STAMPS[name] = stamp


def _stamp(name: str) -> tuple[int, int] | None:
    """When the file of a module was written, in ns, and its size; None if it is not loaded, or has no file any more."""
    file = _file(name)
    try:
        found = None if file is None else file.stat()
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)


def _file(name: str) -> Path | None:
    """The source that a module was loaded from; None if it is not loaded, or from something else."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file).resolve() if file is not None and file.endswith(".py") else None


def _of_path(name: str, noun: str) -> Any:
    module, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
        raise ConfigError(f"{noun} {name[:80]!r}: is no path of a Python object; write package.module:NAME")
    look_here()
    invalidate_caches()
    return _imported(name, f"{noun} {name!r}")


def _imported(path: str, said: str) -> Any:
    module, _, attribute = path.partition(":")
    found: Any = _module(module, said)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{said}: {module} has no {attribute}; {did_you_mean(attribute, _own(found))}")
        found = getattr(found, part)
    return found


def _own(found: Any) -> list[str]:
    """The names that a module does not merely import."""
    return [
        name
        for name, each in vars(found).items()
        if not name.startswith("_")
        and not isinstance(each, ModuleType)
        and (not callable(each) or getattr(each, "__module__", "") == getattr(found, "__name__", ""))
    ]


def _module(module: str, said: str) -> Any:
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of our answer
            found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"{said}: there is no module {error.name} in {Path.cwd()} or among the installed packages; go to the"
                " folder that holds it, or install its package"
            ) from error
        raise ConfigError(f"{said}: {_broken(module, error)}") from error
    except STRANGE as error:
        raise ConfigError(f"{said}: {_broken(module, error)}") from error
    _note_stamps(module)
    return found


def _broken(module: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return (
            f"{module} cannot be imported: SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
        )
    frames = extract_tb(error.__traceback__)
    last = next((f for f in reversed(frames) if not f.filename.startswith("<frozen")), frames[-1])
    return f"{module} cannot be imported: {told_of(error)} ({last.filename}, line {last.lineno})"
