"""What every command does before it begins: look at its options as a whole, and keep quiet where it is told to."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from edgebed.commands.console import complain, hushed
from edgebed.commands.entry import INTERRUPTED, spelled, words_of
from edgebed.commands.needs import NEEDS
from emulation.domain.mistakes import ConfigError

QUIET_WITH = ("as_json", "quiet")
"""Parameters with which nothing is said of what goes on."""


class Command(TyperCommand):
    """A command whose options are checked together: none empty, no number that is none, none without effect."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command line. Raises `ConfigError` for an empty one."""
        check_words(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Check, then run. Raises `ConfigError`, before anything is written."""
        given = [p for p in self.params if p.name in ctx.params and _on_the_command_line(ctx, p.name)]
        for param in given:
            check_number(spelled(param), ctx.params[param.name])
            check_path(spelled(param), ctx.params[param.name])
        check_needs(words_of(ctx), {p.name: spelled(p) for p in given}, ctx.params)
        try:
            with hushed(any(ctx.params.get(name) for name in QUIET_WITH)):
                return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None


def check_words(args: Sequence[str]) -> None:
    """Raise `ConfigError` for a value without a letter in it."""
    for before, word in zip(["", *args], args, strict=False):
        option, equals, value = word.partition("=")
        if not word.strip():
            of = before if before.startswith("-") else "an argument"
            raise ConfigError(f"{of} {word!r}: is empty; give a value, or leave it out")
        if option.startswith("--") and equals and not value.strip():
            raise ConfigError(f"{option} {value!r}: is empty; give a value, or leave it out")


def check_number(option: str, value: Any) -> None:
    """Raise `ConfigError` for a number that is none, or has no end."""
    if isinstance(value, float) and not isfinite(value):
        raise ConfigError(f"{option} {value:g}: must be a finite number")


def check_path(option: str, value: Any) -> None:
    """Raise `ConfigError` for a file or folder that can neither be there nor be made."""
    if not isinstance(value, Path):
        return
    try:
        nearest = next(p for p in [value, *value.absolute().parents] if p.exists())
    except OSError as error:
        raise ConfigError(f"{option} {str(value)[:60]!r}: {error.strerror}; give another name") from error
    if nearest != value and not nearest.is_dir():
        raise ConfigError(
            f"{option} {value}: {nearest} is a file, so nothing can be below it; give another name"
        )
    if nearest != value and not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{option} {value}: {nearest} is a folder you may not write to; give another one")


def check_needs(command: str, given: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an option that was given and would do nothing. `given`: parameter to its spelling."""
    for need in NEEDS:
        if need.command == command and need.option in given and not need.met(values):
            raise ConfigError(f"{given[need.option]} has no effect {need.when}: {need.fix}")


def given_words(ctx: Any, without: Collection[str]) -> list[str]:
    """The words of this command line again, but for some parameters."""
    words: list[str] = []
    for param in ctx.command.params:
        value = ctx.params.get(param.name)
        if param.name in without or not _on_the_command_line(ctx, param.name):
            continue
        if param.param_type_name == "argument":
            words.append(str(value))
        elif param.is_flag:
            words.append(param.opts[0])
        else:
            for one in value if isinstance(value, list | tuple) else [value]:
                words += [param.opts[0], str(one)]
    return words


def _on_the_command_line(ctx: Any, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
