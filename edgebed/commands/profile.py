"""`edgebed profile`: measure a model here, write its profile file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer

from edgebed.commands.console import out, progress_bar, say
from emulation.domain.batching import BatchCurve
from emulation.domain.cluster import Modality
from emulation.domain.contention import Contention
from emulation.domain.profile import ProfileFile
from emulation.files import ConfigError, did_you_mean

if TYPE_CHECKING:
    from edgebed.profile.colocate import Colocation

_BACKENDS = {"text": "transformers", "caption": "transformers", "image": "diffusers"}


def profile(
    source: Annotated[str, typer.Argument(help="A local folder, or the id of a model on the hub.")],
    file: Annotated[Path, typer.Argument(help="The profile file to write (YAML).")],
    model: Annotated[str, typer.Option("--model", help="Its id in testbed files.")],
    kind: Annotated[str, typer.Option("--modality", help="text, caption or image.")] = "text",
    backend_name: Annotated[
        str | None,
        typer.Option("--backend", help="transformers, diffusers or vllm; by default as the kind of model."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option("--dtype", help="auto, float32, float16 or bfloat16.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="CPU threads.")] = 1,
    inputs: Annotated[
        str, typer.Option("--inputs", help="Text: prompt tokens to measure.")
    ] = "16,128,384,768",
    outputs: Annotated[str, typer.Option("--outputs", help="Text: generated tokens.")] = "1,16,48,96",
    prompts: Annotated[str, typer.Option("--prompts", help="Captions or pictures per request.")] = "1,2,3",
    size: Annotated[str, typer.Option("--size", help="Pictures: width x height.")] = "256x256",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Pictures: denoising steps.")] = 20,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measurements of each size.")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the order of measurements.")] = 0,
    together: Annotated[
        str | None,
        typer.Option("--colocate", help="Also measure so many processes at once, for example 1,2,4."),
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(
            "--batch", help="With vllm: also measure so many requests in one batch, for example 1,2,4,8."
        ),
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option("--fraction", min=0.01, max=1.0, help="Share of the GPU each of them is held to."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a real model over a grid of sizes, fit the linear law, write a profile both worlds read."""
    from edgebed.profile.batch import measure_batches
    from edgebed.profile.colocate import Colocation, levels_of, shared_settings
    from edgebed.profile.file import write_profile
    from edgebed.profile.fit import fit
    from edgebed.profile.grid import Grid, described, measure, middle, run_once, work_of
    from edgebed.profile.sharing import fit_batch
    from serve_apps.gateway.openai.images import parse_size
    from serve_apps.replica import backend_class
    from serve_apps.wire.ask import BadAsk

    if kind not in _BACKENDS:
        raise ConfigError(f"--modality {kind!r}; {did_you_mean(kind, list(_BACKENDS))}")
    modality: Modality = kind  # type: ignore[assignment]
    name = backend_name or _BACKENDS[modality]
    at_once = () if batches is None else levels_of("--batch", _numbers("--batch", batches))
    if at_once and name != "vllm":
        raise ConfigError(f"--batch: backend {name} computes one request at a time; add --backend vllm")
    levels = None if together is None else levels_of("--colocate", _numbers("--colocate", together))
    if levels is None and fraction is not None:
        raise ConfigError("--fraction is of co-located processes; add --colocate 1,2,4")
    held, environment = shared_settings(fraction, device)
    try:
        backend: Any = backend_class(name)
    except KeyError as error:
        raise ConfigError(f"--backend: {error.args[0]}") from error
    if not getattr(backend, "engines", None):
        raise ConfigError(f"--backend {name}: it runs no real model; take transformers, diffusers or vllm")
    wanted = {"source": source, "device": device, "dtype": dtype, "threads": threads}
    given = backend.checked(modality, wanted | ({"max_num_seqs": max(at_once)} if at_once else {}))
    try:
        pixels = parse_size(size) or (256, 256)
        grid = Grid(
            _numbers("--inputs", inputs), _numbers("--outputs", outputs), _numbers("--prompts", prompts),
            pixels, steps, repeats,
        )  # fmt: skip
        say(f"loading {source} ...")
        engine = backend.engines[modality][1](backend.settings_of(modality, given), ("cpu",))
        with progress_bar(f"{model}, {device}", len(grid.sizes(modality)) * repeats, as_json) as bar:
            points = measure(
                engine, modality, grid, seed, lambda done, of: bar.update(done, f"{done} of {of}")
            )
    except BadAsk as error:
        raise ConfigError(f"{source}: {error}") from error
    curve = None
    if at_once:
        size_of = middle(grid, modality)
        works = [work_of(modality, size_of, grid, n) for n in range(max(at_once))]
        with progress_bar("batches", len(at_once), as_json) as bar:
            services_s = measure_batches(
                engine, works, at_once, 3, lambda e, w: run_once(e, w).service_s,
                lambda done, of: bar.update(done, f"{at_once[done - 1]} at once"),
            )  # fmt: skip
        curve = fit_batch(services_s, tuple(float(n) for n in size_of))
    found = ProfileFile(
        model=model,
        mode="gpu" if device == "cuda" else "cpu",
        measured=described(engine, modality, grid, Path(source).name if Path(source).is_dir() else source),
        law=fit(points),
        points=tuple(points),
        batch=curve,
    )
    if levels is not None:
        del engine  # its memory is theirs now
        plan = Colocation(name, modality, given | held, grid, levels, 5, environment)
        found = found.model_copy(update={"contention": _contention(plan, found.mode, fraction, as_json)})
    write_profile(file, found)
    _show(file, found, as_json)


