"""The engine once more, for one case only: pods whose roles never change, requests that follow a table, no events.

What a planner asks what-if is of this kind, hundreds of times over the same requests. Of the general engine (`run.py`)
this leaves out all that such a world cannot need: lifecycles after the first start, conditions, links, records, the
fast path's beliefs. What is left is reckoned by the same formulas in the same order, so that both come to the same; a
test holds this one to the general one. One request: `_arrive` → a queue → `_serve` → `_finish` or `_expire`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import inf

from emulation.domain.cluster import ExecutorSpec, Mode, NodeSpec, TestbedConfig
from emulation.domain.slots import slot_start_s
from emulation.executor.executor import Executor
from emulation.executor.resources import allocate

_LEAST_S = 1e-9
"""A unit of work never takes no time at all."""
_ROUNDING = 1e-9

Look = Callable[[int, list[float], list[float], list[list[float]], list[list[float]]], list[int]]
"""A scheduler's look at the begin of a slot: the slot; per pod its unfinished prompts, the seconds until it is ready,
and [requests, work_s, sum of each feature] of what it finished; per model [requests, prompts] of what arrived. It gives
the pod of every (model, origin): place model * origins + origin."""


class Unsuited(ValueError):
    """This world is not of the one kind; the message says why. The general engine can play it."""


class Task:
    """One request, its truth, and how far the present run is with it. Models and origins by their place in a list."""

    def __init__(
        self,
        model: int,
        origin: int,
        t_s: float,
        deadline_s: float,
        prompts: int,
        tokens: tuple[float, float] | None,
        noise: Sequence[float],
        counted: bool,
    ) -> None:
        """`tokens` in and out, of a model whose work they are; None: its work is prompts. `noise`: one per unit."""
        self.model, self.origin, self.t_s, self.deadline_s = model, origin, t_s, deadline_s
        self.prompts = prompts
        self.x = (float(prompts), 0.0) if tokens is None else tokens
        self.noise = list(noise)
        self.units = sum(self.noise)
        self.counted = counted
        self.pod: Pod | None = None
        """Where it is; None: nowhere yet, or it has ended."""
        self.work_s = 0.0
        """Seconds in service, each weighted by the share of its resource it had."""


class Pod:
    """An executor: its queue, what is in service, and how fast that goes."""

    host: Host

    def __init__(
        self, spec: ExecutorSpec, model: int, mode: Mode, theta: tuple[float, ...], init_s: float
    ) -> None:
        self.spec, self.model, self.mode, self.init_s = spec, model, mode, init_s
        self.theta0 = theta[0]
        self.theta1 = theta[1] if len(theta) > 1 else 0.0
        self.by_prompts = len(theta) == 1
        self.gpu = -1
        """Index of the GPU it has a slice of; −1: it is on the CPU."""
        self.up = False
        self.timer_s = inf
        """End of starting."""
        self.queue: deque[Task] = deque()
        """Of those that have ended meanwhile it is not cleared before their turn."""
        self.queued_prompts = 0
        self.job: Task | None = None
        self.remaining_units = 0.0
        self.unit_s = 1.0
        self.share = 1.0
        self.synced_s = 0.0
        self.finish_s = inf
        self.worked = [0.0, 0.0, 0.0, 0.0]
        """Requests it finished, their `work_s`, and the sum of each of their features."""

    def begin(self, task: Task, t_s: float) -> None:
        """Put a task in service; its speed is set right after."""
        if self.by_prompts:
            self.unit_s = self.theta0 or _LEAST_S
        else:
            whole_s = self.theta0 * task.x[0] + self.theta1 * task.x[1]
            self.unit_s = whole_s / len(task.noise) or _LEAST_S
        self.job, self.remaining_units, self.synced_s, self.share = task, task.units, t_s, 1.0
        self.finish_s = t_s + self.remaining_units * self.unit_s

    def sync(self, t_s: float) -> None:
        """Bring the progress of what is in service up to now."""
        task = self.job
        if task is not None and t_s > self.synced_s:
            elapsed_s = t_s - self.synced_s
            self.remaining_units = max(0.0, self.remaining_units - elapsed_s * self.share / self.unit_s)
            task.work_s += elapsed_s * self.share
            self.synced_s = t_s

    def rerate(self, share: float, t_s: float) -> None:
        """The share of its resource changes."""
        if self.job is not None and share != self.share:
            self.sync(t_s)
            self.share = share
            self.finish_s = t_s + self.remaining_units * self.unit_s / share

    def release(self, t_s: float) -> None:
        """Nothing is in service any more."""
        task = self.job
        if task is not None:
            task.work_s += max(0.0, t_s - self.synced_s) * self.share
            self.job, self.finish_s = None, inf

    def unfinished(self, t_s: float) -> float:
        """Prompts waiting and in service, the unfinished part of the one in hand included."""
        prompts = float(self.queued_prompts)
        task = self.job
        if task is None:
            return prompts
        self.sync(t_s)
        last, done, left, after = len(task.noise) - 1, 0, task.units, 0.0
        while done < last:
            after = left - task.noise[done]
            if after < self.remaining_units - _ROUNDING:
                break
            done, left, after = done + 1, after, 0.0
        share = (self.remaining_units - after) / (left - after) if left > after else 0.0
        return prompts + (last - done + min(max(share, 0.0), 1.0))


class Host:
    """The pods of one node and what they share."""

    def __init__(self, testbed: TestbedConfig, spec: NodeSpec, pods: list[Pod], number: int) -> None:
        """`number`: its place among the hosts of a run."""
        self.spec, self.pods, self.number = spec, pods, number
        self.armed_s = inf
        for pod in pods:
            pod.host = self
        on_cpu = sum([pod.mode == "cpu" for pod in pods])
        self.cpu_share = testbed.cpu.share(spec.cores, on_cpu)
        self.gpu_shares = [[gpu.share(n) for n in range(gpu.slices + 1)] for gpu in spec.gpus]
        """Of each GPU, the speed of one of so many busy executors."""

    def place(self, testbed: TestbedConfig) -> None:
        """Give every pod its resource, longest queue first, as a node does. Raises `Unsuited` if one has to wait."""
        models = {m.id: m for m in testbed.models}
        executors = [Executor(spec=pod.spec) for pod in self.pods]
        order = sorted(range(len(self.pods)), key=lambda i: (-float(self.pods[i].queued_prompts), i))
        for i in order:
            executor = executors[i]
            executor.target = self.pods[i].mode
            if not allocate(executor, executors, models, self.spec):
                raise Unsuited(f"{self.pods[i].spec.id} would wait for resources")
            executor.state = "starting"
            self.pods[i].gpu = -1 if executor.gpu is None else executor.gpu

    def share_out(self, pod: Pod, t_s: float) -> None:
        """Set the speed of every busy pod that shares a resource with this one."""
        if pod.gpu < 0:
            pod.rerate(self.cpu_share, t_s)
            return
        busy = 0
        for other in self.pods:
            if other.gpu == pod.gpu and other.job is not None:
                busy += 1
        share = self.gpu_shares[pod.gpu][busy]
        for other in self.pods:
            if other.gpu == pod.gpu:
                other.rerate(share, t_s)

    def next_s(self) -> float:
        """When something will happen here by itself."""
        next_s = inf
        for pod in self.pods:
            if pod.finish_s < next_s:
                next_s = pod.finish_s
            if pod.timer_s < next_s:
                next_s = pod.timer_s
        return next_s


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
