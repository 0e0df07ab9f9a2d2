"""What the gateway counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.vram.ledger import Claim, Gpu

Accounts = Sequence[tuple[Gpu, tuple[Claim, ...]]]
"""GPUs, and who holds what of them."""
_MIB = 2**20


class _Run(Collector):
    """Reads one dispatcher at the moment it is scraped."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def collect(self) -> Iterable[Metric]:
        """Requests by model and outcome, their latency, what is in flight, and the virtual clock."""
        dispatcher = self._dispatcher
        ended = CounterMetricFamily("edgebed_requests", "Requests that ended", labels=["model", "outcome"])
        for (model, outcome), count in sorted(dispatcher.ends.items()):
            ended.add_metric([model, outcome], count)
        latency = CounterMetricFamily(
            "edgebed_latency_seconds",
            "Virtual seconds from arrival to end, summed over requests done",
            labels=["model"],
        )
        for model, total_s in sorted(dispatcher.latency_sum_s.items()):
            latency.add_metric([model], total_s)
        flying = GaugeMetricFamily(
            "edgebed_in_flight", "Requests in the gateway", value=len(dispatcher.flights)
        )
        clock = GaugeMetricFamily("edgebed_virtual_seconds", "Virtual clock", value=dispatcher.clock.now_s())
        return [ended, latency, flying, clock]


class _Vram(Collector):
    """What the vRAM ledger holds, as it was just asked."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def collect(self) -> Iterable[Metric]:
        """Size of each GPU, and of each claim: what is held for it, and what it had taken once loaded."""
        total = GaugeMetricFamily("edgebed_vram_total_bytes", "Memory of a GPU", labels=["gpu", "host"])
        labels = ["gpu", "application"]
        claimed = GaugeMetricFamily(
            "edgebed_vram_claimed_bytes", "GPU memory held for a replica", labels=labels
        )
        used = GaugeMetricFamily(
            "edgebed_vram_used_bytes", "GPU memory a replica had taken once loaded", labels=labels
        )
        for gpu, claims in self._accounts:
            total.add_metric([gpu.id, gpu.host], gpu.total_mb * _MIB)
            for claim in claims:
                claimed.add_metric([gpu.id, claim.app], claim.held_mb * _MIB)
                if claim.used_mb is not None:
                    used.add_metric([gpu.id, claim.app], claim.used_mb * _MIB)
        return [total, claimed, used]


def exposition(dispatcher: Dispatcher | None, accounts: Accounts = ()) -> bytes:
    """The text a scraper reads; of a run nothing between runs, of GPUs nothing where no real model is on one."""
    registry = CollectorRegistry()
    if dispatcher is not None:
        registry.register(_Run(dispatcher))
    if accounts:
        registry.register(_Vram(accounts))
    return generate_latest(registry)
