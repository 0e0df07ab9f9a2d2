"""What measures a model needs a processor; whether it had one is not for tests of what is done with the figures."""

from __future__ import annotations

import pytest

from edgebed.profile import measuring


@pytest.fixture
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs: what was measured here counts as measured on an idle machine. `test_busy.py` has the rest."""
    monkeypatch.setattr(measuring.Computing, "share", lambda self: 1.0)
