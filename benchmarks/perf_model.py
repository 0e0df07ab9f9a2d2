"""Cost of learning: one observe and one predict on each of 1,000 devices, and memory against observations.

`run()` returns microseconds per device and model, and the pickled size of a model after few and many observations;
run as a script it prints them. Feedback is noisy and every device is asked for requests of changing size.
"""

from __future__ import annotations

import json
import pickle
from statistics import median
from time import perf_counter_ns
from typing import Any

from benchmarks.sect_decision import testbed
from controller.perf import PERF_MODELS
from emulation.domain.ports import PerfKey
from emulation.rng import stream

DEVICES = 1000


def _samples(count: int) -> list[tuple[tuple[float, float], float]]:
    draws = stream(1, "benchmark/perf_model")
    found = []
    for _ in range(count):
        x = (float(draws.choice((128, 512, 1024))), float(draws.choice((16, 32, 64))))
        found.append((x, (0.0007 * x[0] + 0.008 * x[1]) * float(draws.gamma(100, 0.01))))
    return found


def measure(name: str, rounds: int) -> dict[str, float]:
    """Microseconds per device of observe and of predict, milliseconds for all of both; medians over rounds."""
    model, samples = PERF_MODELS[name](testbed(DEVICES)), _samples(64)
    keys = [PerfKey(f"n{i}/m", "m", "gpu") for i in range(DEVICES)]
    observe, predict = [], []
    for r in range(rounds):
        start = perf_counter_ns()
        for i, key in enumerate(keys):
            x, service_s = samples[(i + 7 * r) % 64]
            model.observe(key, x, service_s, float(r))
        middle = perf_counter_ns()
        for i, key in enumerate(keys):
            model.predict(key, samples[(i + 3 * r) % 64][0])
        observe.append(middle - start)
        predict.append(perf_counter_ns() - middle)
    both_ms = median(a + b for a, b in zip(observe, predict, strict=True)) / 1e6
    return {
        "observe_us": median(observe) / DEVICES / 1e3,
        "predict_us": median(predict) / DEVICES / 1e3,
        "all_devices_ms": both_ms,
    }


def memory(name: str, few: int = 200, many: int = 20_000) -> dict[str, float]:
    """Pickled bytes of one key after few and after many observations, and their ratio."""
    model, key, samples = PERF_MODELS[name](testbed(8)), PerfKey("n0/m", "m", "gpu"), _samples(500)
    sizes = {}
    for i in range(many):
        if i == few:
            sizes["few_bytes"] = len(pickle.dumps(model))
        x, service_s = samples[i % 500]
        model.observe(key, x, service_s, float(i))
    sizes["many_bytes"] = len(pickle.dumps(model))
    return {**sizes, "growth": sizes["many_bytes"] / sizes["few_bytes"]}


def run(quick: bool = False) -> dict[str, Any]:
    """Raw figures by performance model, and the two promises as ratios."""
    figures: dict[str, Any] = {
        name: {**measure(name, 5 if quick else 60), **memory(name, many=2000 if quick else 20_000)}
        for name in PERF_MODELS
    }
    ratios = [
        {"name": f"{name}: size after many over few observations", "value": figures[name]["growth"],
         "target": 1.1, "at_least": False}
        for name in PERF_MODELS
    ]  # fmt: skip
    return {**figures, "ratios": ratios}


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
