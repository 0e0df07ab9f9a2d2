"""The dry route: the decision in force with every candidate's score, and no trace of having been asked."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from controller.fast_path import FastPath
from controller.perf.prior import Prior
from controller.routers.sect import Sect
from controller.short_pool import SHORT
from emulation.domain.actions import RouteGuide, RoutingDecision
from emulation.domain.cluster import NodeSpec
from emulation.domain.records import HYPOTHETICAL
from emulation.domain.request import Request
from emulation.domain.sharing import GpuSpec
from serve_apps.gateway import dry
from tests.build.asgi import CHAT, MadeUpRun, Reply, asked

BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": {"model": "gpt2", "prompt": "hi there"},
    "/v1/images/generations": {"model": "sd", "prompt": "a tower"},
    "/v1/responses": {"model": "gpt2", "input": "hi there"},
}


class Holding:
    """A fast path that decides one thing, round another."""

    def __init__(self, decision: RoutingDecision, innermost: FastPath) -> None:
        self.decision, self.innermost = decision, innermost

    def route(self, request: Request, now_s: float) -> RoutingDecision:
        self.innermost.route(request, now_s)
        return self.decision


def asked_dry(run: MadeUpRun, path: str = "/v1/chat/completions", **headers: str) -> Reply:
    return asked(path, BODIES[path], run, headers={"X-Edge-Dry-Route": "true", **headers})


@pytest.mark.parametrize("path", list(BODIES))
def test_every_endpoint_tells_the_decision_with_all_scores_in_its_place(path: str) -> None:
    run = MadeUpRun()
    reply = asked_dry(run, path)
    body = reply.json()
    assert (reply.status, body["object"], body["scheme"]) == (200, "edgebed.decision", "sect")
    assert (body["action"], body["executor"], body["t_s"]) == ("route", "d0", 100.0)
    assert {c["node"] for c in body["candidates"]} == {"d0", "d1"}
    assert body["candidates"][0]["executor"] == body["executor"]
    scores = [c["score_s"] for c in body["candidates"]]
    assert scores == sorted(scores)
    assert body["predicted_s"] == pytest.approx(scores[0])
    assert run.asked == [], "nothing is served"
    [(method, told)] = run.recorded
    assert (method, told.actor, told.choice, told.outcome) == ("audit", "dry", "d0", HYPOTHETICAL)
    assert told.landed_s is None


def test_a_stream_is_a_decision_too() -> None:
    run = MadeUpRun()
    reply = asked("/v1/chat/completions", {**CHAT, "stream": True}, run, headers={"X-Edge-Dry-Route": "1"})
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["object"] == "edgebed.decision"


def test_it_is_the_decision_that_the_served_request_gets_and_leaves_no_trace() -> None:
    run = MadeUpRun()
    before, counts = run.fast_path.believed(100.0), run.counts.ends.copy()
    first = asked_dry(run, **{"X-Request-ID": "mine"}).json()
    assert asked_dry(run, **{"X-Request-ID": "mine"}).json() == first
    assert (run.fast_path.believed(100.0), run.counts.ends) == (before, counts)
    asked("/v1/chat/completions", CHAT, run, headers={"X-Request-ID": "mine"})
    request = run.asked[0][0]
    assert request.id == "mine", "the name was still free"
    assert run.fast_path.route(request, 100.0).executor == first["executor"]


def test_a_name_in_flight_may_be_asked_about() -> None:
    assert asked_dry(MadeUpRun(), **{"X-Request-ID": "taken"}).status == 200


def test_what_a_guide_masks_is_said_to_be_masked() -> None:
    run = MadeUpRun()
    run.fast_path.guide(RouteGuide(masked=frozenset({"d0"})))
    body = asked_dry(run).json()
    assert body["executor"] == "d1"
    assert [(c["executor"], c["masked"]) for c in body["candidates"]] == [("d1", None), ("d0", "avoided")]
    assert [c["score_s"] is None for c in body["candidates"]] == [False, True]


def test_more_candidates_than_a_record_keeps_are_all_told() -> None:
    run = MadeUpRun()
    nodes = tuple(NodeSpec(id=f"d{i}", hosting="device", gpus=(GpuSpec(),)) for i in range(SHORT + 8))
    testbed = run.run.testbed.model_copy(update={"nodes": nodes})
    run.run = replace(run.run, testbed=testbed)
    run.fast_path = FastPath(testbed, Sect(), Prior(testbed))
    assert {c["executor"] for c in asked_dry(run).json()["candidates"]} == {n.id for n in nodes}


def test_a_request_that_would_be_held_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run = MadeUpRun()
    held = RoutingDecision(None, "hold", "by the test", again_s=3.0)
    monkeypatch.setattr(run, "fast_path", Holding(held, run.fast_path))
    reply = asked_dry(run)
    body = reply.json()
    assert (reply.status, body["action"], body["executor"], body["node"]) == (200, "hold", None, None)
    assert (body["reason"], body["again_s"]) == ("by the test", 3.0)


def test_what_is_off_has_no_score_in_seconds_and_what_is_away_is_no_candidate() -> None:
    run = MadeUpRun()
    run.fast_path.executor_changed("d0", "off", "off", inf, 99.0)
    found = {c["executor"]: (c["score_s"], c["masked"]) for c in asked_dry(run).json()["candidates"]}
    assert found["d0"] == (None, "off")
    assert found["d1"][1] is None
    run.fast_path.executor_changed("d0", "away", "off", inf, 99.0)
    assert [c["executor"] for c in asked_dry(run).json()["candidates"]] == ["d1"]


@pytest.mark.parametrize("word", ["false", "0", "False"])
def test_false_is_served(word: str) -> None:
    run = MadeUpRun()
    reply = asked("/v1/chat/completions", CHAT, run, headers={"X-Edge-Dry-Route": word})
    assert reply.json()["object"] == "chat.completion"
    assert len(run.asked) == 1


@pytest.mark.parametrize("word", ["", "perhaps", "2"])
def test_another_word_is_refused_by_name_and_nothing_is_served(word: str) -> None:
    run = MadeUpRun()
    reply = asked("/v1/chat/completions", CHAT, run, headers={"X-Edge-Dry-Route": word})
    assert (reply.status, reply.error()["param"]) == (400, dry.HEADER)
    assert run.asked == []


@pytest.mark.parametrize(
    ("changes", "status"), [({"model": "gpt5"}, 404), ({"messages": []}, 400), ({"model": "sd"}, 400)]
)
def test_a_bad_request_is_refused_as_if_it_were_to_be_served(changes: dict[str, Any], status: int) -> None:
    reply = asked(
        "/v1/chat/completions", {**CHAT, **changes}, MadeUpRun(), headers={"X-Edge-Dry-Route": "true"}
    )
    assert reply.status == status
    assert reply.error()["message"]


def test_what_cannot_be_recorded_is_not_decided() -> None:
    run = MadeUpRun()
    run.records.full = True
    reply = asked_dry(run)
    assert (reply.status, reply.error()["code"]) == (503, "records_full")
    assert run.recorded == []
