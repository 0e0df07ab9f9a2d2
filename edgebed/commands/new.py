"""`edgebed new`: a working start for a controller, a fault or a source of requests of one's own, with its test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Literal

import typer

from edgebed.commands.console import out
from edgebed.commands.options import QuietOption
from emulation.domain.mistakes import ConfigError
from emulation.recording import write_whole

Kind = Literal["router", "deployer", "scheduler", "planner", "perf-model", "fault", "workload"]
OF_SCENARIO: Mapping[str, str] = {
    "fault": "events: {{kind: outside, fault: {path}, node: arc-b60, at_s: 60, until_s: 180}}",
    "workload": "workload: {{kind: outside, source: {path}}}",
}
"""Kinds that no scheme names but a scenario, and how."""
_TEST = '''"""The laws that {subject} is held to, as `edgebed check` holds it."""

from edgebed.check.looking import look


def test_keeps_every_law() -> None:
    assert [str(verdict) for verdict in look("{module}:{subject}") if verdict.broken] == []
'''


def new(
    kind: Annotated[Kind, typer.Argument(help="What the new class is to be.")],
    file: Annotated[
        Path,
        typer.Argument(
            help="The module to write, as mylab/careful.py; a file that is there is never touched."
        ),
    ],
    quiet: QuietOption = False,
) -> None:
    """Write a working start for a part of a controller, a fault or a workload of your own, and its test."""
    module, name = _module_of(file, kind)
    _check_found(file, module)
    scheme = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    subject = name if kind in OF_SCENARIO else scheme
    test = file.with_name(f"test_{file.name}")
    for path in (file, test):
        if path.exists():
            raise ConfigError(f"{path}: is there already, and is left as it is; give another name")
    file.parent.mkdir(parents=True, exist_ok=True)
    written = [_folder_is_package(folder) for folder in _folders(file)]
    write_whole(file, _start(kind, module, name, scheme).encode())
    write_whole(test, _TEST.format(module=module, subject=subject).encode())
    for path in [*(p for p in written if p is not None), file, test]:
        out.print(f"wrote {path}", highlight=False)
    own = f"{module}:{subject}"
    then = f"edgebed compare demo --schemes sect,{own}"
    if kind in OF_SCENARIO:
        then = f"in a scenario, {OF_SCENARIO[kind].format(path=own)}"
    for line in (f"next: edgebed check {own}", f"then: {then}"):
        out.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)


def _module_of(file: Path, kind: Kind) -> tuple[str, str]:
    """The name of the module as it will be imported from here, and of its class. Raises `ConfigError`."""
    parts = file.with_suffix("").parts
    if file.suffix != ".py" or file.is_absolute() or not all(p.isidentifier() and p.isascii() for p in parts):
        raise ConfigError(f"{str(file)!r}: is no module of a package here; give one as mylab/careful.py")
    name = "".join(word.capitalize() for word in parts[-1].split("_") if word) or "Mine"
    used = name != "Mine" and re.search(rf"\b{name}\b", _text(kind))
    if used or iskeyword(name) or name.isupper():  # it, or its scheme, stands for something in there already
        word = "".join(word.capitalize() for word in kind.split("-"))
        name = f"My{word}" if name == word else f"{name}{word}"
    return ".".join(parts), name


def _check_found(file: Path, module: str) -> None:
    """Raise `ConfigError` for a module that is not found here, since one of that name is installed."""
    top, here = module.partition(".")[0], Path.cwd().resolve()
    try:
        spec = find_spec(top)
    except ValueError:  # one that is loaded and no module of a file
        spec = None
    if spec is None:
        return
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    if not any(here in Path(place).resolve().parents for place in places if place):
        raise ConfigError(
            f"{str(file)!r}: {top} is installed, and found in its place; give another name than {top}"
        )


def _folders(file: Path) -> list[Path]:
    """The folders that are packages on the way to a module."""
    return [folder for folder in reversed(file.parents) if folder != Path()]


def _folder_is_package(folder: Path) -> Path | None:
    """See that a folder is a package; what was written for that."""
    path = folder / "__init__.py"
    if path.exists():
        return None
    write_whole(path, b"")
    return path


def _start(kind: Kind, module: str, name: str, scheme: str) -> str:
    """The start of a kind under names of its own."""
    start = kind.replace("-", "_")
    text = (
        _text(kind)
        .replace(f"edgebed.starts.{start}", module)
        .replace('name="mine"', f'name="{module.rpartition(".")[2]}"')
    )
    return re.sub(r"\bMINE\b", scheme, re.sub(r"\bMine\b", name, text))


def _text(kind: Kind) -> str:
    """The start of a kind as it is shipped."""
    path = Path(__file__).parents[1] / "starts" / f"{kind.replace('-', '_')}.py"
    return path.read_text(encoding="utf-8")
