"""Offline calibration of the Lyapunov deployer, after MA section VI-2 ("obtained via an offline calibration phase").

The paper: Tier-2 runs under randomised routing while windowed end-to-end latency, GPU utilisation and flip frequency
are watched; p1 and p2 follow the imbalance of latency and headroom, lambda_churn and kappa are tuned against excessive
reconfiguration; after several iterations all are frozen and shared by all servers. It gives no formula: the rules
below, the step, and that a move must lower J of eq. 10 on the calibration seeds to be kept, are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from math import exp
from statistics import fmean, median
from typing import Any

from pydantic import ValidationError

from controller.deployers.lyapunov import LyapunovConfig
from edgebed.calibrate.windows import RunStats, deployed_nodes, run_stats
from edgebed.runs.pool import each
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.parts import find_scheme
from emulation.domain.complaints import complaint
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, did_you_mean

Coefficients = dict[str, float]

PAPERS = ("p1", "p2", "churn", "kappa")
"""What the paper states rules for; the default of `tune`."""
FLOORS = ("f0", "f0_cpu", "f0_mem", "f0_gpu")
WEIGHTS = ("alpha_cpu", "alpha_gpu_small_text", "alpha_gpu_large_text", "alpha_gpu_image")
FIGURES = tuple(f.name for f in fields(RunStats) if f.name != "windows")
"""The figures of a whole run."""
TUNABLE = (*PAPERS, "v", "p0", *FLOORS, *WEIGHTS)

_LEAST = 0.01
"""Where a coefficient that is 0 starts from: moves are factors."""
_LEAST_STEP = 0.04
"""A group whose step has become smaller than this is settled."""
_GAIN = 1e-6
"""J must fall by more than this for a move to be kept."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to calibrate; everything here is ours."""

    scheme: str = "RL"
    """Tier-2 under randomised routing."""
    seeds: tuple[int, ...] = tuple(range(1000, 1006))
    iterations: int = 8
    window_slots: int = 10
    step: float = 0.7
    """Largest change of the logarithm of a coefficient in one move."""
    flip_target: float = 0.1
    """Flips per node and slot above which reconfiguration counts as excessive."""
    tune: tuple[str, ...] = PAPERS


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of the table: a set of coefficients, what it gave, and whether it was kept."""

    iteration: int
    """0: the start."""
    moved: tuple[str, ...]
    coefficients: Coefficients
    measured: RunStats
    kept: bool


@dataclass(frozen=True, slots=True)
class CalibratedCoefficients:
    """The outcome; `parameters` is what goes under `controllers: {lyapunov: ...}`."""

    trials: tuple[Trial, ...]
    start: Coefficients
    final: Coefficients
    parameters: dict[str, Any]

    @property
    def best(self) -> RunStats:
        """What the final coefficients gave on the calibration seeds."""
        return next(t.measured for t in reversed(self.trials) if t.kept)


Direction = Callable[[RunStats, Settings], Coefficients]
"""From what was watched to where each coefficient of a group should go, in [-1, 1]."""


@dataclass(slots=True)
class _Group:
    """Coefficients that move together, and how far they go at present."""

    names: tuple[str, ...]
    direction: Direction
    step: float
    sign: float = 1.0
    settled: bool = False

    def failed(self) -> None:
        """The other way next; half as far once both ways have failed."""
        self.sign = -self.sign
        if self.sign > 0:
            self.step /= 2.0
            self.settled = self.step < _LEAST_STEP


def prices(measured: RunStats, _: Settings) -> Coefficients:
    """p1 and p2 from the imbalance of latency and headroom.

    p1: latency (share of the deadline) less GPU utilisation, mean over windows. Positive, work waits while vGPUs have
    headroom: a saturated GPU must become cheaper. Negative: dearer.
    p2: latency of image requests less that of text requests. Positive: images wait longer, so vGPUs must become
    cheaper where images are what waits. Negative: dearer.
    """
    windows = measured.windows
    return {
        "p1": -_gap((w.latency, w.gpu_utilisation) for w in windows),
        "p2": -_gap((w.latency_image, w.latency_text) for w in windows),
    }


def _gap(pairs: Iterable[tuple[float | None, float | None]]) -> float:
    """Twice the mean difference of the pairs that were measured, within [-1, 1]; 0 without any."""
    apart = [a - b for a, b in pairs if a is not None and b is not None]
    return _held(2.0 * fmean(apart)) if apart else 0.0


def churn(measured: RunStats, settings: Settings) -> Coefficients:
    """lambda_churn from the flips in calm windows, kappa (which weighs the backlog) from those in congested ones.

    Flips per node and slot relative to the target: above it the coefficient rises, below it falls. A window is
    congested if its latency is above the median of all windows.
    """
    known = [w for w in measured.windows if w.latency is not None]
    middle = median([w.latency or 0.0 for w in known]) if known else 0.0
    calm = [w.flips for w in known if (w.latency or 0.0) <= middle]
    congested = [w.flips for w in known if (w.latency or 0.0) > middle]

    def excess(flips: Sequence[float]) -> float:
        return _held((fmean(flips) - settings.flip_target) / settings.flip_target) if flips else 0.0

    return {"churn": excess(calm), "kappa": excess(congested)}


def calibrate(
    scenario: Scenario,
    settings: Settings,
    workers: int | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> CalibratedCoefficients:
    """Calibrate on a scenario, starting from its own coefficients. Deterministic in (scenario, settings).

    Each iteration moves each group once: (p1, p2) and (lambda_churn, kappa) where their statistics point, every other
    coefficient by itself, upwards first. A move that does not lower the mean J is taken back and tried the other way
    next, then half as far. Raises `ConfigError` for settings or scenarios this cannot work with.
    """
    given = check(scenario, settings)
    now = start = {name: _start(given, name) for name in settings.tune}
    best = _measure(scenario, settings, now, workers)
    trials: list[Trial] = []

    def note(trial: Trial) -> None:
        trials.append(trial)
        if on_trial is not None:
            on_trial(trial)

    note(Trial(0, (), now, best, True))
    groups = _groups(settings)
    for iteration in range(1, settings.iterations + 1):
        for group in groups:
            tried = now if group.settled else _moved(now, group, best, settings)
            if tried == now:
                if not group.settled:
                    group.failed()
                continue
            found = _measure(scenario, settings, tried, workers)
            kept = found.objective < best.objective - _GAIN
            note(Trial(iteration, group.names, tried, found, kept))
            if kept:
                now, best = tried, found
            else:
                group.failed()
        if all(group.settled for group in groups):
            break
    return CalibratedCoefficients(
        tuple(trials), start, now, {**scenario.controllers.get("lyapunov", {}), **now}
    )


def check(scenario: Scenario, settings: Settings) -> LyapunovConfig:
    """The scenario's own coefficients, if it and the settings can be worked with. Raises `ConfigError`."""
    if scenario.deadline_s is None:
        raise ConfigError(f"scenario {scenario.name!r} has no deadline_s; J of MA eq. 10 needs one")
    if deployed_nodes(scenario.testbed) == 0:
        raise ConfigError(f"scenario {scenario.name!r}: no node hosts pods, so there is nothing to deploy")
    if find_scheme(settings.scheme).deployer != "lyapunov":
        raise ConfigError(f"--scheme {settings.scheme}: does not deploy by Lyapunov; take RL, AL, LL or MAL")
    if not settings.tune:
        raise ConfigError("--tune names no coefficient; for example p1,p2")
    for name in settings.tune:
        if name not in TUNABLE:
            raise ConfigError(f"--tune: unknown coefficient {name!r}; {did_you_mean(name, TUNABLE)}")
    if len(set(settings.tune)) != len(settings.tune):
        raise ConfigError(f"--tune {','.join(settings.tune)} names a coefficient twice")
    try:
        return LyapunovConfig.model_validate(scenario.controllers.get("lyapunov", {}))
    except ValidationError as error:
        said = complaint(LyapunovConfig, error, root="controllers.lyapunov")
        raise ConfigError(f"scenario {scenario.name!r}: {said}") from error


