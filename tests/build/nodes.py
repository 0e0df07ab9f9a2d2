"""A node's core without Ray: time goes on when a test says so, recorder and launcher are plain objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any

from emulation.domain.cluster import Mode, TestbedConfig
from emulation.domain.request import Request
from emulation.domain.truth import WorldTruth
from emulation.executor import NodeState
from serve_apps.node.attempts import Attempts
from serve_apps.node.core import NodeCore
from serve_apps.records.books import unpacked
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.messages import Finished, NodeCheckpoint, NodeRun, ProcessChange, Work
from serve_apps.wire.names import LAUNCHER, RECORDER, runtime_name
from tests.build.calls import InMemoryCalls
from tests.build.fakes import scenario
from tests.build.works import work_of


class HandClock(LiveClock):
    """Virtual time that goes on when a test says so; appointments are kept in their order."""

    def __init__(self, speedup: float = 1.0) -> None:
        super().__init__(speedup)
        self._now_s = 0.0
        self._appointments: list[asyncio.TimerHandle] = []

    def now_s(self) -> float:
        return self._now_s

    def wall_until_s(self, t_s: float) -> float:
        return max(0.0, t_s - self._now_s) / self.speedup

    def call_at(self, t_s: float, what: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        made = asyncio.TimerHandle(t_s, what, args, asyncio.get_running_loop())
        self._appointments.append(made)
        return made

    def go_to(self, t_s: float, timers: bool = True) -> None:
        """Let time pass; without `timers`, whoever has an appointment is late."""
        while timers and (due := [a for a in self._appointments if a.when() <= t_s and not a.cancelled()]):
            first = min(due, key=asyncio.TimerHandle.when)
            self._appointments.remove(first)
            self._now_s = max(self._now_s, first.when())
            first._run()
        self._now_s = t_s


class Books:
    """The recorder, as far as a node knows it."""

    def __init__(self) -> None:
        self.part_of: tuple[NodeRun, float | None] | None = None
        self.checkpoints: dict[str, Any] = {}
        self.entries: list[tuple[str, tuple[Any, ...]]] = []
        self.reports: list[Finished] = []
        self.writes = asyncio.Event()
        """Cleared: whoever reports finished prompts waits."""
        self.writes.set()

    async def part(self, name: str) -> tuple[NodeRun, float | None] | None:
        return self.part_of

    async def kept(self, name: str) -> NodeCheckpoint | None:
        return self.checkpoints.get(name)

    async def checkpoint(self, name: str, kept: NodeCheckpoint) -> None:
        self.checkpoints[name] = kept

    async def append(
        self, run_id: str, source: str, number: int, entries: bytes, slot: int | None = None
    ) -> None:
        self.entries.extend(unpacked(entries))

    async def finished(self, run_id: str, reports: tuple[Finished, ...]) -> None:
        await self.writes.wait()
        self.reports.extend(reports)


class Starter:
    """The launcher: what it was asked stands in `asked`, and is done when a test says how it went."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._open: list[asyncio.Future[ProcessChange]] = []

    async def launch(self, node_id: str, model: str, mode: Mode) -> ProcessChange:
        return await self._ask("launch", model, mode)

    async def halt(self, node_id: str, model: str) -> ProcessChange:
        return await self._ask("halt", model)

    async def halt_others(self, node_id: str, wanted: dict[str, Mode]) -> None:
        self.asked.append(("halt_others", *(f"{executor}:{mode}" for executor, mode in wanted.items())))

    def done(self, ok: bool = True, number: int = 0) -> None:
        """What was asked first (or `number` after it) of all that is under way has gone well, or not."""
        status = "RUNNING" if ok else "DEPLOY_FAILED"
        self._open.pop(number).set_result(ProcessChange(ok=ok, status=status, reason="" if ok else "no GPU"))

    async def _ask(self, *asked: str) -> ProcessChange:
        self.asked.append(asked)
        self._open.append(asyncio.get_running_loop().create_future())
        return await self._open[-1]


class NodeWorld:
    """One node with its recorder and its launcher."""

    def __init__(
        self, testbed: TestbedConfig, node_id: str, cold: bool = False, backend: str = "emulated",
        speedup: float = 1.0,
    ) -> None:  # fmt: skip
        self._node_id, self._name = node_id, runtime_name(node_id)
        self._world = scenario(testbed, horizon_s=10.0, service_cv=0.0)
        self._cold, self._backend, self._speedup = cold, backend, speedup
        self.books, self.starter = Books(), Starter()
        self.clock = HandClock()
        self.calls = InMemoryCalls({RECORDER: self.books, LAUNCHER: self.starter})
        self.core = self._made()

    def _made(self) -> NodeCore:
        made = NodeCore(self._node_id, self.calls, self._clock)
        self.calls.back(self._name, made)
        return made

    def _clock(self, speedup: float) -> HandClock:
        now_s, self.clock = self.clock.now_s(), HandClock(speedup)
        self.clock.go_to(now_s)
        return self.clock

    def run(self, run_id: str = "run") -> NodeRun:
        return NodeRun(
            run_id=run_id, scenario=self._world, seed=1, truth=WorldTruth(), speedup=self._speedup,
            cold=self._cold, backend=self._backend,
        )  # fmt: skip

    async def begin(self, run_id: str = "run") -> None:
        """A run begins, and its time."""
        self.books.part_of = (self.run(run_id), 0.0)
        await self.core.begin_run(self.run(run_id))
        await self.core.start(0.0)

    async def restart(self) -> None:
        """The process dies, and another one takes up the run."""
        self.core = self._made()
        await self.core.resume()

    @property
    def attempts(self) -> Attempts:
        """Of the present run."""
        assert self.core._attempts is not None
        return self.core._attempts

    @property
    def state(self) -> NodeState:
        return self.attempts.state

    def change(self, what: Callable[[NodeState], Any]) -> None:
        """Something happens to the node."""
        what(self.state)
        self.attempts.settle()

    def work(self, number: int, executor: str, model: str = "m", prompts: int = 1, **fields: Any) -> Work:
        """An attempt at request `x<number>`, which no scenario knows."""
        deadline_s = fields.pop("deadline_s", inf)
        request = Request(f"x{number}", model, self._node_id, 0.0, deadline_s, prompts=prompts)
        return work_of(request, executor, **fields)
