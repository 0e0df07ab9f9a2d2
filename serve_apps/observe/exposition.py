"""Samples as a scraper reads them: Prometheus' text, or OpenMetrics where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from serve_apps.observe.metrics import METRICS
from serve_apps.observe.samples import Buckets, Sample


class _Read(Collector):
    """What was read at the moment of a scrape."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        """All of it."""
        return self._metrics


def exposition(samples: Iterable[Sample], accept: str = "") -> tuple[bytes, str]:
    """The text, and its content type. `accept`: what the scraper says that it reads.

    Raises `KeyError` for a metric that `METRICS` does not have, `ValueError` for the wrong number of labels.
    """
    families: dict[str, Metric] = {}
    for sample in samples:
        _add(families, sample)
    in_order = [families[name] for name in METRICS if name in families]
    if "application/openmetrics-text" in accept:
        # The default escaping of sample names (0.26) takes the colon for a character that must be escaped.
        encode: Any = openmetrics.generate_latest
        return encode(_Read(in_order), openmetrics.ALLOWUTF8), openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(_Read(in_order)), CONTENT_TYPE_PLAIN_0_0_4


def _add(families: dict[str, Metric], sample: Sample) -> None:
    name, told = sample.metric, METRICS[sample.metric]
    if len(sample.labels) != len(told.labels):
        raise ValueError(f"{name} has the labels {told.labels}, not {sample.labels}")
    labels, value = list(sample.labels), sample.value
    if isinstance(value, Buckets):
        histogram = families.get(name) or HistogramMetricFamily(name, told.what, labels=told.labels)
        families[name] = histogram
        assert isinstance(histogram, HistogramMetricFamily)
        bounds = [*(f"{bound:g}" for bound in value.bounds), "+Inf"]
        histogram.add_metric(
            labels, list(zip(bounds, accumulate(value.counts), strict=True)), sum_value=value.total
        )
        return
    kind = CounterMetricFamily if told.kind == "counter" else GaugeMetricFamily
    family = families.get(name) or kind(name, told.what, labels=told.labels)
    families[name] = family
    assert isinstance(family, kind)
    family.add_metric(labels, value)