def with_parameters(scenario: Scenario, parameters: Mapping[str, Any]) -> Scenario:
    """The scenario with these parameters of the Lyapunov deployer over its own."""
    merged = {**scenario.controllers.get("lyapunov", {}), **parameters}
    return scenario.model_copy(update={"controllers": {**scenario.controllers, "lyapunov": merged}})


def stats_of(scenario: Scenario, scheme: str, window_slots: int, seed: int) -> tuple[int, RunStats]:
    """One run: its seed and its figures."""
    return seed, run_stats(simulate_in_memory(scenario, scheme, seed), scenario, window_slots)


def _measure(
    scenario: Scenario, settings: Settings, coefficients: Coefficients, workers: int | None
) -> RunStats:
    work = partial(stats_of, with_parameters(scenario, coefficients), settings.scheme, settings.window_slots)
    by_seed = dict(each(work, settings.seeds, workers))
    runs = [by_seed[seed] for seed in settings.seeds]
    means = {name: mean_known([getattr(r, name) for r in runs]) for name in FIGURES}
    windows = tuple(w for r in runs for w in r.windows)
    return RunStats(**means, windows=windows)  # type: ignore[arg-type]  # J and flips always have a mean


def mean_known(values: Sequence[float | None]) -> float | None:
    """Mean of what was measured, None if nothing was."""
    known = [v for v in values if v is not None]
    return fmean(known) if known else None


def _groups(settings: Settings) -> list[_Group]:
    ruled: list[tuple[tuple[str, ...], Direction]] = [(("p1", "p2"), prices), (("churn", "kappa"), churn)]
    groups = []
    for names, direction in ruled:
        tuned = tuple(n for n in names if n in settings.tune)
        if tuned:
            groups.append(_Group(tuned, direction, settings.step))
    alone = [n for n in settings.tune if n not in PAPERS]
    return [*groups, *(_Group((n,), partial(_upwards, n), settings.step) for n in alone)]


def _upwards(name: str, _: RunStats, __: Settings) -> Coefficients:
    return {name: 1.0}


def _moved(now: Coefficients, group: _Group, measured: RunStats, settings: Settings) -> Coefficients:
    towards = group.direction(measured, settings)
    changed = {
        name: _within(name, max(now[name], _LEAST) * exp(group.sign * group.step * towards[name]))
        for name in group.names
    }
    return {**now, **changed}


def _within(name: str, value: float) -> float:
    """Four significant digits, so that what is written is what was measured; a floor is at most 1."""
    return float(f"{min(value, 1.0 if name in FLOORS else 1e6):.4g}")


def _start(given: LyapunovConfig, name: str) -> float:
    value = getattr(given, name)
    return float(given.f0 if value is None else value)


def _held(value: float) -> float:
    return min(max(value, -1.0), 1.0)
