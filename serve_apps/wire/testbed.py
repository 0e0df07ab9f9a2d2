"""Whose process this is: several testbeds may stand on one Ray, each in a namespace of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import ray

Found = TypeVar("Found")

NAMESPACE = "EDGEBED_NAMESPACE"
"""Environment variable of processes that Serve starts: they run in the namespace of whoever started Serve."""


def namespace() -> str:
    """Ray namespace of the testbed that this process belongs to. Raises `RuntimeError` in a process that is of none."""
    given = os.environ.get(NAMESPACE)
    if given:
        return given
    if not ray.is_initialized():  # asked for its context, Ray would start a cluster
        raise RuntimeError("this process belongs to no testbed: it is not connected to Ray")
    return str(ray.get_runtime_context().namespace)


def served(app: str) -> str:
    """Name that an application of this testbed has at Serve, which knows no namespaces."""
    return f"{_prefix()}{app}"


def ours(applications: Mapping[str, Found]) -> dict[str, Found]:
    """Of applications by the names Serve has for them, those of this testbed, by our names."""
    prefix = _prefix()
    return {n.removeprefix(prefix): found for n, found in applications.items() if n.startswith(prefix)}


def _prefix() -> str:
    return f"{namespace()}:"  # no name of ours holds a colon, so no testbed's begins with another's
