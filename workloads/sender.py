"""Sends one process's share of a workload, open loop, on gevent: what `locustfile.py` runs inside locust.

The wall clock is handed in. Every request gets exactly one line in the client's log, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import gevent  # type: ignore[import-untyped]
from gevent.event import Event  # type: ignore[import-untyped]
from gevent.pool import Group  # type: ignore[import-untyped]
from geventhttpclient.useragent import UserAgent

from emulation.domain.request import Request
from emulation.domain.request_id import of_load
from emulation.domain.scenario import Scenario
from workloads.client import Answer, HttpCall, build_call
from workloads.failures import spoken
from workloads.generate import Workload
from workloads.load import ClientResult
from workloads.open_loop import Pace, Timeline, share

CONNECTIONS = 10_000
"""Open connections at most: above any number outstanding, so that no request waits for one."""

Sample = Callable[[str, str, float, ClientResult], None]
"""Kind (`POST`, `TTFT`), name, wall seconds since the intended send time, and the request's result."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process has to send, and for how long a request may last (wall seconds)."""

    scenario: Scenario
    workload: Workload
    timeline: Timeline
    base_url: str
    log: Path
    index: int
    count: int
    timeout_s: float
    grace_s: float
    api_key: str | None = None
    load_id: str = ""
    """In the name of every request, so that another load on the same testbed calls none so; empty: there is none."""
    rate: float = 1.0
    """Requests leave so many times as densely as the scenario says."""
    tell_intended: bool = False
    """Say of every request when it was meant to leave: the testbed's virtual time began with this timeline."""


@dataclass(slots=True)
class _Reply:
    """What has come back so far."""

    answer: Answer | None = None
    first_token_s: float | None = None
    failure: str | None = None


class _Agent(UserAgent):
    """Takes every status as an answer: refusals are results here."""

    def _verify_status(self, status_code: int, url: Any = None) -> None:
        """Nothing to verify."""


class OpenLoopRun:
    """One process's share of a run. `now_s` tells epoch seconds and never jumps."""

    def __init__(self, job: Job, now_s: Callable[[], float], sample: Sample) -> None:
        self._job, self._now_s, self._sample = job, now_s, sample
        self._models = {m.id: m for m in job.scenario.testbed.models}
        self._unsent = {r.id: r for r in share(job.workload, job.index, job.count)}
        self._pace = Pace(job.timeline, job.rate)
        self._steered = Event()
        """The pace has changed, or the sending stopped: who waits for a request's time looks again."""
        self._stopped = False
        self._sending = Group()
        self._agent = _Agent(
            max_retries=0,
            max_redirects=0,
            concurrency=CONNECTIONS,
            connection_timeout=job.timeout_s,
            network_timeout=job.timeout_s,
        )
        job.log.parent.mkdir(parents=True, exist_ok=True)
        self._log: TextIO = job.log.open("w", encoding="utf-8")
        self.answered = 0
        """Requests that got an HTTP reply, of any status."""

    def run(self) -> None:
        """Send every request at its time, then wait for the last, at most until its own time-out."""
        for request in list(self._unsent.values()):
            self._wait_for(request)
            if self._stopped:
                break
            if request.id in self._unsent:
                due_s = self._pace.due_s(request.arrival_s)
                self._sending.start(gevent.Greenlet(self._send, request, due_s))
        self._sending.join(timeout=self._job.timeout_s + self._job.grace_s)
        self.close()

    def change_rate(self, rate: float) -> None:
        """Send what is left at another rate from now on."""
        self._pace.change(rate, self._now_s())
        self._steered.set()

    def stop_sending(self) -> None:
        """Send no more; what is on its way is waited for by `run`."""
        self._stopped = True
        self._steered.set()

    def _wait_for(self, request: Request) -> None:
        """Until it is due, however often the pace changes meanwhile."""
        while not self._stopped and (left_s := self._pace.wall_s(request.arrival_s) - self._now_s()) > 0:
            self._steered.wait(left_s)
            self._steered.clear()
        gevent.sleep(0)

    def close(self) -> None:
        """Give up what is outstanding, and log every request that has no end yet. Safe to call twice."""
        unsent, self._unsent = self._unsent, {}
        self._sending.kill(block=True)
        if self._log.closed:
            return
        stopped = _Reply(failure="the run was stopped before it was sent")
        for request in unsent.values():
            self._record(request, self._pace.due_s(request.arrival_s), None, stopped, aborted=True)
        self._log.close()
        self._agent.close()

    def _send(self, request: Request, due_s: float) -> None:
        if self._unsent.pop(request.id, None) is None:  # the run was stopped in between, and it has its line
            return
        sent_s, aborted = self._now_s(), True
        reply = _Reply(failure="the run was stopped")
        timer = gevent.Timeout.start_new(self._job.timeout_s)
        try:
            self._exchange(self._call(request, due_s), reply)
            aborted, reply.failure = False, None
        except (Exception, gevent.Timeout) as error:  # whatever it is, the request gets its line in the log
            aborted = self._now_s() - sent_s >= self._job.timeout_s
            reply.failure = (
                "no end before the client gave up" if aborted else spoken(error, reply.answer is not None)
            )
        finally:
            timer.close()
            self._record(request, due_s, sent_s, reply, aborted)

    def _call(self, request: Request, due_s: float) -> HttpCall:
        job = self._job
        return build_call(
            request, self._models[request.model], job.workload.max_tokens.get(request.id),
            job.scenario.live.stream_share, job.api_key, job.load_id, due_s if job.tell_intended else None,
        )  # fmt: skip

    def _exchange(self, call: HttpCall, reply: _Reply) -> None:
        """Post the call and read its answer into `reply` as it comes."""
        url = self._job.base_url + call.path
        response = self._agent.urlopen(url, method="POST", payload=call.body, headers=dict(call.headers))
        try:
            reply.answer = answer = Answer(call, response.status_code)
            if not call.stream or response.status_code >= 400:
                answer.body(bytes(response.read()))
                return
            while line := response.stream.readline(b"\n"):
                if answer.line(bytes(line)) and reply.first_token_s is None:
                    reply.first_token_s = self._now_s()
        finally:
            response.release()

    def _record(
        self, request: Request, due_s: float, sent_s: float | None, reply: _Reply, aborted: bool
    ) -> None:
        """One line in the log, and a sample for locust if it was sent (two with a time to first token)."""
        ended_s, virtual_s = self._now_s(), self._job.timeline.virtual_s
        intended_s = self._job.timeline.wall_s(due_s)
        answer, first_s = reply.answer, reply.first_token_s
        ended = "error" if reply.failure or answer is None else answer.outcome()
        result = ClientResult(
            request_id=of_load(self._job.load_id, request.id),
            model=request.model,
            intended_s=due_s,
            sent_s=None if sent_s is None else virtual_s(sent_s),
            first_token_s=None if first_s is None else virtual_s(first_s),
            ended_s=virtual_s(ended_s),
            latency_wall_s=ended_s - intended_s,
            status=None if answer is None else answer.status,
            outcome="aborted" if aborted else ended,
            error=reply.failure or (None if answer is None else answer.error),
            output_tokens=None if answer is None else answer.output_tokens,
            tenant=request.tenant,
        )
        self.answered += answer is not None
        self._log.write(result.model_dump_json() + "\n")
        self._log.flush()
        if sent_s is not None:
            self._sample("POST", request.model, ended_s - intended_s, result)
        if first_s is not None:
            self._sample("TTFT", request.model, first_s - intended_s, result)
