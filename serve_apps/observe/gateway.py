"""What a gateway has to tell beside the requests that ended: its run, its fast path, its HTTP server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from emulation.domain.ports import FastPath
from serve_apps.gateway.flight import Flight
from serve_apps.gateway.server.books import Books
from serve_apps.observe.requests import RequestCounts
from serve_apps.observe.samples import Sample
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import GatewayRun


class Counted(Protocol):
    """What is read of the run in progress."""

    run: GatewayRun
    clock: LiveClock
    fast_path: FastPath
    counts: RequestCounts

    @property
    def flights(self) -> Mapping[str, Flight]:
        """Requests in the gateway, by their ids."""

    @property
    def heard_s(self) -> Mapping[str, float]:
        """Command in force to when it was heard, virtual seconds."""


def run_samples(run: Counted) -> list[Sample]:
    """Its requests, its clock, what its fast path believes."""
    now_s, told = run.clock.now_s(), run.run
    lifecycle = "cold" if told.cold else "warm"
    found = [
        *run.counts.samples(),
        *_flying(run.flights.values(), [m.id for m in told.testbed.models]),
        Sample("edgebed_run_info", (told.scheme, told.testbed.name, lifecycle), 1.0),
        Sample("edgebed_virtual_seconds", (), now_s),
        Sample("edgebed_speedup_ratio", (), told.speedup),
    ]
    for command, heard_s in run.heard_s.items():
        found.append(Sample("edgebed_command_age_seconds", (command,), max(0.0, now_s - heard_s)))
    for model, limit_s in run.fast_path.limits_s().items():
        found.append(Sample("edgebed_admission_limit_seconds", (model,), limit_s))
    for belief in run.fast_path.believed(now_s):
        labels = (belief.executor, belief.node)
        found += [
            Sample("edgebed_predicted_wait_seconds", labels, belief.wait_s),
            Sample("edgebed_executor_risky", labels, float(belief.risky)),
            Sample("edgebed_executor_masked", labels, float(belief.masked)),
        ]
    return found


def _flying(flights: Collection[Flight], models: Sequence[str]) -> list[Sample]:
    counted = Counter((f.request.model, "held" if f.work is None else "dispatched") for f in flights)
    return [
        Sample("edgebed_in_flight", (model, place), counted[model, place])
        for model in models
        for place in ("held", "dispatched")
    ]


def server_samples(books: Books) -> list[Sample]:
    """What was answered, what is open and held, and how late the event loop is."""
    answers = [
        Sample("edgebed_http_answers_total", (str(s),), count) for s, count in sorted(books.answers.items())
    ]
    return [
        *answers,
        Sample("edgebed_http_connections", (), len(books.connections)),
        Sample("edgebed_http_body_bytes", (), books.body_bytes),
        Sample("edgebed_loop_lag_seconds", (), books.lag.read()),
    ]
