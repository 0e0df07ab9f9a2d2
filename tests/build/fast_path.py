"""Fast paths and performance models from registry names and plain parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.fast_path import FastPath
from controller.fast_path_config import FastPathConfig
from controller.perf import PERF_MODELS
from controller.routers import ROUTERS
from controller.routers.oracle import Oracle
from emulation.domain.cluster import TestbedConfig
from emulation.domain.ports import OracleView, PerformanceModel


def build_perf(
    name: str, testbed: TestbedConfig, params: Mapping[str, Any] | None = None
) -> PerformanceModel:
    """A performance model with these parameters of its own."""
    kind: Any = PERF_MODELS[name]
    model: PerformanceModel = kind(testbed, kind.Config(**(params or {})))
    return model


def build_fast_path(
    testbed: TestbedConfig,
    router: str = "sect",
    router_params: Mapping[str, Any] | None = None,
    perf: str = "nnls",
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    truth: OracleView | None = None,
) -> FastPath:
    """A fast path; `truth` is for the oracle only."""
    config: Any = ROUTERS[router].Config(**(router_params or {}))
    picks = ROUTERS[router](config, seed) if truth is None else Oracle(config, seed, truth)
    return FastPath(testbed, picks, build_perf(perf, testbed), FastPathConfig(**(params or {})))
