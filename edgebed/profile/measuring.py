"""A whole profile: load the model, measure its grid, its batches and its neighbours, fit the laws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgebed.commands.console import progress_bar, say, warn
from edgebed.profile.batch import measure_batches
from edgebed.profile.busy import Computing, checked
from edgebed.profile.colocate import Colocation, colocate, shared_settings
from edgebed.profile.fit import check_sizes, fit
from edgebed.profile.grid import Grid, described, measure, middle, run_once, work_of
from edgebed.profile.sharing import fit_batch, fit_sharing
from emulation.domain.cluster import Modality
from emulation.domain.complaints import valid
from emulation.domain.contention import BatchCurve, Contention
from emulation.domain.profile import ProfileFile
from emulation.domain.quantities import Line, Name
from emulation.files import ConfigError
from serve_apps.replica import backend_class
from serve_apps.wire.ask import BadAsk

REPEATS_IN_COMPANY = {"batch": 3, "co-located": 5}
"""Measured requests of each place in a batch, and of each co-located process, at each level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What to measure: a model, the engine that computes it, and the sizes."""

    source: str
    """A local folder, or the id of a model on the hub."""
    model: str
    """Its id in testbed files."""
    modality: Modality
    backend: str
    device: str
    dtype: str
    threads: int
    grid: Grid
    seed: int
    """Of the order of measurements."""
    levels: tuple[int, ...] = ()
    """Processes at once; empty: they are not measured."""
    batches: tuple[int, ...] = ()
    """Requests in one batch; empty: they are not measured."""
    fraction: float | None = None
    """Share of the GPU each of several processes is held to."""
    anyway: bool = False
    """Whether a profile is wanted even if other work on the machine took most of the time."""

    @property
    def mode(self) -> Literal["cpu", "gpu"]:
        """The mode of an executor that the profile is of."""
        return "gpu" if self.device == "cuda" else "cpu"


def measured(wanted: Measurement, quiet: bool) -> ProfileFile:
    """The profile.

    Raises `ConfigError` for a backend that runs no such model, a name or sizes that no profile can have, sizes that the
    model cannot do, and on a machine that is so busy that nothing is measured.
    """
    source = _source(wanted)
    held, environment = shared_settings(wanted.fraction, wanted.device)
    backend, modality, grid = _backend(wanted.backend), wanted.modality, wanted.grid
    settings = {
        "source": wanted.source, "device": wanted.device, "dtype": wanted.dtype, "threads": wanted.threads,
    }  # fmt: skip
    in_batch = {"max_num_seqs": max(wanted.batches)} if wanted.batches else {}
    given = backend.checked(modality, settings | in_batch)
    say(f"loading {wanted.source} ...")
    computing = Computing(wanted.threads)
    try:
        engine = backend.engines[modality][1](backend.settings_of(modality, given), ("cpu",))
        points = len(grid.sizes(modality)) * grid.repeats
        with progress_bar(f"{wanted.model}, {wanted.device}", points, quiet) as bar:
            times = measure(
                engine, modality, grid, wanted.seed, lambda done, of: bar.update(done, f"{done} of {of}"),
                computing,
            )  # fmt: skip
    except BadAsk as error:
        raise ConfigError(f"{wanted.source}: {error}") from error
    share = computing.share() if wanted.mode == "cpu" else None
    if share is not None and (busy := checked(share, wanted.anyway)) is not None:
        warn(busy)
    profile = ProfileFile(
        model=wanted.model,
        mode=wanted.mode,
        measured=described(engine, modality, grid, source, share),
        law=fit(times),
        points=tuple(times),
        batch=_batches(engine, wanted, quiet) if wanted.batches else None,
    )
    if not wanted.levels:
        return profile
    del engine  # its memory is theirs now
    repeats = REPEATS_IN_COMPANY["co-located"]
    plan = Colocation(wanted.backend, modality, given | held, grid, wanted.levels, repeats, environment)
    return profile.model_copy(update={"contention": _contention(plan, wanted, quiet)})


def _source(wanted: Measurement) -> str:
    """What the profile calls the checkpoint. Raises `ConfigError` for what could not stand in a profile."""
    valid(Name, wanted.model, "--model")
    check_sizes(wanted.grid.sizes(wanted.modality) * wanted.grid.repeats)
    folder = Path(wanted.source)
    named: str = valid(Line, folder.name if folder.is_dir() else wanted.source, "SOURCE")
    return named


def _backend(name: str) -> Any:
    try:
        backend: Any = backend_class(name)
    except KeyError as error:
        raise ConfigError(f"--backend: {error.args[0]}") from error
    if not getattr(backend, "engines", None):
        raise ConfigError(f"--backend {name}: it runs no real model; take transformers, diffusers or vllm")
    return backend


def _batches(engine: Any, wanted: Measurement, quiet: bool) -> BatchCurve:
    """The same request several times in one batch, and the law of that."""
    levels = wanted.batches
    size = middle(wanted.grid, wanted.modality)
    works = [work_of(wanted.modality, size, wanted.grid, n) for n in range(max(levels))]
    with progress_bar("batches", len(levels), quiet) as bar:
        services_s = measure_batches(
            engine, works, levels, REPEATS_IN_COMPANY["batch"], lambda e, w: run_once(e, w).service_s,
            lambda done, of: bar.update(done, f"{levels[done - 1]} at once"),
        )  # fmt: skip
    return fit_batch(services_s, tuple(float(n) for n in size))


def _contention(plan: Colocation, wanted: Measurement, quiet: bool) -> Contention:
    """The same request in several processes at once, and the law of their sharing."""
    size = middle(plan.grid, plan.modality)
    say(f"loading {max(plan.levels)} processes ...")
    with progress_bar("co-located", sum(plan.levels), quiet) as bar:
        services_s = colocate(plan, lambda done, of: bar.update(done, f"{done} of {of}"))
    return fit_sharing(services_s, tuple(float(n) for n in size), wanted.mode, wanted.fraction)
