"""What every process can say of itself."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from prometheus_client.process_collector import ProcessCollector

from serve_apps.observe.metrics import METRICS
from serve_apps.observe.samples import Sample


def process_samples(actor: str) -> list[Sample]:
    """CPU, memory, descriptors and start time of this process; nothing where there is no /proc."""
    return [
        Sample(sample.name, (actor,), sample.value)
        for family in _collector().collect()
        for sample in family.samples
        if sample.name in METRICS
    ]


def build_samples() -> list[Sample]:
    """Which versions run here."""
    return [
        Sample("edgebed_build_info", (_version("edgebed"), _version("ray"), platform.python_version()), 1.0)
    ]


@cache
def _collector() -> ProcessCollector:
    return ProcessCollector(registry=None)


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
