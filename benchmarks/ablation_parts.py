"""What each part of `fused` is worth, from the runs of the ablation: a row for each scheme that lacks or adds one.

    python -m benchmarks.ablation_parts [RUNS]      # the runs.csv of `edgebed matrix benchmarks/ablation.yaml`

Penalised latency less that of `fused` on the same requests (pairs by seed), in per cent of its mean in that world.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebed.report.stats import Interval, mean_interval, paired_difference

RUNS = Path(__file__).with_name("results") / "ablation.csv"
WHOLE = "fused"
ROWS = {
    "NO_PLANNER": "planner",
    "NO_LEARNED_LAWS": "learned laws",
    "NO_COURTESY": "courtesy",
    "NO_ADMISSION": "admission",
    "AT_THE_MEDIAN": "the quantile (at the median)",
    "NO_EXPLORATION": "exploration",
    "NO_META": "meta-controller",
    "NO_LIMITS": "limits",
    "WITH_MEMORY": "(with) case memory",
    "SHORT_LIST": "(with) a short list emulated",
}
"""Schemes of `benchmarks.ablation`, and what each lacks or adds."""
Figures = Mapping[str, Mapping[str, Mapping[int, float]]]
"""World, scheme, seed: the figure."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What one part is worth: over the worlds, and in each."""

    over: Interval
    """Of the worlds' means, per cent."""
    latency: Mapping[str, Interval]
    """By world, per cent."""
    success: Mapping[str, float]
    """By world, points."""


def read_runs(file: Path) -> tuple[Figures, Figures]:
    """Penalised latency, s, and success ratio of every run of a matrix's `runs.csv`."""
    latency: dict[str, dict[str, dict[int, float]]] = {}
    success: dict[str, dict[str, dict[int, float]]] = {}
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            scheme, seed = row["scheme"].split(":")[-1], int(row["seed"])
            for found, name in ((latency, "penalised_latency_s"), (success, "success_ratio")):
                found.setdefault(row["scenario"], {}).setdefault(scheme, {})[seed] = float(row[name])
    return latency, success


def worth(scheme: str, latency: Figures, success: Figures) -> Worth:
    """Of the part that a scheme lacks or adds. Raises `ValueError` where a world has not all seeds of both."""
    found: dict[str, Interval] = {}
    points: dict[str, float] = {}
    for world, schemes in latency.items():
        whole, other = schemes.get(WHOLE, {}), schemes.get(scheme, {})
        if not whole or whole.keys() != other.keys():
            raise ValueError(
                f"{world}: {scheme} has {len(other)} runs and {WHOLE} has {len(whole)}; "
                "`edgebed matrix` with the same folder makes those that are missing"
            )
        base = sum(whole.values()) / len(whole) / 100
        found[world] = _sure(
            paired_difference(
                {s: v / base for s, v in other.items()}, {s: v / base for s, v in whole.items()}
            )
        )
        points[world] = 100 * _sure(paired_difference(success[world][scheme], success[world][WHOLE])).mean
    return Worth(_sure(mean_interval([interval.mean for interval in found.values()])), found, points)


def table(latency: Figures, success: Figures) -> str:
    """Markdown. Worlds whose own interval leaves out 0 are named; success where it differs by a point or more."""
    lines = ["| without | over worlds | tells in |", "|---|---:|---|"]
    for scheme, name in ROWS.items():
        part = worth(scheme, latency, success)
        lines.append(f"| {name} | {_plus_minus(part.over)} | {', '.join(_telling(part)) or 'none'} |")
    return "\n".join(lines)


def _telling(part: Worth) -> Iterable[str]:
    for world in sorted(part.latency):
        if not part.latency[world].excludes_zero:
            continue
        points = part.success[world]
        said = f" (success {_signed(points)} points)" if abs(points) >= 1 else ""
        yield f"{world} {_signed(part.latency[world].mean)}{said}"


def _plus_minus(interval: Interval) -> str:
    half = "" if interval.half is None else f" ± {interval.half:.1f}"
    return f"{_signed(interval.mean)}%{half}"


def _signed(value: float) -> str:
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", "−")


def _sure(interval: Interval | None) -> Interval:
    if interval is None:
        raise ValueError("there is no run to compare")
    return interval


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a file of runs."""
    asked = argparse.ArgumentParser(
        description="What each part of fused is worth, by the runs of an ablation."
    )
    asked.add_argument(
        "runs", type=Path, nargs="?", default=RUNS, help="runs.csv of an ablation (default: %(default)s)"
    )
    runs: Path = asked.parse_args(arguments).runs
    try:
        print(table(*read_runs(runs)))
    except (OSError, ValueError, KeyError) as error:
        asked.exit(2, f"{runs} is not the runs of an ablation: {error}\n")


if __name__ == "__main__":
    main()
