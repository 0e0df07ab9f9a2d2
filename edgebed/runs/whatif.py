"""What-if: the planner's end of a connection to a process that is given nothing but its belief.

What goes through is a `BelievedWorld`, policies, and the names and parameters of the controllers below the planner:
never a scenario. The other end is `edgebed/runs/whatif_world.py`.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from controller.whatif import NO_WHAT_IF, BelievedWorld
from emulation.compiled import PURE
from emulation.domain.actions import MacroPolicy
from emulation.metrics.fairness import EpochResult

STARTS = 2
"""Processes that are tried before a question stays without an answer."""


class WhatIfError(RuntimeError):
    """The process died, and the one in its place did too; or it says what is wrong with the question."""


@dataclass(frozen=True, slots=True)
class LowerLayers:
    """The controllers that work below the planner: the scheme they belong to, and their parameters."""

    scheme: str
    controllers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class WhatIfProcess:
    """Port `WhatIf`. All objects of a process share one what-if process; it starts with the first question and ends
    when its parent does."""

    def __init__(self, lower: LowerLayers) -> None:
        self._lower = lower

    def forecast(
        self,
        belief: BelievedWorld,
        policies: Sequence[MacroPolicy],
        draws: int,
        seed: int,
        scheme: str | None = None,
    ) -> list[EpochResult]:
        """One forecast per policy, under the layers below the planner of another scheme if one is named. Raises
        `WhatIfError` if the process is lost.

        However long it takes: what is emulated has bounds (`controller/whatif.py`), and no clock decides.
        """
        lower = self._lower if scheme is None else replace(self._lower, scheme=scheme)
        world = pickle.dumps(
            (lower, belief)
        )  # by which the other end knows one that it was asked about before
        answer = _SHARED.ask((world, list(policies), draws, seed))
        if isinstance(answer, str):
            raise WhatIfError(f"{NO_WHAT_IF}: {answer}")
        forecasts: list[EpochResult] = answer
        return forecasts


class _Shared:
    """The other end, as this very process started it: one inherited by a fork is the parent's."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, message: Any) -> Any:
        """The answer to one message. Raises `WhatIfError`."""
        if self._owner != os.getpid():  # forked: the lock may be held by a thread that is not here
            self._let_go(kill=False)
            self._lock, self._owner = threading.Lock(), os.getpid()
        with self._lock:
            for number in range(1, STARTS + 1):
                connection = self._running()
                try:
                    connection.send(message)
                    return connection.recv()
                except (OSError, EOFError, pickle.UnpicklingError) as error:
                    self._let_go(kill=True)
                    if number == STARTS:
                        raise WhatIfError(f"{NO_WHAT_IF}: its process was lost: {error}") from error

    def _running(self) -> Connection[Any, Any]:
        if self._process is None or self._connection is None or self._process.poll() is not None:
            self._let_go(kill=True)
            ours, theirs = Pipe()
            environment = {name: os.environ.get(name, "") for name in ("PATH", PURE)}
            environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgebed.runs.whatif_world", str(theirs.fileno())],
                stdout=2,  # what it prints is not for who reads our own output
                pass_fds=[theirs.fileno()],
                env=environment,
            )
            theirs.close()
            self._connection = ours
        return self._connection

    def close(self) -> None:
        """End the process, if this one started it; the next question starts another."""
        self._let_go(kill=self._owner == os.getpid())

    def _let_go(self, kill: bool) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is not None and kill:
            process.kill()
            process.wait()
        elif process is not None:
            process.returncode = 0  # another's child: nothing here may wait for it
        if connection is not None:
            connection.close()


_SHARED = _Shared()
atexit.register(_SHARED.close)
