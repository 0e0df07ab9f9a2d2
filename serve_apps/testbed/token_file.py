"""The token of our own Rays: one file of this user, made once, that nobody else can read.

Knows no Ray. Whoever holds the token can run any program on every machine of a Ray that asks for it.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

from emulation.files import ConfigError
from serve_apps.testbed.state import home

TOKEN_FILE = "ray_token"


def own_token() -> Path:
    """The file that holds the token; made with the first call, readable to its owner only.

    Raises `ConfigError` if the file is somebody else's, others can read it, or it holds no token.
    """
    path = home() / TOKEN_FILE
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    return checked_token(path)


def checked_token(path: Path) -> Path:
    """A token file that is safe to use. Raises `ConfigError` for one that is not."""
    try:
        found = path.stat()
        empty = not path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Ray's token {path}: cannot be read ({error})") from error
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"Ray's token {path}: others can read it or change it (mode {stat.S_IMODE(found.st_mode):o}), and with it"
            " run programs as you; `chmod 600` it, or make another if somebody may have"
        )
    if empty:
        raise ConfigError(f"Ray's token {path}: the file is empty; delete it, and make another")
    return path


def _make(path: Path) -> None:
    """Write a token; of two processes that do so at once one wins, and both use its token."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{TOKEN_FILE}-")  # mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
