"""Shares in words: only all of something is 100%, and only nothing of it is 0%, however they are rounded."""

from __future__ import annotations

_ROUNDING = 1e-9
"""What a sum of shares may be off by without being anything else."""


def share_text(share: float, decimals: int) -> str:
    """A share in [0, 1] as a number; `>0.99` for nearly all, `<0.01` for nearly nothing."""
    return _marked(share, 1.0, decimals)


def share_percent(share: float, decimals: int = 1) -> str:
    """A share in [0, 1] as a percentage; `>99.9%` for nearly all, `<0.1%` for nearly nothing."""
    return f"{_marked(100.0 * share, 100.0, decimals)}%"


def _marked(value: float, whole: float, decimals: int) -> str:
    step, shown = 10.0**-decimals, round(value, decimals)
    if value < whole - _ROUNDING and shown >= whole:
        return f">{whole - step:.{decimals}f}"
    if value > _ROUNDING and shown <= 0.0:
        return f"<{step:.{decimals}f}"
    return f"{shown + 0.0:.{decimals}f}"  # no minus before a zero
