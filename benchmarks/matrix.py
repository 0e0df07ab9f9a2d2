"""The matrix of the README: runs the shipped plan and keeps its result beside the benchmarks, the picture in docs.

`python -m benchmarks.matrix` goes on where it was cut. What is kept follows from plan and version, but for the measured
costs. The README's table is the first one of `matrix.md`; a test holds the two together.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgebed.commands.main import main as edgebed
from edgebed.places import runs_folder
from emulation.recording import write_whole

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "results" / "matrix"
PICTURE = ROOT / "docs" / "images" / "matrix-ranks.png"
FILES = ("matrix.md", "cells.csv", "costs.md")


def main() -> None:
    """Run, then keep; leaves with the exit code of the command if that is not 0, and keeps nothing then."""
    folder = runs_folder() / "matrix-standard"
    sys.argv = ["edgebed", "matrix", "standard", "--out", str(folder)]
    try:
        edgebed()
    except SystemExit as ended:
        if ended.code:
            raise
    KEPT.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        text = (folder / name).read_text(encoding="utf-8")
        write_whole(
            KEPT / name,
            text.replace("critical-difference.png", "../../../docs/images/matrix-ranks.png").encode(),
        )
    write_whole(PICTURE, (folder / "critical-difference.png").read_bytes())


if __name__ == "__main__":
    main()
