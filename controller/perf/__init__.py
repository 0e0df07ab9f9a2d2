"""Performance models: what a request will take where, s = theta . x. Read `prior.py`, `nnls.py` (E3), then `bayes.py`
(ours, on `law.py` and `change.py`); `spread.py` is how sure one is.

A new model is one file and one line in `PERF_MODELS`; `tests/contracts/test_perf_models.py` checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.perf.bayes import Bayes
from controller.perf.nnls import Nnls
from controller.perf.prior import Prior
from emulation.domain.cluster import TestbedConfig

Model = Prior | Nnls | Bayes

PERF_MODELS: dict[str, type[Prior] | type[Nnls] | type[Bayes]] = {
    "prior": Prior,
    "nnls": Nnls,
    "bayes": Bayes,
}


def make_perf(name: str, testbed: TestbedConfig, params: Mapping[str, Any] | None = None) -> Model:
    """A performance model by its registry name. Raises `ValueError` on an unknown name or parameter."""
    if name not in PERF_MODELS:
        raise ValueError(f"unknown performance model {name!r}; known: {sorted(PERF_MODELS)}")
    kind: Any = PERF_MODELS[name]
    model: Model = kind(testbed, kind.Config(**(params or {})))
    return model
