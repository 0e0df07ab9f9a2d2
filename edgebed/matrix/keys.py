"""Whether a run was made already: a digest of everything that its figures follow from, and of nothing else.

That is the scenario as it is run, with testbed, profiles and the content of its traces; the scheme with the sources of
what it is put together from; the seed; the settings of the plan that figures depend on; and the code of this version.
Names of files and scenarios, notes and dates are no part of it.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import controller
import edgebed.wiring
import emulation
import workloads
from controller.schemes import SCHEMES, Scheme
from edgebed.matrix.figures import FORMAT
from edgebed.matrix.journal import JOURNAL_FILE
from edgebed.runs.manifest import MANIFEST_FILE
from edgebed.wiring.identity import edgebed_version, plain_scenario
from edgebed.wiring.parts import outsiders
from emulation.domain.events import OutsideFault
from emulation.domain.scenario import Scenario
from emulation.domain.sources import OutsideSource
from emulation.outside import load
from workloads.trace_files import trace_path

_CODE = (".py", ".npz", ".json", ".md")
"""Kinds of files that a run is computed from; packaged scenarios, testbeds and traces count by their content."""
_WEIGHTS = (".npz", ".npy", ".pt", ".pth", ".safetensors", ".onnx", ".pkl")
_OWN = (*_CODE, *_WEIGHTS, ".yaml", ".yml", ".toml", ".txt")
"""Kinds of files of somebody else's package that its classes may decide by."""
_RUNS = ("virtual.py", "whatif.py", "whatif_world.py", "whatif_fixed.py")
"""Files of `edgebed/runs` that are part of it."""
SOURCES, FAULTS = "edgebed.workloads", "edgebed.faults"
"""Groups of entry points under which sources and faults of others may be named."""
_RESULTS = {JOURNAL_FILE, MANIFEST_FILE}
"""Of which a folder of results has one."""
_MOST_FILES = 2_000
"""Of a package of somebody else's that are looked at."""


def run_key(scenario: str, scheme: str, seed: int, warm_up: float) -> str:
    """The key of one run, hexadecimal, from the digests of its scenario and its scheme."""
    return _digest([FORMAT, edgebed_version(), code_digest(), scenario, scheme, seed, warm_up])


def scenario_digest(scenario: Scenario) -> str:
    """Of a scenario as it is run, with the sources of what is somebody else's in it; not of its name and note.

    Raises `ConfigError` for a source or a fault of somebody else's that cannot be imported.
    """
    plain = plain_scenario(scenario)
    testbed = json.loads(scenario.testbed.model_dump_json())
    plain["testbed"] |= {
        said: testbed[said] for said in ("power", "prices")
    }  # no decision rests on them, figures do
    for left_out in ("name", "note"):
        del plain[left_out]
    for source, given in zip(plain["workload"], scenario.workload, strict=True):
        if isinstance(trace := getattr(given, "trace", None), str):
            source["trace"] = _content(trace_path(trace))
    named = [(s.source, SOURCES) for s in scenario.workload if isinstance(s, OutsideSource)]
    named += [(e.fault, FAULTS) for e in scenario.events if isinstance(e, OutsideFault)]
    modules = [load(name, "class", group, []).__module__ for name, group in named]
    return _digest([plain, [_content(file) for module in modules for file in sorted(_sources(module))]])


def scheme_digest(scheme: Scheme) -> str:
    """Of a scheme: its row, and where it or a part of it is somebody else's, the sources of their packages."""
    plain = {name: value for name, value in asdict(scheme).items() if name != "summary"}
    modules = [part.find(name).__module__ for part, name in outsiders(scheme)]
    if scheme.name not in SCHEMES and ":" in scheme.name:
        modules.append(scheme.name.partition(":")[0])
    files = sorted({file for module in modules for file in _sources(module)})
    return _digest([plain, [_content(file) for file in files]])


@cache
def code_digest() -> str:
    """Of the code that runs are computed by."""
    return _digest([_content(file) for file in code_files()])


def code_files() -> list[Path]:
    """That code: also what is computed in other processes, the worlds in which a planner tries its plans."""
    roots = [Path(inspect.getfile(p)).parent for p in (emulation, controller, workloads, edgebed.wiring)]
    files = [f for root in roots for f in sorted(root.rglob("*")) if f.suffix in _CODE]
    runs = Path(edgebed.wiring.__file__ or "").parents[1] / "runs"
    return [*files, Path(__file__).with_name("figures.py"), *(runs / name for name in _RUNS)]


def _sources(module: str) -> Iterator[Path]:
    """The files of the package that a module belongs to, its code and what it may read; of a module alone, the code
    and the weights beside it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return
    folder = Path(file).parent
    for _ in range(module.count(".") - (Path(file).name == "__init__.py")):
        folder = folder.parent
    alone = "." not in module and Path(file).name != "__init__.py"
    beside = (f for f in folder.iterdir() if f.suffix in (".py", *_WEIGHTS) and f.is_file())
    found: Iterable[Path] = beside if alone else _tops(folder, module)
    yield from sorted(found)[:_MOST_FILES]


def _tops(folder: Path, module: str) -> Iterator[Path]:
    """All of the topmost package but what is hidden, and but results of ours that lie in it."""
    top = folder / module.split(".")[0]
    for at, folders, files in os.walk(top if top.is_dir() else folder):
        if _RESULTS.intersection(files):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (Path(at, name) for name in files if Path(name).suffix in _OWN)


def _content(path: Path) -> str:
    with path.open("rb") as file:  # a trace may be larger than memory
        return file_digest(file, "sha256").hexdigest()


def _digest(plain: Any) -> str:
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()
