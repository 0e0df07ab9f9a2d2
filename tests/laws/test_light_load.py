"""Where nothing needs to be refused, `fused` refuses nothing, and every request ends as if nobody asked."""

from __future__ import annotations

import pytest

from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from workloads.scaling import scaled

WITHOUT = "benchmarks.ablation:NO_ADMISSION"


def shortened(name: str, slots: int, **changes: float) -> Scenario:
    return load_scenario(name).model_copy(update={"slots": slots, "tail_slots": 4, **changes})


def ends(scenario: Scenario, scheme: str, seed: int) -> dict[str, tuple[str, float]]:
    """Request to what became of it, and when, virtual seconds."""
    return {r.request_id: (r.outcome, r.ended_s) for r in simulate_in_memory(scenario, scheme, seed).requests}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bristol-A", "w-star"])
@pytest.mark.parametrize("seed", range(2))
def test_under_a_light_load_admission_changes_nothing(name: str, seed: int) -> None:
    light = scaled(shortened(name, 20), 0.25)
    assert ends(light, "fused", seed) == ends(light, WITHOUT, seed)


@pytest.mark.slow
def test_under_a_heavy_load_the_same_look_sees_refusals() -> None:
    heavy = shortened("bristol-A", 8, deadline_s=120.0)
    assert "rejected" in {outcome for outcome, _ in ends(heavy, "fused", 0).values()}
    assert "rejected" not in {outcome for outcome, _ in ends(heavy, WITHOUT, 0).values()}
