"""What comes back of a request that was sent somewhere, and what is predicted of one before it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from emulation.domain.cluster import Mode
from emulation.domain.measured import Measured
from emulation.domain.native import Native
from emulation.domain.request import Outcome, Request


class PerfKey(NamedTuple):
    """What one service law is learned for: a tuple, as it is looked up a dozen times per request."""

    executor: str
    model: str
    mode: Mode


@dataclass(init=False, slots=True, unsafe_hash=True)
class Prediction(Native):
    """Predicted service time in seconds, its standard deviation, and how many samples stand behind it."""

    mean_s: Final[float]
    sd_s: Final[float]
    samples: Final[int]

    def __init__(
        self,
        mean_s: float,
        sd_s: float,
        samples: int,
    ) -> None:
        self.mean_s = mean_s
        self.sd_s = sd_s
        self.samples = samples


@dataclass(init=False, slots=True, unsafe_hash=True)
class Spread(Native):
    """Uncertainty of one service law s = theta . x.

    `covariance` holds c00, c01, c11 of theta, in (seconds per feature) squared, 0 where there is no second
    feature: what is not known and could be learned (epistemic). `noise_cv`: standard deviation of a service
    time over its mean if the law were known exactly (aleatoric).
    """

    covariance: Final[tuple[float, float, float]]
    noise_cv: Final[float]
    before: Final[tuple[float, ...] | None]
    """Coefficients in force before the last change of the law that was noticed, seconds per feature."""

    def __init__(
        self,
        covariance: tuple[float, float, float],
        noise_cv: float,
        before: tuple[float, ...] | None = None,
    ) -> None:
        self.covariance = covariance
        self.noise_cv = noise_cv
        self.before = before

    def epistemic_variance(self, x: tuple[float, float]) -> float:
        """x' C x, seconds squared."""
        a, b, c = self.covariance
        return max(a * x[0] * x[0] + 2.0 * b * x[0] * x[1] + c * x[1] * x[1], 0.0)


ServedWork = tuple[tuple[float, ...], float]
"""Features of served work, and the seconds it took."""


@dataclass(init=False, slots=True, unsafe_hash=True)
class Completion(Native):
    """Feedback after a request ended: the only thing a controller learns from (E3's information contract)."""

    request: Final[Request]
    executor: Final[str]
    outcome: Final[Outcome]
    ended_s: Final[float]
    """When it was heard that the work had ended."""
    measured: Final[Measured]
    teaches: Final[bool]
    """Whether its service time tells of the executor's ordinary law."""

    def __init__(
        self,
        request: Request,
        executor: str,
        outcome: Outcome,
        ended_s: float,
        measured: Measured,
        teaches: bool = True,
    ) -> None:
        self.request = request
        self.executor = executor
        self.outcome = outcome
        self.ended_s = ended_s
        self.measured = measured
        self.teaches = teaches

    def served_work(self, features: int) -> ServedWork | None:
        """What the executor that finished it did for it: features of the share it served, and the seconds that took.

        `features`: how many its service law has. None unless it was served to the end under ordinary conditions, or
        where it is not known what of its service was that executor's, or what share a law of tokens served.
        """
        took, request = self.measured, self.request
        if not self.teaches or self.outcome != "done" or took.turn_s is None:
            return None
        if features == 1:
            return (float(took.turn_prompts),), took.turn_s
        if took.turn_prompts < request.prompts:
            return None
        return (float(request.prompt_tokens), float(took.output_tokens)), took.turn_s
