"""What the tests of the gateway share."""

from __future__ import annotations

import pytest

from serve_apps.gateway import attempt_calls, dispatch


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries again does so without a pause."""
    monkeypatch.setattr(attempt_calls, "RETRY_S", 0.0)
    monkeypatch.setattr(dispatch, "AGAIN_LOOK_S", 0.0)
