"""Lines of a record, made from what the worlds know: a request at its end, a question to a reasoner, a command."""

from __future__ import annotations

from math import inf
from typing import Any

from emulation.domain.actions import Decision, Exchange, MacroPolicy, NodeConfig, RouteGuide, RoutingDecision
from emulation.domain.measured import Measured
from emulation.domain.records import DecisionRecord, RequestRecord
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


def command_data(command: NodeConfig | RouteGuide | MacroPolicy) -> dict[str, Any]:
    """A command as JSON-ready data, keys sorted."""
    if isinstance(command, NodeConfig):
        return {"node": command.node, "modes": {m: v for m, v in sorted(command.modes.items()) if v != "off"}}
    if isinstance(command, RouteGuide):
        return {
            "table": {f"{origin}|{model}": node for (origin, model), node in sorted(command.table.items())},
            "masked": sorted(command.masked),
            "weights": {f"{model}|{node}": w for (model, node), w in sorted(command.weights.items())},
        }
    return {
        "p": {m: {n: w for n, w in sorted(p.items()) if w > 0} for m, p in sorted(command.p.items())},
        "roles": {n: dict(sorted(r.items())) for n, r in sorted(command.roles.items())},
        "admission_limit_s": {m: v for m, v in sorted(command.admission_limit_s.items()) if v != inf},
    }
