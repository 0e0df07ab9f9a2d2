"""How long requests and their answers take to and from one node, and which of them get lost."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from emulation.domain.cluster import LinkSpec, TestbedConfig
from emulation.domain.events import LinkLoss
from emulation.domain.truth import Way, lost
from emulation.executor.job import Job


@mypyc_attr(allow_interpreted_subclasses=True)
class Paths:
    """The links of one node, and the extra delay and the loss in force on them."""

    def __init__(self, testbed: TestbedConfig, node_id: str) -> None:
        self._testbed = testbed
        self._site = testbed.node(node_id).site
        self._site_of = testbed.sites
        self._links: dict[str, LinkSpec | None] = {}
        """Origin to the link its requests come over; None where that costs nothing."""
        self._extra: dict[int, tuple[str, float]] = {}
        self._losses: dict[int, tuple[str, LinkLoss]] = {}
        self.network_s = 0.0
        """Seconds each way to the gateway, for every request, as measured: beside the links of the testbed."""

    def set_delay(self, event: int, site: str, extra_s: float) -> None:
        """Extra seconds each way from a site; 0 ends it."""
        if extra_s > 0:
            self._extra[event] = (site, extra_s)
        else:
            self._extra.pop(event, None)

    def delay_s(self, event: int) -> float:
        """Extra seconds each way by this event."""
        return self._extra.get(event, ("", 0.0))[1]

    def set_loss(self, event: int, site: str, loss: LinkLoss | None) -> None:
        """What passes to and from a site gets lost as this event says; None ends it."""
        if loss is None:
            self._losses.pop(event, None)
        else:
            self._losses[event] = site, loss

    def loss_rate(self, event: int) -> float:
        """Probability with which this event makes a message get lost."""
        return self._losses[event][1].rate if event in self._losses else 0.0

    def resending(self, job: Job, way: Way, t_s: float) -> tuple[float, bool]:
        """Seconds that go by with sending a message again whose first try is at `t_s`, and whether it gets through.

        Where several events lose messages, the first of them says how often and when they are sent again.
        """
        origin = self._site_of.get(job.request.origin)
        losses = [(event, loss) for event, (site, loss) in self._losses.items() if site == origin]
        if not losses:
            return 0.0, True
        first = losses[0][1]
        for k in range(first.tries):
            if not any(lost(of, event, job.request.id, job.attempt, way, k, t_s) for event, of in losses):
                return k * first.retry_s, True
        return first.tries * first.retry_s, False

    def time(self, job: Job) -> None:
        """Set the uplink and downlink time of a job (X_q of MA eq. 7)."""
        request = job.request
        if request.origin not in self._links:
            self._links[request.origin] = self._from(request.origin)
        link = self._links[request.origin]
        job.uplink_s = 0.0 if link is None else link.transfer_s(request.up_bytes)
        job.downlink_s = 0.0 if link is None else link.transfer_s(request.down_bytes)
        if self.network_s:
            job.uplink_s += self.network_s
            job.downlink_s += self.network_s
        if self._extra:
            origin = self._site_of.get(request.origin)
            extra_s = sum([s for site, s in self._extra.values() if site == origin])
            job.uplink_s += extra_s
            job.downlink_s += extra_s

    def _from(self, origin: str) -> LinkSpec | None:
        link = self._testbed.link(self._site_of.get(origin, self._site), self._site)
        costs = link is not None and (link.latency_s > 0 or link.bandwidth_mbps is not None)
        return link if costs else None
