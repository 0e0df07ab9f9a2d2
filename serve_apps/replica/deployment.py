"""The Serve deployment of one model on one node: a thin host of its backend.

The queue is the node's, never Serve's: a replica takes every request at once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from serve_apps.engines.loading import LoadFacts
from serve_apps.observe.logs import log_samples, starting
from serve_apps.observe.process import process_samples
from serve_apps.observe.samples import Sample
from serve_apps.replica import BackendSpec, backend_class
from serve_apps.wire.listening import listen_where_the_node_is
from serve_apps.wire.messages import Answer, Delta, Work
from serve_apps.wire.names import app_name
from serve_apps.wire.restart import tell_that_it_started


class Replica:
    """One application per (node, model)."""

    def __init__(self, spec: BackendSpec, backend: str) -> None:
        listen_where_the_node_is()
        self._name = app_name(spec.node, spec.model.id)
        with starting(self._name, spec.node):
            tell_that_it_started(self._name)
            self._backend = backend_class(backend)(spec)

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""
        return await self._backend.serve(work)

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""
        async for item in self._backend.stream(work):
            yield item

    async def load_facts(self) -> LoadFacts | None:
        """What loading its model cost; None if it emulates."""
        return self._backend.facts

    async def numbers(self) -> list[Sample]:
        """What a scraper is to read of this replica: its process."""
        return [*process_samples(self._name), *log_samples(self._name)]

    async def pid(self) -> int:
        """Process of this replica."""
        return os.getpid()
