"""`edgebed profile`: measure a model here, write its profile file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from edgebed.console import out, progress_bar, say
from emulation.domain.cluster import Modality
from emulation.domain.profile import ProfileFile
from emulation.files import ConfigError, did_you_mean

_BACKENDS = {"text": "transformers", "caption": "transformers", "image": "diffusers"}


def profile(
    source: Annotated[str, typer.Argument(help="A local folder, or the id of a model on the hub.")],
    file: Annotated[Path, typer.Argument(help="The profile file to write (YAML).")],
    model: Annotated[str, typer.Option("--model", help="Its id in testbed files.")],
    kind: Annotated[str, typer.Option("--modality", help="text, caption or image.")] = "text",
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure a real model over a grid of sizes, fit the linear law, write a profile both worlds read."""
    from edgebed.profile.fit import fit
    from edgebed.profile.grid import Grid, described, measure
    from serve_apps.backends import backend_class
    from serve_apps.openai_api import BadAsk, parse_size

    if kind not in _BACKENDS:
        raise ConfigError(f"--modality {kind!r}; {did_you_mean(kind, list(_BACKENDS))}")
    modality: Modality = kind  # type: ignore[assignment]
    backend: Any = backend_class(_BACKENDS[modality])
    given = backend.checked(
        modality, {"source": source, "device": device, "dtype": dtype, "threads": threads}
    )
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
    found = ProfileFile(
        model=model,
        mode="gpu" if device == "cuda" else "cpu",
        measured=described(engine, modality, grid, Path(source).name if Path(source).is_dir() else source),
        law=fit(points),
        points=tuple(points),
    )
    _write(file, found)
    _show(file, found, as_json)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is not a list of numbers; write for example 1,16,64") from error
    if not found or min(found) < 1:
        raise ConfigError(f"{option} {text!r}: every number must be at least 1")
    return found


def _write(file: Path, found: ProfileFile) -> None:
    """Write it whole or not at all."""
    import yaml

    text = yaml.safe_dump(found.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    half = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        half.replace(file)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise ConfigError(f"{file}: cannot be written: {error}") from error


def _show(file: Path, found: ProfileFile, as_json: bool) -> None:
    law = found.law
    if as_json:
        said = {"file": str(file), "model": found.model, "mode": found.mode, **law.model_dump(mode="json")}
        sys.stdout.write(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    from rich.table import Table

    names = ("per input token", "per output token") if len(law.theta) == 2 else ("per prompt",)
    table = Table("coefficient", "seconds", "95% interval", box=None)
    for name, value, low, high in zip(names, law.theta, law.low, law.high, strict=True):
        table.add_row(name, f"{value:.6g}", f"{low:.6g} to {high:.6g}")
    out.print(table)
    out.print(
        f"R2 {law.r2:.4f}, residual sd {law.residual_sd_s:.4g} s, worst error {100 * law.worst_error:.0f}%, "
        f"{len(found.points)} points; written to {file}"
    )
