"""`fused` with one part taken away or changed, as schemes: `edgebed matrix benchmarks/ablation.yaml` compares them.

Parts of E3's meta-controller (risk gate, revert) are taken from `e3` itself in `edgebed reproduce e3`.
The case memory is a planner's that is a language model, and a search's where it plans again; `fused` searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from controller.schemes import SCHEMES, Scheme

_FUSED = SCHEMES["fused"]


def _fused(name: str, **changes: Any) -> Scheme:
    return replace(_FUSED, name=name, **changes)


def _with(params: Mapping[str, Any], **changes: Any) -> Mapping[str, Any]:
    """Parameters with some changed; None takes one away."""
    return {k: v for k, v in {**params, **changes}.items() if v is not None}


NO_META = _fused("without-meta-controller", meta=None)
NO_LEARNING = _fused("without-learning", perf="prior")
NO_EXPLORATION = _fused(
    "without-exploration", router_params=_with(_FUSED.router_params, explore=0.0, return_hazard=0.0)
)
NO_COURTESY = _fused("without-courtesy", router_params=_with(_FUSED.router_params, courtesy=None))
NO_ADMISSION = _fused(
    "without-admission",
    fast_path_params=_with(_FUSED.fast_path_params, in_time=None),
    planner_params=_with(_FUSED.planner_params, limits=None),
)
AT_THE_MEDIAN = _fused(
    "admission-at-the-median", fast_path_params=_with(_FUSED.fast_path_params, in_time=0.5)
)
NO_LIMITS = _fused("without-planner-s-limits", planner_params=_with(_FUSED.planner_params, limits=None))
NO_PLANNER = _fused("without-planner", planner=None, scheduler=None, deployer="full", planner_params={})
NO_MEMORY = _fused("without-case-memory", planner_params=_with(_FUSED.planner_params, case_weight=0.0))
SHORT_LIST = _fused("with-what-if-short-list", planner_params=_with(_FUSED.planner_params, shortlist=6))
