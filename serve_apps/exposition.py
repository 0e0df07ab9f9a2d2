"""What the gateway counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from serve_apps.dispatch import Dispatcher


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


def exposition(dispatcher: Dispatcher | None) -> bytes:
    """The text a scraper reads; empty between runs."""
    registry = CollectorRegistry()
    if dispatcher is not None:
        registry.register(_Run(dispatcher))
    return generate_latest(registry)
