"""What a testbed that only stands costs: CPU time of every process of it, by kind.

`python -m benchmarks.idle_cost [SCENARIO] [--seconds 60]`. CPU time is counted, not wall time, so a busy machine
matters little. The table of docs/explanation/idle-cost.md is made by it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.actors import kind_of_actor

SETTLES_S = 20.0
"""Wall seconds after which everything that a start brings with it is over."""
LIMIT_S = 300.0
"""Wall seconds a testbed has to stand, or to be gone."""
_RAYS = {
    "log_monitor": "Ray's log monitor",
    "dashboard/dashboard": "Ray's dashboard",
    "commands.main": "owner",
}


def main() -> None:
    """Stand a testbed up, look at it for a while, take it down, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="?", default="bristol-A")
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "EDGEBED_HOME": folder}
        out = ("--port", "0", "--json", "--out", str(Path(folder) / "run"))
        standing = orjson.loads(_edgebed(environment, "up", asked.scenario, *out))
        try:
            time.sleep(SETTLES_S)
            print(table(measured(psutil.Process(standing["pid"]), asked.seconds)))
        finally:
            _edgebed(environment, "down")


def measured(owner: psutil.Process, seconds: float) -> list[tuple[str, float]]:
    """(kind, share of a core) of a process and all below it, over so many wall seconds."""
    began, before = time.monotonic(), _cpu_s(owner)
    time.sleep(seconds)
    took_s, after = time.monotonic() - began, _cpu_s(owner)
    kinds = {pid: kind for pid, (kind, _) in before.items()}
    return [
        (kinds[pid], (used - before[pid][1]) / took_s) for pid, (_, used) in after.items() if pid in kinds
    ]


def table(shares: list[tuple[str, float]]) -> str:
    """Kinds of processes, the dearest first, in Markdown; shares of a core in percent."""
    count = Counter(kind for kind, _ in shares)
    total = {kind: 100 * sum(share for k, share in shares if k == kind) for kind in count}
    lines = ["| Process | How many | Each | Together |", "|---|---|---|---|"]
    for kind in sorted(total, key=lambda kind: -total[kind]):
        lines.append(f"| {kind} | {count[kind]} | {total[kind] / count[kind]:.2f}% | {total[kind]:.1f}% |")
    return "\n".join([*lines, f"| **all** | {len(shares)} | | **{sum(total.values()):.1f}%** |"])


def kind_of(command: str) -> str:
    """What a process is, by its command line."""
    actor = kind_of_actor(command)
    if actor is not None:
        return actor
    known = next((name for part, name in _RAYS.items() if part in command), None)
    return known or Path(command.split(" ", 1)[0]).name


def _cpu_s(owner: psutil.Process) -> dict[int, tuple[str, float]]:
    found = {}
    for process in (owner, *owner.children(recursive=True)):
        try:
            times: Any = process.cpu_times()
            found[process.pid] = kind_of(" ".join(process.cmdline())), times.user + times.system
        except psutil.Error:  # it has just ended
            continue
    return found


def _edgebed(environment: dict[str, str], *words: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "edgebed", *words],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=LIMIT_S,
    )
    return done.stdout


if __name__ == "__main__":
    main()
