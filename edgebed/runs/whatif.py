"""What-if: the planner's end of two pipes to a process that is given nothing but its belief.

What goes through is a `BelievedWorld`, policies, and the names and parameters of the controllers below the planner: never a
scenario. The other end is `edgebed/runs/whatif_world.py`.
"""

from __future__ import annotations

import atexit
import os
import pickle
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from controller.whatif import BelievedWorld, Forecast
from emulation.domain.actions import MacroPolicy

PATIENCE_S = 120.0
"""Wall seconds until a process that does not answer is given up."""


class WhatIfError(RuntimeError):
    """The process died or did not answer in time."""


@dataclass(frozen=True, slots=True)
class LowerLayers:
    """Who works below the planner: the scheme it belongs to, and its controllers' parameters."""

    scheme: str
    controllers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class WhatIfProcess:
    """Port `WhatIf`. All objects of a process share one what-if process; it starts with the first question and ends
    when its parent does."""

    def __init__(self, below: LowerLayers) -> None:
        self._below = below

    def forecast(
        self, belief: BelievedWorld, policies: Sequence[MacroPolicy], draws: int, seed: int
    ) -> list[Forecast]:
        """One forecast per policy. Raises `WhatIfError` if the process is lost or silent."""
        found = _SHARED.ask((self._below, belief, list(policies), draws, seed))
        if isinstance(found, str):
            raise WhatIfError(found)
        answers: list[Forecast] = found
        return answers


class _Shared:
    """The other end, as this very process started it: one inherited by a fork is the parent's."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, message: Any) -> Any:
        """The answer to one message. Raises `WhatIfError`."""
        if self._owner != os.getpid():  # forked: the lock may be held by a thread that is not here
            self._let_go(kill=False)
            self._lock, self._owner = threading.Lock(), os.getpid()
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            watchdog = threading.Timer(PATIENCE_S, process.kill)
            watchdog.daemon = True
            watchdog.start()
            try:
                send(process.stdin, message)
                return receive(process.stdout)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self._let_go(kill=True)
                raise WhatIfError(f"the what-if process was lost: {error}") from error
            finally:
                watchdog.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._let_go(kill=True)
            path = os.pathsep.join(p for p in sys.path if p)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edgebed.runs.whatif_world"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": path},
            )
        return self._process

    def close(self) -> None:
        """End the process, if this one started it; the next question starts another."""
        self._let_go(kill=self._owner == os.getpid())

    def _let_go(self, kill: bool) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
            process.wait()
        else:
            process.returncode = 0  # another's child: nothing here may wait for it
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what could not be sent is of no use any more
                    pipe.close()


_SHARED = _Shared()
atexit.register(_SHARED.close)


def send(pipe: IO[bytes], message: Any) -> None:
    """One message: its length, and its pickle."""
    body = pickle.dumps(message)
    pipe.write(struct.pack("!Q", len(body)) + body)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """The next message. Raises `EOFError` if the pipe ends."""
    head = pipe.read(8)
    if len(head) < 8:
        raise EOFError("end of file")
    (length,) = struct.unpack("!Q", head)
    body = pipe.read(length)
    if len(body) < length:
        raise EOFError("end of file")
    return pickle.loads(body)
