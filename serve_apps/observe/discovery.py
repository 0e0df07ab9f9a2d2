"""Where a scraper finds the gateways of a testbed: Prometheus' file service discovery."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import orjson

TARGETS_FILE = "targets.json"
"""Beside the state file of a testbed that stands; gone with it."""


def targets_of(gateways: Sequence[str]) -> bytes:
    """The file's content: what each gateway counts itself, and everybody else's numbers of the first one.

    `gateways`: base URLs, each of one process.
    """
    found = [_target(url, "gateway") for url in gateways]
    return orjson.dumps(found + [_target(url, "testbed") for url in gateways[:1]], option=orjson.OPT_INDENT_2)


def _target(url: str, part: str) -> dict[str, object]:
    """One part of the metrics behind a URL; the label tells the parts apart, which share an instance."""
    where = urlsplit(url)
    labels = {"__scheme__": where.scheme, "__metrics_path__": f"{where.path.rstrip('/')}/metrics/{part}"}
    return {"targets": [where.netloc], "labels": {**labels, "part": part}}
