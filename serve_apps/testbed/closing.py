"""The end of a run: its records are collected from whoever still has some, then its books are closed.

The recorder may be away for a moment (it restarts), and its disk may be full: both are waited for, within a limit.
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
from ray.exceptions import RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError

from controller.agents.llm import ReasonerError
from emulation.domain.records import RunFooter
from serve_apps.records.recorder import Recorder
from serve_apps.records.store import CANNOT
from serve_apps.wire.calls import RayCalls, Unreached, failure_of
from serve_apps.wire.names import GATEWAY_APP, RECORDER
from serve_apps.wire.testbed import served

log = logging.getLogger("edgebed")

PATIENCE_S = 30.0
"""Wall seconds a recorder may be away, or have no room, before a run is given up as failed."""
DRAIN_S = 3.0
"""Wall seconds requests in flight have to end before the books are closed."""
LAST_RECORDS_S = 1.0
"""Wall seconds in which gateways have sent their records of their own accord."""
LOOK_S = 0.05
AGAIN_S = 0.5
CALL_LIMIT_S = 60.0
CLOSED_S = 600.0
"""Wall seconds the books of a run may take to be closed by its owner, be they as long as they are."""


def never() -> bool:
    """Of a testbed that can go on for ever."""
    return False


def ask_recorder(
    calls: RayCalls, method: str, *args: Any, patience_s: float = PATIENCE_S, lost: Callable[[], bool] = never
) -> Any:
    """What the recorder answers, once it does and has room, as long as the testbed is not `lost`.

    Raises `Unreached`, or `ValueError` with its words.
    """
    until, said = time.monotonic() + patience_s, set[str]()
    while True:
        (answer,) = calls.call_each(((RECORDER, method, *args),), CALL_LIMIT_S)
        if not isinstance(answer, Exception):
            return answer
        passing = not answer.broke if isinstance(answer, Unreached) else CANNOT in str(answer)
        if not passing or lost() or time.monotonic() > until:
            raise answer
        _say_once(said, f"the recorder is asked again: {answer}")
        time.sleep(AGAIN_S)


def drain(ask: Callable[[str], Any], flush_gateways: Callable[[], Sequence[Exception]]) -> None:
    """Have no further request taken, and wait for those that are in flight, at most `DRAIN_S`: an answer that comes
    while the books are closed would stand in none. `ask`: the recorder; raises what that raises."""
    ask("end")
    flush_gateways()
    until = time.monotonic() + DRAIN_S
    while ask("progress").in_system and time.monotonic() < until:
        time.sleep(LOOK_S)


def collect(
    calls: RayCalls,
    sources: Sequence[str],
    flush_gateways: Callable[[], Sequence[Exception]],
    lost: Callable[[], bool] = never,
    patience_s: float = PATIENCE_S,
) -> None:
    """Have every source hand over what it has. One that is gone has nothing, and is passed over.

    `flush_gateways` returns what those gateways that live say went wrong. Raises `Unreached` or `ValueError` if some of
    it is not in the record after all that time.
    """
    until, told = time.monotonic() + patience_s, set[str]()
    while True:
        said = calls.call_each([(source, "flush") for source in sources], CALL_LIMIT_S)
        failed = {s: e for s, e in zip(sources, said, strict=True) if isinstance(e, Exception)}
        gone = {s for s, e in failed.items() if isinstance(e, Unreached) and not e.broke}
        for source in gone:
            log.warning("nothing is collected of %s: %s", source, failed[source])
        waiting = [*(e for s, e in failed.items() if s not in gone), *flush_gateways()]
        if not waiting:
            return
        if lost() or time.monotonic() > until:
            raise waiting[0]
        _say_once(told, f"records are collected again: {waiting[0]}")
        sources = [source for source in failed if source not in gone]
        time.sleep(AGAIN_S)


def flush_gateways(head_alive: bool) -> list[Exception]:
    """Have every gateway send its records; what those that live say went wrong.

    Serve's handles need Ray's control service: without it what gateways send by themselves must do. A gateway that was
    just started again is answering clients before such a handle knows of it: that is to be asked again.
    """
    if not head_alive:
        time.sleep(LAST_RECORDS_S)
        return []
    gateways = serve.get_deployment_handle(GATEWAY_APP, app_name=served(GATEWAY_APP))
    try:
        said = gateways.broadcast("flush").results(timeout_s=30, return_exceptions=True)
    except DeploymentUnavailableError:
        return [Unreached("no gateway is known to Serve")]
    return [failure_of(GATEWAY_APP, "flush", error) for error in said if isinstance(error, RayTaskError)]


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


def close_in_its_place(kept: Path) -> RunFooter:
    """Close the books of a run whose recorder is gone for good, with what gateways had not handed over.

    `kept`: the recorder's folder on this machine. Call it when all of the testbed's processes are gone. Raises
    `Unreached` if nothing is kept there, and what the recorder raises.
    """
    with ThreadPoolExecutor(1) as apart:  # the main thread of a notebook has a loop of its own
        footer = apart.submit(asyncio.run, Recorder(lambda: kept).close(interrupted=True)).result(
            timeout=CLOSED_S
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
