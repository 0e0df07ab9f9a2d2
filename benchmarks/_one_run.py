"""Another checkout's side of `where`: runs what it is told, one line each, and prints the CPU seconds of it.

Run as a script with PYTHONPATH at that checkout; it asks of it no more than `simulate` and `load_scenario`, which it
finds in checkouts of some age too.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from time import process_time
from typing import Any


def simulate() -> Any:
    """The function that runs one scheme, wherever this checkout keeps it."""
    try:
        return import_module("edgebed.runs.virtual").simulate
    except ModuleNotFoundError:
        return import_module("edgebed.virtual").simulate


def timed(scenario: Any, scheme: str, run: Any) -> float:
    """CPU seconds of one run from a loaded scenario to its closed books, no record kept."""
    gc.collect()
    begun = process_time()
    run(scenario, scheme, 0)
    return process_time() - begun


def main() -> None:
    """Answer every line `scenario scheme` with CPU seconds."""
    run, load = simulate(), import_module("emulation.files").load_scenario
    for line in sys.stdin:
        name, scheme = line.split()
        print(timed(load(name), scheme, run), flush=True)


if __name__ == "__main__":
    main()
