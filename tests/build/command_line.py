"""The command in this process, as its entry point runs it, and every command there is."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from edgebed.commands.main import app, main


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    stdout: str
    stderr: str


def edgebed(*arguments: str, code: int = 0) -> Said:
    """Run the command in this process, as its entry point does."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        patched.setattr(sys, "argv", ["edgebed", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    said = Said(out.getvalue(), err.getvalue())
    assert (ended.value.code or 0) == code, (arguments, said)
    return said


def _leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path.strip(), command
        return
    for word, found in inner.items():
        yield from _leaves(found, f"{path} {word}")


COMMANDS: dict[str, Any] = dict(_leaves(typer.main.get_command(app)))
"""Every command that does something, by its words."""


@contextmanager
def nothing_runs(folder: Path) -> Iterator[None]:
    """In an empty folder, with no testbed standing: whoever begins to work fails the test."""

    def begun(*_: Any, **__: Any) -> Any:
        raise AssertionError("it began to work")

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("EDGEBED_HOME", str(folder / "home"))
        patched.delenv("EDGEBED_RUNS", raising=False)
        for name in (
            "edgebed.runs.pool._Worker",
            "edgebed.runs.virtual.simulate",
            "edgebed.runs.live.start_cluster",
            "edgebed.runs.standing.fresh_folder",
            "edgebed.runs.loading.start_load",
            "edgebed.models.checkpoints.whole",
        ):
            patched.setattr(name, begun)
        patched.setattr(socket, "getaddrinfo", _known_here)
        yield


def _known_here(host: Any, *more: Any, _ask: Any = socket.getaddrinfo, **named: Any) -> Any:
    """Addresses and `localhost`; no server of names is asked for others, which can take many seconds."""
    try:
        ip_address(str(host or "::").strip("[]"))
    except ValueError:
        if host != "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
    return _ask(host, *more, **named)


def small(folder: Path, **changes: object) -> Path:
    """A scenario of a few slots on the packaged demo testbed."""
    scenario = {
        "name": "small",
        "testbed": "demo",
        "workload": [{"kind": "poisson", "rate_per_s": 1.0, "mix": {"gpt2": 0.7, "sd": 0.3}}],
        "slot_s": 20,
        "slots": 4,
        "epoch_slots": 2,
        "deadline_s": 60,
        **changes,
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return path
