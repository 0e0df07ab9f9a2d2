"""A stand-in for the model behind the hierarchy's agents on bristol-A: it reads its prompt and answers well, or not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion import Choice
from openai.types.chat.chat_completion_message_function_tool_call import Function
from openai.types.completion_usage import CompletionUsage

from emulation.domain.cluster import TestbedConfig
from emulation.domain.scenario import Scenario
from emulation.files import load_scenario
from tests.build.stand_in_llm import MESSAGES, TOOLS, StandIn

Spoil = Callable[[dict[str, Any]], Any]
"""A good answer to what is sent instead: changed in place (None), or another text."""

BRISTOL = load_scenario("bristol-A")
BED = BRISTOL.testbed
PLAN: dict[str, dict[str, str]] = {n: dict(role) for n, role in (BRISTOL.plan or {}).items()}


def short(slots: int = 6, epoch_slots: int = 3, **agents: Any) -> Scenario:
    """A short bristol-A with these agents."""
    return BRISTOL.model_copy(
        update={
            "slots": slots, "tail_slots": 0, "epoch_slots": epoch_slots,
            "controllers": {**BRISTOL.controllers, "agents": agents},
        }
    )  # fmt: skip


def policy(bed: TestbedConfig = BED, plan: Mapping[str, Mapping[str, str]] = PLAN) -> dict[str, Any]:
    """A plan, by default the paper's, with equal shares, as a planner answers it."""
    p: dict[str, dict[str, float]] = {}
    for model in bed.models:
        hosts = [n for n in bed.routable(model.id) if model.id in plan[n]]
        p[model.id] = {n: 1.0 / len(hosts) for n in hosts}
    roles = {n: dict(role) for n, role in plan.items()}
    return {"p": p, "roles": roles, "reason": "the plan I know"}


def table(user: str, bed: TestbedConfig = BED) -> dict[str, Any]:
    """Each origin in turn to the next allowed node, as the prompt lists them."""
    allowed = dict(re.findall(r"^- (\S+): .*?Allowed this slot: (.+?)(?: \(every|\. Exp)", user, re.M))
    rows: dict[str, dict[str, str]] = {}
    for i, node in enumerate(bed.nodes):
        rows[node.id] = {}
        for model, nodes in allowed.items():
            names = nodes.split(", ")
            rows[node.id][model] = names[i % len(names)]
    return {"table": rows, "reason": "in turn"}


def guide(user: str) -> dict[str, Any]:
    """Everything to the first two allowed nodes of each model."""
    allowed = dict(re.findall(r"^- (\S+): .*?Allowed this slot: (.+?)(?: \(every|\. Exp)", user, re.M))
    names = {m: nodes.split(", ") for m, nodes in allowed.items()}
    return {
        "masked": {m: nodes[2:] for m, nodes in names.items() if len(nodes) > 2},
        "weights": {m: {n: 1.0 / len(nodes[:2]) for n in nodes[:2]} for m, nodes in names.items()},
    }


def modes(system: str, user: str) -> dict[str, Any]:
    """The role the prompt names, everything else off."""
    models = re.findall(r"^- (\S+): can run on", user, re.M)
    role = re.search(r"^Role: (.+)\.$", user, re.M)
    named = dict(part.split(" on ") for part in role.group(1).split(", ") if " on " in part) if role else {}
    return {"modes": {m: named.get(m, "off") for m in models}, "reason": "my role"}


@dataclass
class Hierarchy(StandIn):
    """`spoil` changes the first `fails` good answers of the agents whose system prompt contains `whom`."""

    whom: str = ""
    spoil: Spoil | None = None
    consult: bool = False
    """The planner asks what its policy would do before it answers."""
    bed: TestbedConfig = BED
    plan: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: PLAN)
    spoiled: int = 0

    def behave(self, body: dict[str, Any]) -> tuple[int, bytes]:
        MESSAGES.validate_python(body["messages"])
        if "tools" in body:
            TOOLS.validate_python(body["tools"])
        system = body["messages"][0]["content"]
        with self.lock:
            self.seen.append(body)
            hit = self.whom in system and self.spoiled < self.fails
            self.spoiled += hit
        if hit and self.failure == "timeout":
            self.over.wait(30)
        if hit and self.failure in ("http_429", "http_500"):
            return int(
                self.failure[5:]
            ), b'{"error": {"message": "no", "type": "x", "code": null, "param": null}}'
        if hit and self.failure == "garbage":
            return 200, b"<html>not JSON"
        return 200, json.dumps(self._completion(body, hit).model_dump(exclude_none=True)).encode()

    def _completion(self, body: dict[str, Any], hit: bool) -> ChatCompletion:
        system = body["messages"][0]["content"]
        if hit and self.failure == "refusal":
            return _wrap(ChatCompletionMessage(role="assistant", refusal="I will not.", content=None))
        if self.consult and "global planner" in system and body["messages"][-1]["role"] == "user":
            asked = {k: v for k, v in policy(self.bed, self.plan).items() if k != "reason"}
            return _wrap(_calls("what_if", json.dumps(asked)))
        answer = self._answer(body)
        said = self.spoil(answer) if hit and self.spoil is not None else None
        text = said if isinstance(said, str) else f"```json\n{json.dumps(answer)}\n```"
        return _wrap(ChatCompletionMessage(role="assistant", content=text))

    def _answer(self, body: dict[str, Any]) -> dict[str, Any]:
        system, user = (body["messages"][i]["content"] for i in (0, 1))
        if "global planner" in system:
            return policy(self.bed, self.plan)
        if "prompt scheduler" in system:
            return table(user, self.bed) if '"table"' in system else guide(user)
        return modes(system, user)


def _calls(name: str, arguments: str) -> ChatCompletionMessage:
    call = ChatCompletionMessageFunctionToolCall(
        id=f"call_{name}", type="function", function=Function(name=name, arguments=arguments)
    )
    return ChatCompletionMessage(role="assistant", content=None, tool_calls=[call])


def _wrap(message: ChatCompletionMessage) -> ChatCompletion:
    return ChatCompletion(
        id="chatcmpl-1", object="chat.completion", created=0, model="tiny",
        choices=[Choice(index=0, finish_reason="stop", message=message)],
        usage=CompletionUsage(prompt_tokens=100, completion_tokens=10, total_tokens=110),
    )  # fmt: skip
