"""The end of a run, step by step; once its books are closed, nobody answers a request of it.

1. `drain`: gateways take no further request. What is in flight goes on, and is answered, for `DRAIN_S` at most.
2. Controllers and meta-controllers decide nothing more, and `collect` has every actor hand over its records.
3. `seal`: gateways refuse who is still in flight (503; `unfinished` in the record), and each says, behind the last end
   that it answered, that it answers nobody any more. Until the last one that lives has said so the books stay open.
4. The recorder adds what gateways that are dead had answered (their spools), writes who is unfinished, and closes.

How far this came stands in the journal, so that a recorder that is killed on the way goes on with it; and a gateway
begins no run again that it was told to end. The recorder may be away for a moment, and its disk may be full; any of
them may be stalled: all of that is waited for, within limits. Beyond them the run has failed, and its record is left
open for `edgebed recover`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.exceptions import DeploymentUnavailableError

from controller.agents.llm import ReasonerError
from emulation.domain.records import RunFooter
from emulation.recording import RECORD_FILE, SIDE_FILE
from serve_apps.records.recorder import Recorder
from serve_apps.records.store import CANNOT
from serve_apps.wire.calls import RayCalls, Unreached
from serve_apps.wire.names import GATEWAY_APP, RECORDER
from serve_apps.wire.testbed import served

log = logging.getLogger("edgebed")

PATIENCE_S = 30.0
"""Wall seconds a recorder may be away, or have no room, before a run is given up as failed."""
DRAIN_S = 3.0
"""Wall seconds requests in flight have to end before the books are closed."""
SEAL_S = 60.0
"""Wall seconds a gateway that lives may be stalled before a run is given up as failed."""
LAST_RECORDS_S = 1.0
"""Wall seconds in which gateways have sent their records of their own accord."""
LOOK_S = 0.05
AGAIN_S = 0.5
CALL_LIMIT_S = 60.0
CLOSED_BYTES_PER_S = 1e6
"""Of a record that is put in order, where the machine is slow and busy."""


def never() -> bool:
    """Of a testbed that can go on for ever."""
    return False


def ask_recorder(
    calls: RayCalls,
    method: str,
    *args: Any,
    patience_s: float = PATIENCE_S,
    lost: Callable[[], bool] = never,
    limit_s: float = CALL_LIMIT_S,
) -> Any:
    """What the recorder answers, once it does and has room, as long as the testbed is not `lost`.

    `limit_s`: wall seconds that one try may take. Raises `Unreached`, or `ValueError` with its words.
    """
    until, said = time.monotonic() + patience_s, set[str]()
    while True:
        (answer,) = calls.call_each(((RECORDER, method, *args),), limit_s)
        if not isinstance(answer, Exception):
            return answer
        passing = not answer.broke if isinstance(answer, Unreached) else CANNOT in str(answer)
        if not passing or lost() or time.monotonic() > until:
            raise answer
        _say_once(said, f"the recorder is asked again: {answer}")
        time.sleep(AGAIN_S)


def drain(ask: Callable[[str], Any], flush_gateways: Callable[[], None]) -> None:
    """Have no further request taken, and wait for those that are in flight, at most `DRAIN_S`.

    `ask`: the recorder; raises what that raises.
    """
    ask("end")
    flush_gateways()
    until = time.monotonic() + DRAIN_S
    while ask("progress").in_system and time.monotonic() < until:
        time.sleep(LOOK_S)


def collect(
    calls: RayCalls,
    sources: Sequence[str],
    alive: Callable[[str], bool],
    lost: Callable[[], bool] = never,
    patience_s: float = PATIENCE_S,
) -> None:
    """Have every source hand over what it has. One that is gone has nothing, and is passed over.

    `alive`: whether an actor of this name has a process; one that has, and says nothing, is waited for. Raises
    `Unreached` or `ValueError` if some of it is not in the record after all that time.
    """
    until, told = time.monotonic() + patience_s, set[str]()
    while True:
        said = calls.call_each([(source, "flush") for source in sources], CALL_LIMIT_S)
        waiting = {}
        for source, error in zip(sources, said, strict=True):
            if isinstance(error, Unreached) and not error.broke and not (error.silent and alive(source)):
                log.warning("nothing is collected of %s: %s", source, error)
            elif isinstance(error, Exception):
                waiting[source] = error
        if not waiting:
            return
        first = next(iter(waiting.values()))
        if lost() or time.monotonic() > until:
            raise first
        _say_once(told, f"records are collected again: {first}")
        sources = list(waiting)
        time.sleep(AGAIN_S)


def seal(
    ask: Callable[[str], Any],
    alive: Callable[[str], bool],
    lost: Callable[[], bool] = never,
    patience_s: float = SEAL_S,
) -> None:
    """Have gateways answer nobody of this run any more, and wait for the last record of each that lives.

    `ask`: the recorder; `alive`: whether a gateway process, by the name it has there, lives; it may be stalled. What
    one that is dead had answered is read where the books are closed. Raises `Unreached` if one that lives does not do
    it in all that time: it may still answer somebody, and the books must stay open.
    """
    until, told = time.monotonic() + patience_s, set[str]()
    while left := [source for source in ask("seal") if alive(source)]:
        if lost() or time.monotonic() > until:
            raise Unreached(f"{', '.join(left)}: lives, and has not handed over its last records")
        if time.monotonic() > until - patience_s + LAST_RECORDS_S:
            _say_once(told, f"waits for the last records of {', '.join(left)}")
        time.sleep(LOOK_S)


def flush_gateways(head_alive: bool) -> None:
    """Have every gateway send what it has so far, so that the recorder knows who is in flight; a moment at most.

    Serve's handles need Ray's control service: without it what gateways send by themselves must do.
    """
    if not head_alive:
        time.sleep(LAST_RECORDS_S)
        return
    gateways = serve.get_deployment_handle(GATEWAY_APP, app_name=served(GATEWAY_APP))
    try:
        gateways.broadcast("flush").results(timeout_s=DRAIN_S, return_exceptions=True)
    except (DeploymentUnavailableError, TimeoutError) as error:
        log.warning("gateways do not say who is in flight: %s", error)


def end_in_gateways(head_alive: bool) -> list[str]:
    """Have every gateway's meta-controller ask nothing more; why some had stopped asking before, once each.

    A gateway that is not reached says nothing: the books are closed without it.
    """
    if not head_alive:
        return []
    gateways = serve.get_deployment_handle(GATEWAY_APP, app_name=served(GATEWAY_APP))
    try:
        said = gateways.broadcast("end_run").results(timeout_s=CALL_LIMIT_S, return_exceptions=True)
    except (DeploymentUnavailableError, TimeoutError) as error:
        log.warning("no gateway was told that the run ends: %s", error)
        return []
    for each in said:
        if isinstance(each, Exception):
            log.warning("a gateway was not told that the run ends: %s", each)
    return sorted({why for why in said if isinstance(why, str) and why})


def close_limit_s(folder: Path) -> float:
    """Wall seconds that the books of the run in this folder may take to be closed: the longer they are, the more."""
    files = (folder / name for name in (RECORD_FILE, SIDE_FILE))
    return CALL_LIMIT_S + sum(f.stat().st_size for f in files if f.exists()) / CLOSED_BYTES_PER_S


def close_in_its_place(kept: Path, limit_s: float = CALL_LIMIT_S) -> RunFooter:
    """Close the books of a run whose recorder is gone for good, with what gateways had not handed over.

    `kept`: the recorder's folder on this machine. Call it when all of the testbed's processes are gone. Raises
    `Unreached` if nothing is kept there, and what the recorder raises.
    """
    with ThreadPoolExecutor(1) as apart:  # the main thread of a notebook has a loop of its own
        footer = apart.submit(asyncio.run, Recorder(lambda: kept).close(interrupted=True)).result(
            timeout=limit_s
        )
    if footer is None:
        raise Unreached("the recorder is gone, and what it kept is not on this machine")
    return footer


def complain(said: Sequence[str | None]) -> None:
    """Raise `ReasonerError` with what controllers say of themselves, if any says why it decides nothing more."""
    broken = [why for why in said if why]
    if broken:
        raise ReasonerError("; ".join(broken))


def _say_once(said: set[str], text: str) -> None:
    """Log what is new: a full disk is the same at every try."""
    if text not in said:
        log.warning("%s", text)
        said.add(text)
