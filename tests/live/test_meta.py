"""The meta-controller in the live gateway: hints mask at once, the reasoner follows, requests wait for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulation.domain.events import LlmOutage, Slowdown
from tests.build.stand_in_llm import StandIn, serving
from tests.build.waiting import eventually

Begin = Callable[..., Any]


def _acted(live: Any, tool: str) -> None:
    """Wait until the rule has used this tool: `set_device_risky` masks the node that slows down."""
    eventually(lambda: (tool, "rule") in _acts(live))


def _confirmed(live: Any) -> None:
    """Wait until the reasoner says the same."""
    eventually(lambda: ("set_device_risky", "reasoner") in _acts(live))


def _acts(live: Any) -> list[Any]:
    """(tool, who used it) of the meta-controller, so far as it stands in the record."""
    return [(d.choice.get("tool"), d.choice.get("by")) for d in live.decisions if d.actor == "meta"]


def _masked(live: Any) -> None:
    _acted(live, "set_device_risky")


def _served(live: Any, count: int = 4) -> None:
    for _ in range(count):
        assert live.chat(max_tokens=2, ignore_eos=True).status_code == 200


def _ready(live: Any) -> None:
    eventually(lambda: live.chat(max_tokens=1).status_code == 200)


def test_a_visible_slowdown_is_masked_confirmed_and_lifted(begin: Begin) -> None:
    live = begin("e3", slot_s=2.0)
    _ready(live)
    _served(live, 6)
    t_s = live.now_s
    slow = Slowdown(at_s=t_s, until_s=t_s + 1000, node="n1", factor=4.0, hint="game")
    number = live.cluster.inject(slow)
    _masked(live)
    masked_s = live.now_s
    _served(live, 6)
    _confirmed(live)
    undone_s = live.now_s
    live.undo(number)
    _acted(live, "clear_device_risky")
    _served(live, 2)
    footer, run = live.end()
    assert footer.conserved()
    assert run.header.reasoner == "rules"
    inside = [r for r in run.requests if masked_s < (r.dispatched_s or 0) < undone_s]
    assert inside
    assert all(r.executor == "n2/gpt2" and not r.stutter for r in inside)
    acts = [d.choice for d in run.decisions if d.actor == "meta" and "arguments" in d.choice]
    masks = [a for a in acts if a["tool"] == "set_device_risky"]
    assert [m["by"] for m in masks] == ["rule", "reasoner"]
    assert acts[-1]["tool"] == "clear_device_risky"
    assert acts[-1]["by"] == "rule"


def test_requests_are_served_while_the_reasoner_is_silent(begin: Begin) -> None:
    live = begin("e3", slot_s=2.0, live={"speedup": 8.0})
    _ready(live)
    t_s = live.now_s
    live.cluster.inject(LlmOutage(at_s=t_s, until_s=t_s + 1000, failure="timeout"))
    eventually(lambda: any(r.kind == "event" for r in live.written()))
    live.cluster.inject(Slowdown(at_s=t_s, until_s=t_s + 1000, node="n1", factor=4.0, hint="game"))
    _masked(live)
    began = live.now_s
    _served(live, 4)
    assert live.now_s < t_s + 60, "nobody waited for the reasoner"
    eventually(lambda: any(d.violations for d in live.decisions if d.actor == "meta"))
    _, run = live.end()
    inside = [r for r in run.requests if began < (r.dispatched_s or 0)]
    assert len(inside) == 4
    assert all(r.executor == "n2/gpt2" and r.outcome == "done" for r in inside)
    exchanges = [d for d in run.decisions if d.actor == "meta" and "exchange" in d.choice]
    assert [d.violations for d in exchanges] == [("timeout",)]


def test_a_model_behind_http_confirms_a_mask_at_speedup_one(begin: Begin) -> None:
    with serving(StandIn()) as model:
        openai = {"base_url": model.url, "model": "tiny", "timeout_s": 5.0}
        controllers = {"meta": {"reasoner": "openai", "openai": openai}}
        live = begin("e3", slot_s=2.0, controllers=controllers, live={"speedup": 1.0})
        _ready(live)
        t_s = live.now_s
        slow = Slowdown(at_s=t_s, until_s=t_s + 1000, node="n1", factor=4.0, hint="game")
        number = live.cluster.inject(slow)
        _masked(live)
        _served(live, 4)
        _confirmed(live)
        live.undo(number)
        _acted(live, "clear_device_risky")
        _, run = live.end()
    assert run.header.reasoner == "openai"
    assert run.header.speedup == 1.0
    acts = [d for d in run.decisions if d.actor == "meta" and "arguments" in d.choice]
    assert [(d.choice["tool"], d.choice["by"]) for d in acts] == [
        ("set_device_risky", "rule"),
        ("get_system_status", "reasoner"),
        ("set_device_risky", "reasoner"),
        ("clear_device_risky", "rule"),
    ]
    assert acts[2].reasoner == "openai"
    assert acts[2].inputs_age_s > 0
    assert not any(r.stutter for r in run.requests)


# `long`: how these are told from an answer stands in the tests of the client, without Ray.
@pytest.mark.parametrize(
    "failure", ["timeout", *(pytest.param(f, marks=pytest.mark.long) for f in ("http_500", "malformed_json"))]
)
def test_requests_do_not_feel_a_model_that_fails(begin: Begin, failure: str) -> None:
    with serving(StandIn(failure=failure)) as model:
        openai = {"base_url": model.url, "model": "tiny", "timeout_s": 0.5, "attempts": 2, "backoff_s": 0.1}
        controllers = {"meta": {"reasoner": "openai", "openai": openai}}
        live = begin("e3", slot_s=2.0, controllers=controllers, live={"speedup": 1.0})
        _ready(live)
        t_s = live.now_s
        live.cluster.inject(Slowdown(at_s=t_s, until_s=t_s + 1000, node="n1", factor=4.0, hint="game"))
        _masked(live)
        _served(live, 6)
        eventually(lambda: any(d.violations for d in live.decisions if d.reasoner == "openai"))
        _, run = live.end()
    asked = [d for d in run.decisions if d.actor == "meta" and d.reasoner == "openai"]
    assert any(d.violations for d in asked)
    assert all(d.choice.get("new") is None for d in asked), "it changed nothing"
    assert not any(r.stutter for r in run.requests)
    assert all(r.outcome == "done" for r in run.requests)
