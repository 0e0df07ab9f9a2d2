"""Lines of a record, made from what the worlds know: a request at its end, a question to a reasoner, a proposal.

What every request needs is filled into the same fields again and again, and these are written: making a record first,
or just its fields anew, takes as long as all the rest of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any, Final

from emulation.domain.actions import Decision, Exchange, RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.records import PERSON, DecisionRecord, RequestRecord
from emulation.domain.request import Fate, Request

_SAID: Final[dict[str, Any]] = {"cause": "request", "inputs_age_s": 0.0, "reasoner": "none"}
_REQUEST: Final = {f.name: f.default for f in fields_of(RequestRecord) if f.name != "tenant"}
_ROUTING: Final = {f.name: _SAID.get(f.name, f.default) for f in fields_of(DecisionRecord)}


def blank_request() -> dict[str, Any]:
    """The fields of a request's line in their order, to be filled in; a tenant is left out where there is none."""
    return _REQUEST.copy()


def blank_routing() -> dict[str, Any]:
    """The fields of the line of a decision about a request in their order, to be filled in."""
    return _ROUTING.copy()


def record_of(fields: dict[str, Any]) -> RequestRecord | DecisionRecord:
    """The record that has these fields."""
    return RequestRecord(**fields) if fields["kind"] == "request" else DecisionRecord(**fields)


def request_record(
    request: Request,
    outcome: Fate,
    t_s: float,
    counted: bool,
    measured: Measured | None = None,
    decision: RoutingDecision | None = None,
    reason: str = "",
) -> RequestRecord:
    """The line of one request at its end, or at that of the run; without `measured` it was never dispatched."""
    blank = blank_request()
    return RequestRecord(**fill_request(blank, request, outcome, t_s, counted, measured, decision, reason))


def fill_request(
    fields: dict[str, Any],
    request: Request,
    outcome: Fate,
    t_s: float,
    counted: bool,
    measured: Measured | None = None,
    decision: RoutingDecision | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """Put into `fields`, blank or another request's, what that line says. Returns them; if it has a tenant, others."""
    m = Measured(attempt=0) if measured is None else measured
    served = m.started_s is not None and outcome != "unfinished"
    fields["t_s"] = t_s
    fields["request_id"] = request.id
    fields["model"] = request.model
    fields["origin"] = request.origin
    fields["prompts"] = request.prompts
    fields["prompt_tokens"] = request.prompt_tokens
    fields["output_tokens"] = m.output_tokens
    fields["attempt"] = m.attempt
    fields["intended_s"] = request.arrival_s
    fields["sent_s"] = request.arrival_s if m.sent_s is None else m.sent_s
    fields["dispatched_s"] = m.dispatched_s
    fields["enqueued_s"] = m.enqueued_s
    fields["started_s"] = m.started_s
    fields["ended_s"] = t_s
    fields["service_s"] = m.service_s if served else None
    fields["transfer_s"] = m.uplink_s + m.downlink_s
    fields["predicted_s"] = None if decision is None else decision.predicted_s
    fields["predicted_sd_s"] = None if decision is None else decision.sigma_s
    fields["executor"] = m.executor
    fields["mode"] = m.mode if m.started_s is not None else None
    fields["outcome"] = outcome
    fields["stutter"] = m.stutter
    fields["counted"] = counted
    fields["reason"] = reason
    fields["input_tokens"] = m.input_tokens
    fields["turn_s"] = m.turn_s if outcome == "done" else None
    if request.tenant is None:
        return fields
    named = {name: value for name, value in fields.items() if name != "kind"}
    named["tenant"], named["kind"] = request.tenant, fields["kind"]
    return named


def exchange_record(decision: Decision, exchange: Exchange, number: int) -> DecisionRecord:
    """One question to a reasoner and its reply. It lands with its decision, which is charged with the thinking."""
    return DecisionRecord(
        t_s=decision.decided_at_s,
        actor=decision.actor,
        cause=decision.cause,
        inputs_age_s=decision.inputs_age_s,
        choice={"exchange": dict(exchange.said), "number": number, "results": list(exchange.results)},
        reason="",
        reasoner=exchange.reasoner,
        outcome="rejected" if exchange.violations else "applied",
        violations=exchange.violations,
    )


def proposal_record(decision: Decision, proposal: Mapping[str, Any]) -> DecisionRecord:
    """What somebody made of a decision that was held for approval; the decision itself follows."""
    return DecisionRecord(
        t_s=decision.decided_at_s,
        actor=PERSON,
        cause=f"proposal of {decision.actor}, {decision.cause}",
        inputs_age_s=0.0,
        choice={"proposal": dict(proposal)},
        reason=str(proposal["why"]),
        reasoner="none",
        landed_s=decision.decided_at_s + decision.thinking_s,
    )


def routing_record(
    request: Request,
    decision: RoutingDecision,
    t_s: float,
    actor: str = "router",
    landed_s: float | None = None,
    outcome: str = "applied",
) -> DecisionRecord:
    """The line of a decision about a request: where it goes, or that it is held or refused."""
    fields = blank_routing()
    fill_routing(fields, request, decision, t_s, actor, landed_s, outcome)
    return DecisionRecord(**fields)


def fill_routing(
    fields: dict[str, Any],
    request: Request,
    decision: RoutingDecision,
    t_s: float,
    actor: str = "router",
    landed_s: float | None = None,
    outcome: str = "applied",
) -> None:
    """Put into `fields`, which are blank or another request's, what that line says."""
    fields["t_s"] = t_s
    fields["actor"] = actor
    fields["choice"] = decision.executor if decision.action == "route" else decision.action
    fields["reason"] = decision.reason
    fields["request_id"] = request.id
    fields["candidates"] = tuple(decision.candidates)
    fields["landed_s"] = landed_s
    fields["outcome"] = outcome
