"""Performance models: what a request will take where, s = theta . x.

Read `prior.py`, `nnls.py` (E3), then `bayes.py` (ours, on `ratio_belief.py` and `change.py`). Every one is a
`PerformanceModel` with a pydantic `Config`, built as `(testbed, config)`. A new one is a file here and a line in
`PERF_MODELS`; `tests/contracts/test_perf_models.py` checks it.
"""

from __future__ import annotations

from controller.perf.bayes import Bayes
from controller.perf.nnls import Nnls
from controller.perf.prior import Prior

PERF_MODELS: dict[str, type[Prior | Nnls | Bayes]] = {"prior": Prior, "nnls": Nnls, "bayes": Bayes}
