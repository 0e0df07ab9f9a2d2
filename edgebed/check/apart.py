"""The same decisions in another process: what follows from the order of a set or the hash of a text differs there.

Worlds are forked where runs are virtual and are processes of their own where they are live, so a scheme or a source of
requests that is alike only within one process gives two answers to one question.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from os import environ

from edgebed.check.law import Broken, Law, require
from edgebed.check.schemes import small_scenarios
from edgebed.check.sources import SourceSubject
from edgebed.runs.virtual import simulate_in_memory
from edgebed.wiring.parts import REQUEST_SOURCE, find_scheme
from emulation.domain.mistakes import one_line
from emulation.domain.records import Record
from emulation.files import list_testbeds, load_testbed
from emulation.recording import encode

HASH_SEEDS = ("1", "2")
"""Of the processes that are asked, each of which orders sets in its own way."""
MOST_S = 600.0
"""Wall seconds that one of them may take."""
_ASKED = "from edgebed.check.apart import main; main()"


def of_scheme(name: str) -> str:
    """Digest of all that a scheme records on the small scenarios, on seed 1."""
    found = sha256()
    for scenario in small_scenarios():
        run = simulate_in_memory(scenario, find_scheme(name), 1)
        records: list[Record] = [*run.requests, *run.decisions]
        for record in records:
            found.update(encode(record))
    return found.hexdigest()


def of_source(name: str) -> str:
    """Digest of the requests that a source gives on every packaged testbed, on seed 1."""
    kind, found = REQUEST_SOURCE.find(name), sha256()
    for bed in list_testbeds():
        subject = SourceSubject(make=lambda: kind(kind.Config()), testbed=load_testbed(bed))
        for draft in subject.drafts(subject.make()):
            found.update(repr(draft).encode())
    return found.hexdigest()


DIGESTS: dict[str, Callable[[str], str]] = {"scheme": of_scheme, "source": of_source}


def _alike_elsewhere(kind: str) -> Callable[[str], None]:
    def look(name: str) -> None:
        here = DIGESTS[kind](name)
        for seed in HASH_SEEDS:
            require(
                _elsewhere(kind, name, seed) == here,
                "another process gave another answer: it depends on the order of a set, on hash() of a text, on an"
                " address in memory, or on the environment",
            )

    return look


def _elsewhere(kind: str, name: str, hash_seed: str) -> str:
    """The digest as another process has it. Raises `Broken` with its last words where it has none."""
    places = [place for place in sys.path if place]
    said = subprocess.run(
        [sys.executable, "-c", _ASKED, kind, name], capture_output=True, text=True, check=False, timeout=MOST_S,
        env={**environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(places)},
    )  # fmt: skip
    answer = said.stdout.split()
    if said.returncode or not answer:
        raise Broken(
            f"another process cannot run it: {one_line((said.stderr.splitlines() or ['no word'])[-1])}"
        )
    return answer[-1]


def main() -> None:
    """What the other process does: print the digest of a kind and a name."""
    kind, name = sys.argv[1:3]
    print(DIGESTS[kind](name))


SCHEME_LAWS: tuple[Law[str], ...] = (Law("decides alike in another process", _alike_elsewhere("scheme")),)
SOURCE_LAWS: tuple[Law[str], ...] = (Law("gives the same in another process", _alike_elsewhere("source")),)
"""Both of names, since nothing else reaches another process."""
