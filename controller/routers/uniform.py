"""Equal shares: MA's AL routing."""

from __future__ import annotations

from controller.routers.round_robin import RoundRobin


class Uniform(RoundRobin):
    """Every feasible node gets the same share of a model's requests (MA scheme AL), cyclically per model."""
