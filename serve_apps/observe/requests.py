"""The requests of one run in one gateway process, counted as they end. Costs a few additions per request."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from emulation.domain.measured import Measured
from emulation.domain.request import Outcome, Request
from serve_apps.observe.metrics import (
    ERROR,
    FIRST_TOKEN_S,
    LATENCY_S,
    OTHER,
    OVERHEAD_S,
    PER_TOKEN_S,
)
from serve_apps.observe.samples import Histogram, Sample

MOST_TENANTS = 32
"""With names of their own in the metrics of a gateway: a client can make up as many as it likes."""


class Served:
    """Sums and histograms of the requests of one model that one node served. Times in virtual seconds."""

    __slots__ = (
        "error", "finished", "first_token", "input_tokens", "latency", "measured_s", "output_tokens", "overhead",
        "per_token", "predicted_s", "queue", "service",
    )  # fmt: skip

    def __init__(self) -> None:
        self.latency, self.queue, self.service = (Histogram(LATENCY_S) for _ in range(3))
        self.first_token, self.per_token = Histogram(FIRST_TOKEN_S), Histogram(PER_TOKEN_S)
        self.overhead, self.error = Histogram(OVERHEAD_S), Histogram(ERROR)
        self.input_tokens = self.output_tokens = 0
        self.predicted_s = self.measured_s = 0.0
        self.finished: Counter[str] = Counter()
        """Why answers ended, to how many did."""

    def samples(self, labels: tuple[str, ...]) -> Iterator[Sample]:
        """All of it, under these labels."""
        for reason, count in sorted(self.finished.items()):
            yield Sample("vllm:request_success_total", (*labels, reason), count)
        for metric, histogram in (
            ("vllm:e2e_request_latency_seconds", self.latency),
            ("vllm:request_queue_time_seconds", self.queue),
            ("vllm:request_inference_time_seconds", self.service),
            ("vllm:time_to_first_token_seconds", self.first_token),
            ("vllm:request_time_per_output_token_seconds", self.per_token),
            ("edgebed_platform_overhead_seconds", self.overhead),
            ("edgebed_prediction_error_ratio", self.error),
        ):
            if any(histogram.counts):
                yield Sample(metric, labels, histogram.read())
        for metric, value in (
            ("vllm:prompt_tokens_total", self.input_tokens),
            ("vllm:generation_tokens_total", self.output_tokens),
            ("edgebed_predicted_service_seconds_total", self.predicted_s),
            ("edgebed_measured_service_seconds_total", self.measured_s),
        ):
            yield Sample(metric, labels, value)


@dataclass(frozen=True, slots=True)
class Stream:
    """When what was streamed left the gateway, virtual seconds."""

    first_s: float
    last_s: float
    tokens: int


class TenantCounts:
    """Counts by tenant: of the first `MOST_TENANTS` that ask by their names, of all others together."""

    def __init__(self) -> None:
        self._ends: Counter[tuple[str, Outcome]] = Counter()
        self._service_s: defaultdict[str, float] = defaultdict(float)
        self._waits: dict[str, Histogram] = {}
        self._names: set[str] = set()

    def ended(self, tenant: str, outcome: Outcome) -> None:
        """A request of a tenant ended in this way."""
        self._ends[self._label(tenant), outcome] += 1

    def done(self, tenant: str, service_s: float, wait_s: float) -> None:
        """A request of a tenant was served for so long, after waiting so long."""
        name = self._label(tenant)
        self._service_s[name] += service_s
        self._waits.setdefault(name, Histogram(LATENCY_S)).observe(wait_s)

    def samples(self, scheme: str) -> Iterator[Sample]:
        """All of it, under a scheme."""
        for (name, outcome), count in sorted(self._ends.items()):
            yield Sample("edgebed_tenant_requests_total", (name, outcome, scheme), count)
        for name, service_s in sorted(self._service_s.items()):
            yield Sample("edgebed_tenant_service_seconds_total", (name, scheme), service_s)
        for name, waits in sorted(self._waits.items()):
            yield Sample("edgebed_tenant_wait_seconds", (name, scheme), waits.read())

    def _label(self, tenant: str) -> str:
        if tenant in self._names or len(self._names) < MOST_TENANTS:
            self._names.add(tenant)
            return tenant
        return OTHER


class RequestCounts:
    """Counts of one run."""

    def __init__(self, scheme: str, models: Iterable[str]) -> None:
        self.ends: Counter[tuple[str, Outcome]] = Counter()
        """(model, outcome) to requests that ended."""
        self.tenants = TenantCounts()
        self._scheme = scheme
        self._models = frozenset(models)
        self._served: defaultdict[tuple[str, str], Served] = defaultdict(Served)
        """(model, node) to what was served there."""
        self._all: dict[str, RequestCounts] = {scheme: self}
        """Of every scheme that decided in the run."""

    def under(self, scheme: str) -> RequestCounts:
        """Where to count while another scheme decides; what was counted so far is told all the same."""
        found = self._all.setdefault(scheme, RequestCounts(scheme, self._models))
        found._all = self._all
        return found

    def ended(self, request: Request, outcome: Outcome) -> None:
        """A request ended in this way."""
        self.ends[self._known(request.model), outcome] += 1
        if request.tenant is not None:
            self.tenants.ended(request.tenant, outcome)

    def done(
        self,
        request: Request,
        node: str,
        measured: Measured,
        ended_s: float,
        finish: str = "stop",
        predicted_s: float | None = None,
        overhead_s: float | None = None,
        stream: Stream | None = None,
    ) -> None:
        """A request was served by a node, which delivered it at `ended_s`, in virtual seconds, and ended by `finish`.

        `predicted_s`: service time that was expected of it. `overhead_s`: wall seconds; None: it cannot be told.
        """
        served = self._served[self._known(request.model), node]
        latency_s = ended_s - request.arrival_s
        moved_s = measured.service_s + measured.uplink_s + measured.downlink_s
        served.finished[finish] += 1
        served.latency.observe(latency_s)
        wait_s = max(0.0, latency_s - moved_s)
        served.queue.observe(wait_s)
        if request.tenant is not None:
            self.tenants.done(request.tenant, measured.service_s, wait_s)
        served.service.observe(measured.service_s)
        served.input_tokens += (
            request.prompt_tokens if measured.input_tokens is None else measured.input_tokens
        )
        served.output_tokens += measured.output_tokens
        if overhead_s is not None:
            served.overhead.observe(overhead_s)
        if stream is not None:
            served.first_token.observe(max(0.0, stream.first_s - request.arrival_s))
            if stream.tokens > 1:
                served.per_token.observe((stream.last_s - stream.first_s) / (stream.tokens - 1))
        took_s = measured.turn_s
        if predicted_s is not None and took_s and measured.attempt == 1 and not measured.interrupted:
            served.error.observe(abs(predicted_s - took_s) / took_s)
            served.predicted_s += predicted_s
            served.measured_s += took_s

    def samples(self) -> list[Sample]:
        """All of it, of every scheme that decided."""
        return [sample for counts in self._all.values() for sample in counts._own()]

    def _own(self) -> list[Sample]:
        found = [
            Sample("edgebed_requests_total", (model, outcome, self._scheme), count)
            for (model, outcome), count in sorted(self.ends.items())
        ]
        for (model, node), served in sorted(self._served.items()):
            found.extend(served.samples((model, node, self._scheme)))
        found.extend(self.tenants.samples(self._scheme))
        return found

    def _known(self, model: str) -> str:
        return model if model in self._models else OTHER
