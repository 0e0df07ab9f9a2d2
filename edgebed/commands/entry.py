"""The entry point: runs the command, and makes every error one line and an exit code."""

from __future__ import annotations

import re
import sys
from typing import Any

import typer

from edgebed.commands.console import Failed, complain
from emulation.domain.mistakes import Mistake, did_you_mean

NAME = "edgebed"
OK, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
_PLACE = re.compile(r"(file|dir|directory|path)\b", re.I)
"""How a complaint begins about what is, or is not, at a path."""
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a command line it cannot read."""


def run(app: typer.Typer) -> int:
    """Run the command of `sys.argv`; its exit code. Whatever a user can cause is one line, never a traceback."""
    try:
        return int(app(prog_name=NAME, standalone_mode=False) or OK)
    except _UsageError as error:
        return _misread(error)
    except Mistake as error:
        complain(str(error))
        return WRONG
    except Failed as error:
        complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has had enough
        sys.stdout = sys.stderr
    except OSError as error:
        if error.strerror is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        complain(f"{where}{error.strerror}")
    return FAILED


def _misread(error: Any) -> int:
    """Say what is wrong with the command line, or all there is to say where it says nothing."""
    path = f"{NAME} {words_of(error.ctx)}".strip()
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(error.format_message())
        return WRONG
    complain(f"{_said(error)} (see `{path} --help`)")
    return WRONG


def _said(error: Any) -> str:
    """A command line that cannot be read, as option, value and fix."""
    param, cause = getattr(error, "param", None), error.__cause__
    if type(error).__name__ == "NoSuchOption":
        known = [o for p in error.ctx.command.params for o in p.opts if o.startswith("--")]
        return f"no such option: {error.option_name}; {did_you_mean(error.option_name, known)}"
    if type(error).__name__ == "MissingParameter" and param is not None:
        return f"{spelled(param)}: is missing; give one"
    if param is not None and cause is None and _PLACE.match(str(error.message)):
        info = param.type_descriptor.parameter_info
        wanted = "folder" if not info.file_okay else "file"
        text = str(error.message).rstrip(".")
        text = re.sub(r"^dir(ectory)?\b", "folder", text, flags=re.I)
        return f"{spelled(param)}: {text[:1].lower()}{text[1:]}; give {'an existing' if info.exists else 'a'} {wanted}"
    if param is None or cause is None:
        text = str(error.format_message()).removeprefix("Invalid value: ").rstrip(".")
        return text[:1].lower() + text[1:]
    value = cause.errors()[0].get("input") if hasattr(cause, "errors") else str(cause)
    return f"{spelled(param)} {value!r}: {_wanted(param, value, error)}"


def _wanted(param: Any, value: Any, error: Any) -> str:
    """What an option takes."""
    kind = param.type_descriptor
    if kind.choices:
        return did_you_mean(str(value), [str(choice) for choice in kind.choices])
    kinds = {int: "a whole number", float: "a number"}
    name = next((words for known, words in kinds.items() if known in _plain(kind.annotation)), None)
    if name is None:
        return str(error.message)
    low, high = param.min, param.max
    limits = {
        (False, False): "",
        (True, False): f" of at least {low}",
        (False, True): f" of at most {high}",
        (True, True): f" from {low} to {high}",
    }
    return f"must be {name}{limits[low is not None, high is not None]}"


def _plain(annotation: Any) -> tuple[Any, ...]:
    """A type, or those of a union."""
    return getattr(annotation, "__args__", None) or (annotation,)


def spelled(param: Any) -> str:
    """A parameter as it stands in the help."""
    return str(param.opts[0]) if param.param_type_name == "option" else str(param.name).upper()


def words_of(ctx: Any) -> str:
    """The words of a command: `calibrate check`; none for the program itself."""
    words: list[str] = []
    while ctx is not None and ctx.parent is not None:
        words.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(words)
