"""What a scenario asks for, before anything runs: what its sources read and dropped, and what every model is asked."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from emulation.domain.request import Request
from emulation.domain.scenario import Scenario
from emulation.domain.truth import RequestTruth
from emulation.metrics.view import percentile
from emulation.recording import write_whole
from workloads.accounting import Accounting
from workloads.generate import Workload, generate

COLUMNS = ("request_id", "arrival_s", "model", "origin", "prompts", "prompt_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class ModelDemand:
    """What one model is asked. Tokens are None for models that count prompts."""

    model: str
    requests: int
    per_s: float
    """Requests per virtual second of the run's arrivals."""
    prompt_tokens_p50: float | None
    prompt_tokens_p95: float | None
    output_tokens_p50: float | None
    output_tokens_p95: float | None


@dataclass(frozen=True, slots=True)
class Demand:
    """All requests of a scenario and seed, summed up."""

    scenario: str
    seed: int
    sources: tuple[Accounting, ...]
    models: tuple[ModelDemand, ...]
    digest: str
    """SHA-256 over every request in order, `COLUMNS` of each: the same here, in virtual time, live and under locust."""

    def to_json(self) -> dict[str, Any]:
        """Plain data; `adds_up` of a source: everything it read was emitted or dropped for a reason."""
        sources = [{**asdict(a), "adds_up": a.adds_up} for a in self.sources]
        return {**asdict(self), "sources": sources}


def demand_of(scenario: Scenario, seed: int) -> tuple[Demand, Workload]:
    """What the scenario asks with this seed, and the requests themselves. Raises `TraceError`."""
    workload = generate(scenario, seed)
    digest = sha256()
    for row in map(row_of, workload.items):
        digest.update(repr(row).encode())
    by_model: dict[str, list[tuple[Request, RequestTruth]]] = {m.id: [] for m in scenario.testbed.models}
    for item in workload.items:
        by_model[item[0].model].append(item)
    models = tuple(_asked(scenario, model, own) for model, own in by_model.items() if own)
    return Demand(scenario.name, seed, workload.accounting, models, digest.hexdigest()), workload


def row_of(item: tuple[Request, RequestTruth]) -> tuple[str, float, str, str, int, int, int]:
    """One request as `COLUMNS`."""
    r, truth = item
    return r.id, r.arrival_s, r.model, r.origin, r.prompts, r.prompt_tokens, truth.output_tokens


def write_requests(workload: Workload, path: Path) -> None:
    """All requests as CSV, whole or not at all; a source `csv` replays it. Raises `OSError`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(row_of, workload.items))
    write_whole(path, text.getvalue().encode())


def _asked(scenario: Scenario, model: str, items: Sequence[tuple[Request, RequestTruth]]) -> ModelDemand:
    tokens = scenario.testbed.model(model).features == "tokens"
    n_in = [float(r.prompt_tokens) for r, _ in items] if tokens else []
    n_out = [float(truth.output_tokens) for _, truth in items] if tokens else []
    return ModelDemand(
        model, len(items), len(items) / scenario.end_s,
        percentile(n_in, 50), percentile(n_in, 95), percentile(n_out, 50), percentile(n_out, 95),
    )  # fmt: skip
