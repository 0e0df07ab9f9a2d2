"""Where the time of a run in virtual time goes, by part, on every shipped testbed; and beside another checkout.

    python -m benchmarks.where [--quick] [--against FOLDER]

A table of microseconds per request and per slot. The whole is CPU time, the median over runs; its parts are how often
a sampler, every half millisecond, finds the stack there, so that the code runs at its own speed. A sample belongs to
the innermost function of the stack that `PARTS` names. Compiled functions leave no frames: there only the whole counts.

With `--against`, both sides take turns in one run (A B A B), each in a process of its own, and the ratio is the median
over neighbours. A folder is made by `git worktree add --detach FOLDER COMMIT`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import _one_run
from edgebed.runs.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario

CASES = (
    ("bristol-A", "RF"), ("bristol-A", "AL"), ("bristol-A", "MA"), ("bristol-A", "sect"), ("w-star", "AL"),
    ("demo", "MA"), ("e3-semantic-a", "e3"), ("e3-churn", "e3"), ("e3-drift", "e3"), ("gpt2-cpu", "e3"),
)  # fmt: skip
"""Scenario and scheme: every shipped testbed, and what the issue of speed is judged by."""
SAMPLE_S = 0.0005
PARTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "set-up": (("wiring/controllers.py", ""), ("engine/run.py", "__init__"), ("runs/virtual.py", "simulate")),
    "requests drawn": (("workloads/generate.py", ""), ("workloads/mismatch.py", "")),
    "arrivals": (("engine/run.py", "_arrive"), ("engine/run.py", "_next_arrival")),
    "route": (("controller/fast_path.py", "route"), ("meta/controller.py", "route")),
    "dispatch": (
        ("controller/fast_path.py", "dispatched"), ("meta/controller.py", "dispatched"),
        ("engine/run.py", "_dispatch"), ("executor/node.py", "submit"),
    ),
    "service": (("engine/run.py", "_wake"), ("engine/run.py", "_settle"), ("engine/run.py", "_played")),
    "completion and learning": (("engine/run.py", "_deliver"), ("engine/run.py", "_returned")),
    "record": (("emulation/ledger.py", ""), ("engine/run.py", "_close")),
    "telemetry": (
        ("executor/node.py", "view"), ("engine/deciding.py", "_snapshot"), ("engine/run.py", "_hear_changed"),
    ),
    "control": (
        ("engine/deciding.py", ""), ("controller/loop.py", ""), ("controller/meta/invocations.py", ""),
        ("engine/meta.py", ""), ("executor/node.py", "configure"),
    ),
    "events": (("engine/kernel.py", ""), ("engine/run.py", "_tick"), ("engine/run.py", "run")),
}  # fmt: skip
"""Part to its ways in: the end of a file's name, and a function there, or all of them."""


def part_of(frame: FrameType | None) -> str:
    """The part that the innermost named function of this stack belongs to."""
    while frame is not None:
        code = frame.f_code
        for part, ways in PARTS.items():
            for file, function in ways:
                if function in ("", code.co_name) and code.co_filename.endswith(file):
                    return part
        frame = frame.f_back
    return "other"


@contextmanager
def sampled(counts: Counter[str]) -> Iterator[None]:
    """Meanwhile count the parts that a sampler finds the stack in."""

    def look(number: int, frame: FrameType | None) -> None:
        counts[part_of(frame)] += 1

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, SAMPLE_S, SAMPLE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def where(name: str, scheme: str, runs: int) -> dict[str, Any]:
    """The whole and the parts of one case, microseconds; of so many runs timed, and as many sampled."""
    scenario = load_scenario(name)
    footer = simulate(scenario, scheme, 0)
    whole_s = median(_one_run.timed(scenario, scheme, simulate) for _ in range(runs))
    counts: Counter[str] = Counter()
    with sampled(counts):
        for _ in range(runs):
            simulate(scenario, scheme, 0)
    requests, samples = sum(footer.arrived.values()), counts.total() or 1
    parts = {part: whole_s * 1e6 * counts[part] / samples for part in (*PARTS, "other")}
    return {
        "scenario": name,
        "scheme": scheme,
        "requests": requests,
        "slots": _slots(scenario, footer.t_s),
        "ms_per_run": whole_s * 1e3,
        "us": parts,
    }


def _slots(scenario: Scenario, end_s: float) -> int:
    return int(end_s // scenario.slot_s) + 1


def against(folder: Path, cases: Sequence[tuple[str, str]], pairs: int) -> dict[str, dict[str, float]]:
    """Case to the CPU time of a run there over that of one here, and both in milliseconds."""
    sides = [_side(folder), _side(Path(__file__).parents[1])]
    found: dict[str, dict[str, float]] = {}
    try:
        for name, scheme in cases:
            spans = [[_asked(side, name, scheme) for side in sides] for _ in range(pairs + 1)][1:]
            found[f"{name} {scheme}"] = {
                "there_ms": median(there for there, _ in spans) * 1e3,
                "here_ms": median(here for _, here in spans) * 1e3,
                "ratio": median(there / here for there, here in spans),
            }
    finally:
        for side in sides:
            side.kill()
            side.wait()
    return found


def _side(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder.resolve())}
    return subprocess.Popen(
        [sys.executable, _one_run.__file__],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder,
    )  # fmt: skip


def _asked(side: subprocess.Popen[str], name: str, scheme: str) -> float:
    assert side.stdin is not None
    assert side.stdout is not None
    side.stdin.write(f"{name} {scheme}\n")
    side.stdin.flush()
    answer = side.stdout.readline()
    if not answer:
        raise RuntimeError(f"{name} under {scheme} failed in {side.args!r}; its error is above")
    return float(answer)


def run(quick: bool = False) -> dict[str, Any]:
    """Every case, without another checkout."""
    return {"cases": [where(name, scheme, 5 if quick else 25) for name, scheme in CASES]}


def table(cases: Sequence[Mapping[str, Any]], per: str) -> Table:
    """Parts down, cases across; microseconds per request or per slot."""
    made = Table("part", title=f"microseconds of CPU time per {per.rstrip('s')}")
    for case in cases:
        made.add_column(f"{case['scenario']}\n{case['scheme']}", justify="right")
    for part in (*PARTS, "other"):
        made.add_row(part, *(f"{case['us'][part] / case[per]:.1f}" for case in cases))
    made.add_row("whole", *(f"{case['ms_per_run'] * 1e3 / case[per]:.1f}" for case in cases))
    return made


def main() -> None:
    """Print the tables."""
    asked = argparse.ArgumentParser(description="Where the time of a run in virtual time goes.")
    asked.add_argument("--quick", action="store_true", help="fewer runs, rougher figures")
    asked.add_argument("--against", type=Path, help="another checkout, timed in turn with this one")
    args = asked.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    cases = run(args.quick)["cases"]
    console.print(table(cases, "requests"), table(cases, "slots"))
    if args.against is not None:
        for case, side in against(args.against, CASES, 3 if args.quick else 15).items():
            console.print(
                f"{case:24} {side['there_ms']:8.1f} ms there {side['here_ms']:8.1f} ms here  ratio {side['ratio']:.2f}"
            )


if __name__ == "__main__":
    main()
