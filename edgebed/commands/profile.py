"""`edgebed profile`: measure a model here, write its profile file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgebed.commands.console import out, print_rows
from edgebed.commands.options import LARGEST_SEED, JsonOption, QuietOption, print_json
from emulation.domain.mistakes import ConfigError

if TYPE_CHECKING:
    from emulation.domain.contention import BatchCurve, Contention
    from emulation.domain.profile import ProfileFile


def profile(
    source: Annotated[
        str, typer.Argument(help="The model: a local folder, or its id on the Hugging Face hub.")
    ],
    file: Annotated[Path, typer.Argument(help="The profile file to write (YAML).", dir_okay=False)],
    model: Annotated[str, typer.Option("--model", help="The id that testbed files give this model.")],
    kind: Annotated[
        Literal["text", "caption", "image"],
        typer.Option(
            "--modality", help="What it makes: text from text, captions of images, or images from text."
        ),
    ] = "text",
    backend_name: Annotated[
        Literal["transformers", "diffusers", "vllm"] | None,
        typer.Option(
            "--backend", help="The library that runs it. By default diffusers for images, else transformers."
        ),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option("--device", help="Where it runs: the CPU, or an NVIDIA GPU.")
    ] = "cpu",
    dtype: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        typer.Option("--dtype", help="Number format of the weights; auto: as the model's files have it."),
    ] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, max=1024, help="CPU threads it may use.")] = 1,
    inputs: Annotated[
        str,
        typer.Option("--inputs", help="Lengths of the prompt to measure, in tokens, comma-separated (text)."),
    ] = "16,128,384,768",
    outputs: Annotated[
        str,
        typer.Option(
            "--outputs", help="Lengths of the answer to measure, in tokens, comma-separated (text)."
        ),
    ] = "1,16,48,96",
    prompts: Annotated[
        str,
        typer.Option(
            "--prompts", help="Images per request to measure, comma-separated (captions and images)."
        ),
    ] = "1,2,3",
    size: Annotated[
        str, typer.Option("--size", help="Size of the images to make, width x height in pixels (images).")
    ] = "256x256",
    steps: Annotated[
        int, typer.Option("--steps", min=1, max=10_000, help="Denoising steps of an image (images).")
    ] = 20,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=1000, help="How often each size is measured.")
    ] = 2,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=LARGEST_SEED, help="Number that the order of the measurements is drawn from."
        ),
    ] = 0,
    together: Annotated[
        str | None,
        typer.Option(
            "--colocate",
            help="Measure also so many processes at the same time, for example 1,2,4. By default only one.",
        ),
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(
            "--batch",
            help="Measure also so many requests in one batch, for example 1,2,4,8, with --backend vllm. By "
            "default only one.",
        ),
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(
            "--fraction",
            min=0.01,
            max=1.0,
            help="Share of the GPU that each process of --colocate is held to, up to 1. By default all of it.",
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Write the profile even if other work took most of the processor's time."
        ),
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how long a real model takes by the size of its requests, and write a profile for testbed files."""
    from edgebed.profile.file import write_profile
    from edgebed.profile.grid import Grid
    from edgebed.profile.measuring import Measurement, measured

    name = backend_name or ("diffusers" if kind == "image" else "transformers")
    at_once, levels = _levels("--batch", batches), _levels("--colocate", together)
    grid = Grid(
        _numbers("--inputs", inputs), _numbers("--outputs", outputs), _numbers("--prompts", prompts),
        _pixels(size), steps, repeats,
    )  # fmt: skip
    wanted = Measurement(
        source=source, model=model, modality=kind, backend=name, device=device, dtype=dtype,
        threads=threads, grid=grid, seed=seed, levels=levels, batches=at_once, fraction=fraction,
        anyway=anyway,
    )  # fmt: skip
    profiled = measured(wanted, as_json)
    write_profile(file, profiled)
    _show(file, profiled, as_json)


def _levels(option: str, text: str | None) -> tuple[int, ...]:
    """How many at once to measure, one after the other; none if the option was not given."""
    from edgebed.profile.colocate import levels_of

    return () if text is None else levels_of(option, _numbers(option, text))


