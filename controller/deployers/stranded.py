"""Work that waits at a node for models outside its role. Compiled: looked for in every slot of every node."""

from __future__ import annotations

from collections.abc import Mapping

from emulation.domain.cluster import Mode
from emulation.domain.snapshot import NodeView


def stranded(view: NodeView, modes: Mapping[str, Mode], least_prompts: float) -> list[str]:
    """Models that are off in `modes` with at least so many prompts waiting in this view, longest queue first."""
    found: list[tuple[float, str]] = []
    for executor in view.executors:
        for model, prompts in executor.backlog_prompts.items():
            if prompts >= least_prompts and modes.get(model) == "off":
                found.append((-prompts, model))
    found.sort()
    return [model for _, model in found]
