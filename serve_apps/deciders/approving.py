"""A decision on its way through somebody's approval, in the process of the controller that made it."""

from __future__ import annotations

import logging
from typing import Any

from controller.approval import NOT_BEGUN, Verdict
from controller.loop import ControlLoop
from emulation.domain.actions import Decision
from emulation.domain.plain import command_data
from serve_apps.deciders.proposals import Said
from serve_apps.wire.calls import CALL_LIMIT_S, Calls, Unreached
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.names import EVENTS

log = logging.getLogger("edgebed")

POLL_S = 5.0
"""Wall seconds of one long poll for a verdict."""


async def approved(
    calls: Calls, clock: LiveClock, loop: ControlLoop[Any, Any, Any], decision: Decision, seen: Any
) -> Decision:
    """What is made of a decision that is held; where nobody can be asked, the time runs out at once.

    Before a run begins its clock stands, and nobody is waited for: the rules decide.
    """
    approval = loop.approval
    assert approval is not None
    began_s = decision.decided_at_s + decision.thinking_s
    verdict = NOT_BEGUN
    if clock.started:
        until_s = clock.now_s() + approval.timeout_s
        try:
            verdict = await _asked(calls, clock, loop, decision, until_s)
        except Unreached as error:
            log.warning("%s: nobody can be asked for approval: %s", decision.actor, error)
            calls.tell(EVENTS, "withdraw", decision.actor)
            verdict = Verdict("timed_out", max(clock.now_s() - began_s, 0.0), why="nobody could be asked")
    return loop.settled(decision, verdict, seen)


async def _asked(
    calls: Calls, clock: LiveClock, loop: ControlLoop[Any, Any, Any], decision: Decision, until_s: float
) -> Verdict:
    """Propose, and wait for a verdict until then, or until there will be none. Raises `Unreached`."""
    asked_s = clock.now_s()
    number = await calls.call(
        EVENTS, "propose",
        {
            "actor": decision.actor, "cause": decision.cause, "t_s": asked_s, "until_s": until_s,
            "reason": decision.reason, "reasoner": decision.reasoner,
            "present": None if loop.in_force is None else command_data(loop.in_force),
            "proposed": command_data(decision.command),
        },
    )  # fmt: skip
    while (left_s := clock.wall_until_s(until_s)) > 0:
        limit_s = min(left_s, POLL_S)
        said = await calls.call(EVENTS, "verdict", number, limit_s, limit_s=limit_s + CALL_LIMIT_S)
        if said is not None:
            return _verdict(said, clock.now_s() - asked_s)
    said = await calls.call(EVENTS, "timed_out", number)
    waited_s = clock.now_s() - asked_s
    return Verdict("timed_out", waited_s) if said is None else _verdict(said, waited_s)


def _verdict(said: Said, waited_s: float) -> Verdict:
    outcome, command, why = said
    if outcome == "gone":
        return Verdict("timed_out", waited_s, why="it was given up")
    return Verdict(outcome, waited_s, "person", why, command)
