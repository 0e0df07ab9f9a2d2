"""MA eqs. 15-19: by brute force, by hand, and the freeze law of the churn term."""

from __future__ import annotations

import numpy as np
import pytest

from controller.deployers.lyapunov import LyapunovConfig, LyapunovDeployer
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import ExecutorState, ExecutorView, NodeView
from emulation.files import load_testbed
from tests.contracts.views import random_view

BED: TestbedConfig = load_testbed("bristol-a")
MODELS = ("gpt2", "gpt2-large", "blip", "sd")
ALPHA_GPU = {"gpt2": 1.0, "gpt2-large": 1.2, "blip": 1.5, "sd": 1.5}


def view(
    node_id: str,
    queue: dict[str, float] | None = None,
    modes: dict[str, Mode] | None = None,
    states: dict[str, ExecutorState] | None = None,
    ram_used_gb: float = 0.0,
) -> NodeView:
    """A node whose GPUs and cores are idle."""

    def executor(model: str) -> ExecutorView:
        mode = (modes or {}).get(model, "off")
        state = (states or {}).get(model, "off" if mode == "off" else "ready")
        prompts = {model: queue[model]} if queue and model in queue else {}
        return ExecutorView(f"{node_id}/{model}", node_id, (model,), state, mode, {}, prompts)

    return NodeView(node_id, 0.0, True, tuple(executor(m) for m in MODELS), 0.0, ram_used_gb, 0)


def deployer(node_id: str, **config: object) -> LyapunovDeployer:
    return LyapunovDeployer(BED, node_id, LyapunovConfig(**config), 0)  # type: ignore[arg-type]


def modes_chosen(node_id: str, seen: NodeView, **config: object) -> dict[str, Mode]:
    return dict(deployer(node_id, **config).decide(seen).modes)


def naive_score(seen: NodeView, pattern: dict[str, Mode], c: LyapunovConfig) -> float:
    """Eqs. 15-19, written down once more, term by term."""
    node = BED.node(seen.id)
    q = {m: 0.0 for m in MODELS}
    for e in seen.executors:
        q[e.models[0]] += sum(e.backlog_prompts.values())
    f = lambda eta: c.f0 + (1 - c.f0) * min(max(eta, 0.0), 1.0)  # noqa: E731
    eta_cpu, eta_mem = 1 - seen.cores_busy / node.cores, 1 - seen.ram_used_gb / node.ram_gb
    used = sum(e.busy and e.mode == "gpu" for e in seen.executors)
    eta_gpu = 1 - used / node.gpu_slices if node.gpu_slices else 0.0
    mu = {
        "off": lambda m: 0.0,
        "cpu": lambda m: f(eta_cpu) * f(eta_mem),
        "gpu": lambda m: ALPHA_GPU[m] * f(eta_gpu),
    }
    gain = sum(q[m] * mu[mode](m) for m, mode in pattern.items())
    phi = (q["blip"] + q["sd"]) / sum(q.values()) if sum(q.values()) else 0.0
    price = c.p0 + c.p1 * (1 - eta_gpu) + c.p2 * phi
    gpus = sum(mode == "gpu" for mode in pattern.values())
    before = {e.models[0] for e in seen.executors if e.mode != "off" and e.state != "draining"}
    churn = sum(
        c.churn * (1 + c.kappa * q[m]) for m, mode in pattern.items() if (mode != "off") != (m in before)
    )
    return gain - c.v * (price * gpus + churn)


@pytest.mark.parametrize("node_id", ["VM2", "VM3", "VM7"])
def test_choice_is_the_argmax_of_eq_15_over_feasible_patterns(node_id: str) -> None:
    config = LyapunovConfig(v=3.0)
    checked = 0
    for seed in range(80):
        seen = random_view(BED, node_id, seed)
        if seen.pending:
            continue
        chosen = LyapunovDeployer(BED, node_id, config, 0).decide(seen).modes
        best = max(naive_score(seen, p, config) for p in feasible_configs(BED, node_id))
        assert naive_score(seen, dict(chosen), config) == pytest.approx(best)
        checked += 1
    assert checked > 20


