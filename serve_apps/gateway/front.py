"""The gateway's paths: who answers which, and of its own `/health` and `/metrics`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.routing import Router

from serve_apps.gateway.admission import Admission
from serve_apps.gateway.control import ControlFront
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.exposition import Accounts, exposition
from serve_apps.gateway.http import Exchange, router
from serve_apps.gateway.openai.models import list_models, show_model
from serve_apps.gateway.openapi import FORMS, describe
from serve_apps.gateway.quota import Quotas
from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.replica.choice import has_ledger
from serve_apps.wire.calls import Calls, Unreached
from serve_apps.wire.names import VRAM
from serve_apps.wire.secret import Keys

log = logging.getLogger("edgebed")


class Front:
    """Handlers of all paths. `current` gives the run in progress, or None between runs."""

    def __init__(
        self,
        host: str,
        keys: Keys,
        current: Callable[[], Dispatcher | None],
        calls: Calls,
        books: Books | None = None,
    ) -> None:
        self._current = current
        self._calls = calls
        self._books = books
        settings = HttpSettings() if books is None else books.settings
        self._admission = Admission(current, keys.api, Quotas(settings, time.monotonic, keys.api is not None))
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
                ("GET", "/metrics", self._metrics),
                ("POST", "/control/inject", self._control.inject),
                ("POST", "/control/block", self._control.block),
                ("GET", "/control/progress", self._control.progress),
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
            }
        await exchange.json(body)

    async def _metrics(self, exchange: Exchange) -> None:
        accounts = await self._accounts()
        text = exposition(self._current(), accounts, self._books)
        await exchange.reply(200, text, b"text/plain; version=0.0.4; charset=utf-8")

    async def _accounts(self) -> Accounts:
        """What the vRAM ledger holds; nothing where there is none, or it does not answer."""
        dispatcher = self._current()
        if dispatcher is None or not has_ledger(dispatcher.run.testbed, dispatcher.run.backend):
            return ()
        try:
            accounts: Accounts = await self._calls.call(VRAM, "accounts")
        except Unreached as error:
            log.warning("gateway: vRAM ledger not reached: %s", error)
            return ()
        return accounts
