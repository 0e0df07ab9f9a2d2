"""What can be said of the vLLM backend without vLLM."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from emulation.files import ConfigError
from serve_apps.replica import BACKENDS
from serve_apps.replica.real import Real

pytestmark = pytest.mark.models


def vllm() -> type[Real]:
    found = BACKENDS["vllm"]
    assert issubclass(found, Real)
    return found


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vllm is here")
def test_without_the_library_it_names_the_extra(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'edgebed\[vllm\]'"):
        vllm().checked("text", {"source": str(tiny / "gpt2")})


@pytest.mark.parametrize("modality", ["image", "caption"])
def test_it_runs_text_models_only(modality: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot run {modality} models"):
        vllm().checked(modality, {"source": "here"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"device_map": "auto"}, "tensor_parallel_size"),
        ({"max_num_seqs": 0}, "max_num_seqs"),
        ({"max_model_len": 0}, "max_model_len"),
        ({"gpu_memory_share": 1.5}, "gpu_memory_share"),
        ({"batch": 3}, "batch"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        vllm().settings_of("text", {"source": "here", **settings})