# -- the freeze law: an idle LM stays off for ever iff V > alpha f / (lambda_churn kappa) -------------------

QUEUES = (1.0, 10.0, 100.0, 1e4, 1e8)


def ever_starts(node_id: str, model: str, v: float, f0: float = 0.2, ram_used_gb: float = 0.0) -> bool:
    seen = [view(node_id, {model: q}, ram_used_gb=ram_used_gb) for q in QUEUES]
    return any(modes_chosen(node_id, s, v=v, f0=f0)[model] != "off" for s in seen)


def test_on_cpu_an_idle_model_freezes_off_above_v_of_16_4() -> None:
    threshold = 1.0 / (0.08 * 0.76)
    assert threshold == pytest.approx(16.4, abs=0.1)
    assert ever_starts("VM2", "gpt2", v=0.999 * threshold)
    assert not ever_starts("VM2", "gpt2", v=1.001 * threshold)


def test_on_gpu_an_idle_image_model_freezes_off_above_v_of_24_7() -> None:
    threshold = 1.5 / (0.08 * 0.76)
    assert threshold == pytest.approx(24.7, abs=0.1)
    assert ever_starts("VM3", "sd", v=0.999 * threshold)
    assert not ever_starts("VM3", "sd", v=1.001 * threshold)


@pytest.mark.parametrize("f0", [0.0, 0.2, 0.7])
def test_freeze_threshold_is_proportional_to_the_smoothed_headroom(f0: float) -> None:
    half_full = BED.node("VM2").ram_gb / 2
    threshold = (f0 + (1 - f0) * 0.5) / (0.08 * 0.76)
    assert ever_starts("VM2", "gpt2", v=0.999 * threshold, f0=f0, ram_used_gb=half_full)
    assert not ever_starts("VM2", "gpt2", v=1.001 * threshold, f0=f0, ram_used_gb=half_full)


def test_a_short_queue_starts_a_model_only_once_it_outweighs_the_churn() -> None:
    """Off to on with queue Q pays iff Q f > V lambda (1 + kappa Q): at V = 10, f = 1 iff Q > 2.04."""
    assert modes_chosen("VM2", view("VM2", {"gpt2": 2.0}), v=10.0)["gpt2"] == "off"
    assert modes_chosen("VM2", view("VM2", {"gpt2": 2.1}), v=10.0)["gpt2"] == "cpu"


# -- cost and rules --------------------------------------------------------------------------------------


def test_an_idle_model_leaves_the_gpu_but_keeps_a_free_cpu_pod() -> None:
    seen = view("VM3", modes={"gpt2": "cpu", "sd": "gpu"})
    assert modes_chosen("VM3", seen) == {"gpt2": "cpu", "gpt2-large": "off", "blip": "off", "sd": "cpu"}


def test_weights_come_from_modality_and_size_unless_named() -> None:
    config = LyapunovConfig(alpha_gpu={"blip": 9.0})
    weights = [config.gpu_weight(BED.model(m)) for m in MODELS]
    assert weights == [1.0, 1.2, 9.0, 1.5]


@pytest.mark.parametrize("state", ["pending", "starting"])
def test_while_a_pod_waits_no_other_model_takes_more_resources(state: ExecutorState) -> None:
    for seed in range(60):
        rng = np.random.Generator(np.random.PCG64(seed))
        queue = {m: float(rng.integers(0, 300)) for m in MODELS}
        held: dict[str, Mode] = {"gpt2": "cpu", "blip": "gpu"}
        seen = view("VM3", queue, {**held, "sd": "gpu"}, {"sd": state})
        chosen = modes_chosen("VM3", seen)
        assert all(chosen[m] in ("off", held.get(m, "off")) for m in MODELS if m != "sd")
