"""What tests everywhere share: which kind a folder is, how two processes divide them, and how a process must end.

Marker `models`: loads and runs real (tiny) models, `pip install 'edgebed[models]'`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
KINDS = {"live": ("ray",), "cluster": ("ray", "cluster"), "vllm": ("vllm",)}
"""Folder to the markers of everything in it; warnings are no errors there, for what runs there warns about itself."""
LIBRARIES = {"models": ("torch", "transformers", "diffusers"), "vllm": ("vllm",)}
"""Marker to what must be installed for it."""
FIRST = ("live", "docs", "edgebed/reproduce", "edgebed/commands", "edgebed/calibrate", "parity")
"""Folders in the order in which they begin, everything else after them: what takes long must not begin last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = {m: [n for n in needs if importlib.util.find_spec(n) is None] for m, needs in LIBRARIES.items()}
    for item in items:
        kinds = KINDS.get(item.path.relative_to(HERE).parts[0], ())
        for kind in kinds:
            item.add_marker(kind)
        if kinds or item.get_closest_marker("models") is not None:
            item.add_marker(pytest.mark.filterwarnings("default"))
        for marker, missing in absent.items():
            if missing and item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    path = item.path.relative_to(HERE).as_posix()
    return next((i for i, folder in enumerate(FIRST) if path.startswith(folder)), len(FIRST))


# -- two processes (`pytest -n 2`)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A process takes a whole file at a time, so what a file shares is made once; all that starts Ray is one file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "Ray" if file.startswith("tests/live/") else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tiny checkpoints."""
    import torch

    from edgebed.models.checkpoints import make_tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    make_tiny(folder)
    return folder
