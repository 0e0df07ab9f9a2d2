"""What a run costs when it gets larger: nodes, requests, what waits in a queue; and the memory of a long one.

    python -m benchmarks.growth [--quick]
    python -m benchmarks.growth --requests N [--devices N]

Every row doubles one thing and leaves the others: the ratio of CPU times is to be 2.3 at most. The second form runs
one long scenario, its record written to a temporary folder, and prints the peak memory of the process after each tenth
of it: what does not rise is not kept.
"""

from __future__ import annotations

import argparse
import gc
import resource
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from benchmarks.engine import device_pool
from edgebed.runs.virtual import simulate
from emulation.domain.scenario import Scenario
from emulation.engine.run import SimulationProgress
from emulation.recording import JsonlSink
from workloads.generate import Arrivals

SCHEME = "e3-prior"
"""Shortest completion by the profile: looks at every device for every request, and learns nothing."""
LIMIT = 2.3


def with_nodes(nodes: int) -> Scenario:
    """So many devices, and as many requests for any number of them."""
    return device_pool(nodes, 2_000)


def with_requests(requests: int) -> Scenario:
    """So many requests over 100 devices."""
    return device_pool(100, requests)


def with_queue(waiting: int) -> Scenario:
    """One device, at which so many requests arrive within a second and then wait for hours."""
    pool = device_pool(1, 1_000)
    source = pool.workload[0].model_copy(update={"rate_per_s": float(waiting)})
    update = {"workload": (source,), "slot_s": 1.0, "slots": 1, "tail_slots": 0}
    return Scenario.model_validate(pool.model_copy(update=update).model_dump())


GROWING: dict[str, tuple[Callable[[int], Scenario], tuple[int, ...]]] = {
    "nodes": (with_nodes, (1_000, 2_000, 4_000)),
    "requests": (with_requests, (5_000, 10_000, 20_000)),
    "queue": (with_queue, (25_000, 50_000, 100_000)),
}


def cpu_s(scenario: Scenario) -> float:
    """CPU seconds of a run, its testbed looked up beforehand."""
    next(iter(Arrivals(scenario, 0)))
    gc.collect()
    begun = process_time()
    simulate(scenario, SCHEME, 0)
    return process_time() - begun


def growth(what: str, runs: int, shrink: int = 1) -> dict[str, Any]:
    """Sizes, median CPU seconds, and the ratios of neighbouring sizes."""
    make, sizes = GROWING[what]
    sizes = tuple(size // shrink for size in sizes)
    scenarios = [make(size) for size in sizes]
    spans = [[cpu_s(scenario) for scenario in scenarios] for _ in range(runs)]
    return {
        "what": what,
        "sizes": sizes,
        "cpu_s": [median(column) for column in zip(*spans, strict=True)],
        "ratios": [median(row[i + 1] / row[i] for row in spans) for i in range(len(sizes) - 1)],
    }


def run(quick: bool = False) -> dict[str, Any]:
    """Every row, and whether it stays below the limit."""
    rows = [growth(what, 1 if quick else 3, 10 if quick else 1) for what in GROWING]
    ratios = [
        {"name": f"twice the {row['what']}", "value": max(row["ratios"]), "target": LIMIT, "at_least": False}
        for row in rows
    ]
    return {"growth": rows, "ratios": ratios}


def long_run(requests: int, devices: int) -> list[tuple[int, float, float]]:
    """Requests that ended, CPU seconds and peak memory, MB, at each tenth of one long run; and at its end."""
    seen: list[tuple[int, float, float]] = []
    begun = process_time()

    def look(progress: SimulationProgress) -> None:
        if progress.ended >= len(seen) * requests / 10:
            seen.append((progress.ended, process_time() - begun, _peak_mb()))

    with TemporaryDirectory() as folder:
        sink = JsonlSink(Path(folder))
        footer = simulate(device_pool(devices, requests), SCHEME, 0, sink, on_slot=look)
        sink.close()
    seen.append((sum(sum(e.values()) for e in footer.ends.values()), process_time() - begun, _peak_mb()))
    return seen


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the rows, or a long run."""
    asked = argparse.ArgumentParser(description="What a run costs when it gets larger.")
    asked.add_argument("--quick", action="store_true", help="a tenth of the sizes, once")
    asked.add_argument("--requests", type=int, help="one long run of so many requests")
    asked.add_argument("--devices", type=int, default=100)
    args = asked.parse_args()
    if args.requests is not None:
        for ended, spent_s, peak_mb in long_run(args.requests, args.devices):
            print(f"{ended:>10,} ended {spent_s:9.1f} CPU s {peak_mb:8.1f} MB at most so far", flush=True)
        return
    for row in run(args.quick)["growth"]:
        ratios = ", ".join(f"{ratio:.2f}" for ratio in row["ratios"])
        spent = ", ".join(f"{size:,}: {s:.2f}" for size, s in zip(row["sizes"], row["cpu_s"], strict=True))
        print(f"{row['what']:9} CPU s {spent}; twice as many takes {ratios} times as long", flush=True)


if __name__ == "__main__":
    main()
