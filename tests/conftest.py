"""What tests everywhere share. Marker `models`: loads and runs real (tiny) models, `pip install 'edgebed[models]'`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

NEEDS = ("torch", "transformers", "diffusers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [library for library in NEEDS if importlib.util.find_spec(library) is None]
    for item in items:
        if item.get_closest_marker("models") is None:
            continue
        # Warnings of these libraries are about themselves.
        item.add_marker(pytest.mark.filterwarnings("default"))
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tiny checkpoints."""
    import torch

    from edgebed.models.checkpoints import make_tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    make_tiny(folder)
    return folder
