"""`fused` with one part taken away, added or changed: `edgebed matrix benchmarks/ablation.yaml` compares them.

Parts of E3's meta-controller (risk gate, revert) are taken from `e3` itself in `edgebed reproduce e3`.
A case is remembered at the end of an epoch, so the case memory can matter from a planner's second decision on. Limits
cannot matter where epochs are shorter than the deadline, as they are there: `benchmarks/admission.py` has those.

Name them by their paths, `benchmarks.ablation:NO_META`: a planner emulates in a process of its own, which looks the
scheme up by the name it has there.
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
NO_LEARNED_LAWS = _fused("without-learned-laws", perf="prior")
"""The router predicts by the profile; the meta-controller's factors and the planner's belief go on correcting it."""
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
WITH_MEMORY = _fused("with-case-memory", planner_params=_with(_FUSED.planner_params, memory=None))
SHORT_LIST = _fused("with-what-if-short-list", planner_params=_with(_FUSED.planner_params, shortlist=6))
