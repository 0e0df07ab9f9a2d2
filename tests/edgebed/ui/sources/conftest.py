"""Runs recorded once for every test here: short, with faults of every kind that a map shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.layout import Layout
from edgebed.runs.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.recording import JsonlSink
from tests.build.small import small_scenario

EVENTS: list[dict[str, Any]] = [
    {"kind": "slowdown", "node": "arc-b60", "factor": 2.5, "at_s": 10, "until_s": 30},
    {"kind": "slowdown", "node": "arc-b60", "model": "gpt2", "factor": 2.0, "at_s": 20, "until_s": 40},
    {"kind": "pause", "node": "jetson-thor", "at_s": 25, "until_s": 35},
    {"kind": "leave", "node": "thinkedge", "at_s": 40, "until_s": 60},
]
SCHEMES = ("AL", "MA", "e3")


def recorded(root: Path, scenario: Scenario, scheme: str, seed: int = 0) -> Path:
    """The folder of a run of the virtual world, with all that a comparison leaves beside it."""
    layout = Layout(root)
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.save_scenario(scenario)
    sink = JsonlSink(layout.run_folder(scheme, seed))
    simulate(scenario, scheme, seed, sink)
    sink.close()
    return layout.run_folder(scheme, seed)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `edgebed compare` leaves it, of three schemes."""
    folder = tmp_path_factory.mktemp("recorded")
    for scheme in SCHEMES:
        recorded(folder, small_scenario(events=EVENTS), scheme)
    return folder


@pytest.fixture(params=SCHEMES)
def folder(root: Path, request: pytest.FixtureRequest) -> Path:
    """One run of it, of each scheme in turn."""
    return Layout(root).run_folder(request.param, 0)
