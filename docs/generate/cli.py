"""Commands with their arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from docs.generate.markdown import cell, table
from edgebed.commands.main import app


def page() -> str:
    """Commands."""
    text = (
        "# Command line\n\n`edgebed <command> --help` says the same; `edgebed --version` which version it is and "
        "whether it runs [compiled](../explanation/compiled.md), "
        "`edgebed --install-completion` lets the shell complete\ncommands, options, scenarios and schemes. "
        "`python -m edgebed` is the same program.\n\n## Exit codes\n\n"
        + table(
            ["code", "what"],
            [
                ["0", "done"],
                [
                    "1",
                    "it was tried and failed: a check, a run, every request of a `load`, a server that is not there",
                ],
                ["2", "wrong input, with one message; nothing was started or written"],
                ["130", "interrupted by Ctrl-C; what was finished is reported"],
            ],
        )
        + "\n## Where files go\n\nResults: a new folder under `runs/` in the current folder, or under EDGEBED_RUNS "
        "where that is set; `--out` names\nanother. What outlives a command: `~/.edgebed`, or EDGEBED_HOME: "
        "`testbed.json` while a testbed stands, and "
        "`tiny-...`,\nthe models of `--backend real-tiny`. Nothing else is written anywhere.\n\n"
        "Results are on standard output, how far it is on standard error: a bar on a terminal, plain lines elsewhere, "
        "nothing\nwith `--json` or `--quiet`. An option that would have no effect is an error.\n\n"
    )
    for name, found in commands():
        arguments = [p for p in found.params if p.param_type_name == "argument"]
        usage = " ".join(p.name if p.required else f"[{p.name}]" for p in arguments)
        text += f"## `edgebed {name}{' ' if usage else ''}{usage}`\n\n{found.help}\n\n"
        rows = [
            [f"`{'`, `'.join(p.opts) if p.param_type_name == 'option' else p.name}`", _cli_default(p),
             cell(getattr(p, "help", "") or "")]
            for p in found.params if p.name != "help"
        ]  # fmt: skip
        text += table(["", "default", "what"], rows) + "\n" if rows else ""
    return text


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its name, those of groups as `group command`."""
    top: Any = typer.main.get_command(app)
    for name, found in top.commands.items():
        inner = getattr(found, "commands", None)
        yield from ((f"{name} {n}", c) for n, c in inner.items()) if inner else [(name, found)]


def _cli_default(param: Any) -> str:
    if param.required:
        return "required"
    return "" if param.default is None or param.default is False else f"`{param.default}`"
