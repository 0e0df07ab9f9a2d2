"""What comes of a decision that is still thought of as its run ends, in the process of the controller that makes it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from controller.agents.llm import ReasonerError
from controller.loop import ControlLoop, unanswered
from emulation.domain.actions import Decision
from serve_apps.wire.clock import LiveClock

log = logging.getLogger("edgebed")

LAST_WORD_S = 5.0
"""Wall seconds the end of a run waits for a reasoner that still thinks; what it says later is lost."""


async def last_word(
    loop: ControlLoop[Any, Any, Any],
    clock: LiveClock,
    cause: str,
    thinking: asyncio.Future[Decision],
    seen: Any,
    asked_at_s: float,
) -> tuple[Decision | None, str]:
    """The decision, and why its reasoner will never answer (empty: it may). It is waited for, but not for long.

    One without an answer holds what its reasoner was asked; None: nothing is to be told of it.
    """
    await asyncio.wait({thinking}, timeout=LAST_WORD_S)
    if not thinking.done() or thinking.cancelled():
        log.warning("%s: %s: its reasoner had not answered when the run ended", loop.actor, cause)
        return unanswered(loop, seen, cause, asked_at_s, clock.now_s()), ""
    error = thinking.exception()
    if error is None:
        return thinking.result(), ""
    log.error("%s: %s: when the run ended: %s", loop.actor, cause, error)
    return None, str(error) if isinstance(error, ReasonerError) else ""
