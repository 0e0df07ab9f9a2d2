"""The model's server as a child process, and single runs in virtual time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgebed.runs.virtual import simulate
from edgebed.wiring.controllers import run_header
from edgebed.wiring.parts import find_scheme
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.records import RunHeader
from emulation.domain.scenario import Scenario
from emulation.jsonl import RecordError
from emulation.recording import JsonlSink, Run, read_run

HERE = Path(__file__).parent
MODEL = "smollm2-135m-instruct"
SEED = 0
_LISTENING = "listening on "


@contextmanager
def serving(python: str) -> Iterator[str]:
    """The model's server, by the Python of the environment that has it; its URL. It ends with the block.

    Raises `SystemExit` where that environment serves no model.
    """
    try:
        process = subprocess.Popen(
            [python, str(HERE / "serve.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
    except OSError as error:
        raise SystemExit(
            f"error: {python} cannot be started: {error}; `make agents-demo` makes it"
        ) from error
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith(_LISTENING):
            raise SystemExit(f"error: {python} serves no model: it said {line.strip() or 'nothing'!r}")
        yield line.removeprefix(_LISTENING).strip()
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def folder_of(root: Path, scheme: str, reasoner: str) -> Path:
    """Where the run of a scheme by a reasoner is recorded, as `replay:` looks for it."""
    return root / reasoner / scheme / f"seed-{SEED}"


def ran(scenario: Scenario, scheme: str, reasoner: str, root: Path) -> Run:
    """One run in virtual time; one that stands there whole, of this very scenario, is not run again."""
    place = folder_of(root, scheme, reasoner.partition(":")[0])
    asked = with_reasoner(scenario, reasoner)
    if (before := _whole(place, run_header(asked, find_scheme(scheme), SEED, "virtual"))) is not None:
        return before
    sink = JsonlSink(place)
    try:
        simulate(asked, scheme, SEED, sink)
    except BaseException:
        sink.discard()
        raise
    sink.close()
    return read_run(place)


def _whole(place: Path, header: RunHeader) -> Run | None:
    """The run recorded there, if it has this header and an end."""
    try:
        run = read_run(place)
    except RecordError:
        return None
    return run if run.footer is not None and run.header == header else None
