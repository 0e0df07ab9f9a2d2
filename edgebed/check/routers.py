"""What every router promises, on every small world."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from controller.fast_path import FastPath
from controller.loop import INVALID
from controller.perf.nnls import Nnls
from controller.routers.guarded import Guarded
from controller.routers.router import Router
from edgebed.check.law import Law, require
from edgebed.check.sealed import reads_of
from edgebed.check.worlds import WORLDS, Driver, ready, request
from emulation.domain.actions import RouteGuide, RoutingDecision
from emulation.domain.cluster import TestbedConfig
from emulation.domain.request import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSubject:
    """A router in one of the small worlds."""

    make: Callable[[int], Router]
    """From a seed."""
    world: str
    prescribed: bool = False
    """Somebody else prescribes where a request goes: its origin, or the guide's table."""
    unrouted: bool = False
    """It may use a node to which the model is not routed."""

    def __str__(self) -> str:
        return self.world

    @property
    def testbed(self) -> TestbedConfig:
        """The world it is in."""
        return WORLDS[self.world]()

    def path(self, guarded: bool = False) -> FastPath:
        """A fast path with this router, every executor ready."""
        testbed, router = self.testbed, self.make(7)
        return ready(FastPath(testbed, Guarded(router) if guarded else router, Nnls(testbed)))

    def request(self) -> Request:
        """One for the first model of the world."""
        model = self.testbed.models[0].id
        return request(model, 0, self.testbed.hosts(model)[-1])


def _answers_with_a_pick(subject: RouterSubject) -> None:
    for _, decision in Driver(subject.path(guarded=True), subject.testbed).steps(200):
        said = decision.reason.removeprefix(f"{INVALID}: ")
        require(said == decision.reason, said)


def _finds_an_executor(subject: RouterSubject) -> None:
    testbed = subject.testbed
    driver = Driver(subject.path(), testbed)
    serves = {e.id: e for e in testbed.executors()}
    for wanted, decision in driver.steps(400):
        require(
            decision.action == "route", f"{decision.action} ({decision.reason}) while an executor could serve"
        )
        executor = serves[str(decision.executor)]
        require(wanted.model in executor.models, f"{executor.id} does not serve {wanted.model}")
        require(executor.node not in driver.away, f"picked {executor.id}, whose node is away")
        routable = subject.unrouted or executor.node in testbed.routable(wanted.model)
        require(routable, f"picked {executor.id}, to which {wanted.model} is not routed")


def _explains_itself(subject: RouterSubject) -> None:
    for _, decision in Driver(subject.path(), subject.testbed).steps(50):
        scores = [score_s for _, score_s in decision.candidates]
        require(
            decision.executor in dict(decision.candidates), f"{decision.executor} is not among the candidates"
        )
        require((decision.predicted_s or 0.0) > 0, f"predicted {decision.predicted_s} s")
        require(scores == sorted(scores), "candidates are not in the order of their scores")
        require(bool(decision.reason), "no reason")


def _same_seed_same_decisions(subject: RouterSubject) -> None:
    first, second = (
        [d for _, d in Driver(subject.path(), subject.testbed).steps(200)],
        [d for _, d in Driver(subject.path(), subject.testbed).steps(200)],
    )
    _require_alike(first, second, "the same seed gave two decisions")


def _asking_changes_nothing(subject: RouterSubject) -> None:
    testbed = subject.testbed
    asked, plain = subject.path(), subject.path()
    probe = request(testbed.models[0].id, 10**6, testbed.hosts(testbed.models[0].id)[0])
    _ask_in_vain(asked, probe)
    answers = zip(Driver(asked, testbed).steps(100), Driver(plain, testbed).steps(100), strict=True)
    for (_, a), (_, b) in answers:
        _require_alike([b], [a], "being asked about another request changed a decision")
        _ask_in_vain(asked, probe)


def _ask_in_vain(path: FastPath, probe: Request) -> None:
    """Ask twice about a request that is not sent. Raises `Broken` if it is seen afterwards."""
    before, wanted = known(path), copy.deepcopy(probe)
    first, second = path.route(probe, 1.0), path.route(probe, 1.0)
    require(probe == wanted, "choose changed the request that it was asked about")
    require(known(path) == before, "choose changed what the view knows of executors")
    _require_alike([first], [second], "asked twice, it gave two decisions")


