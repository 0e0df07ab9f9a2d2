"""Nobody gets in: tokens reach no file and no command line, Ray asks for one and listens on this machine only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import ray
from psutil import CONN_LISTEN as LISTEN

from serve_apps.testbed.guardian import guard, keys_file
from serve_apps.testbed.ray_access import private_folder, takes
from serve_apps.testbed.state import home
from serve_apps.testbed.token_file import own_token
from tests.build.live import TOKEN, LiveRun


def test_a_token_stands_in_no_file_and_on_no_command_line(begin: Callable[..., LiveRun]) -> None:
    run = begin()
    run.chat()
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    (tables,) = private_folder().parent.glob(f"gcs-{guard()}-*")
    folders = (tables, session, run.folder)
    files = [f for folder in folders for f in folder.rglob("*") if f.is_file()]
    files += home().glob("*.json")
    assert any(f.name == "runtime_env_agent.log" for f in files)
    assert any(f.parent == tables for f in files), "what Ray keeps of all that it was told"
    assert TOKEN in keys_file().read_text(), "the one file that hands it over"
    for secret in (TOKEN, own_token().read_text()):
        assert not [f.name for f in files if secret.encode() in f.read_bytes()]
        assert not [p.pid for p in _processes() if secret in " ".join(_words(p))]


def test_ray_answers_nobody_without_its_token(begin: Callable[..., LiveRun]) -> None:
    head = begin().cluster.base.address
    assert takes(head, own_token().read_text())
    assert not takes(head, None)
    assert not takes(head, "0" * 64)


def test_a_replica_unpickles_nothing_of_a_stranger(begin: Callable[..., LiveRun]) -> None:
    """Serve calls replicas by a server of its own, whose arguments are pickles."""
    begin()
    replicas = [p for p in _processes() if "ray::ServeReplica" in " ".join(_words(p)[:1])]
    said = [{_said_to_a_stranger(port) for _, port in _listening(p)} for p in replicas]
    assert len(said) > 5
    assert all(grpc.StatusCode.UNAUTHENTICATED in codes for codes in said)
    assert not any(grpc.StatusCode.OK in codes for codes in said)


def test_nothing_listens_to_other_machines(begin: Callable[..., LiveRun]) -> None:
    begin()
    listening = [(p.pid, _words(p), ip) for p in _processes() for ip, _ in _listening(p)]
    assert len(listening) > 10
    assert not [found for found in listening if found[-1].removeprefix("::ffff:") not in ("127.0.0.1", "::1")]


def test_what_ray_keeps_on_disk_is_closed_to_other_users(begin: Callable[..., LiveRun]) -> None:
    begin()
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    closed = [f for f in session.parents if stat.S_IMODE(f.stat().st_mode) == 0o700]
    assert [f.stat().st_uid for f in closed][:1] == [os.getuid()]


def _processes() -> list[psutil.Process]:
    """Those of the testbed, and this one."""
    this = psutil.Process()
    return [this, *this.children(recursive=True)]


def _words(process: psutil.Process) -> list[str]:
    """Its command line; nothing if it has ended since it was listed."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _listening(process: psutil.Process) -> list[tuple[str, int]]:
    """Addresses and ports it listens at; none if it has ended since it was listed."""
    try:
        return [(s.laddr.ip, s.laddr.port) for s in process.net_connections("tcp") if s.status == LISTEN]
    except psutil.NoSuchProcess:
        return []


def _said_to_a_stranger(port: int) -> grpc.StatusCode:
    """How a port of this machine answers a call to a replica without a token."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=10)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK
