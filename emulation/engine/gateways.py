"""Several gateways in virtual time: as many fast paths, each with a view of its own that lags behind the others'.

A request belongs to the gateway that its id chooses, if nothing else is said. What a gateway dispatched, or had back,
it knows at once; the others hear of it `delay_s` later, as of requests of their own. Lifecycles, guides and policies
reach all at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

from emulation.domain.actions import MacroPolicy, RouteGuide, RoutingDecision
from emulation.domain.cluster import Mode
from emulation.domain.ports import Believed, Completion, FastPath, MetaController, Thought
from emulation.domain.records import DecisionRecord
from emulation.domain.request import Request
from emulation.domain.snapshot import ExecutorState


class Gateways:
    """Port `FastPath`, by several of them."""

    def __init__(
        self, paths: Sequence[FastPath], delay_s: float, gateway_of: Mapping[str, int] | None = None
    ) -> None:
        """`delay_s`: virtual seconds until one hears of the others. `gateway_of`: request id to its gateway."""
        self._paths = paths
        self._gateway_of = gateway_of or {}
        self._delay_s = delay_s
        self._on_the_way: list[deque[tuple[float, Callable[[FastPath, float], None]]]] = [
            deque() for _ in paths
        ]
        """By gateway: when it hears of what."""
        metas = [path.meta for path in paths if path.meta is not None]
        self._meta = Metas(metas) if metas else None

    @property
    def meta(self) -> MetaController | None:
        """All of theirs, as one."""
        return self._meta

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        """By the gateway of the request, as far as it has heard."""
        return self._own(request, now_s).route(request, now_s)

    def dispatched(self, request: Request, decision: RoutingDecision, now_s: float) -> None:
        """Known to its gateway at once, and to the others later; what those predict of it is their own affair."""
        self._own(request, now_s).dispatched(request, decision, now_s)
        foreign = RoutingDecision(decision.executor, "route", "by another gateway")
        self._tell(request, now_s, lambda path, t_s: path.dispatched(request, foreign, t_s))

    def completed(self, completion: Completion) -> None:
        """The same."""
        self._own(completion.request, completion.ended_s).completed(completion)
        self._tell(
            completion.request,
            completion.ended_s,
            lambda path, t_s: path.completed(replace(completion, ended_s=t_s)),
        )

    def executor_changed(
        self, executor: str, state: ExecutorState, mode: Mode, ready_at_s: float, now_s: float
    ) -> None:
        """Nodes tell all of them."""
        for path in self._paths:
            path.executor_changed(executor, state, mode, ready_at_s, now_s)

    def guide(self, guide: RouteGuide) -> None:
        """All follow it."""
        for path in self._paths:
            path.guide(guide)

    def policy(self, policy: MacroPolicy) -> None:
        """All follow it."""
        for path in self._paths:
            path.policy(policy)

    def take_over(self, before: Gateways) -> None:
        """Each goes on in the place of one; what is on its way to that one is heard by its successor."""
        self._on_the_way, self._gateway_of = before._on_the_way, before._gateway_of
        for path, old in zip(self._paths, before._paths, strict=True):
            path.take_over(old)

    def limits_s(self) -> Mapping[str, float]:
        """The same for all."""
        return self._paths[0].limits_s()

    def believed(self, now_s: float) -> Sequence[Believed]:
        """By the first of them."""
        return self._paths[0].believed(now_s)

    def _number(self, request: Request) -> int:
        number = self._gateway_of.get(request.id)
        return (crc32(request.id.encode()) if number is None else number) % len(self._paths)

    def _own(self, request: Request, now_s: float) -> FastPath:
        """The gateway of a request, once it has heard what it can have heard by now."""
        number = self._number(request)
        path, waiting = self._paths[number], self._on_the_way[number]
        while waiting and waiting[0][0] <= now_s:
            t_s, say = waiting.popleft()
            say(path, t_s)
        return path

    def _tell(self, request: Request, now_s: float, say: Callable[[FastPath, float], None]) -> None:
        own = self._number(request)
        for number, waiting in enumerate(self._on_the_way):
            if number != own:
                waiting.append((now_s + self._delay_s, say))


class Metas:
    """Port `MetaController`, by that of each gateway: every one senses and asks for itself."""

    def __init__(self, metas: Sequence[MetaController]) -> None:
        self._metas = metas
        self._notify: Callable[[], None] = lambda: None

    def attach(self, notify: Callable[[], None], recorded: bool = True) -> None:
        """Whoever has something to take calls."""
        self._notify = notify
        for meta in self._metas:
            meta.attach(notify, recorded)

    def hinted(self, device: str, hints: tuple[str, ...], now_s: float) -> None:
        """Nodes tell all of them."""
        for meta in self._metas:
            meta.hinted(device, hints, now_s)

    def outage(self, failure: str | None, now_s: float) -> None:
        """Their reasoners fail together."""
        for meta in self._metas:
            meta.outage(failure, now_s)

    def take_records(self) -> list[DecisionRecord]:
        """Of all of them."""
        return [record for meta in self._metas for record in meta.take_records()]

    def take_question(self) -> tuple[MetaController, Any] | None:
        """Of the first that has one; others may have some too."""
        for meta in self._metas:
            question = meta.take_question()
            if question is not None:
                self._notify()
                return meta, question
        return None

    def think(self, question: tuple[MetaController, Any]) -> Thought:
        """As the one that asks."""
        meta, asked = question
        return meta.think(asked)

    def answered(self, question: tuple[MetaController, Any], thought: Any, now_s: float) -> None:
        """To the one that asked."""
        meta, asked = question
        meta.answered(asked, thought, now_s)

    def voided(self, question: tuple[MetaController, Any], thought: Any, why: str, now_s: float) -> None:
        """Of the one that asked."""
        meta, asked = question
        meta.voided(asked, thought, why, now_s)
