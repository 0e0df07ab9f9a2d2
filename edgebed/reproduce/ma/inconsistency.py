"""Can RL be perfectly fair while AL starves Stable Diffusion? Random parameters, both schemes, counted.

The second paper (arXiv 2602.07215, section VI) has RL at a Jain index of about 1.0 and AL's LM4 success below 0.3. Both
deploy by the same Lyapunov controller; RL routes at random, AL evenly. What the paper leaves open is drawn here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from math import exp, log
from typing import Any

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from emulation.metrics.summary import summarise
from emulation.rng import stream

BASES = ("bristol-A", "w-star")
"""Scenarios the draws lie around, in turn."""
V = (0.05, 20.0)
"""Log-uniform; from churn hardly weighed to beyond the freeze of an idle CPU model (16.4 at full headroom)."""
P0 = (0.0, 1.5)
"""Uniform; 0.2 in bristol-A, 0.923 in W*."""
F0 = (0.02, 0.6)
"""Uniform; 0.2 in bristol-A, 0.032 in W*."""
GPU_FACTOR = (0.5, 2.0)
"""Log-uniform, per model, of the scenario's own seconds per prompt on a GPU."""
OVERHEAD = (0.0, 0.8)
"""Uniform; contention per additional busy pod of a GPU: 0.1 in bristol-A, 0.6 in W*."""

FAIR_JAIN = 0.97
"""What still counts as the paper's `Jain's index ≈ 1.0`."""
STARVED = 0.3
"""The paper's bound on AL's LM4 success."""
LM4 = "sd"


@dataclass(frozen=True, slots=True)
class Draw:
    """One set of parameters and what came of it; figures are None where nothing was measured."""

    number: int
    scenario: str
    v: float
    p0: float
    f0: float
    gpu_s: dict[str, float]
    """Model to seconds per prompt on a whole GPU."""
    overhead: float
    rl_jain: float | None = None
    """Raw Jain index (MA eq. 6) of RL."""
    rl_fairness_norm: float | None = None
    """MA eq. 8 of RL."""
    al_sd_success: float | None = None

    @property
    def fair(self) -> bool:
        """Whether RL is as fair as the paper says."""
        return self.rl_jain is not None and self.rl_jain >= FAIR_JAIN

    @property
    def starved(self) -> bool:
        """Whether AL starves LM4 as the paper says."""
        return self.al_sd_success is not None and self.al_sd_success < STARVED

    @property
    def both(self) -> bool:
        """Whether this draw reproduces both of the paper's statements."""
        return self.fair and self.starved

    def __str__(self) -> str:
        return f"draw {self.number}"

    def to_json(self) -> dict[str, Any]:
        """Plain data, the three verdicts included."""
        return {**asdict(self), "fair": self.fair, "starved": self.starved, "both": self.both}


def satisfying_both(draws: Iterable[Draw]) -> int:
    """How many draws reproduce both statements."""
    return sum(d.both for d in draws)


def draw(number: int, seed: int) -> Draw:
    """The parameters of draw `number`, nothing run yet."""
    rng = stream(seed, f"ma-inconsistency:{number}")
    name = BASES[number % len(BASES)]
    gpu = {e.model: e.theta[0] for e in load_scenario(name).testbed.profile if e.mode == "gpu"}

    def uniform(bounds: tuple[float, float]) -> float:
        return _rounded(float(rng.uniform(*bounds)))

    def log_uniform(bounds: tuple[float, float]) -> float:
        return exp(float(rng.uniform(log(bounds[0]), log(bounds[1]))))

    return Draw(
        number=number,
        scenario=name,
        v=_rounded(log_uniform(V)),
        p0=uniform(P0),
        f0=uniform(F0),
        gpu_s={model: _rounded(s * log_uniform(GPU_FACTOR)) for model, s in gpu.items()},
        overhead=uniform(OVERHEAD),
    )


def scenario_of(drawn: Draw) -> Scenario:
    """The scenario of a draw: its base with the drawn parameters."""
    base = load_scenario(drawn.scenario)
    drawn_here = {"v": drawn.v, "p0": drawn.p0, "f0": drawn.f0}
    lyapunov = {**base.controllers.get("lyapunov", {}), **drawn_here}
    return base.model_copy(
        update={
            "testbed": _testbed(base.testbed, drawn),
            "controllers": {**base.controllers, "lyapunov": lyapunov},
        }
    )


def _testbed(base: TestbedConfig, drawn: Draw) -> TestbedConfig:
    raw = base.model_dump()
    for entry in raw["profile"]:
        if entry["mode"] == "gpu":
            entry["theta"] = (drawn.gpu_s[entry["model"]],)
    for node in raw["nodes"]:
        for gpu in node["gpus"]:
            gpu["overhead"] = drawn.overhead
    return TestbedConfig.model_validate(raw)


def measured(seed: int, drawn: Draw) -> Draw:
    """A draw with what RL and AL came to on `seed`."""
    scenario = scenario_of(drawn)
    rl = summarise(simulate_in_memory(scenario, "RL", seed))
    al = summarise(simulate_in_memory(scenario, "AL", seed))
    return replace(
        drawn,
        rl_jain=rl.jain,
        rl_fairness_norm=rl.fairness_norm,
        al_sd_success=al.per_model[LM4].success_ratio,
    )


def _rounded(value: float) -> float:
    """Four significant digits: what is printed is what was run."""
    return float(f"{value:.4g}")
