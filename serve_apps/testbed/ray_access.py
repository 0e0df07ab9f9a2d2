"""Who may talk to Ray: it asks for a token in every mode, and a Ray of our own listens on this machine only.

Ray reads both from the environment as it starts and as it is joined, and hands the environment down to all that it
starts; so everything here is called before that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from ray import _raylet
from ray._common.utils import get_default_system_temp_dir
from ray._private import ray_constants, services

from emulation.files import ConfigError
from serve_apps.testbed.state import home
from serve_apps.testbed.token_file import TOKEN_FILE, checked_token, own_token

LOOPBACK = "127.0.0.1"
MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_TEMP = "RAY_TMPDIR"
_ANSWERS_S = 5.0
"""Wall seconds the head of a cluster has to answer whether it is there."""


def guard_own() -> None:
    """A Ray that is started from here asks for the token of our own file.

    Raises `ConfigError` if the environment turns that off, or the file is not safe.
    """
    mode = os.environ.get(MODE)
    if mode and mode.lower() != "token":
        raise ConfigError(
            f"{MODE}={mode}: a Ray without a token lets everybody who reaches its ports run programs as you; unset it"
        )
    os.environ.pop(TOKEN, None)  # it would come before the file
    _use(own_token())


def private_folder() -> Path:
    """Where a Ray of our own keeps sockets, logs and the files of its processes: in a folder that is closed to others.

    Ray itself opens every folder that it makes to all users of the machine. Raises `ConfigError` if the folder is
    somebody else's.
    """
    place: Any = get_default_system_temp_dir
    folder = Path(place()) / f"edgebed-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(
            f"{folder}: is not a folder of yours alone; remove it, or name another place in RAY_TMPDIR"
        )
    return folder / "ray"


@contextmanager
def private_address_file() -> Iterator[None]:
    """What Ray's `Cluster` says to whoever connects to `auto` is said in our folder.

    It would write `/tmp/ray/ray_current_cluster`, and remove it at its end: that folder may not be there, and the file
    may be of another Ray of this user's.
    """
    before = os.environ.get(_TEMP)
    os.environ[_TEMP] = str(private_folder().parent)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TEMP]
        else:
            os.environ[_TEMP] = before


def guard_joined(address: str, unprotected: bool) -> str:
    """Choose the token with which the cluster at this address is joined: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH,
    ~/.ray/auth_token or our own, the first that it takes. Returns HOST:PORT of its head.

    Raises `ConfigError` if nothing answers there, it takes none of them, others can read the one that it takes, or it
    asks for none and `unprotected` does not say that this is known.
    """
    head = _head_of(address)
    if _lets_in(address, head, None):
        if not unprotected:
            raise ConfigError(
                f"the Ray cluster at {address!r} asks for no token: everybody who reaches its ports can run programs on"
                f" its machines; start it with {MODE}=token, or join it as it is with --unprotected"
            )
        os.environ[MODE] = "disabled"
        _read_again()
        return head
    mode = os.environ.get(MODE)
    if mode and mode.lower() != "token":
        raise ConfigError(f"{MODE}={mode}: the Ray cluster at {address!r} asks for a token; unset it")
    given = os.environ.get(TOKEN)
    if given:
        if not _lets_in(address, head, given):
            raise ConfigError(f"the Ray cluster at {address!r} does not take the token in {TOKEN}")
        os.environ[MODE] = "token"
        _read_again()
        return head
    files = _token_files()
    for path in files:
        if _lets_in(address, head, path.read_text().strip()):
            _use(checked_token(path))
            return head
    tried = "; tried " + ", ".join(map(str, files)) if files else ""
    raise ConfigError(
        f"the Ray cluster at {address!r} asks for a token that is not here: name its file in {TOKEN_PATH}{tried}"
    )


@contextmanager
def on_loopback() -> Iterator[None]:
    """While it lasts, a Ray that is started listens on this machine only, and a loopback address stays one.

    Ray would use the address at which other machines reach this one in its place. This is how Ray itself keeps to
    loopback on systems where it builds no clusters.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _use(token: Path) -> None:
    os.environ[MODE] = "token"
    os.environ[TOKEN_PATH] = str(token)
    _read_again()


def _read_again() -> None:
    """Ray has read the environment when it was imported."""
    ray_itself: Any = _raylet
    ray_itself.Config.initialize("")
    ray_itself.AuthenticationTokenLoader.instance().reset_cache()


def _token_files() -> list[Path]:
    """Where the token of a cluster that is joined may be. Raises `ConfigError` if one that is named cannot be read."""
    named = os.environ.get(TOKEN_PATH)
    usual = [Path.home() / ".ray" / "auth_token", home() / TOKEN_FILE]
    return [checked_token(Path(named))] if named else [p for p in usual if p.is_file()]


def _head_of(address: str) -> str:
    """HOST:PORT of the head of a cluster. Raises `ConfigError` if none is found here."""
    find: Any = services.canonicalize_bootstrap_address_or_die
    try:
        with on_loopback():
            return str(find(address))
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}") from error


def _lets_in(address: str, head: str, token: str | None) -> bool:
    try:
        return takes(head, token)
    except grpc.RpcError as error:
        raise ConfigError(f"no Ray cluster answers at {address!r}: {error.details()}") from error


def takes(head: str, token: str | None) -> bool:
    """Whether the Ray whose head is at HOST:PORT answers callers with this token (None: with none).

    Raises `grpc.RpcError` if nothing answers there.
    """
    sent = [("authorization", f"Bearer {token}")] if token is not None else None
    with grpc.insecure_channel(head) as channel:
        ask: Any = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            ask(b"", timeout=_ANSWERS_S, metadata=sent)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
                return False
            raise
    return True