def _pixels(size: str) -> tuple[int, int]:
    from serve_apps.gateway.openai.images import parse_size
    from serve_apps.wire.ask import BadAsk

    try:
        return parse_size(size) or (256, 256)
    except BadAsk as error:
        raise ConfigError(f"--size {size!r}: {error}") from error


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is not a list of numbers; write for example 1,16,64") from error
    if not numbers or min(numbers) < 1:
        raise ConfigError(f"{option} {text!r}: every number must be at least 1")
    return numbers


def _show(file: Path, profiled: ProfileFile, as_json: bool) -> None:
    law = profiled.law
    if as_json:
        head = {"file": str(file), "model": profiled.model, "mode": profiled.mode}
        said: dict[str, Any] = head | law.model_dump(mode="json")
        if profiled.measured is not None:
            said["cpu_share"] = profiled.measured.cpu_share
        if profiled.contention is not None:
            said["contention"] = profiled.contention.model_dump(mode="json", exclude_none=True)
        if profiled.batch is not None:
            said["batch"] = profiled.batch.model_dump(mode="json")
        print_json(said)
        return
    law_table(profiled)
    if profiled.contention is not None:
        contention_table(profiled.contention)
    if profiled.batch is not None:
        batch_table(profiled.batch)
    out.print(f"{len(profiled.points)} points; written to {file}")


def law_table(profiled: ProfileFile) -> None:
    """Print a law, with what its fit says of itself."""
    law = profiled.law
    names = ("per input token", "per output token") if len(law.theta) == 2 else ("per prompt",)
    ends = zip(law.low or (), law.high or (), strict=True)
    intervals = [f"{low:.6g} to {high:.6g}" for low, high in ends] or ["–"] * len(names)
    values = [f"{value:.6g}" for value in law.theta]
    print_rows(("coefficient", "seconds", "95% interval"), zip(names, values, intervals, strict=True))
    if law.r2 is not None and law.residual_sd_s is not None and law.worst_error is not None:
        worst = f"{100 * law.worst_error:.0f}%"
        out.print(f"R2 {law.r2:.4f}, residual sd {law.residual_sd_s:.4g} s, worst error {worst}")


def contention_table(measured: Contention) -> None:
    """Print a contention curve, and the line of a testbed that gives both worlds its law."""
    from edgebed.profile.sharing import how_to_use

    rows = [(str(p.processes), f"{p.median_s:.4g}", f"{p.speed:.3f}") for p in measured.points]
    print_rows(("at once", "median seconds", "speed of each"), rows)
    out.print(
        f"law of sharing: {measured.sharing}, root mean square error {100 * measured.residual:.0f}%, "
        f"worst {100 * measured.worst_error:.0f}%; in a testbed: {how_to_use(measured, os.cpu_count() or 1)}",
        markup=False,
    )


def batch_table(curve: BatchCurve) -> None:
    """Print a batch curve and its law."""
    rows = [(str(p.requests), f"{p.median_s:.4g}", f"{p.speed:.3f}") for p in curve.points]
    print_rows(("in the batch", "median seconds", "speed of each"), rows)
    out.print(
        f"each of n goes at 1 / (1 + {curve.cost:.3g} (n - 1)), root mean square error {100 * curve.residual:.0f}%, "
        f"worst {100 * curve.worst_error:.0f}%",
        markup=False,
    )


def profiles(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show only this profile, a packaged name or a file, with all it says of its source."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the packaged profiles: how long models take on which device; or show one."""
    from emulation.files import list_profiles, load_profile

    named = {n: load_profile(n) for n in ([name] if name is not None else list_profiles())}
    if as_json:
        said = [{"name": n, **p.model_dump(mode="json", exclude_none=True)} for n, p in named.items()]
        print_json(said if name is None else said[0])
        return
    if name is not None:
        shown = named[name]
        out.print(f"{shown.model}, {shown.mode}: {shown.said}")
        law_table(shown)
        if shown.derived is not None:
            for line in (shown.derived.result, *shown.derived.assumptions):
                out.print(f"- {line}", highlight=False)
        return
    columns = ("profile", "model", "mode", "seconds per input, output token or prompt", "source")
    laws = {n: ", ".join(f"{c:.4g}" for c in p.law.theta) for n, p in named.items()}
    print_rows(columns, [(n, p.model, p.mode, laws[n], p.said) for n, p in named.items()])
