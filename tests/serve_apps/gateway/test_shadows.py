"""Shadows: another scheme decides beside the one in force, from the same news, and nobody notices in what is served."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from controller.fast_path import FastPath
from controller.perf.prior import Prior
from controller.routers.round_robin_single import RoundRobinSingle
from controller.routers.sect import Sect
from emulation.domain.measured import Measured
from emulation.domain.ports import Completion
from emulation.domain.records import HYPOTHETICAL, DecisionRecord
from emulation.domain.request import Request
from serve_apps.gateway.shadows import HEADER, MOST, Shadows
from serve_apps.wire.ask import Ask, BadAsk
from serve_apps.wire.calls import Unreached
from serve_apps.wire.names import EVENTS
from tests.build.asgi import CHAT, TESTBED, MadeUpCalls, MadeUpRun, Reply, asked
from tests.build.calls import InMemoryCalls
from tests.build.fakes import device_testbed
from tests.build.gateway import Gateway, story
from tests.build.waiting import in_a_loop

pytestmark = pytest.mark.usefixtures("at_once")

DEVICES = device_testbed(nodes=2)


def sect() -> FastPath:
    return FastPath(DEVICES, Sect(), Prior(DEVICES))


class Builder:
    """The process that builds shadows."""

    def __init__(self, made: Callable[[], Any] = sect) -> None:
        self.made = made
        self.asked: list[str] = []

    async def shadow(self, scheme: str) -> bytes:
        self.asked.append(scheme)
        if scheme.startswith("no"):
            raise ValueError(f"no scheme is called {scheme!r}")
        return pickle.dumps(self.made())


class Failing(FastPath):
    """A fast path that breaks when it is asked."""

    def route(self, request: Request, now_s: float) -> Any:
        raise ZeroDivisionError("by the test")


def failing() -> FastPath:
    return Failing(DEVICES, Sect(), Prior(DEVICES))


async def with_shadow(gateway: Gateway, made: Callable[[], Any] = sect, *schemes: str) -> Builder:
    """Real fast paths: round robin in force, others in its shadow."""
    gateway.dispatcher.fast_path = in_force = FastPath(DEVICES, RoundRobinSingle(), Prior(DEVICES))
    builder = gateway.calls.actors[EVENTS] = Builder(made)
    for scheme in schemes or ("sect",):
        await gateway.dispatcher.shadows.let_in(scheme, lambda: in_force)
    return builder


def told(gateway: Gateway) -> list[DecisionRecord]:
    return [args[0] for how, args in gateway.batch.entries if how == "audit"]


async def serve(gateway: Gateway, number: int, shadow: str | None = "sect") -> None:
    await gateway.dispatcher.answer(gateway.request(number), Ask(model="m"), shadow)


@story
async def test_both_decisions_stand_in_the_record_and_only_one_is_carried_out(gateway: Gateway) -> None:
    await with_shadow(gateway)
    await serve(gateway, 1)
    [shadow] = told(gateway)
    assert (shadow.actor, shadow.request_id, shadow.outcome) == ("shadow:sect", "r1", HYPOTHETICAL)
    assert shadow.choice in ("d0", "d1")
    assert (shadow.landed_s, len(shadow.candidates)) == (None, 2)
    assert gateway.batch.routed() == [("r1", "route")]
    assert len(gateway.replicas.works) == 1


@story
async def test_who_names_no_shadow_gets_none(gateway: Gateway) -> None:
    await with_shadow(gateway)
    await serve(gateway, 1, None)
    assert told(gateway) == []


@story
async def test_a_request_that_is_tried_again_was_decided_in_the_shadow_once(gateway: Gateway) -> None:
    await with_shadow(gateway)
    gateway.path.plan.extend([None, None, "d0"])
    gateway.path.again_s = 0.001
    gateway.dispatcher.fast_path = gateway.path  # type: ignore[assignment]
    await serve(gateway, 1)
    assert len(gateway.batch.routed()) == 2
    assert len(told(gateway)) == 1


@story
async def test_a_shadow_knows_what_is_in_flight_where_when_it_comes_in(gateway: Gateway) -> None:
    gateway.dispatcher.fast_path = in_force = FastPath(DEVICES, Sect(), Prior(DEVICES))
    for number in range(3):
        request = gateway.request(number)
        in_force.dispatched(request, in_force.route(request, 0.0), 0.0)
    waits = [b.wait_s for b in in_force.believed(0.0)]
    gateway.calls.actors[EVENTS] = Builder()
    await gateway.dispatcher.shadows.let_in("sect", lambda: in_force)
    seen: list[list[float]] = []
    gateway.dispatcher.shadows.hear(lambda path: seen.append([b.wait_s for b in path.believed(0.0)]))
    assert seen == [waits]
    assert max(waits) > 0.0
    assert [b.wait_s for b in in_force.believed(0.0)] == waits, "the one in force goes on as it was"


@story
async def test_a_shadow_hears_of_dispatches_ends_and_executors(gateway: Gateway) -> None:
    await with_shadow(gateway)
    dispatcher = gateway.dispatcher
    request = gateway.request(1)
    decision = dispatcher.fast_path.route(request, 0.0)
    dispatcher.dispatched(request, decision, 0.0)

    def beliefs() -> list[dict[str, tuple[bool, str]]]:
        found: list[Any] = []
        dispatcher.shadows.hear(
            lambda path: found.append(
                {b.name: (b.backlog.wait_s(0.0) > 0, b.state) for b in path.view.beliefs.values()}  # type: ignore[attr-defined]
            )
        )
        return found

    other = "d1" if decision.executor == "d0" else "d0"
    assert beliefs() == [{decision.executor: (True, "ready"), other: (False, "ready")}]
    dispatcher.completed(Completion(request, decision.executor or "", "done", 1.0, Measured()))
    gateway.changed(other, "away")
    assert beliefs() == [{decision.executor: (False, "ready"), other: (False, "away")}]


@story
async def test_a_shadow_that_fails_costs_no_request_and_says_so_in_the_record(gateway: Gateway) -> None:
    await with_shadow(gateway, failing)
    await serve(gateway, 1)
    await serve(gateway, 2)
    first, second = told(gateway)
    assert (first.choice, first.violations) == (None, ("ZeroDivisionError: by the test",))
    assert (second.choice, second.violations) == (None, ("it is no shadow any more",))
    assert [end[1] for end in gateway.batch.ends()] == ["done", "done"]


@story
async def test_a_scheme_is_built_once_and_no_more_than_so_many(gateway: Gateway) -> None:
    schemes = [f"s{i}" for i in range(MOST)]
    builder = await with_shadow(gateway, sect, *schemes, "s0")
    assert builder.asked == schemes
    with pytest.raises(BadAsk, match=f"{MOST} shadows are the most"):
        await gateway.dispatcher.shadows.let_in("one-more", lambda: gateway.dispatcher.fast_path)
    assert builder.asked == schemes


@story
async def test_the_builder_s_words_reach_the_client(gateway: Gateway) -> None:
    builder = await with_shadow(gateway)
    with pytest.raises(BadAsk, match="no scheme is called 'nobody'"):
        await gateway.dispatcher.shadows.let_in("nobody", lambda: gateway.dispatcher.fast_path)
    assert builder.asked == ["sect", "nobody"]


# -- by HTTP ---------------------------------------------------------------------


def asked_in_shadow(run: MadeUpRun, scheme: str, **more: str) -> Reply:
    return asked("/v1/chat/completions", CHAT, run, headers={HEADER: scheme, **more})


def run_with(outcome: Any = None) -> MadeUpRun:
    path = FastPath(TESTBED, Sect(), Prior(TESTBED))
    return MadeUpRun(calls=MadeUpCalls(pickle.dumps(path) if outcome is None else outcome))


def test_the_header_goes_with_the_request() -> None:
    run = run_with()
    assert asked_in_shadow(run, "sect").status == 200
    assert run.in_shadow == ["sect"]


def test_a_dry_route_tells_both_decisions_and_serves_neither() -> None:
    run = run_with()
    run.fast_path.executor_changed("d0", "off", "off", inf, 99.0)
    body = asked_in_shadow(run, "sect", **{"X-Edge-Dry-Route": "true"}).json()
    assert body["executor"] == "d1"
    assert (body["shadow"]["scheme"], body["shadow"]["choice"]) == ("sect", "d1")
    assert {c["executor"] for c in body["shadow"]["candidates"]} == {"d0", "d1"}
    assert [entry[1].actor for entry in run.recorded] == ["dry", "shadow:sect"]
    assert run.asked == []


@pytest.mark.parametrize("name", ["", "x" * 65, "a\tb"])
def test_what_is_no_name_is_refused(name: str) -> None:
    run = run_with()
    reply = asked_in_shadow(run, name)
    assert (reply.status, reply.error()["param"]) == (400, HEADER)
    assert run.asked == []


@pytest.mark.parametrize(
    ("outcome", "status"), [(ValueError("no such scheme"), 400), (Unreached("silent"), 503)]
)
def test_a_request_whose_shadow_cannot_be_had_is_refused_and_not_served_without(
    outcome: Exception, status: int
) -> None:
    run = run_with(outcome)
    reply = asked_in_shadow(run, "nobody")
    assert reply.status == status
    assert run.asked == []


@in_a_loop
async def test_two_first_requests_build_a_shadow_once() -> None:
    builder, in_force = Builder(), sect()
    shadows = Shadows(InMemoryCalls({EVENTS: builder}))
    await asyncio.gather(*(shadows.let_in("sect", lambda: in_force) for _ in range(3)))
    assert builder.asked == ["sect"]
