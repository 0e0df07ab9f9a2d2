"""Whoever waits for a request at a node, and what it may be told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from emulation.domain.cluster import TestbedConfig
from emulation.executor import Job
from serve_apps.replica.content import total_tokens
from serve_apps.wire.messages import Served, Work


@dataclass(slots=True)
class Waiter:
    """Whoever waits for one request."""

    job: Job
    work: Work
    ended: asyncio.Future[Served]
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the request is in service; without lifecycle cold, from then on."""
    repaced: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something happened that may change the pace of real work."""
    attached: bool = False
    """Whether it waits through a replica, which can stop (lifecycle cold)."""
    reported: int = 0
    """Finished prompts that are in the progress record, or on their way there."""

    async def until(self, event: asyncio.Event) -> None:
        """Wait for this event, or the end of the attempt."""
        happened = asyncio.ensure_future(event.wait())
        await asyncio.wait((happened, self.ended), return_when=asyncio.FIRST_COMPLETED)
        happened.cancel()

    def answer(self, served: Served) -> None:
        """Tell it; the first answer counts."""
        if not self.ended.done():
            self.ended.set_result(served)

    def detach(self, at_s: float) -> None:
        """The replica it waits through is about to stop: it must ask again."""
        self.started.clear()
        if self.attached:
            self.answer(Served(outcome="detached", ended_s=at_s))
            self.ended, self.attached = asyncio.get_running_loop().create_future(), False


def produced(testbed: TestbedConfig, node_id: str, waiter: Waiter, done: float | None) -> tuple[int, int]:
    """Tokens produced so far and in all, given the done share of the service.

    One answer after the other, each an equal part; reading its prompt comes first, by the profiled law.
    """
    job, work = waiter.job, waiter.work
    total = total_tokens(testbed.model(job.request.model), work, job.truth.output_tokens)
    if done is None:
        return 0, total
    answers = job.request.prompts
    each, whole = total // answers, min(int(done * answers + 1e-9), answers)
    theta = testbed.theta(node_id, job.request.model, job.mode) or ()
    prefill = 0.0
    if len(theta) == 2:
        reading_s = theta[0] * job.request.prompt_tokens
        prefill = reading_s / max(reading_s + theta[1] * job.truth.output_tokens, 1e-12)
    share = (done * answers - whole - prefill) / max(1.0 - prefill, 1e-12)
    return min(total, whole * each + max(0, int(each * share + 1e-9))), total
