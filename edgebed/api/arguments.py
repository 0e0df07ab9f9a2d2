"""What is wrong with an argument, in the words of whoever writes Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

from emulation.domain.mistakes import ConfigError

_SWITCHES = {"--resume": "resume=True", "--live": "live=True", "--check-parity": "check_parity=True"}


@contextmanager
def spoken_here() -> Iterator[None]:
    """Options that a message of the command line names become arguments. Raises `ConfigError` as it comes."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(_OPTION.sub(_argument, str(error))) from error.__cause__


_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def _argument(found: re.Match[str]) -> str:
    return _SWITCHES.get(found[0], found[0][2:].replace("-", "_"))


def schemes_of(given: object) -> list[str]:
    """The schemes, in order. Raises `ConfigError` for none, and for what is no name."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, Sequence) or not names:
        raise ConfigError(f"schemes {given!r}: must be names of schemes; give for example ['AL', 'sect']")
    for name in names:
        if not isinstance(name, str):
            raise ConfigError(
                f"schemes: {name!r:.80} is no name; a scheme of your own is named 'package.module:NAME', and stands in"
                " a file"
            )
    return list(names)


def seeds_of(given: object) -> list[int]:
    """The seeds, in order. Raises `ConfigError` for none, for what is no seed, and for one that is there twice."""
    seeds = [given] if isinstance(given, Integral) else given
    if not isinstance(seeds, Iterable) or isinstance(seeds, str | bytes | Mapping):
        raise ConfigError(f"seeds {given!r}: must be whole numbers; give for example 0, or range(8)")
    found = list(seeds)
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**63:
            raise ConfigError(f"seeds: {seed!r} is no seed; give whole numbers from 0 to {2**63 - 1}")
    if not found or len(set(found)) != len(found):
        raise ConfigError(f"seeds {found!r}: must name at least one seed, and each once")
    return [int(seed) for seed in found]


def check_live_only(live: bool, given: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for an argument of live runs (name to value, None or False if not given) in virtual time."""
    for name, value in given.items():
        if not live and value not in (None, False):
            raise ConfigError(
                f"{name} {value!r}: has no effect in virtual time; give live=True, or leave it out"
            )


def check_workers(live: bool, workers: object) -> None:
    """Raise `ConfigError` for a number of runs at a time that is none, or that live runs would not heed."""
    if workers is None:
        return
    if live:
        raise ConfigError(
            f"workers {workers!r}: has no effect with live=True, where runs follow one another; leave it out"
        )
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigError(f"workers {workers!r}: must be a whole number of at least 1, or None")
