"""What replicas of one model take from each other: the same request computed by 1, 2, ... processes at once.

Every process has the model in its own memory, as a replica has, and is pinned to nothing. Those that take part in a
level start together and go on computing until all of them have their measurements, so that every measured
request had the same number of busy neighbours from its first moment to its last.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgebed.profile.grid import Grid, middle, run_once, work_of
from emulation.domain.cluster import Modality
from emulation.files import ConfigError
from serve_apps.replica import backend_class
from serve_apps.wire.ask import BadAsk

LOOK_S = 1.0
START_TIMEOUT_S = 900.0
"""Wall seconds in which every process must have loaded its model, and then finished each level."""


@dataclass(frozen=True, slots=True)
class Colocation:
    """What each of several processes is to compute at the same time as the others."""

    backend: str
    modality: Modality
    settings: Mapping[str, Any]
    """Of the backend, checked."""
    grid: Grid
    """Of which the middle size is computed."""
    levels: tuple[int, ...]
    """Numbers of busy processes, one after the other."""
    repeats: int = 5
    """Measured requests of each process at each level."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set in every process before any library of a GPU is loaded."""


def levels_of(option: str, wanted: Sequence[int]) -> tuple[int, ...]:
    """Levels to measure, ascending, each once; 1 is always among them. Raises `ConfigError` if it is the only one."""
    levels = tuple(sorted({1, *wanted}))
    if len(levels) < 2:
        raise ConfigError(f"{option}: more than one at once is needed; write for example 1,2,4")
    return levels


def colocate(
    plan: Colocation, on_result: Callable[[int, int], None] = lambda done, of: None
) -> dict[int, tuple[float, ...]]:
    """Service times, seconds, by number of busy processes. Raises `ConfigError` if a process cannot do its part."""
    context = multiprocessing.get_context("spawn")
    most = max(plan.levels)
    barrier, finished, results = context.Barrier(most), context.Value("i", 0), context.Queue()
    processes = [
        context.Process(target=_member, args=(plan, rank, barrier, finished, results), daemon=True)
        for rank in range(most)
    ]
    times: dict[tuple[int, int], tuple[float, ...]] = {}
    expected = sum(plan.levels)
    try:
        for process in processes:
            process.start()
        while len(times) < expected:
            level, rank, said = _next(results, processes)
            if isinstance(said, str):
                raise ConfigError(said)
            times[level, rank] = said
            on_result(len(times), expected)
        for process in processes:
            process.join(LOOK_S)
    finally:
        for process in (p for p in processes if p.pid is not None):
            process.kill()
            process.join()
    return {n: tuple(s for rank in range(n) for s in times[n, rank]) for n in plan.levels}


def shared_settings(fraction: float | None, device: str) -> tuple[dict[str, Any], dict[str, str]]:
    """(settings, environment) that hold a process to a fraction of a GPU. Raises `ConfigError` on a CPU.

    Its memory is capped. Its threads are limited where NVIDIA's Multi-Process Service runs, which reads the variable
    CUDA_MPS_ACTIVE_THREAD_PERCENTAGE; elsewhere the driver takes turns between processes.
    """
    if fraction is None:
        return {}, {}
    if device != "cuda":
        raise ConfigError("--fraction is a share of a GPU; add --device cuda, or leave it out")
    return {"gpu_memory_share": fraction}, {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": f"{100 * fraction:g}"}


def _next(results: Any, processes: Sequence[Any]) -> tuple[int, int, Any]:
    """The next word of a process. Raises `ConfigError` if one died without a word, or none speaks for long."""
    for _ in range(int(START_TIMEOUT_S / LOOK_S)):
        try:
            word: tuple[int, int, Any] = results.get(timeout=LOOK_S)
            return word
        except queue.Empty:
            dead = [p.exitcode for p in processes if p.exitcode]
            if dead:
                raise ConfigError(
                    f"one of {len(processes)} co-located processes died (exit code {dead[0]}); if it was killed for "
                    "memory, measure fewer at once with --colocate"
                ) from None
    raise ConfigError(f"the co-located processes said nothing for {START_TIMEOUT_S:g} s")


def _member(plan: Colocation, rank: int, barrier: Any, finished: Any, results: Any) -> None:
    """One process: load, then take part in every level above its rank."""
    os.environ.update(plan.environment)
    try:
        backend: Any = backend_class(plan.backend)
        settings = backend.settings_of(plan.modality, dict(plan.settings))
        engine = backend.engines[plan.modality][1](settings, ("cpu",))
        work = work_of(plan.modality, middle(plan.grid, plan.modality), plan.grid, rank)
        engine.check(work)
        run_once(engine, work)
        for level in plan.levels:
            barrier.wait()
            if rank == 0:
                finished.value = 0
            barrier.wait()
            if rank < level:
                results.put((level, rank, _measured(engine, work, plan.repeats, level, finished)))
    except (ConfigError, BadAsk) as error:
        results.put((0, rank, str(error)))
    except Exception as error:  # out of memory above all: the others must not wait for it
        results.put((0, rank, f"a co-located process failed: {type(error).__name__}: {error}"[:500]))


def _measured(engine: Any, work: Any, repeats: int, level: int, finished: Any) -> tuple[float, ...]:
    """Service times of some requests, while all of a level are busy; the first is thrown away."""
    run_once(engine, work)
    times = tuple(run_once(engine, work).service_s for _ in range(repeats))
    with finished.get_lock():
        finished.value += 1
    while finished.value < level:
        run_once(engine, work)
    return times
