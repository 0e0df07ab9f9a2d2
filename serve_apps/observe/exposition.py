"""Samples as a scraper reads them: Prometheus' text, or OpenMetrics where that is asked for."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate
from math import inf
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from serve_apps.observe.metrics import METRICS
from serve_apps.observe.samples import Buckets, Sample

KEPT_S = 1.0
"""Wall seconds for which a text is good for other scrapers too."""
OPEN = "application/openmetrics-text"


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
    if OPEN in accept:
        # The default escaping of sample names (0.26) takes the colon for a character that must be escaped.
        encode: Any = openmetrics.generate_latest
        return encode(_Read(in_order), openmetrics.ALLOWUTF8), openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(_Read(in_order)), CONTENT_TYPE_PLAIN_0_0_4


class Texts:
    """Texts for scrapers: made in a thread, and each at most once a second, so that scrapers hold no request up."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bool], tuple[float, tuple[bytes, str]]] = {}
        """(what it is of, whether it is OpenMetrics) to when it was made, and the text with its content type."""
        self._making: defaultdict[tuple[str, bool], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def text(
        self, of: str, accept: str, read: Callable[[], Awaitable[Iterable[Sample]]]
    ) -> tuple[bytes, str]:
        """As `exposition`, of what `read` brings if nothing as fresh is there. `of`: what that is of."""
        key = (of, OPEN in accept)
        async with self._making[key]:
            made_s, made = self._made.get(key, (-inf, (b"", "")))
            if time.monotonic() - made_s > KEPT_S:
                made = await asyncio.to_thread(exposition, await read(), accept)
                self._made[key] = (time.monotonic(), made)
            return made


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
