"""Every number that a command takes has a smallest and a largest value."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import typer

from edgebed.commands.main import app


def commands(found: Any, name: str = "edgebed") -> list[tuple[str, Any]]:
    """Every command, those of groups too."""
    inner = getattr(found, "commands", None)
    if not inner:
        return [(name, found)]
    return [one for n, c in inner.items() for one in commands(c, f"{name} {n}")]


NUMBERS = [
    (name, option)
    for name, command in commands(typer.main.get_command(app))
    for option in command.params
    if option.param_type_name == "option"
    and {int, float} & {option.type_descriptor.annotation, *get_args(option.type_descriptor.annotation)}
]


@pytest.mark.parametrize(("command", "option"), NUMBERS, ids=lambda p: getattr(p, "name", p))
def test_a_number_has_both_ends(command: str, option: Any) -> None:
    assert option.min is not None, f"{command} {option.opts}"
    assert option.max is not None, f"{command} {option.opts}"


def test_there_are_such_options() -> None:
    assert len(NUMBERS) > 10
