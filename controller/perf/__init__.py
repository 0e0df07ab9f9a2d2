"""Performance models: what a request will take where, s = theta . x. Read `prior.py`, then `nnls.py`.

A new model is one file and one line in `PERF_MODELS`; `tests/contracts/test_perf_models.py` checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.perf.nnls import Nnls
from controller.perf.prior import Prior
from emulation.domain.cluster import TestbedConfig

PERF_MODELS: dict[str, type[Prior] | type[Nnls]] = {"prior": Prior, "nnls": Nnls}


def make_perf(name: str, testbed: TestbedConfig, params: Mapping[str, Any] | None = None) -> Prior | Nnls:
    """A performance model by its registry name. Raises `ValueError` on an unknown name or parameter."""
    if name not in PERF_MODELS:
        raise ValueError(f"unknown performance model {name!r}; known: {sorted(PERF_MODELS)}")
    kind = PERF_MODELS[name]
    if kind is Nnls:
        return Nnls(testbed, Nnls.Config(**(params or {})))
    return Prior(testbed, Prior.Config(**(params or {})))
