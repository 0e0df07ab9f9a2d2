"""Backends that a live test gives its replicas, by dotted path."""

from __future__ import annotations

import asyncio

from serve_apps.replica.base import Synthetic
from serve_apps.wire.messages import Answer, Work
from tests.build.gateway import served


class Patient(Synthetic):
    """Answers half a second after it was asked."""

    async def serve(self, work: Work) -> Answer:
        await asyncio.sleep(0.5)
        return await served(work)
