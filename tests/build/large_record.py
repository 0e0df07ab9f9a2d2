"""A long record made without running anything: as many requests as one likes, on 24 nodes with 96 executors."""

from __future__ import annotations

from pathlib import Path

from edgebed.runs.layout import Layout
from emulation.domain.records import DecisionRecord, ExecutorRecord, RequestRecord, RunFooter
from emulation.domain.scenario import Scenario
from emulation.recording import JsonlSink
from emulation.rng import stream
from tests.build.records import header, request

NODES, MODELS = 24, ("m0", "m1", "m2", "m3")
RATE_PER_S = 50.0


def large_scenario() -> Scenario:
    """24 nodes with a GPU each and four models on every one."""
    models = [{"id": m, "modality": "image", "init_s": 2.0, "vram_gb": 4.0} for m in MODELS]
    nodes = [{"id": f"n{i:02d}", "cores": 8, "gpus": [{"slices": 4}]} for i in range(NODES)]
    profile = [{"model": m, "mode": mode, "theta": [0.4]} for m in MODELS for mode in ("gpu", "cpu")]
    testbed = {"name": "large", "models": models, "nodes": nodes, "profile": profile}
    source = {"kind": "poisson", "rate_per_s": RATE_PER_S, "mix": dict.fromkeys(MODELS, 0.25)}
    return Scenario.model_validate(
        {"name": "large", "testbed": testbed, "workload": [source], "slots": 240, "deadline_s": 60}
    )


def write_large_record(root: Path, requests: int) -> Path:
    """The folder of a run with so many requests, each with the decision of the router about it."""
    scenario, rng = large_scenario(), stream(1, "large record")
    layout = Layout(root)
    root.mkdir(parents=True, exist_ok=True)
    layout.save_scenario(scenario)
    folder = layout.run_folder("sect", 1)
    horizon_s = requests / RATE_PER_S
    sink = JsonlSink(folder)
    sink.write(
        header(
            scenario="large", models=MODELS, horizon_s=horizon_s, slot_s=30.0, slots=int(horizon_s / 30) + 1
        )
    )
    for executor in scenario.testbed.executors():
        sink.write(ExecutorRecord(0.0, executor.id, "ready", "gpu"))
    ends: dict[str, dict[str, int]] = {}
    latencies = rng.gamma(2.0, 1.0, requests).tolist()
    wheres = rng.integers(0, NODES, requests).tolist()
    for i in range(requests):
        routed, ended = _lines(i, i / RATE_PER_S, 0.2 + latencies[i], wheres[i])
        sink.write(routed)
        sink.write(ended)
        own = ends.setdefault(ended.model, {})
        own[ended.outcome] = own.get(ended.outcome, 0) + 1
    sink.write(RunFooter(horizon_s + 30, {m: sum(e.values()) for m, e in ends.items()}, ends, {}))
    sink.close()
    return folder


def _lines(i: int, t_s: float, latency_s: float, where: int) -> tuple[DecisionRecord, RequestRecord]:
    model, node = MODELS[i % len(MODELS)], f"n{where:02d}"
    executor, request_id = f"{node}/{model}", f"r{i:06d}"
    others = tuple((f"n{(where + k) % NODES:02d}/{model}", 1.2345678901234 + k) for k in range(8))
    routed = DecisionRecord(
        t_s, "router", "request", 0.0, executor, "explore_risk", "none", request_id, others, landed_s=t_s
    )
    ended = request(
        t_s, latency_s, model, request_id=request_id, origin=f"n{i % NODES:02d}", executor=executor,
        service_s=latency_s / 3, started_s=t_s + latency_s / 3, turn_s=latency_s / 3, predicted_s=latency_s / 4,
        prompt_tokens=i % 1000, outcome="expired" if i % 97 == 0 else "done",
    )  # fmt: skip
    return routed, ended
