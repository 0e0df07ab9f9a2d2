"""The engine once more, for one case only: pods whose roles never change, requests that follow a table, no events.

What a planner asks what-if is of this kind, hundreds of times over the same requests. Of the general engine (`run.py`)
this leaves out all that such a world cannot need: lifecycles after the first start, conditions, links, records, the
fast path's beliefs. What is left is reckoned by the same formulas in the same order, so that both come to the same; a
test holds this one to the general one. One request: `_arrive` → a queue → `_serve` → `_finish` or `_expire`.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

from emulation.domain.cluster import TestbedConfig
from emulation.domain.slots import slot_start_s
from emulation.engine.fixed_pods import Host, Pod, Task

Look = Callable[[int, list[float], list[float], list[list[float]], list[list[float]]], list[int]]
"""A scheduler's look at the begin of a slot: the slot; per pod its unfinished prompts, the seconds until it is ready,
and [requests, work_s, sum of each feature] of what it finished; per model [requests, prompts] of what arrived. It gives
the pod of every (model, origin): place model * origins + origin."""


class FixedRoles:
    """One epoch under one plan. Build it, then call `run` once; the tasks may be run again in another.

    `hosts` in inventory order, those that are there; `pods`: all of theirs, as the scheduler counts them. `tasks` in
    order of time, none later in `deadline_s` than one after it.
    """

    def __init__(
        self,
        testbed: TestbedConfig,
        hosts: list[Host],
        pods: list[Pod],
        tasks: list[Task],
        look: Look,
    ) -> None:
        self._testbed, self._hosts, self._pods, self._tasks, self._look = testbed, hosts, pods, tasks, look
        self._origins = len(testbed.nodes)
        self._heap: list[tuple[float, int]] = []
        self._arrived = [[0.0, 0.0] for _ in testbed.models]
        self._table: list[int] = []
        self._next, self._next_due = 0, 0
        """Places of the tasks that arrive and that expire next."""
        self._open = sum([task.counted for task in tasks])
        self.asked = [0 for _ in testbed.models]
        """Per model, tasks that count."""
        self.served = [0 for _ in testbed.models]
        """Of these, those that were done in time."""
        self.latency_s = [0.0 for _ in testbed.models]
        """Sum over those served."""
        self.prompts = [0.0 for _ in testbed.models]
        """Of those served."""

    def run(self, slot_s: float, window_slots: int, agents_await_dispatch: bool, give_up_s: float) -> None:
        """Play until every task that counts has ended, or to `give_up_s`.

        Every `window_slots` slots telemetry counts anew. `agents_await_dispatch`: what arrives at 0 is queued before
        pods are started.
        """
        self._see(0, 0.0, window_slots)
        if not agents_await_dispatch:
            self._start()
        while self._next < len(self._tasks) and self._tasks[self._next].t_s <= 0.0:
            self._arrive(0.0)
        if agents_await_dispatch:
            self._start()
        slot, tick_s = 1, slot_start_s(1, slot_s)
        while self._open > 0:
            node_s = self._heap[0][0] if self._heap else inf
            due_s = self._due_s()
            arrival_s = self._tasks[self._next].t_s if self._next < len(self._tasks) else inf
            if min(node_s, due_s, arrival_s, tick_s) > give_up_s:
                return
            if node_s <= due_s and node_s <= tick_s and node_s <= arrival_s:
                self._wake()
            elif due_s <= tick_s and due_s <= arrival_s:
                self._expire(due_s)
            elif tick_s <= arrival_s:
                self._see(slot, tick_s, window_slots)
                slot, tick_s = slot + 1, slot_start_s(slot + 1, slot_s)
            else:
                self._arrive(arrival_s)

    def _see(self, slot: int, t_s: float, window_slots: int) -> None:
        backlog = [pod.unfinished(t_s) for pod in self._pods]
        ready_in_s = [0.0 if pod.timer_s == inf else max(0.0, pod.timer_s - t_s) for pod in self._pods]
        worked = [pod.worked for pod in self._pods]
        self._table = self._look(slot, backlog, ready_in_s, worked, self._arrived)
        if slot % window_slots == 0:
            self._arrived = [[0.0, 0.0] for _ in self._arrived]
            for pod in self._pods:
                pod.worked = [0.0, 0.0, 0.0, 0.0]

    def _start(self) -> None:
        for host in self._hosts:
            host.place(self._testbed)
            for pod in host.pods:
                pod.timer_s = pod.init_s
            self._arm(host)

    def _arrive(self, t_s: float) -> None:
        task = self._tasks[self._next]
        self._next += 1
        self.asked[task.model] += task.counted
        arrived = self._arrived[task.model]
        arrived[0] += 1.0
        arrived[1] += float(task.prompts)
        pod = self._pods[self._table[task.model * self._origins + task.origin]]
        task.pod, task.work_s = pod, 0.0
        pod.queue.append(task)
        pod.queued_prompts += len(task.noise)
        if pod.job is None and pod.up:
            host = pod.host
            self._serve(host, pod, t_s)
            self._arm(host)

    def _wake(self) -> None:
        """The next node has something to do: what is finished or started there, pods in order."""
        t_s, number = heappop(self._heap)
        host = self._hosts[number]
        if host.armed_s != t_s:
            return
        host.armed_s = inf
        for pod in host.pods:
            if pod.finish_s <= t_s:
                self._finish(host, pod, t_s)
            if pod.timer_s <= t_s:
                pod.timer_s, pod.up = inf, True
                self._serve(host, pod, t_s)
        self._arm(host)

    def _arm(self, host: Host) -> None:
        next_s = host.next_s()
        if next_s < host.armed_s:
            host.armed_s = next_s
            heappush(self._heap, (next_s, host.number))

    def _serve(self, host: Host, pod: Pod, t_s: float) -> None:
        """The next of the queue comes into service, if there is one."""
        while pod.queue:
            task = pod.queue.popleft()
            if task.pod is pod:
                pod.queued_prompts -= len(task.noise)
                pod.begin(task, t_s)
                host.share_out(pod, t_s)
                return

    def _finish(self, host: Host, pod: Pod, t_s: float) -> None:
        task = pod.job
        assert task is not None
        pod.release(t_s)
        task.pod = None
        worked = pod.worked
        worked[0] += 1.0
        worked[1] += task.work_s
        worked[2] += task.x[0]
        worked[3] += task.x[1]
        if task.counted:
            self._open -= 1
            self.served[task.model] += 1
            self.latency_s[task.model] += t_s - task.t_s
            self.prompts[task.model] += task.prompts
        self._after(host, pod, t_s)

    def _after(self, host: Host, pod: Pod, t_s: float) -> None:
        self._serve(host, pod, t_s)
        if pod.job is None:
            host.share_out(pod, t_s)

    def _due_s(self) -> float:
        """When the next of those that wait or are served has to have ended."""
        while self._next_due < self._next:
            task = self._tasks[self._next_due]
            if task.pod is not None:
                return task.deadline_s
            self._next_due += 1
        return inf

    def _expire(self, t_s: float) -> None:
        task = self._tasks[self._next_due]
        pod = task.pod
        assert pod is not None
        task.pod = None
        self._open -= task.counted
        if pod.job is task:
            host = pod.host
            pod.release(t_s)
            self._after(host, pod, t_s)
            self._arm(host)
        else:
            pod.queued_prompts -= len(task.noise)
