"""MA eqs. 15-19: by brute force, by hand, and the freeze law of the churn term."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from controller.deployers.lyapunov import LyapunovConfig, LyapunovDeployer
from edgebed.check.views import random_view
from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.feasibility import feasible_configs
from emulation.domain.snapshot import ExecutorState, ExecutorView, NodeView
from emulation.files import load_testbed

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
    return dict(deployer(node_id, **config).decide(seen).command.modes)


def naive_score(seen: NodeView, pattern: dict[str, Mode], c: LyapunovConfig) -> float:
    """Eqs. 15-19, written down once more, term by term."""
    node = BED.node(seen.id)
    q = {m: 0.0 for m in MODELS}
    for e in seen.executors:
        q[e.models[0]] += sum(e.backlog_prompts.values())

    def f(eta: float, floor: float | None) -> float:
        f0 = c.f0 if floor is None else floor
        return f0 + (1 - f0) * min(max(eta, 0.0), 1.0)

    eta_cpu, eta_mem = 1 - seen.cores_busy / node.cores, 1 - seen.ram_used_gb / node.ram_gb
    busy = sum(e.busy and e.mode == "gpu" for e in seen.executors)
    used = seen.slices_used if c.slices == "held" else busy
    eta_gpu = 1 - used / node.gpu_slices if node.gpu_slices else 0.0
    mu = {
        "off": lambda m: 0.0,
        "cpu": lambda m: c.alpha_cpu_of.get(m, c.alpha_cpu) * f(eta_cpu, c.f0_cpu) * f(eta_mem, c.f0_mem),
        "gpu": lambda m: c.alpha_gpu.get(m, ALPHA_GPU[m]) * f(eta_gpu, c.f0_gpu),
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


EVERY_COEFFICIENT = LyapunovConfig(
    v=2.0,
    f0=0.5,
    f0_cpu=0.05,
    f0_mem=0.3,
    f0_gpu=0.15,
    p0=0.9,
    p1=2.0,
    p2=1.1,
    churn=0.2,
    kappa=0.3,
    alpha_cpu=0.6,
    alpha_cpu_of={"gpt2": 1.7, "sd": 0.1},
    alpha_gpu={"gpt2-large": 0.4, "blip": 3.0},
)


@pytest.mark.parametrize(
    "config",
    [LyapunovConfig(v=3.0), LyapunovConfig(v=3.0, slices="busy"), EVERY_COEFFICIENT],
    ids=["paper", "busy slices", "all changed"],
)
@pytest.mark.parametrize("node_id", ["VM2", "VM3", "VM7"])
def test_choice_is_the_argmax_of_eq_15_over_feasible_patterns(node_id: str, config: LyapunovConfig) -> None:
    checked = 0
    for seed in range(80):
        seen = random_view(BED, node_id, seed)
        if seen.pending:
            continue
        chosen = LyapunovDeployer(BED, node_id, config, 0).decide(seen).command.modes
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


# -- coefficients ------------------------------------------------------------------------------------------


def test_a_cpu_weight_of_one_model_outweighs_the_common_one() -> None:
    seen = view("VM2", {"gpt2": 5.0, "blip": 5.0}, modes={"gpt2": "cpu", "blip": "cpu"})
    assert modes_chosen("VM2", seen)["gpt2"] == "cpu"
    values = deployer("VM2", alpha_cpu=2.0, alpha_cpu_of={"blip": 0.5}, f0=1.0).step_values(seen)
    by_step = dict(zip([(m, mode) for m in MODELS for mode in ("off", "cpu", "gpu")], values, strict=True))
    assert by_step["gpt2", "cpu"] == pytest.approx(10.0)
    assert by_step["blip", "cpu"] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("floor", "cpu_gain", "gpu_gain"), [("f0_cpu", 2.0, 0.0), ("f0_mem", 2.0, 0.0), ("f0_gpu", 0.0, 4.0)]
)
def test_a_floor_of_one_resource_leaves_the_others_at_f0(
    floor: str, cpu_gain: float, gpu_gain: float
) -> None:
    """Half of everything is free, 8 prompts wait: worth 2 on CPU and 4 on GPU at f0 = 0, twice that with one f = 1."""
    busy = ExecutorView("VM3/sd", "VM3", ("sd",), "ready", "gpu", {}, {}, busy=True)
    queued = ExecutorView("VM3/gpt2", "VM3", ("gpt2",), "off", "off", {}, {"gpt2": 8.0})
    node = BED.node("VM3")
    seen = NodeView("VM3", 0.0, True, (queued, busy), node.cores / 2, node.ram_gb / 2, 1)
    named = deployer("VM3", f0=0.0, **{floor: 1.0}).step_values(seen)
    plain = deployer("VM3", f0=0.0).step_values(seen)
    assert named[1] - plain[1] == pytest.approx(cpu_gain)
    assert named[2] - plain[2] == pytest.approx(gpu_gain)


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": -1.0},
        {"v": float("inf")},
        {"kappa": float("nan")},
        {"f0_gpu": 1.5},
        {"alpha_cpu_of": {"gpt2": -0.1}},
        {"alpha_gpu": {"sd": float("inf")}},
        {"lambda": 0.1},
    ],
    ids=str,
)
def test_a_coefficient_out_of_range_or_unknown_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LyapunovConfig.model_validate(wrong)


@pytest.mark.parametrize("field", ["alpha_cpu_of", "alpha_gpu"])
def test_a_weight_of_a_model_that_is_not_there_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=rf"{field} names unknown model 'gpt3'"):
        deployer("VM3", **{field: {"gpt3": 1.0}})
