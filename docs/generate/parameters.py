"""Parameters of every controller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from docs.generate.fields import model_section
from docs.generate.sources import first_paragraph
from edgebed.wiring.controllers import REGISTRIES

PORTS = {"fast path": "Fast path", "meta-controller": "Meta-controller"}
"""Titles of ports that are not the plural of their name."""


def page() -> str:
    """Parameters of every controller."""
    text = (
        "# Parameters of controllers\n\nA scenario sets them under `controllers`, by registry name: "
        "`controllers: {lyapunov: {v: 2.0}}`. They hold for every\nscheme that uses that controller. An "
        "unknown name or parameter is an error.\n"
    )
    for port in REGISTRIES:
        text += f"\n## {PORTS.get(port, f'{port.capitalize()}s')}\n"
        for name, kind in sorted(REGISTRIES[port].items()):
            config = getattr(kind, "Config", kind)
            about = "" if config is kind else first_paragraph(kind) + "\n\n"
            body = model_section(config, f"`{name}`", 3).split("\n\n", 2)
            keys = body[2] if len(config.model_fields) else "No parameters.\n"
            text += f"\n### `{name}`\n\n{about}{keys}"
    inner = {t for r in REGISTRIES.values() for k in r.values() for t in nested(getattr(k, "Config", k))}
    text += "\n## Groups of parameters\n\n"
    return text + "\n".join(model_section(t, f"`{t.__qualname__}`", 3) for t in sorted(inner, key=str))


def nested(config: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models inside a model's fields."""
    for info in config.model_fields.values():
        for kind in get_args(info.annotation) or (info.annotation,):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield kind
                yield from nested(kind)
