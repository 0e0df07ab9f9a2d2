"""Start against result on seeds that the calibration never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from edgebed.calibrate.lyapunov import CalibratedCoefficients, Settings, stats_of, with_parameters
from edgebed.calibrate.windows import RunStats
from edgebed.report.stats import Interval, mean_interval, paired_difference
from edgebed.runs.pool import each
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError

SCHEMES = ("RL", "AL")
"""Random and uniform routing over the same deployer."""
FIGURES = ("objective", "mean_latency_s", "fairness_norm", "success_ratio", "flips_per_slot")


@dataclass(frozen=True, slots=True)
class EvaluatedFigure:
    """One figure of one scheme with the coefficients of the start and those found."""

    scheme: str
    figure: str
    start: Interval | None
    found: Interval | None
    difference: Interval | None
    """found - start over the same seeds."""


def check_seeds(settings: Settings, count: int) -> None:
    """Raise `ConfigError` if a seed would be used for both."""
    shared = set(settings.seeds) & set(range(count))
    if shared:
        raise ConfigError(
            f"--evaluate {count} uses seeds 0 to {count - 1}, but {min(shared)} is a calibration seed;"
            f" give --first-seed {count} or more"
        )


def evaluated(scenario: Scenario, calibrated: CalibratedCoefficients, count: int) -> list[EvaluatedFigure]:
    """Every figure of `FIGURES`, per scheme, on seeds 0 to count - 1."""
    rows = []
    for scheme in SCHEMES:
        start = _by_seed(with_parameters(scenario, calibrated.start), scheme, count)
        found = _by_seed(with_parameters(scenario, calibrated.final), scheme, count)
        rows += [_row(scheme, figure, start, found) for figure in FIGURES]
    return rows


def _by_seed(scenario: Scenario, scheme: str, count: int) -> dict[int, RunStats]:
    work = partial(stats_of, scenario, scheme, scenario.slots)
    return dict(sorted(each(work, range(count))))


def _row(
    scheme: str, figure: str, start: Mapping[int, RunStats], found: Mapping[int, RunStats]
) -> EvaluatedFigure:
    before = {seed: getattr(stats, figure) for seed, stats in start.items()}
    after = {seed: getattr(stats, figure) for seed, stats in found.items()}
    return EvaluatedFigure(
        scheme,
        figure,
        mean_interval(list(before.values())),
        mean_interval(list(after.values())),
        paired_difference(after, before),
    )
