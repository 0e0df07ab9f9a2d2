"""Lines of a record, made from what the worlds know: a request at its end, a question to a reasoner, a proposal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulation.domain.actions import Decision, Exchange, RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.records import PERSON, DecisionRecord, RequestRecord
from emulation.domain.request import Fate, Request


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
    m = Measured(attempt=0) if measured is None else measured
    served = m.started_s is not None and outcome != "unfinished"
    return RequestRecord(
        t_s=t_s,
        request_id=request.id,
        model=request.model,
        origin=request.origin,
        prompts=request.prompts,
        prompt_tokens=request.prompt_tokens,
        output_tokens=m.output_tokens,
        input_tokens=m.input_tokens,
        turn_s=m.turn_s if outcome == "done" else None,
        attempt=m.attempt,
        intended_s=request.arrival_s,
        sent_s=request.arrival_s if m.sent_s is None else m.sent_s,
        dispatched_s=m.dispatched_s,
        enqueued_s=m.enqueued_s,
        started_s=m.started_s,
        ended_s=t_s,
        service_s=m.service_s if served else None,
        transfer_s=m.uplink_s + m.downlink_s,
        predicted_s=decision.predicted_s if decision else None,
        predicted_sd_s=decision.sigma_s if decision else None,
        executor=m.executor,
        mode=m.mode if m.started_s is not None else None,
        outcome=outcome,
        stutter=m.stutter,
        counted=counted,
        reason=reason,
        tenant=request.tenant,
    )


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
    return DecisionRecord(
        t_s=t_s,
        actor=actor,
        cause="request",
        inputs_age_s=0.0,
        choice=decision.executor if decision.action == "route" else decision.action,
        reason=decision.reason,
        reasoner="none",
        request_id=request.id,
        candidates=tuple(decision.candidates),
        landed_s=landed_s,
        outcome=outcome,
    )
