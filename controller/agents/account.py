"""What all agents of a run have spent together, and until when their server wants none of them.

In one process it is an object. Agents of a live run are processes of their own, so an account that is pickled lives in
a file of the machine from then on, which all its copies read and write; agents on other machines have another.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Spent:
    """The sums so far."""

    calls: int = 0
    tokens: int = 0
    price: float = 0.0
    closed_until_s: float = 0.0
    """By the machine's monotonic clock: no request before."""


class Account:
    """Sums and closing time of one run's agents."""

    def __init__(self, beside: Account | None = None) -> None:
        """`beside`: of others who ask the same servers with a budget of their own: what closes to them closes here."""
        self._spent = Spent()
        self._file: str | None = None
        self._beside = beside

    def __getstate__(self) -> dict[str, Any]:
        """From now on the file holds the sums; it goes with the process that made it."""
        if self._file is None:
            descriptor, self._file = tempfile.mkstemp(prefix="edgebed-spent-", suffix=".json")
            os.write(descriptor, _packed(self._spent))
            os.close(descriptor)
            # Whoever made it may drop it while its copies go on; and a pool's process runs no function of `atexit`.
            Finalize(None, _remove, args=(self._file,), exitpriority=0)
        return {"_file": self._file, "_spent": Spent(), "_beside": self._beside}

    @property
    def spent(self) -> Spent:
        """The sums now."""
        with self._open() as spent:
            return spent

    @property
    def closed_until_s(self) -> float:
        """By the machine's monotonic clock: no request before, of whichever agent."""
        return self.spent.closed_until_s if self._beside is None else self._beside.closed_until_s

    def add(self, calls: int = 0, tokens: int = 0, price: float = 0.0) -> None:
        """So much more was spent."""
        with self._open() as spent:
            spent.calls += calls
            spent.tokens += tokens
            spent.price += price

    def close(self, until_s: float) -> None:
        """The server wants no request before then, of whichever agent."""
        if self._beside is not None:
            self._beside.close(until_s)
            return
        with self._open() as spent:
            spent.closed_until_s = max(spent.closed_until_s, until_s)

    @contextmanager
    def _open(self) -> Iterator[Spent]:
        """The sums, to be read and changed by nobody else meanwhile."""
        if self._file is None:
            yield self._spent
            return
        with Path(self._file).open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            held = file.read()
            spent = Spent(**json.loads(held)) if held else Spent()
            yield spent
            file.seek(0)
            file.truncate()
            file.write(_packed(spent))


class Accounts:
    """Of one run, whatever schemes decide in it: a server that wants no more of one wants no more of all."""

    def __init__(self) -> None:
        self.agents = Account()
        self.meta = Account(beside=self.agents)
        """Of its meta-controllers, whose budget is their own."""


def _packed(spent: Spent) -> bytes:
    return json.dumps(asdict(spent)).encode()


def _remove(file: str) -> None:
    with suppress(OSError):
        Path(file).unlink()
