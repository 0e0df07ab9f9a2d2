"""Waiting for Serve: what a replica says of its own instructions ends the start at once, whatever Serve still tries."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from emulation.files import ConfigError
from serve_apps.testbed import start_errors
from serve_apps.testbed.start_errors import wait_until_running
from serve_apps.wire.testbed import NAMESPACE


def _application(status: str, said: str = "", message: str = "") -> Any:
    return SimpleNamespace(status=status, message=message, deployments={"d": SimpleNamespace(message=said)})


def _serve(monkeypatch: pytest.MonkeyPatch, *looks: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Serve as it is seen at one look after the other; what was not looked at is left in the iterator."""
    seen = iter(looks)
    monkeypatch.setenv(NAMESPACE, "edgebed-tests")
    monkeypatch.setattr(start_errors, "LOOK_S", 0.0)
    monkeypatch.setattr(start_errors, "serve", SimpleNamespace(status=lambda: _status(seen)))
    return seen


def _status(seen: Iterator[dict[str, Any]]) -> Any:
    return SimpleNamespace(applications={f"edgebed-tests:{n}": a for n, a in next(seen).items()})


def test_it_waits_for_all_of_them_and_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    other = _application("DEPLOYING")
    left = _serve(
        monkeypatch,
        {"a": _application("DEPLOYING"), "x": other},
        {"a": _application("RUNNING"), "x": other},
        {"a": _application("RUNNING"), "b": _application("RUNNING"), "x": other},
    )
    wait_until_running(["a", "b"])
    assert next(left, None) is None


def test_a_mistake_is_said_while_serve_still_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    report = (
        "Replica failed, retrying 1 more time(s):\nemulation.files.ConfigError: no GPU; set device: cpu\n"
    )
    _serve(monkeypatch, {"a": _application("RUNNING"), "b": _application("DEPLOYING", report)})
    with pytest.raises(ConfigError, match="^b: no GPU; set device: cpu$"):
        wait_until_running(["a", "b"])


def test_what_serve_gives_up_is_an_error_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    _serve(monkeypatch, {"a": _application("DEPLOY_FAILED", "ValueError: odd", "it did not start")})
    with pytest.raises(RuntimeError, match="^a: it did not start$"):
        wait_until_running(["a"])
