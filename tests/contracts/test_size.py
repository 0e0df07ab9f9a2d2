"""Nothing grows beyond what one can hold in mind: 22 methods of a class, 350 lines of a file.

What is beyond it today stands below with its reason, and may become no larger. What no longer is must go from the list.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.build.sources import statements

ROOT = Path(__file__).parents[2]
PACKAGES = ("emulation", "controller", "workloads", "serve_apps", "edgebed", "benchmarks")
METHODS, LINES = 22, 350
CLASSES = {
    "emulation/engine/run.py:Simulation": (31, "a handler of one line or few for every event of the kernel"),
    "emulation/engine/deciding.py:Deciding": (27, "three loops that wait for each other, one handler per step"),
    "controller/fast_path.py:FastPath": (23, "the port of routing, 12 methods, over one view of the testbed"),
    "controller/loop.py:ControlLoop": (23, "the half are one-line defaults that its three subclasses replace"),
    "controller/meta/controller.py:MetaController": (33, "two ports in one object: 15 only pass on to the fast path"),
    "controller/meta/steered.py:SteeredFastPath": (23, "one per figure or tool that the meta-controller is offered"),
    "controller/pool.py:Pool": (24, "what routers may ask of their candidates, one method per figure"),
    "controller/short_pool.py:ShortPool": (23, "Pool by lists: the same methods"),
    "serve_apps/deciders/events.py:EventPlayer": (27, "an actor's calls and one step per kind of event"),
    "serve_apps/deciders/host.py:Host": (25, "an actor's calls, and six one-line hooks of its three subclasses"),
    "serve_apps/gateway/server/connection.py:Connection": (27, "asyncio's seven calls, and the states of HTTP/1.1"),
    "serve_apps/node/core.py:NodeCore": (23, "an actor: one method per message, each short"),
    "serve_apps/records/books.py:Books": (25, "entries, segments and the end of a run over one set of files"),
    "serve_apps/records/recorder.py:Recorder": (30, "an actor: one method per message; books are classes of their own"),
}  # fmt: skip
"""File and class to how many methods it may have, and why."""
FILES = {
    "emulation/engine/run.py": (
        356,
        "the one class of it, and what a run is begun from",
    ),
    "serve_apps/records/recorder.py": (
        385,
        "an actor: one method per message, and the steps of the end of a run",
    ),
    "edgebed/commands/main.py": (
        361,
        "the options of the three commands that run something, a line of help each",
    ),
    "serve_apps/testbed/ray_cluster.py": (
        355,
        "the three ways to have a Ray, which differ in a few lines each",
    ),
}
"""File to how many lines it may have, and why."""


@cache
def sizes() -> tuple[dict[str, int], dict[str, int]]:
    """Methods of every class in a file that has enough functions for one too many, and lines of every file."""
    classes: dict[str, int] = {}
    files: dict[str, int] = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = file.relative_to(ROOT).as_posix()
            lines = file.read_text().splitlines()
            files[name] = len(lines)
            functions = sum("def " in line for line in lines)
            for node in statements(file) if functions > METHODS else ():
                if isinstance(node, ast.ClassDef):
                    own = sum(isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body)
                    classes[f"{name}:{node.name}"] = own
    return classes, files


def beyond(found: dict[str, int], most: int, excepted: dict[str, tuple[int, str]]) -> list[str]:
    """What is larger than it may be, and exceptions that nobody needs."""
    allowed = {name: count for name, (count, _) in excepted.items()}
    grown = [
        f"{n}: {c}, at most {allowed.get(n, most)}" for n, c in found.items() if c > allowed.get(n, most)
    ]
    idle = [f"{n}: needs no exception any more" for n in excepted if found.get(n, 0) <= most]
    return grown + idle


def test_no_class_has_more_methods_than_it_may() -> None:
    assert beyond(sizes()[0], METHODS, CLASSES) == []


def test_no_file_has_more_lines_than_it_may() -> None:
    assert beyond(sizes()[1], LINES, FILES) == []


def test_every_exception_has_its_reason() -> None:
    assert all(len(reason.split()) > 4 for _, reason in [*CLASSES.values(), *FILES.values()])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"new": 23}, ["new: 23, at most 22", "old: needs no exception any more"]),
        ({"old": 26}, ["old: 26, at most 25"]),
        ({"old": 25}, []),
        ({"old": 22}, ["old: needs no exception any more"]),
    ],
)
def test_what_is_new_grown_or_idle_is_said(found: dict[str, int], said: list[str]) -> None:
    assert beyond(found, 22, {"old": (25, "it was so")}) == said
