"""Which real models are loaded to which GPUs, and whether they fit there together, before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from emulation.domain.cluster import TestbedConfig
from emulation.files import ConfigError
from serve_apps.replica import BACKENDS, BackendSpec
from serve_apps.replica.choice import checked, gpu_models
from serve_apps.testbed.apps import gpu_share
from tests.build.stand_in_gpu import Claims


class RealOne(Claims):
    """A real backend of no library."""

    def __init__(self, spec: BackendSpec) -> None: ...


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "real", RealOne)


def bed(
    vram_gb: list[float], gpus: list[float], settings: dict[int, dict[str, Any]] | None = None, **fields: Any
) -> TestbedConfig:
    """One node of these GPUs that hosts real models m0, m1, ... of these sizes."""
    names = [f"m{i}" for i in range(len(vram_gb))]
    modes = fields.pop("modes", ["gpu", "cpu"])
    return TestbedConfig.model_validate(
        {
            "name": "t",
            "models": [
                {"id": n, "modality": "text", "vram_gb": v, "modes": modes}
                for n, v in zip(names, vram_gb, strict=True)
            ],
            "nodes": [{"id": "edge", "gpus": [{"vram_gb": v} for v in gpus]}],
            "profile": [{"model": n, "mode": m, "theta": [1.0]} for n in names for m in modes],
            "backends": [
                {"model": n, "backend": "real", "settings": (settings or {}).get(i, {})}
                for i, n in enumerate(names)
            ],
        }
        | fields
    )


@pytest.mark.parametrize(
    ("vram_gb", "gpus"),
    [
        ([16.0, 8.0], [24.0]),
        ([16.0, 16.0], [24.0, 16.0]),
        # 5+3+2 and 4+4+2; the largest first, each where it first fits, leaves no room for the last 2
        ([5.0, 4.0, 4.0, 3.0, 2.0, 2.0], [10.0, 10.0]),
    ],
)
def test_models_that_fit_in_some_way_are_taken(vram_gb: list[float], gpus: list[float]) -> None:
    checked(bed(vram_gb, gpus), "emulated", 1.0)


@pytest.mark.parametrize(
    ("vram_gb", "gpus"),
    [([16.0, 9.0], [24.0]), ([16.0, 16.0, 16.0], [24.0, 24.0])],
)
def test_models_that_cannot_be_in_memory_together_are_an_error_that_names_field_sizes_and_fix(
    vram_gb: list[float], gpus: list[float]
) -> None:
    with pytest.raises(ConfigError) as refused:
        checked(bed(vram_gb, gpus), "emulated", 1.0)
    said = str(refused.value)
    assert said.startswith("nodes.edge.models: ")
    assert "m0 16, m1 " in said
    assert "GPUs of 24" in said
    assert "--lifecycle cold" in said


def test_lifecycle_cold_loads_only_what_is_deployed() -> None:
    checked(bed([16.0, 9.0], [24.0]), "emulated", 1.0, "cold")


def test_models_kept_on_the_cpu_or_emulated_take_no_gpu_memory() -> None:
    given = bed([16.0, 9.0], [24.0], {1: {"device": "cpu"}})
    assert gpu_models(given, "edge", "emulated") == ("m0",)
    checked(given, "emulated", 1.0)
    emulated = bed([16.0, 9.0], [24.0], backends=[])
    assert gpu_models(emulated, "edge", "emulated") == ()
    checked(emulated, "emulated", 4.0)
    with pytest.raises(ConfigError, match=r"nodes\.edge\.models"):
        checked(emulated, "real", 1.0)


def test_a_model_put_on_a_gpu_by_its_settings_counts_and_asks_ray_for_a_share() -> None:
    given = bed([16.0, 9.0], [24.0], {0: {"device": "cuda"}}, modes=["cpu"])
    assert gpu_models(given, "edge", "emulated") == ("m0",)
    assert gpu_share(given) == 1.0
    both = bed([16.0, 9.0], [24.0], {0: {"device": "cuda"}, 1: {"device": "cuda"}}, modes=["cpu"])
    assert gpu_share(both) == 0.5
    with pytest.raises(ConfigError, match=r"nodes\.edge\.models"):
        checked(both, "emulated", 1.0)


def test_a_gpu_that_the_inventory_does_not_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"nodes\.edge\.gpus: it has none, but m0 is to run on one"):
        checked(bed([1.0], [], {0: {"device": "cuda"}}, modes=["cpu"]), "emulated", 1.0)
