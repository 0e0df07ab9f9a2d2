"""A run as the recorder is told of it, without anything that lives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import RunPlan
from tests.build.fakes import device_testbed, header, scenario

WORLD = scenario(device_testbed())


def started_clock(speedup: float, ago_s: float = 0.0) -> LiveClock:
    """The clock of a run that began so many wall seconds ago."""
    return LiveClock(speedup, time.time() - ago_s)


def plan(folder: Path, run_id: str = "run") -> RunPlan:
    """The plan of a run whose record is in `folder`."""
    nobody: Any = None
    return RunPlan(
        run_id=run_id, scenario=WORLD, seed=0, header=header(WORLD), truth=nobody, fast_path=nobody,
        folder=str(folder),
    )  # fmt: skip
