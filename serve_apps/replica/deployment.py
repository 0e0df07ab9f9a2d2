"""The Serve deployment of one model on one node: a thin host of its backend.

The queue is the node's, never Serve's: a replica takes every request at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import ray

from serve_apps.engines.loading import LoadFacts
from serve_apps.observe.logs import log_samples, starting
from serve_apps.observe.process import process_samples
from serve_apps.observe.samples import Sample
from serve_apps.replica import BackendSpec, backend_class
from serve_apps.replica.line import Listening
from serve_apps.wire.line import address
from serve_apps.wire.listening import listen_where_the_node_is
from serve_apps.wire.memory import keep_freed_memory
from serve_apps.wire.messages import Answer, Delta, Work
from serve_apps.wire.names import app_name
from serve_apps.wire.restart import tell_that_it_started
from serve_apps.wire.testbed import namespace


class Replica:
    """One application per (node, model)."""

    _listening: Listening | None = None
    """Where gateways of this machine reach it; after the backend is made: what that forks does not hold their lines."""

    def __init__(self, spec: BackendSpec, backend: str) -> None:
        keep_freed_memory()
        listen_where_the_node_is()
        self._name = app_name(spec.node, spec.model.id)
        with starting(self._name, spec.node):
            tell_that_it_started(self._name)
            self._backend = backend_class(backend)(spec)
        here = ray.get_runtime_context()
        self._line = address(here.get_session_name(), namespace(), self._name, here.get_actor_id() or "")
        self._listening = Listening(self._line, self._backend)
        self._opening = asyncio.ensure_future(self._listening.open())

    def __del__(self) -> Coroutine[Any, Any, None] | None:
        """Serve calls this before it ends the process, and awaits what comes of it."""
        listening, self._listening = self._listening, None
        return None if listening is None else listening.close()

    async def serve(self, work: Work) -> Answer:
        """One attempt, whole."""
        return await self._backend.serve(work)

    async def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        """One attempt, text as it comes, the `Answer` last."""
        async for item in self._backend.stream(work):
            yield item

    async def line(self) -> str:
        """Where gateways of this machine reach this replica without Serve. Raises `OSError` if it cannot listen."""
        await asyncio.shield(self._opening)
        return self._line

    async def load_facts(self) -> LoadFacts | None:
        """What loading its model cost; None if it emulates."""
        return self._backend.facts

    async def numbers(self) -> list[Sample]:
        """What a scraper is to read of this replica: its process."""
        return [*process_samples(self._name), *log_samples(self._name)]

    async def pid(self) -> int:
        """Process of this replica."""
        return os.getpid()
