"""What the gateway counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serve_apps.gateway.server.books import LAG_BOUNDS_S, Books
from serve_apps.vram.ledger import Claim, Gpu
from serve_apps.wire.clock import LiveClock

Accounts = Sequence[tuple[Gpu, tuple[Claim, ...]]]
"""GPUs, and who holds what of them."""
_MIB = 2**20


class Counted(Protocol):
    """What is read of the run in progress."""

    clock: LiveClock

    @property
    def ends(self) -> Mapping[tuple[str, str], int]:
        """(model, outcome) to requests that ended."""

    @property
    def latency_sum_s(self) -> Mapping[str, float]:
        """Model to virtual seconds from arrival to end, summed over requests done."""

    @property
    def flights(self) -> Collection[str]:
        """Ids of the requests in the gateway."""


class _Read(Collector):
    """What was read at the moment of a scrape."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        """All of it."""
        return self._metrics


def _of_run(run: Counted) -> list[Metric]:
    """Requests by model and outcome, their latency, what is in flight, and the virtual clock."""
    ended = CounterMetricFamily("edgebed_requests", "Requests that ended", labels=["model", "outcome"])
    for (model, outcome), count in sorted(run.ends.items()):
        ended.add_metric([model, outcome], count)
    latency = CounterMetricFamily(
        "edgebed_latency_seconds",
        "Virtual seconds from arrival to end, summed over requests done",
        labels=["model"],
    )
    for model, total_s in sorted(run.latency_sum_s.items()):
        latency.add_metric([model], total_s)
    flying = GaugeMetricFamily("edgebed_in_flight", "Requests in the gateway", value=len(run.flights))
    clock = GaugeMetricFamily("edgebed_virtual_seconds", "Virtual clock", value=run.clock.now_s())
    return [ended, latency, flying, clock]


def _of_gpus(accounts: Accounts) -> list[Metric]:
    """Size of each GPU, and of each claim: what is held for it, and what it had taken once loaded."""
    total = GaugeMetricFamily("edgebed_vram_total_bytes", "Memory of a GPU", labels=["gpu", "host"])
    labels = ["gpu", "application"]
    claimed = GaugeMetricFamily("edgebed_vram_claimed_bytes", "GPU memory held for a replica", labels=labels)
    used = GaugeMetricFamily(
        "edgebed_vram_used_bytes", "GPU memory a replica had taken once loaded", labels=labels
    )
    for gpu, claims in accounts:
        total.add_metric([gpu.id, gpu.host], gpu.total_mb * _MIB)
        for claim in claims:
            claimed.add_metric([gpu.id, claim.app], claim.held_mb * _MIB)
            if claim.used_mb is not None:
                used.add_metric([gpu.id, claim.app], claim.used_mb * _MIB)
    return [total, claimed, used]


def _of_server(books: Books) -> list[Metric]:
    """What was answered, what is open and held, and how late the event loop is."""
    answers = CounterMetricFamily("edgebed_http_answers", "Answers of the gateway", labels=["status"])
    for status, count in sorted(books.answers.items()):
        answers.add_metric([str(status)], count)
    open_now = GaugeMetricFamily(
        "edgebed_http_connections", "Connections of clients", value=len(books.connections)
    )
    held = GaugeMetricFamily(
        "edgebed_http_body_bytes", "Bytes of large bodies in the gateway", value=books.body_bytes
    )
    bounds = [*(f"{bound:g}" for bound in LAG_BOUNDS_S), "+Inf"]
    lag = HistogramMetricFamily(
        "edgebed_loop_lag_seconds",
        "Wall seconds the event loop woke up too late",
        buckets=list(zip(bounds, accumulate(books.lags), strict=True)),
        sum_value=books.lag_sum_s,
    )
    return [answers, open_now, held, lag]


def exposition(run: Counted | None, accounts: Accounts = (), books: Books | None = None) -> bytes:
    """The text a scraper reads; of a run nothing between runs, of GPUs nothing where no real model is on one."""
    metrics = [
        *(_of_run(run) if run is not None else ()),
        *(_of_server(books) if books is not None else ()),
        *(_of_gpus(accounts) if accounts else ()),
    ]
    return generate_latest(_Read(metrics))
