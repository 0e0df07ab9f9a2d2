"""Student's t distribution. Scipy has it and takes half a second to load, so it is loaded where somebody asks."""

from __future__ import annotations


def quantile(p: float, freedom: float) -> float:
    """The value below which a share `p` of the distribution lies, with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, p))


def share_below(value: float, freedom: float) -> float:
    """The share of the distribution below a value."""
    from scipy.special import stdtr

    return float(stdtr(freedom, value))
