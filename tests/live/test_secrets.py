"""Tokens reach no log of Ray's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ray

from serve_apps.gateway.control import ControlFront
from serve_apps.gateway.front import Front
from serve_apps.gateway.http import Exchange, HttpError
from serve_apps.wire.secret import Keys, Secret
from tests.build.live import TOKEN, LiveRun


def test_a_token_stands_in_no_file_of_the_cluster(begin: Callable[..., LiveRun]) -> None:
    begin()
    session = Path(ray._private.worker._global_node.get_session_dir_path())
    files = [f for f in session.rglob("*") if f.is_file()]
    assert any(f.name == "runtime_env_agent.log" for f in files)
    assert not [f.name for f in files if TOKEN.encode() in f.read_bytes()]


def test_control_from_elsewhere_needs_the_token_and_clients_need_the_key() -> None:
    def asked(front: ControlFront | Front, method: str, given: str) -> int:
        scope = {"client": ("10.0.0.7", 1), "headers": [(b"authorization", f"Bearer {given}".encode())]}
        try:
            getattr(front, method)(Exchange(scope, None, None))  # type: ignore[arg-type]
        except HttpError as error:
            return error.status
        return 200

    control = ControlFront("0.0.0.0", Secret("open"))
    assert [asked(control, "_authorise", t) for t in ("open", "shut", "")] == [200, 403, 403]
    assert asked(ControlFront("0.0.0.0"), "_authorise", "") == 403
    front = Front(lambda: None, Secret("open"))
    assert [asked(front, "_authorise", t) for t in ("open", "shut", "")] == [200, 401, 401]
    assert asked(Front(lambda: None), "_authorise", "") == 200


def test_a_secret_is_never_shown() -> None:
    keys = Keys(Secret("abc-123"), Secret("def-456"))
    assert "abc" not in f"{keys} {keys!r}"
    assert "def" not in f"{keys} {keys!r}"
