"""A profile fitted to the live run itself: what its requests cost undisturbed, and the law through that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from edgebed.profile.file import write_profile
from edgebed.profile.fit import fit
from emulation.domain.cluster import TestbedConfig
from emulation.domain.profile import FittedRun, Point, ProfileFile
from emulation.domain.records import RequestRecord
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError
from emulation.metrics.contention import service_end_s
from emulation.metrics.view import in_one_go
from emulation.recording import Run

_SLACK_S = 0.1
"""Overlap in service, seconds, that is only the inexactness of two clocks."""

Key = tuple[str, Literal["cpu", "gpu"], str | None]
"""Model, mode, and node where the testbed has a law for that node alone."""


def refit(run: Run, scenario: Scenario, real: frozenset[str]) -> list[ProfileFile]:
    """One profile per law of the testbed that real replicas ran by, fitted to requests served alone and in one go.

    What a request computed is taken as its replica measured it, without injected slowdowns and pauses. Raises
    `ConfigError` if the requests cannot tell the coefficients apart, or nothing was measured.
    """
    testbed = scenario.testbed
    sides = {s["request_id"]: s for s in run.side.values() if "request_id" in s}
    points: dict[Key, list[tuple[str, Point]]] = defaultdict(list)
    nodes = {e.id: e.node for e in testbed.executors()}
    shared = _in_batches(run)
    for record in run.requests:
        side, executor = sides.get(record.request_id, {}), record.executor
        if record.request_id in shared:
            continue
        if executor is not None and executor in real and _whole(record, side):
            node = nodes[executor]
            points[_key(testbed, node, record)].append(
                (node, _point(testbed, node, record, side, run.header.speedup))
            )
    if not points:
        raise ConfigError("no request of a real model was served in one go: there is nothing to fit a law to")
    return [_profile(run, scenario, key, found) for key, found in sorted(points.items(), key=str)]


def write_refit(folder: Path, found: list[ProfileFile]) -> list[Path]:
    """`<model>-<mode>.yaml` (with the node where there is one) per profile, in the folder. Raises `ConfigError`."""
    paths = []
    for profile in found:
        name = "-".join(part for part in (profile.model, profile.mode, profile.node) if part)
        paths.append(folder / f"{name}.yaml")
        write_profile(paths[-1], profile)
    return paths


def _whole(record: RequestRecord, side: Mapping[str, Any]) -> bool:
    """Whether it was done in its first attempt without an interruption, and its replica said what it computed."""
    if record.outcome != "done" or record.attempt != 1 or not side.get("prefill_s"):
        return False
    return in_one_go(record) and service_end_s(record) <= record.ended_s


def _in_batches(run: Run) -> set[str]:
    """Requests that had company in service on their executor: they tell of the batch, not of the law."""
    found: set[str] = set()
    last: dict[str, RequestRecord] = {}
    """Executor to the request in service there that ends last."""
    for r in sorted((r for r in run.requests if r.started_s is not None), key=lambda r: r.started_s or 0.0):
        before = last.get(r.executor or "")
        if before is not None and service_end_s(before) > (r.started_s or 0.0) + _SLACK_S:
            found |= {before.request_id, r.request_id}
        if before is None or service_end_s(r) > service_end_s(before):
            last[r.executor or ""] = r
    return found


def _key(testbed: TestbedConfig, node: str, record: RequestRecord) -> Key:
    own = any((e.model, e.mode, e.node) == (record.model, record.mode, node) for e in testbed.profile)
    return record.model, "gpu" if record.mode == "gpu" else "cpu", node if own else None


def _point(
    testbed: TestbedConfig, node: str, record: RequestRecord, side: Mapping[str, Any], speedup: float
) -> Point:
    """What it computed, in virtual seconds on a node of speed 1."""
    scale = speedup * testbed.node(node).speed
    prefill_s, decode_s = side["prefill_s"] * scale, side["decode_s"] * scale
    read = record.prompt_tokens if record.input_tokens is None else record.input_tokens
    by_tokens = testbed.model(record.model).features == "tokens"
    x = (read, record.output_tokens) if by_tokens else (record.prompts,)
    return Point(
        x=tuple(float(v) for v in x),
        service_s=prefill_s + decode_s,
        prefill_s=prefill_s,
        decode_s=decode_s,
    )


def _profile(run: Run, scenario: Scenario, key: Key, found: list[tuple[str, Point]]) -> ProfileFile:
    model, mode, node = key
    points = tuple(point for _, point in found)
    try:
        law = fit(points)
    except ConfigError as error:
        raise ConfigError(f"{model} on {mode}: {error}") from error
    nodes = tuple(dict.fromkeys(sorted(n for n, _ in found)))
    began = min((s["wall"] for s in run.side.values() if "wall" in s), default=0.0)
    entry = scenario.testbed.backend(nodes[0], model)
    source = "" if entry is None else str(entry.settings.get("source", ""))
    return ProfileFile(
        model=model,
        mode=mode,
        node=node,
        run=FittedRun(
            date=datetime.fromtimestamp(began, UTC).date().isoformat(),
            scenario=run.header.scenario,
            scheme=run.header.scheme,
            seed=run.header.seed,
            nodes=nodes,
            source=Path(source).name if Path(source).is_absolute() else source,
        ),
        law=law,
        points=points,
    )
