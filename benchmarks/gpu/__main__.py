"""`python -m benchmarks.gpu [--out FOLDER] [--limit-s SECONDS] [--dry]`: measure what is not measured yet."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.plan import LIMIT_S, MODEL, PARTS, VLLM_PYTHON, Part, Setting, Skipped

OK, FAILED, WRONG, SKIPPED, INTERRUPTED = 0, 1, 2, 3, 130
NO_GPU = (
    "error: torch sees no NVIDIA GPU here; run this on a machine with one, with a CUDA build of torch"
    " (`python -c 'import torch; print(torch.cuda.is_available())'` must say True). --dry runs the same parts with tiny"
    " models on the CPU, to see that the script works; its figures mean nothing"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part that has no figures yet; the exit code: 0 all there, 1 not all, 2 no GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("runs/gpu"), help="folder of all files; goes on with what is there"
    )
    parser.add_argument("--limit-s", type=float, default=LIMIT_S, help="seconds of wall time, as a whole")
    parser.add_argument(
        "--dry", action="store_true", help="tiny models on the CPU: tries the script, measures nothing"
    )
    parser.add_argument("--part", choices=[p.name for p in PARTS], help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    folder = given.out.with_name(f"{given.out.name}-dry") if given.dry else given.out
    setting = Setting(folder=folder.absolute(), dry=given.dry)
    if given.part is not None:
        try:
            setting.write(given.part, measure(given.part, setting))
        except Skipped as why:
            print(why)
            return SKIPPED
        return OK
    if not given.dry and not _gpu_there():
        print(NO_GPU, file=sys.stderr)
        return WRONG
    return run(setting, given.limit_s)


def measure(part: str, setting: Setting) -> dict[str, Any]:
    """One part, in this process."""
    from benchmarks.gpu import live, memory, parts

    name, _, model = part.partition(":")
    of_model: dict[str, Callable[..., dict[str, Any]]] = {
        "profile": parts.profile, "contention": parts.contention
    }  # fmt: skip
    alone: dict[str, Callable[[Setting], dict[str, Any]]] = {
        "host": parts.host, "memory": memory.memory, "injection": parts.injected, "vllm": parts.vllm,
        "calibration": live.calibration,
    }  # fmt: skip
    begun = time.monotonic()
    figures = of_model[name](setting, MODEL[model]) if model else alone[name](setting)
    return figures | {"wall_s": round(time.monotonic() - begun, 1)}


def run(setting: Setting, limit_s: float) -> int:
    """Run the parts that are missing, as far as time allows."""
    begun = time.monotonic()
    words: dict[str, str] = {}
    setting.folder.mkdir(parents=True, exist_ok=True)
    if setting.dry:
        print("dry run: tiny models on the CPU; its figures mean nothing", flush=True)
    for part in PARTS:
        left_s = limit_s - (time.monotonic() - begun)
        if setting.measured(part.name):
            print(f"{part.name}: there already", flush=True)
        elif left_s < min(part.limit_s, limit_s) / 2:
            print(f"{part.name}: not begun, {max(left_s, 0):.0f} s left; run this again", flush=True)
        else:
            words[part.name], why = _run(part, setting, left_s if setting.dry else min(part.limit_s, left_s))
            print(f"{part.name}: {words[part.name]}" + (f": {why}" if why else ""), flush=True)
    missing = [p.name for p in PARTS if not setting.measured(p.name)]
    missing = [f"{name} ({words[name]})" if name in words else name for name in missing]
    print(
        f"{len(PARTS) - len(missing)} of {len(PARTS)} parts in {setting.folder}"
        + (f"; missing: {', '.join(missing)}" if missing else ""),
        flush=True,
    )
    return FAILED if missing else OK


def _run(part: Part, setting: Setting, limit_s: float) -> tuple[str, str]:
    """One part in a process group of its own: measured, FAILED or skipped, and why. What it printed stays in a log."""
    log = setting.folder / "logs" / f"{part.name.replace(':', '-')}.log"
    log.parent.mkdir(exist_ok=True)
    out = (
        setting.folder.with_name(setting.folder.name.removesuffix("-dry")) if setting.dry else setting.folder
    )
    python = (os.environ.get(VLLM_PYTHON) or sys.executable) if part.name == "vllm" else sys.executable
    if not os.access(python, os.X_OK):
        return (
            "FAILED",
            f"{VLLM_PYTHON}={python}: no program; name the python of the environment that has vLLM",
        )
    command = [python, "-m", "benchmarks.gpu", "--out", str(out), "--part", part.name]
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, *(["--dry"] if setting.dry else [])], stdout=written, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return "FAILED", f"took longer than {limit_s:.0f} s ({log})"
        finally:
            _end(process)
    last = "".join(log.read_text(errors="replace").strip().splitlines()[-1:])[:300]
    if code == SKIPPED:
        return "skipped", last
    return ("measured", "") if code == OK else ("FAILED", f"exit code {code}: {last} ({log})")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, then make it."""
    for number, patience_s in ((signal.SIGINT, 20.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue


def _gpu_there() -> bool:
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return bool(torch.cuda.is_available())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the part in hand too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; what was measured is kept", file=sys.stderr)
        sys.exit(INTERRUPTED)
