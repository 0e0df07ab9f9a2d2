"""`python -m benchmarks.faults [--only kind,kind] [--times N] [--again] [--no-save]`

Exit code 1 if a law is broken, or a fault did not land. Kinds that stand in the files as often as asked are not run
again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.faults import table
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.laws import Repetition, broken
from benchmarks.faults.run import run

DEFAULT_FOLDER = Path("runs/faults")


def main() -> int:
    """Run the kinds asked for, one after the other, writing the files after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument(
        "--only", default=",".join(KINDS), help="kinds, comma-separated; a prefix names several"
    )
    parser.add_argument("--times", type=int, default=20, help="repetitions of each kind (default 20)")
    parser.add_argument("--again", action="store_true", help="run kinds again that are there already")
    parser.add_argument("--no-save", action="store_true", help="leave the committed files as they are")
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="folder of what the runs write")
    given = parser.parse_args()
    kinds = [name for name in KINDS if any(name.startswith(part) for part in given.only.split(",") if part)]
    if not kinds or given.times < 1:
        parser.error(f"--only {given.only!r}, --times {given.times}: names none of {', '.join(KINDS)}")
    found, wrong = table.read(), 0
    for name in kinds:
        if given.again or len(found.get(name, ())) < given.times:
            commit = _commit()
            found[name] = [replace(r, commit=commit) for r in run(KINDS[name], given.times, given.out / name)]
            if not given.no_save:
                table.write(found)
        wrong += _say(name, found[name])
    return min(wrong, 1)


def _commit() -> str:
    """The last one that changed what is struck, with a `+` where it is not as committed; empty outside a checkout."""

    def git(*said: str) -> subprocess.CompletedProcess[str]:
        told = ["git", *said, "--", "controller", "edgebed", "emulation", "serve_apps", "workloads"]
        return subprocess.run(
            told, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
        )

    changed = git("diff", "--quiet", "HEAD").returncode == 1
    return git("log", "-1", "--format=%h").stdout.strip() + ("+" if changed else "")


def _say(name: str, rows: list[Repetition]) -> int:
    """A kind's row on standard output, and what is wrong on standard error; how many repetitions are."""
    print("  ".join(table.summary(name, rows)), flush=True)
    wrong = 0
    for row in rows:
        said = broken(row, KINDS[name].ends, KINDS[name].drops) if row.landed else ["did not land"]
        if said:
            wrong += 1
            print(f"{name} {row.number}: {', '.join(said)}", file=sys.stderr, flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
