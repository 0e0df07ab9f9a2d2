"""What the short engine of what-if moves: tasks, pods and the nodes these share; see `fixed_roles.py`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf

from emulation.domain.cluster import ExecutorSpec, Mode, NodeSpec, TestbedConfig
from emulation.executor.executor import Executor
from emulation.executor.resources import allocate, needs_of

_LEAST_S = 1e-9
"""A unit of work never takes no time at all."""
_ROUNDING = 1e-9


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
        needs = needs_of(testbed.models)
        executors = [Executor(spec=pod.spec) for pod in self.pods]
        order = sorted(range(len(self.pods)), key=lambda i: (-float(self.pods[i].queued_prompts), i))
        for i in order:
            executor = executors[i]
            executor.target = self.pods[i].mode
            if not allocate(executor, executors, needs, self.spec):
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
