"""Parameters of the performance models, as data."""

from __future__ import annotations

from typing import Annotated

from emulation.domain.quantities import CountOrNone, DeviationOrNone, Fraction, Range, Sigmas, SomeFraction
from emulation.domain.strict import Strict


class PriorConfig(Strict):
    """Parameters of `prior`."""

    relative_sd: Fraction = 0.5
    """Believed standard deviation of the true service time relative to the profiled one."""


class NnlsConfig(Strict):
    """Parameters of `nnls`."""

    window: Annotated[int, Range(2, 100_000, "requests")] = 60
    """Completions per key that count."""
    prior_weight: Annotated[float, Range(0.000001, 1_000_000, "requests")] = 1.0
    """Pseudo-observations per coefficient while nothing has been observed."""
    prior_relative_sd: SomeFraction = 0.5
    """Believed standard deviation of the truth relative to the profile, before any sample."""


class AlarmConfig(Strict):
    """Parameters of `change`, in standard deviations unless said otherwise."""

    jump: Annotated[float, Range(0.001, 1000, "standard deviations")] = 4.5
    """One surprise that is a change by itself."""
    slack: Sigmas = 1.0
    """What each surprise must exceed to add up."""
    limit: Annotated[float, Range(0.001, 1_000_000, "standard deviations")] = 5.0
    """Sum that is a change."""
    after: CountOrNone = 0
    """Samples before which nothing is a change: the prior itself may be far off."""
    same: Annotated[float, Range(0.001, 1000, "standard deviations")] = 3.0
    """A law put aside comes back if it explains the surprising sample this well."""
    scale_sd: DeviationOrNone = 0.3
    """Relative uncertainty of a common factor after a change, beside the one seen."""
    coefficient_sd: DeviationOrNone = 0.3
    """Relative uncertainty of each coefficient after a change."""
    return_sd: DeviationOrNone = 0.1
    """The same, of a law that came back."""


class BayesConfig(Strict):
    """Parameters of `bayes`."""

    prior_relative_sd: Annotated[float, Range(0.000001, 2, "relative")] = 0.5
    """Believed standard deviation of true / profiled, per coefficient, before any sample."""
    noise_cv: SomeFraction = 0.15
    """First guess of the coefficient of variation of service times."""
    noise_weight: Annotated[float, Range(0.000001, 1_000_000, "requests")] = 2.0
    """Samples the first guess counts for."""
    noise_window: Annotated[float, Range(5, 1_000_000, "requests")] = 60.0
    """Samples after which older ones stop counting for the noise."""
    forget: Annotated[float, Range(0, 0.199, "per request")] = 0.0
    """Share by which the covariance grows per sample: slow drift without an alarm."""
    alarm: AlarmConfig = AlarmConfig()
