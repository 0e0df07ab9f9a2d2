"""Every picture of a comparison, for the page, for notebooks and for papers alike."""

from __future__ import annotations

from edgebed.report import plots, plots_serving, plots_tenants, plots_time, timelines
from edgebed.report.model import Comparison
from edgebed.report.theme import Drawing


def of_all(comparison: Comparison) -> dict[str, Drawing]:
    """Pictures in which all schemes stand, by name; one for which nothing was measured is left out."""
    found = (
        plots_time.latency_over_time(comparison),
        plots_time.load_over_time(comparison),
        plots.latency_distribution(comparison),
        plots.latency_against_fairness(comparison),
        plots.per_model(comparison),
        plots.ends_by_outcome(comparison),
        plots_serving.serving_distribution(comparison),
        plots_tenants.tenants_served(comparison),
    )
    return {picture.name: picture for picture in found if picture is not None}


def of_executors(comparison: Comparison) -> dict[str, Drawing]:
    """What the executors did in the first run of each scheme, by the scheme's label."""
    found = {}
    for i, (name, results) in enumerate(comparison.schemes.items()):
        label = comparison.label(name)
        picture = timelines.executor_modes(results[0].run, f"modes-{i}", label)
        if picture is not None:
            found[label] = picture
    return found


def pictures(comparison: Comparison) -> dict[str, Drawing]:
    """All of them by name: `latency-over-time`, `per-model`, ..., and `modes-0` for the first scheme."""
    return of_all(comparison) | {picture.name: picture for picture in of_executors(comparison).values()}
