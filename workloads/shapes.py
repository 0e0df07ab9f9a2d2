"""Load shapes: rate as a function of time, requests per second at t seconds. No clock is read here."""

from __future__ import annotations

from collections.abc import Callable

Shape = Callable[[float], float]
"""Virtual seconds since the run began to requests per second."""


def on_off(base_per_s: float, burst_per_s: float, on_s: float, off_s: float) -> Shape:
    """Bursts of `burst_per_s` for `on_s`, then `base_per_s` for `off_s`, repeated from t = 0."""
    period_s = on_s + off_s

    def rate(t_s: float) -> float:
        return burst_per_s if t_s % period_s < on_s else base_per_s

    return rate
