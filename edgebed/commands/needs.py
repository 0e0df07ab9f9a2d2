"""Which option does something only together with another: the one table that every command is held to.

An option that is given where it would do nothing is refused: who writes `--speedup 20` and gets a run in virtual time
would believe a figure that was never measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]
"""Parameters of a command by name, defaults included."""


@dataclass(frozen=True, slots=True)
class Need:
    """An option of a command, and what must hold for it to have an effect."""

    command: str
    option: str
    """The parameter's name in the code."""
    met: Callable[[Values], bool]
    when: str
    """`without --live`."""
    fix: str


def _named(text: str) -> set[str]:
    """The words of a comma list."""
    return {name.strip() for name in text.split(",")}


def _runs(values: Values, *parts: str) -> bool:
    """Whether `reproduce ma` runs one of these parts."""
    return values["only"] is None or bool(_named(values["only"]) & set(parts))


def _live(option: str) -> Need:
    return Need(
        "compare", option, lambda v: bool(v["live"]), "in virtual time", "add --live, or leave it out"
    )


def _of_modality(option: str, *kinds: str) -> Need:
    return Need(
        "profile", option, lambda v: v["kind"] in kinds, f"but with --modality {' or '.join(kinds)}",
        "leave it out, or say what kind of model it is",
    )  # fmt: skip


NEEDS: tuple[Need, ...] = (
    *(_live(o) for o in ("check_parity", "speedup", "lifecycle", "host", "port", "raylets", "address", "backend")),
    _live("show"),
    Need(
        "compare", "workers", lambda v: not v["live"], "with --live", "live runs follow one another; leave it out"
    ),
    *(
        Need(command, "ui_port", lambda v: bool(v["show"]), "without --ui", "add --ui, or leave it out")
        for command in ("compare", "up")
    ),
    *(
        Need(
            command, "unprotected", lambda v: v["address"] is not None, "without --address",
            "a Ray that is started here always asks for its token",
        )
        for command in ("compare", "up")
    ),
    *(
        Need(command, "resume", lambda v: v["folder"] is not None, "without --out", "name the folder to go on with")
        for command in ("compare", "simulate")
    ),
    Need(
        "compare", "raylets", lambda v: v["address"] is None, "together with --address",
        "a cluster that is joined has raylets of its own; leave one of them out",
    ),
    Need(
        "up", "raylets", lambda v: v["address"] is None, "together with --address",
        "a cluster that is joined has raylets of its own; leave one of them out",
    ),
    Need(
        "cluster render", "head", lambda v: v["provider"] == "local", "but with --provider local",
        "others give the head its address themselves; leave it out",
    ),
    Need(
        "cluster render", "spot", lambda v: v["provider"] in ("aws", "gcp"), "but with --provider aws or gcp",
        "other machines are not rented here; leave it out",
    ),
    *(
        Need(
            "load", option, lambda v: not v["detach"], "together with --detach",
            "the testbed sends the requests in its own time, and keeps the log with its record; leave it out",
        )
        for option in ("speedup", "log", "fail_above")
    ),
    Need("up", "as_json", lambda v: not v["foreground"], "with --foreground", "leave one of them out"),
    *(_of_modality(o, "text") for o in ("inputs", "outputs")),
    _of_modality("prompts", "caption", "image"),
    *(_of_modality(o, "image") for o in ("size", "steps")),
    Need(
        "profile", "fraction", lambda v: v["together"] is not None, "without --colocate",
        "it is of co-located processes; add --colocate 1,2,4",
    ),
    Need(
        "profile", "fraction", lambda v: v["device"] == "cuda", "but with --device cuda",
        "it is a share of a GPU; add --device cuda",
    ),
    Need(
        "profile", "batches", lambda v: v["backend_name"] == "vllm", "but with --backend vllm",
        "other backends compute one request at a time; add --backend vllm",
    ),
    Need(
        "calibrate lyapunov", "flip_target", lambda v: bool({"churn", "kappa"} & _named(v["tune"])),
        "without churn or kappa in --tune", "add one of them, or leave it out",
    ),
    Need(
        "calibrate lyapunov", "window_slots", lambda v: bool({"p1", "p2", "churn", "kappa"} & _named(v["tune"])),
        "without p1, p2, churn or kappa in --tune", "add one of them, or leave it out",
    ),
    Need(
        "reproduce ma", "what_if", lambda v: _runs(v, "fig7", "adaptation"), "on the parts that --only names",
        "it changes fig7 and adaptation; name one of them, or leave it out",
    ),
    Need(
        "reproduce ma", "seeds", lambda v: _runs(v, "fig5", "fig6", "fig7", "adaptation"),
        "on the parts that --only names", "inconsistency draws parameters, not seeds; leave it out",
    ),
    Need(
        "reproduce ma", "quick", lambda v: v["seeds"] is None or _runs(v, "fig7", "inconsistency"),
        "together with --seeds on the parts that --only names", "leave one of them out",
    ),
)  # fmt: skip
"""The first that is not met is said."""
