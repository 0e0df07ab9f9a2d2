"""How long requests take to and from one node."""

from __future__ import annotations

from emulation.domain.cluster import LinkSpec, TestbedConfig
from emulation.executor.job import Job


class Paths:
    """The links of one node, and the extra delay in force on them."""

    def __init__(self, testbed: TestbedConfig, node_id: str) -> None:
        self._testbed = testbed
        self._site = testbed.node(node_id).site
        self._site_of = {n.id: n.site for n in testbed.nodes}
        self._links: dict[str, LinkSpec | None] = {}
        """Origin to the link its requests come over; None where that costs nothing."""
        self._extra: dict[int, tuple[str, float]] = {}

    def set_delay(self, event: int, site: str, extra_s: float) -> None:
        """Extra seconds each way from a site; 0 ends it."""
        if extra_s > 0:
            self._extra[event] = (site, extra_s)
        else:
            self._extra.pop(event, None)

    def delay_s(self, event: int) -> float:
        """Extra seconds each way by this event."""
        return self._extra.get(event, ("", 0.0))[1]

    def time(self, job: Job) -> None:
        """Set the uplink and downlink time of a job (X_q of MA eq. 7)."""
        request = job.request
        if request.origin not in self._links:
            self._links[request.origin] = self._from(request.origin)
        link = self._links[request.origin]
        job.uplink_s = 0.0 if link is None else link.transfer_s(request.up_bytes)
        job.downlink_s = 0.0 if link is None else link.transfer_s(request.down_bytes)
        if self._extra:
            origin = self._site_of.get(request.origin)
            extra_s = sum(s for site, s in self._extra.values() if site == origin)
            job.uplink_s += extra_s
            job.downlink_s += extra_s

    def _from(self, origin: str) -> LinkSpec | None:
        link = self._testbed.link(self._site_of.get(origin, self._site), self._site)
        return link if link.latency_s > 0 or link.bandwidth_mbps is not None else None