def _goes_on_after_pickling(subject: RouterSubject) -> None:
    testbed, path = subject.testbed, subject.path()
    driver = Driver(path, testbed)
    for _ in driver.steps(100):
        pass
    copy: FastPath = pickle.loads(pickle.dumps(path))
    twin = Driver(copy, testbed, now_s=driver.now_s, sent=driver.sent, open=list(driver.open))
    twin.away = set(driver.away)
    twin.draws.bit_generator.state = driver.draws.bit_generator.state
    ours, theirs = [d for _, d in driver.steps(100)], [d for _, d in twin.steps(100)]
    _require_alike(ours, theirs, "a pickled copy decided otherwise")


def _holds_while_all_are_away(subject: RouterSubject) -> None:
    path = subject.path()
    for name in path.view.beliefs:
        path.executor_changed(name, "away", "off", inf, 0.0)
    decision = path.route(subject.request(), 5.0)
    require(decision.action == "hold", f"{decision.action} while every node is away")


def _routes_while_all_are_off(subject: RouterSubject) -> None:
    path = subject.path()
    for name, belief in path.view.beliefs.items():
        path.executor_changed(name, "off", belief.mode, inf, 0.0)
    decision = path.route(subject.request(), 5.0)
    require(decision.action == "route", f"{decision.action} while every executor is off")


def _avoids_what_is_masked(subject: RouterSubject) -> None:
    path = subject.path()
    model = subject.testbed.models[0].id
    *masked, free = [e.id for e in subject.testbed.executors() if model in e.models]
    path.guide(RouteGuide(masked=frozenset(masked)))
    for i in range(20):
        wanted = request(model, i, subject.testbed.hosts(model)[0], at_s=40.0 * i)
        decision = path.route(wanted, wanted.arrival_s)
        require(decision.executor == free, f"picked {decision.executor}, masked, while {free} was not")
        path.dispatched(wanted, decision, wanted.arrival_s)


def _no_mask_stops_a_request(subject: RouterSubject) -> None:
    path = subject.path()
    path.guide(RouteGuide(masked=frozenset(path.view.beliefs)))
    decision = path.route(subject.request(), 0.0)
    require(decision.action == "route", f"{decision.action} where everything is masked")


def _reads_no_clock(subject: RouterSubject) -> None:
    def use(path: FastPath) -> None:
        for _ in Driver(path, subject.testbed).steps(20):
            pass

    seen = reads_of(lambda: subject.path(guarded=True), use)
    require(not seen, "; ".join(seen))


def known(path: FastPath) -> list[object]:
    """What its view knows of executors, as plain data."""
    state: list[object] = [dict(path.view.table)]
    for belief in path.view.beliefs.values():
        state += [belief.name, belief.state, belief.mode, belief.risky, belief.masked]
        state += [belief.backlog.free_at_s, belief.backlog.floor_s, list(belief.backlog.entries)]
    for pool in path.view.pools.values():
        state += [
            pool.model,
            pool.names,
            pool.routable,
            pool.limit_s,
            pool.unrefused,
            [*pool.energy],
            [*pool.uncertainty],
            [*pool.tier],
            [*pool.heard],
            [*pool.open],
            set(pool.at_risk),
            pool.sent,
        ]
        state += [pool.link(column, 0) for column in range(len(pool.names))]
    return state


def _require_alike(first: list[RoutingDecision], second: list[RoutingDecision], what: str) -> None:
    for a, b in zip(first, second, strict=True):
        require(
            a == b, f"{what}: {a.executor or a.action} ({a.reason}) and {b.executor or b.action} ({b.reason})"
        )


LAWS: tuple[Law[RouterSubject], ...] = (
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock, first=True),
    Law("answers with a column of the pool and a reason", _answers_with_a_pick, first=True),
    Law("finds an executor that can serve the model and is present", _finds_an_executor),
    Law("lists its pick among scored candidates, with a prediction", _explains_itself),
    Law("decides alike with the same seed", _same_seed_same_decisions),
    Law("changes nothing by being asked", _asking_changes_nothing),
    Law("goes on alike after pickling", _goes_on_after_pickling),
    Law("holds a request while every node is away", _holds_while_all_are_away),
    Law("routes while every executor is off", _routes_while_all_are_off),
)
FREE_LAWS: tuple[Law[RouterSubject], ...] = (
    Law("reads no clock, file, environment or unseeded random number", _reads_no_clock, first=True),
    Law("avoids a masked executor while another can serve", _avoids_what_is_masked),
    Law("lets no mask stop a request", _no_mask_stops_a_request),
)
"""Of routers whose destination nobody prescribes."""
