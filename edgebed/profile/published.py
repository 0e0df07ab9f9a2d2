"""Profiles derived from published MLPerf results. `python -m edgebed.profile.published FOLDER` writes those we ship.

The derivation is that of the random pools (`workloads/pools.py: device_of`), so there is one: seconds per input token
are the p99 time to first token over 1024 tokens, seconds per output token the p99 time per output token, seconds per
picture the p99 latency. GPT-J results are left out: their logs have whole queries only, and to split those is to guess.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml

from emulation.domain.profile import Derived, Law, ProfileFile
from emulation.recording import write_whole
from workloads.pools import DATA, device_of

PUBLISHED = {"v4.0": "2024-03", "v4.1": "2024-08", "v5.0": "2025-04", "v5.1": "2025-09", "v6.0": "2026-04"}
"""Round to the month MLCommons published its results."""
EDITOR_LINE = "# yaml-language-server: $schema=../../../schemas/profile.schema.json"
"""First line of each packaged file: where editors find what it may hold."""
_MODELS = {"llama3.1-8b-edge": "llama3.1-8b", "stable-diffusion-xl": "sdxl"}
_FIGURES = ("ttft_ms_p99", "tpot_ms_p99", "latency_ms_p99")
_TYPICAL = "the 99th percentile is read as the typical value"
_ALONE = "one request at a time (scenario SingleStream), so no batching"
_ASSUMED = {
    "llama3.1-8b": (_TYPICAL, "inputs of 1024 tokens: the result logs record no input lengths", _ALONE),
    "sdxl": (_TYPICAL, "pictures of 1024 x 1024 pixels in 20 steps, as the benchmark prescribes", _ALONE),
}


def published() -> dict[str, ProfileFile]:
    """Packaged name to profile, of every official single-stream result that states what the law needs."""
    text = files("workloads").joinpath("data", DATA).read_text(encoding="utf-8")
    found: dict[str, ProfileFile] = {}
    seen: Counter[str] = Counter()
    for row in map(orjson.loads, text.splitlines()):
        profile = _profile(row)
        if profile is not None:
            name = f"mlperf-{row['round']}/{_slug(_chip(row))}-{profile.model}"
            seen[name] += 1
            found[name if seen[name] == 1 else f"{name}-{seen[name]}"] = profile
    return found


def write(folder: Path) -> list[Path]:
    """Every published profile as a file of its own below `folder`; returns their paths."""
    paths = []
    for name, profile in published().items():
        data = profile.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)
        paths.append(folder / f"{name}.yaml")
        write_whole(paths[-1], f"{EDITOR_LINE}\n{text}".encode())
    return paths


def _profile(row: dict[str, Any]) -> ProfileFile | None:
    model = _MODELS.get(row["benchmark"])
    if model is None or row["scenario"] != "SingleStream" or not row["official_round_result"]:
        return None
    device = device_of(row)
    if device is None:
        return None
    precision = row.get("weight_precision")
    derived = Derived(
        date=PUBLISHED[row["round"]],
        origin=f"MLPerf Inference {row['round']} {row['division']}, {row['submitter']}, {row['benchmark']}"
        + (f", {precision}" if precision else "")
        + (", preview" if row["availability"] == "preview" else ""),
        device=row["system"],
        result=f"github.com/{row['source_repo']} @ {row['source_commit']}: {row['source_path']}",
        figures={name: row[name] for name in _FIGURES if row.get(name)},
        assumptions=_ASSUMED[model],
    )
    mode: Literal["cpu", "gpu"] = "cpu" if row["accelerator"] == "N/A" else "gpu"
    return ProfileFile(model=model, mode=mode, derived=derived, law=Law(theta=device.theta))


def _chip(row: dict[str, Any]) -> str:
    """What computes: the accelerator, without brackets and memory sizes, or the processor where there is none."""
    name: str = row["accelerator"] if row["accelerator"] != "N/A" else row["processor"]
    return re.sub(r"\[.*?\]|\(.*?\)|\b\d+G(B)?\b|NVIDIA|QUALCOMM|MS-|GeForce|Turbo|CPU|@.*", " ", name)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path)
