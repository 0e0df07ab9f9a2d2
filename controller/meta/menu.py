"""The meta-controller's question as a choice: it looks by rule, and its model picks what to do of a few things.

A reasoner round another one. In the first round it looks as the rules do and asks nobody. In the second it offers what
the rules would do, what could be done instead, and to do nothing; the option that is picked becomes tool calls, which
are validated, audited and judged like any others. The questions it is asked are those of the rules, so a replay needs
no menu.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.agents.answers import parse
from controller.agents.llm import LLM, Form, Message, Query, Reply, ToolCall
from controller.agents.menu import ChoiceAnswer, Menus, Shown, as_data, faults
from controller.agents.prompts import render
from controller.agents.reasoner import ReasonerLabel
from controller.agents.rules import Plan, RulesLlm
from controller.meta.config import MetaConfig

ROLE = (
    "You are the meta-controller of a pool of edge devices that serve generative models: something has changed, and"
    " you decide what to do about it."
)


@dataclass(frozen=True, slots=True)
class _Act:
    """One thing that can be done."""

    told: str
    plan: Plan


class MenuLlm:
    """Turns the questions of a meta-controller into choices of another reasoner."""

    def __init__(self, llm: LLM, config: MetaConfig, seed: int) -> None:
        self._llm = llm
        self._rules = RulesLlm(config.model_copy(update={"thinking_s": 0.0}))
        self._config = config
        self._menus = Menus("meta", seed)

    @property
    def label(self) -> ReasonerLabel:
        """What thinks here."""
        return self._llm.label

    def form(self, agent: str) -> Form:
        """A choice."""
        return "choice"

    def ask(self, query: Query) -> Reply:
        """Look by rule; then do what the other reasoner picks. A pick that is none is a failure."""
        ruled = self._rules.ask(query)
        if query.round == 0:
            return ruled
        acts = self._acts(query, ruled)
        if len(acts) == 1:
            return replace(ruled, text=f"not asked, nothing else to do: {ruled.text}")
        order = self._menus.order(len(acts))
        shown = Shown(tuple(f"{n}. {acts[i].told}" for n, i in enumerate(order, start=1)), order, ())
        asked = render(
            "choice_meta",
            situation=query.messages[-1 - len(ruled_results(query))].content,
            options=shown.lines,
        )
        said = (Message("system", render("choice_meta_system", role=ROLE)), Message("user", asked))
        inner = replace(query, messages=said, tools=(), wanted=shown.wanted())
        return self._taken(query, self._llm.ask(inner), shown, acts, said)

    def _taken(
        self, query: Query, reply: Reply, shown: Shown, acts: list[_Act], said: Sequence[Message]
    ) -> Reply:
        if reply.failure is not None:
            return replace(reply, menu=as_data(shown, said, None))
        try:
            answer = parse(reply.text, ChoiceAnswer)
        except ValueError:
            return replace(reply, calls=(), failure="malformed_response", menu=as_data(shown, said, None))
        if faults(len(acts))(answer):
            return replace(reply, calls=(), failure="malformed_response", menu=as_data(shown, said, None))
        act = acts[shown.order[answer.choice - 1]]
        calls = tuple(
            ToolCall(f"call-{query.number}-{query.round}-{i}", name, json.dumps(arguments))
            for i, (name, arguments) in enumerate(act.plan)
        )
        return replace(
            reply,
            calls=calls,
            text=f"{act.told} ({reply.text.strip()})",
            menu=as_data(shown, said, answer.choice),
        )

    def _acts(self, query: Query, ruled: Reply) -> list[_Act]:
        """What the rules would do first; then what else could be."""
        situation = query.situation
        plan = [(c.name, json.loads(c.arguments)) for c in ruled.calls]
        acts = [_Act(f"{_said(plan)} ({ruled.text})", plan)]
        device, kind = situation.get("device", ""), situation.get("kind")
        if kind in ("onset", "expiry"):
            acts += self._of_masks(device, plan)
        elif kind == "residual":
            acts += self._of_laws(situation, plan)
        elif kind == "warmup":
            refit: Plan = [("trigger_online_profile_update", {"window_s": 600.0, "min_samples": 1})]
            acts.append(_Act(f"{_said(refit)} (learn afresh from recent results)", refit))
        acts.append(_Act("do nothing", []))
        distinct: list[_Act] = []
        for act in acts:
            if not any(act.plan == other.plan for other in distinct):
                distinct.append(act)
        return distinct

    def _of_masks(self, device: str, plan: Plan) -> list[_Act]:
        longer: Plan = [("set_device_risky", {"device": device, "ttl_tasks": 2 * self._config.ttl_tasks})]
        clear: Plan = [("clear_device_risky", {"device": device})]
        return [
            _Act(f"{_said(longer)} (keep off longer)", longer),
            _Act(f"{_said(clear)} (use it again)", clear),
        ]

    def _of_laws(self, situation: Mapping[str, Any], plan: Plan) -> list[_Act]:
        refit: Plan = [
            ("trigger_online_profile_update", {"window_s": self._config.drift_window_s, "min_samples": 3})
        ]
        return [_Act(f"{_said(refit)} (learn afresh from recent results)", refit)]


def ruled_results(query: Query) -> list[Message]:
    """The messages of the round before: calls and their results."""
    found: list[Message] = []
    for message in reversed(query.messages):
        if message.role == "user":
            break
        found.append(message)
    return found


def _said(plan: Plan) -> str:
    """`set_device_risky LLM#0 50`; `do nothing`."""
    return (
        "; ".join(f"{name} {' '.join(str(v) for v in given.values())}".strip() for name, given in plan)
        or "do nothing"
    )
