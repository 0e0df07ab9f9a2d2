"""Where files come from: version, commit, command, host and date; written beside records, never into them."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from edgebed.wiring.identity import edgebed_version
from emulation.compiled import WHY_NOT
from emulation.domain.strict import Strict

GIT_TIMEOUT_S = 5.0
_HERE = Path(__file__).parents[1]


class Origin(Strict):
    """Who made something, with what, where and when."""

    edgebed: str
    """Version."""
    commit: str | None
    """Of the source it ran from, `+` behind it if that was changed; null: it did not run from a git checkout."""
    command: str
    host: str
    date: str
    """ISO 8601, UTC."""
    python: str
    compiled: bool | None = None
    """Whether the hot modules ran compiled, which changes no byte of a record; null: older files do not say."""


def origin() -> Origin:
    """Of what this process makes now."""
    return Origin(
        edgebed=edgebed_version(),
        commit=_commit(),
        command=shlex.join(["edgebed", *sys.argv[1:]]),
        host=platform.node(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        compiled=WHY_NOT is None,
    )


@cache
def _commit() -> str | None:
    """The commit of the checkout this file is part of; a package that was installed into one is not."""
    if _git("ls-files", "--error-unmatch", str(_HERE / "__init__.py")) is None:
        return None
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return commit if commit is None or not changed else f"{commit}+"


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_HERE), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
