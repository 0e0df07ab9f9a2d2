"""These tests run vLLM, in the environment that `make test-vllm` makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = importlib.util.find_spec("vllm") is None
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            # Warnings of these libraries are about themselves.
            item.add_marker(pytest.mark.filterwarnings("default"))
            if missing:
                item.add_marker(pytest.mark.skip(reason="not installed: vllm"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tiny checkpoints."""
    import torch

    from edgebed.models.checkpoints import make_tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    make_tiny(folder)
    return folder
