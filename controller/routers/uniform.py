"""Equal shares: MA's AL routing."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from controller.routers.round_robin import RoundRobin


@mypyc_attr(allow_interpreted_subclasses=True)
class Uniform(RoundRobin):
    """Every feasible node gets the same share of a model's requests (MA scheme AL), cyclically per model."""