def _contention(
    plan: Colocation, mode: Literal["cpu", "gpu"], fraction: float | None, quiet: bool
) -> Contention:
    """Measure the processes of a plan at once, and fit the law of their sharing."""
    from edgebed.profile.colocate import colocate
    from edgebed.profile.grid import middle
    from edgebed.profile.sharing import fit_sharing

    size = middle(plan.grid, plan.modality)
    say(f"loading {max(plan.levels)} processes ...")
    with progress_bar("co-located", sum(plan.levels), quiet) as bar:
        services_s = colocate(plan, lambda done, of: bar.update(done, f"{done} of {of}"))
    return fit_sharing(services_s, tuple(float(n) for n in size), mode, fraction)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is not a list of numbers; write for example 1,16,64") from error
    if not found or min(found) < 1:
        raise ConfigError(f"{option} {text!r}: every number must be at least 1")
    return found


def _show(file: Path, found: ProfileFile, as_json: bool) -> None:
    law = found.law
    if as_json:
        said = {"file": str(file), "model": found.model, "mode": found.mode, **law.model_dump(mode="json")}
        if found.contention is not None:
            said["contention"] = found.contention.model_dump(mode="json", exclude_none=True)
        if found.batch is not None:
            said["batch"] = found.batch.model_dump(mode="json")
        sys.stdout.write(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    law_table(found)
    if found.contention is not None:
        contention_table(found.contention)
    if found.batch is not None:
        batch_table(found.batch)
    out.print(f"{len(found.points)} points; written to {file}")


def law_table(found: ProfileFile) -> None:
    """Print a law, with what its fit says of itself."""
    from rich.table import Table

    law = found.law
    names = ("per input token", "per output token") if len(law.theta) == 2 else ("per prompt",)
    ends = zip(law.low or (), law.high or (), strict=True)
    intervals = [f"{low:.6g} to {high:.6g}" for low, high in ends] or ["–"] * len(names)
    table = Table("coefficient", "seconds", "95% interval", box=None)
    for name, value, interval in zip(names, law.theta, intervals, strict=True):
        table.add_row(name, f"{value:.6g}", interval)
    out.print(table)
    if law.r2 is not None and law.residual_sd_s is not None and law.worst_error is not None:
        worst = f"{100 * law.worst_error:.0f}%"
        out.print(f"R2 {law.r2:.4f}, residual sd {law.residual_sd_s:.4g} s, worst error {worst}")


def contention_table(found: Contention) -> None:
    """Print a contention curve, and the line of a testbed that gives both worlds its law."""
    from rich.table import Table

    from edgebed.profile.sharing import how_to_use

    table = Table("at once", "median seconds", "speed of each", box=None)
    for point in found.points:
        table.add_row(str(point.processes), f"{point.median_s:.4g}", f"{point.speed:.3f}")
    out.print(table)
    out.print(
        f"law of sharing: {found.sharing}, root mean square error {100 * found.residual:.0f}%, "
        f"worst {100 * found.worst_error:.0f}%; in a testbed: {how_to_use(found, os.cpu_count() or 1)}",
        markup=False,
    )


def batch_table(found: BatchCurve) -> None:
    """Print a batch curve and its law."""
    from rich.table import Table

    table = Table("in the batch", "median seconds", "speed of each", box=None)
    for point in found.points:
        table.add_row(str(point.requests), f"{point.median_s:.4g}", f"{point.speed:.3f}")
    out.print(table)
    out.print(
        f"each of n goes at 1 / (1 + {found.cost:.3g} (n - 1)), root mean square error {100 * found.residual:.0f}%, "
        f"worst {100 * found.worst_error:.0f}%",
        markup=False,
    )


def profiles(
    name: Annotated[str | None, typer.Argument(help="Show this one, with all it says of its source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the packaged profiles, for the `profile` of a testbed; or show one, or a file."""
    from rich.table import Table

    from emulation.files import list_profiles, load_profile

    named = {n: load_profile(n) for n in ([name] if name is not None else list_profiles())}
    if as_json:
        said = [{"name": n, **p.model_dump(mode="json", exclude_none=True)} for n, p in named.items()]
        text = orjson.dumps(said if name is None else said[0], option=orjson.OPT_INDENT_2)
        sys.stdout.write(text.decode() + "\n")
        return
    if name is not None:
        found = named[name]
        out.print(f"{found.model}, {found.mode}: {found.said}")
        law_table(found)
        if found.derived is not None:
            for line in (found.derived.result, *found.derived.assumptions):
                out.print(f"- {line}", highlight=False)
        return
    table = Table("profile", "model", "mode", "seconds per input, output token or prompt", "source", box=None)
    for n, p in named.items():
        table.add_row(n, p.model, p.mode, ", ".join(f"{c:.4g}" for c in p.law.theta), p.said)
    out.print(table)
