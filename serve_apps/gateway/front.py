"""The gateway's paths: who answers which, and of its own `/health` and `/metrics`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from starlette.routing import Router

from serve_apps.gateway.admission import Admission
from serve_apps.gateway.control import ControlFront
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.http import Exchange, router
from serve_apps.gateway.openai.models import list_models, show_model
from serve_apps.gateway.openapi import FORMS, describe
from serve_apps.gateway.others import Others
from serve_apps.gateway.quota import Quotas
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.observe.actors import unsent_samples
from serve_apps.observe.collector import Collector
from serve_apps.observe.exposition import Texts
from serve_apps.observe.gateway import run_samples, server_samples
from serve_apps.observe.logs import log_samples
from serve_apps.observe.process import build_samples, process_samples
from serve_apps.observe.samples import Sample
from serve_apps.records.batch import RecordBatch
from serve_apps.wire.calls import Calls
from serve_apps.wire.names import GATEWAY_APP
from serve_apps.wire.secret import Keys


class Front:
    """Handlers of all paths. `current` gives the run in progress, or None between runs."""

    def __init__(
        self,
        host: str,
        keys: Keys,
        current: Callable[[], Dispatcher | None],
        calls: Calls,
        books: Books | None = None,
        collector: Collector | None = None,
        batch: Callable[[], RecordBatch] | None = None,
        others: Callable[[], Others | None] = lambda: None,
    ) -> None:
        """`collector`: reads the rest of the testbed; `batch`: records on their way; None: nothing is said of them.
        `others`: what other gateways have at the nodes, where there are others."""
        self._current = current
        self._books = books
        self._others = others
        settings = HttpSettings() if books is None else books.settings
        self._admission = Admission(current, keys.api, Quotas(settings, time.monotonic, keys.api is not None))
        self._collector = collector
        self._texts = Texts()
        self._batch = batch
        self._control = ControlFront(host, keys.control, calls)

    def app(self) -> Router:
        """The ASGI application."""
        return router(
            (
                *(("POST", form.path, partial(form.serve, self._admission)) for form in FORMS),
                *(
                    ("GET", path, partial(list_models, self._admission))
                    for path in ("/v1/models", "/v1/models/")
                ),
                ("GET", "/v1/models/{model:path}", partial(show_model, self._admission)),
                ("GET", "/openapi.json", lambda exchange: exchange.json(describe())),
                ("GET", "/health", self._health),
                ("GET", "/metrics", partial(self._metrics, own=True, others=True)),
                ("GET", "/metrics/gateway", partial(self._metrics, own=True, others=False)),
                ("GET", "/metrics/testbed", partial(self._metrics, own=False, others=True)),
                ("POST", "/control/inject", self._control.inject),
                ("POST", "/control/undo", self._control.undo),
                ("GET", "/control/events", self._control.events),
                ("POST", "/control/send", self._control.start_load),
                ("GET", "/control/load", self._control.load),
                ("POST", "/control/rate", self._control.change_load),
                ("POST", "/control/scheme", self._control.switch),
                ("GET", "/control/schemes", self._control.schemes),
                ("GET", "/control/proposals", self._control.proposals),
                ("POST", "/control/approve", self._control.approve),
                ("POST", "/control/reject", self._control.reject),
                ("POST", "/control/block", self._control.block),
                ("GET", "/control/progress", self._control.progress),
                ("GET", "/control/gateways", self._control.gateways),
            )
        )

    async def _health(self, exchange: Exchange) -> None:
        dispatcher = self._current()
        body: dict[str, Any] = {"status": "idle", "pid": os.getpid()}
        if dispatcher is not None:
            body |= {
                "status": "ok",
                "run": dispatcher.run.run_id,
                "scheme": dispatcher.run.scheme,
                "speedup": dispatcher.run.speedup,
                "t_s": round(dispatcher.clock.now_s(), 3),
                "in_flight": len(dispatcher.flights),
                "gateway": dispatcher.names.gateway,
            }
            if trouble := dispatcher.records.trouble:
                body |= {"status": "degraded", "reason": trouble}
        others = self._others()
        if others is not None:
            body["of_others"] = others.per_node().total()
            body["news_age_s"] = round(others.age_s(), 3)
        await exchange.json(body, 503 if dispatcher is not None and dispatcher.records.full else 200)

    async def _metrics(self, exchange: Exchange, own: bool, others: bool) -> None:
        """What this gateway counts, and what all others do; each scraped once a testbed has several gateways."""

        async def read() -> list[Sample]:
            current = self._current()
            found = [*self._own(current)] if own else []
            if others and self._collector is not None:
                found += await self._collector.read(None if current is None else current.run)
            return found

        text, kind = await self._texts.text(exchange.scope["path"], exchange.header(b"accept") or "", read)
        await exchange.reply(200, text, kind.encode())

    def _own(self, current: Dispatcher | None) -> Iterator[Sample]:
        yield from build_samples()
        yield from process_samples(GATEWAY_APP)
        yield from log_samples(GATEWAY_APP)
        yield Sample("edgebed_up", (GATEWAY_APP,), 1.0)
        if self._batch is not None:
            yield from unsent_samples(GATEWAY_APP, self._batch())
        if current is not None:
            yield from run_samples(current)
            if current.links is not None:
                yield from current.links.samples()
        others = self._others()
        if others is not None:
            yield from others.samples()
        if self._books is not None:
            yield from server_samples(self._books)
