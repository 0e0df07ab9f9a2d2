"""Tokens reach no log of Ray's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ray

from serve_apps.wire.secret import Keys, Secret
from tests.build.live import TOKEN, LiveRun


def test_a_token_stands_in_no_file_of_the_cluster(begin: Callable[..., LiveRun]) -> None:
    begin()
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    files = [f for f in session.rglob("*") if f.is_file()]
    assert any(f.name == "runtime_env_agent.log" for f in files)
    assert not [f.name for f in files if TOKEN.encode() in f.read_bytes()]


def test_a_secret_is_never_shown() -> None:
    keys = Keys(Secret("abc-123"), Secret("def-456"))
    assert "abc" not in f"{keys} {keys!r}"
    assert "def" not in f"{keys} {keys!r}"
