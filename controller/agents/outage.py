"""What a broken reasoner answers: every way an agent can fail, as a reply (event `llm_outage`)."""

from __future__ import annotations

from controller.agents.llm import Query, Reply, ToolCall

TIMEOUT_S = 20.0
"""Virtual seconds until a silent model is given up."""
ANSWER_S = 2.0
"""Virtual seconds a wrong answer takes."""

_CALLS = {
    "malformed_json": ("set_device_risky", '{"device": "'),
    "unknown_tool": ("reboot_device", '{"device": "all"}'),
    "out_of_range": ("set_router_params", '{"explore_weight_ms": 1e12, "risk_penalty_ms": -5}'),
    "endless_tools": ("get_system_status", "{}"),
}
_TEXTS = {
    "malformed_json": '{"p": {"',
    "out_of_range": '{"p": {"all": {"everywhere": 1e12}}, "table": -5, "modes": 1e12}',
}
"""The same of agents that answer in JSON."""
_DELAY_S = {"timeout": TIMEOUT_S, "http_429": 0.1, "http_500": 0.1}


def failing(failure: str, query: Query) -> Reply:
    """The reply of a reasoner that fails in this way. Raises `KeyError` for an unknown way."""
    if failure == "refusal":
        return Reply(text="I cannot help with that.", failure="refusal", thinking_s=ANSWER_S)
    if failure in _DELAY_S:
        return Reply(failure=failure, thinking_s=_DELAY_S[failure])
    if query.agent != "meta" and failure in _TEXTS:
        return Reply(text=_TEXTS[failure], thinking_s=ANSWER_S)
    name, arguments = _CALLS[failure]
    return Reply((ToolCall(f"call-{query.number}-{query.round}-0", name, arguments),), thinking_s=ANSWER_S)
