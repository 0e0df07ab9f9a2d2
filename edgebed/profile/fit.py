"""The linear law of measured service times, with what there is to say about its quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls
from scipy.special import stdtrit

from emulation.domain.profile import Law, Point
from emulation.files import ConfigError

CONFIDENCE = 0.95


def check_sizes(sizes: Sequence[tuple[float, ...]]) -> None:
    """Raise `ConfigError` if requests of these sizes, one for each, cannot tell the coefficients of a law apart."""
    x = np.array(sizes, dtype=float)
    if len(x) <= x.shape[1] or np.linalg.matrix_rank(x) < x.shape[1]:
        raise ConfigError(
            f"{len(x)} points cannot tell {x.shape[1]} coefficient(s) apart; measure more sizes"
        )


def fit(points: Sequence[Point]) -> Law:
    """Non-negative least squares of s = theta . x (Lawson and Hanson 1974), without an intercept.

    The intervals allow for residuals that grow with the size (HC3, MacKinnon and White 1985) and are cut at 0. Raises
    `ConfigError` if the points cannot tell the coefficients apart.
    """
    x = np.array([p.x for p in points], dtype=float)
    y = np.array([p.service_s for p in points], dtype=float)
    check_sizes([p.x for p in points])
    free = len(y) - x.shape[1]
    theta = nnls(x, y)[0]
    errors = y - x @ theta
    spread = float(((y - y.mean()) ** 2).sum())
    variance = float((errors**2).sum()) / free
    inverse = np.linalg.inv(x.T @ x)
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    weighted = x * (errors / np.maximum(1.0 - leverage, 1e-9))[:, None]
    covariance = inverse @ weighted.T @ weighted @ inverse
    half = stdtrit(free, 0.5 + CONFIDENCE / 2) * np.sqrt(np.diag(covariance))
    return Law(
        theta=tuple(float(c) for c in theta),
        low=tuple(float(c) for c in np.maximum(theta - half, 0.0)),
        high=tuple(float(c) for c in theta + half),
        r2=1.0 - float((errors**2).sum()) / spread if spread > 0 else 0.0,
        residual_sd_s=float(np.sqrt(variance)),
        worst_error=float(np.max(np.abs(errors) / y)),
    )
