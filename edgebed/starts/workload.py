"""A source of requests of mine: who asks for what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from math import pi, sin

from pydantic import Field

from emulation.domain.cluster import Strict
from workloads.outside import RequestSource
from workloads.sources import Draft, Draws


class Mine(RequestSource):
    """Poisson arrivals whose rate goes up and down like a day's, for models in equal shares.

    By thinning (P. Lewis and G. Shedler, Simulation of nonhomogeneous Poisson processes by thinning, Naval Research
    Logistics Quarterly 26, 1979): of arrivals at the highest rate each is kept with probability rate over highest.
    """

    class Config(Strict):
        """Parameters, set in a source under `settings`."""

        mean_per_s: float = Field(default=0.5, gt=0)
        """Requests per virtual second."""
        swing: float = Field(default=0.8, ge=0, le=1)
        """Of the mean, up and down."""
        period_s: float = Field(default=600.0, gt=0)

    def requests(self, draws: Draws) -> Iterator[Draft]:
        """In order of arrival, each when it is asked for; all that is random comes from `draws.stream(name)`."""
        config, arrivals, choice = self.config, draws.stream("arrivals"), draws.stream("model")
        models = [m.id for m in draws.scenario.testbed.models]
        highest = config.mean_per_s * (1 + config.swing)
        t_s = float(arrivals.exponential(1 / highest))
        while t_s < draws.scenario.end_s:
            rate = config.mean_per_s * (1 + config.swing * sin(2 * pi * t_s / config.period_s))
            if float(arrivals.random()) * highest < rate:
                yield draws.draft(t_s, models[int(choice.integers(len(models)))], (1, 2, 4))
            t_s += float(arrivals.exponential(1 / highest))
