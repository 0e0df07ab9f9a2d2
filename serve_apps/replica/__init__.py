"""What a replica runs.

A backend is one file and one line in `BACKENDS`; a dotted path `package.module:Class` works too. Read first: `base.py`
(the protocol), then `emulated.py`; for models that really run `real.py` (the walk of an attempt) and the engines
it runs, in `serve_apps/engines`.
"""

from __future__ import annotations

from importlib import import_module

from serve_apps.replica.base import Backend, BackendSpec
from serve_apps.replica.emulated import Emulated
from serve_apps.replica.noop import Noop
from serve_apps.replica.real import Diffusers, Transformers, Vllm

BACKENDS: dict[str, type[Backend]] = {
    "diffusers": Diffusers,
    "emulated": Emulated,
    "noop": Noop,
    "transformers": Transformers,
    "vllm": Vllm,
}


def backend_class(name: str) -> type[Backend]:
    """The backend of this name or dotted path. Raises `KeyError` naming those there are."""
    if name in BACKENDS:
        return BACKENDS[name]
    module, separator, attribute = name.partition(":")
    if not separator:
        raise KeyError(f"unknown backend {name!r}; known: {sorted(BACKENDS)}, or package.module:Class")
    backend: type[Backend] = getattr(import_module(module), attribute)
    return backend


__all__ = ["BACKENDS", "Backend", "BackendSpec", "backend_class"]
