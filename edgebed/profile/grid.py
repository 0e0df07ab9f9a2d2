"""What is measured: every size of a grid, several times, shuffled, so that a machine that drifts is noise."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from math import inf
from pathlib import Path

from edgebed.profile.busy import Computing
from emulation.domain.cluster import Modality
from emulation.domain.profile import Point, Provenance
from emulation.domain.request import Request
from emulation.rng import stream
from serve_apps.engines import Engine
from serve_apps.wire.ask import Ask, Sampling
from serve_apps.wire.messages import Work
from workloads.client import tiny_png_uri

CAPTION_TOKENS = 20
"""Tokens of every measured caption: the library's usual limit, its end ignored so that all are alike."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The sizes to measure, and how often."""

    inputs: tuple[int, ...] = (16, 128, 384, 768)
    """Prompt tokens (text)."""
    outputs: tuple[int, ...] = (1, 16, 48, 96)
    """Generated tokens (text)."""
    prompts: tuple[int, ...] = (1, 2, 3)
    """Captions or pictures per request."""
    size: tuple[int, int] = (256, 256)
    steps: int = 20
    repeats: int = 2

    def sizes(self, modality: Modality) -> list[tuple[int, ...]]:
        """Every point of the grid once."""
        if modality == "text":
            return [(i, o) for i in self.inputs for o in self.outputs]
        return [(k,) for k in self.prompts]


def measure(
    engine: Engine,
    modality: Modality,
    grid: Grid,
    seed: int,
    on_point: Callable[[int, int], None] = lambda done, of: None,
    computing: Computing | None = None,
) -> list[Point]:
    """Run every size `repeats` times, undisturbed, one after the other; the first run is thrown away.

    `computing` counts what was measured. Raises `BadAsk` if a size is more than the model can do.
    """
    sizes = grid.sizes(modality) * grid.repeats
    order = stream(seed, "profile").permutation(len(sizes))
    works = [work_of(modality, sizes[int(i)], grid, number) for number, i in enumerate(order)]
    for work in works:
        engine.check(work)
    run_once(engine, works[0])
    points = []
    computing = computing or Computing(1)
    for number, work in enumerate(works):
        with computing.counted():
            points.append(run_once(engine, work))
        on_point(number + 1, len(works))
    return points


def described(
    engine: Engine, modality: Modality, grid: Grid, source: str, cpu_share: float | None = None
) -> Provenance:
    """Where and how it was measured."""
    facts = engine.facts
    setting: dict[str, float] = {}
    if modality == "caption":
        setting = {"tokens": CAPTION_TOKENS}
    elif modality == "image":
        setting = {"width": grid.size[0], "height": grid.size[1], "steps": grid.steps}
    return Provenance(
        date=date.today().isoformat(),
        device=processor() if facts.device == "cpu" else facts.device,
        threads=facts.threads,
        dtype=facts.dtype,
        source=source,
        parameters=facts.parameters,
        modality=modality,
        setting=setting,
        import_s=round(facts.import_s, 4),
        weights_s=round(facts.weights_s, 4),
        first_call_s=round(facts.first_call_s, 4),
        ram_mb=round(facts.ram_mb, 1),
        vram_mb=round(facts.vram_mb, 1),
        cpu_share=None if cpu_share is None else round(cpu_share, 3),
    )


def processor() -> str:
    """The CPU's own name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines: Sequence[str] = info.read_text().splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def middle(grid: Grid, modality: Modality) -> tuple[int, ...]:
    """The size in the middle of a grid; the larger one of two."""
    axes = (grid.inputs, grid.outputs) if modality == "text" else (grid.prompts,)
    return tuple(sorted(axis)[len(axis) // 2] for axis in axes)


def work_of(modality: Modality, size: tuple[int, ...], grid: Grid, number: int) -> Work:
    """A request of this size, its end not left to the model."""
    request = Request(f"profile-{number}", "m", "n", 0.0, inf, prompts=1 if modality == "text" else size[0])
    ask = Ask(model="m", prompts=request.prompts, ignore_eos=True)
    if modality == "text":
        ask = replace(ask, inputs=(" the" * size[0],), max_tokens=size[1])
    elif modality == "caption":
        ask = replace(ask, pictures=(tiny_png_uri(),) * size[0], max_tokens=CAPTION_TOKENS)
    else:
        ask = replace(ask, inputs=("a photo",), size=grid.size, sampling=Sampling(steps=grid.steps))
    return Work(request=request, ask=ask, executor="n/m", sent_s=0.0, dispatched_s=0.0)


def run_once(engine: Engine, work: Work) -> Point:
    """Compute it now, undisturbed by any pace."""
    pacer = engine.pacer()
    pieces = [engine.run(work, i, pacer, lambda text, tokens: None) for i in range(engine.choices(work))]
    timing = pacer.timing()
    by_tokens = bool(pieces[0].prompt_tokens)  # captions and pictures have no prompt of their own
    x = (pieces[0].prompt_tokens, pieces[0].tokens) if by_tokens else (len(pieces),)
    return Point(
        x=tuple(float(v) for v in x),
        service_s=timing.service_s,
        prefill_s=timing.prefill_s,
        decode_s=timing.decode_s,
    )
