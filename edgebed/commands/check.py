"""`edgebed check`: somebody's scheme or class held to the laws that ours are held to."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from edgebed.commands.console import print_rows, say
from edgebed.commands.options import JsonOption, QuietOption, print_json
from emulation.domain.mistakes import ConfigError


def check(
    name: Annotated[
        str,
        typer.Argument(
            help="A scheme, or a class of a router, deployer, scheduler, planner, performance model, fault or request "
            "source: its path, package.module:NAME, or the name of an entry point."
        ),
    ],
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Hold what is your own to the laws of its contract; exit code 2 and the broken law if it breaks one."""
    from edgebed.check.looking import find, look

    with redirect_stdout(sys.stderr):  # what it prints is no part of our answer
        find(name)
        say(f"holding {name} to its laws ...")
        verdicts = look(name)
    broken = [v for v in verdicts if v.broken]
    if as_json:
        laws = [{"subject": v.subject, "law": v.law, "ok": not v.broken, "seen": v.broken} for v in verdicts]
        print_json({"name": name, "ok": not broken, "laws": laws})
    else:
        print_rows(
            ("of", "law: it", "holds", "seen"),
            [(v.subject, v.law, "no" if v.broken else "yes", v.broken or "–") for v in verdicts],
        )
    if broken:
        raise ConfigError("\n".join(str(v) for v in broken))
