"""Time of one SECT decision and of its bookkeeping at 8, 100 and 1,000 executors.

`run()` returns raw figures in microseconds; run as a script it prints the medians. The world is a fake:
requests are routed, dispatched and completed in turn, each completion changing the learned law, so nothing is
cached between decisions that a real run would not cache.
"""

from __future__ import annotations

import json
from collections import deque
from statistics import quantiles
from time import perf_counter_ns
from typing import Any

from controller.fast_path import FastPath
from controller.perf.nnls import Nnls
from controller.routers.sect import Sect
from emulation.domain.cluster import TestbedConfig
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.request import Request

SIZES = (8, 100, 1000)


def testbed(nodes: int) -> TestbedConfig:
    """Pods of one token model on `nodes` nodes of differing speed, at ten sites."""
    return TestbedConfig.model_validate(
        {
            "name": f"bench-{nodes}",
            "models": [{"id": "m", "modality": "text", "features": "tokens"}],
            "nodes": [
                {"id": f"n{i}", "site": f"s{i % 10}", "gpus": [{}], "speed": 1.0 + 0.001 * i}
                for i in range(nodes)
            ],
            "profile": [{"model": "m", "mode": "gpu", "theta": [0.0005, 0.01]}],
            "links": [{"a": "s0", "b": f"s{i}", "latency_s": 0.001 * i} for i in range(1, min(nodes, 10))],
        }
    )


def fast_path(nodes: int) -> FastPath:
    """SECT with the learned performance model, every executor ready."""
    bed = testbed(nodes)
    path = FastPath(bed, Sect(), Nnls(bed))
    for executor in list(path.view.beliefs):
        path.executor_changed(executor, "ready", "gpu", 0.0, 0.0)
    return path


def measure(nodes: int, requests: int) -> dict[str, dict[str, float]]:
    """Microseconds per call of route, dispatched and completed: p50, p99."""
    path, clock = fast_path(nodes), perf_counter_ns
    spans: dict[str, list[int]] = {"route": [], "dispatched": [], "completed": []}
    open_: deque[tuple[Request, str, float]] = deque()
    for i in range(requests):
        now_s = 0.01 * i
        request = Request(f"r{i}", "m", f"n{i % nodes}", now_s, 1e9, 1, 128 * (1 + i % 8), 16.0 * (1 + i % 4))
        t0 = clock()
        decision = path.route(request, now_s)
        t1 = clock()
        path.dispatched(request, decision, now_s)
        t2 = clock()
        spans["route"].append(t1 - t0)
        spans["dispatched"].append(t2 - t1)
        open_.append((request, str(decision.executor), decision.predicted_s or 0.0))
        if len(open_) > 4 * nodes:
            done, executor, predicted_s = open_.popleft()
            completion = Completion(
                done,
                executor,
                "done",
                now_s,
                Measured(mode="gpu", turn_s=predicted_s * 1.1, turn_prompts=done.prompts, output_tokens=32),
            )
            t3 = clock()
            path.completed(completion)
            spans["completed"].append(clock() - t3)
    return {name: _summary(values) for name, values in spans.items()}


def _summary(spans_ns: list[int]) -> dict[str, float]:
    if len(spans_ns) < 2:
        return {}
    cuts = quantiles(spans_ns, n=100)
    return {"p50_us": cuts[49] / 1000, "p99_us": cuts[98] / 1000, "n": len(spans_ns)}


def run(requests: int = 20_000) -> dict[str, Any]:
    """Raw figures by number of executors."""
    return {str(nodes): measure(nodes, requests) for nodes in SIZES}


if __name__ == "__main__":
    figures = run()
    for size, calls in figures.items():
        medians = ", ".join(f"{name} {call['p50_us']:.2f}" for name, call in calls.items() if call)
        print(f"{size:>5} executors, p50 in us: {medians}")
    print(json.dumps(figures))
