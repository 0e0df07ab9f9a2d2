"""The launcher before a Serve of ours: how long it waits for a replica, and what it says of one that does not start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from emulation.domain.cluster import TestbedConfig
from serve_apps.testbed import launcher
from serve_apps.testbed.launcher import Launcher
from serve_apps.wire.testbed import NAMESPACE
from tests.build.waiting import in_a_loop

BED = TestbedConfig.model_validate(
    {
        "name": "one",
        "models": [{"id": "m", "modality": "text", "modes": ["cpu"]}],
        "nodes": [{"id": "a"}],
        "profile": [{"model": "m", "mode": "cpu", "theta": [1.0]}],
    }
)


class Serve:
    """Serve with one application, which always says the same of itself."""

    def __init__(self, status: str, said: str) -> None:
        deployments = {"replica": SimpleNamespace(message=said)}
        self.application = SimpleNamespace(
            status=SimpleNamespace(value=status), message="", deployments=deployments
        )
        self.applications: dict[str, Any] = {}

    def run_many(self, targets: Any, **_: Any) -> None:
        self.applications = {t.name: self.application for t in targets}

    def delete(self, name: str, _blocking: bool) -> None:
        self.applications.pop(name, None)

    def status(self) -> Any:
        return SimpleNamespace(applications=dict(self.applications))


@in_a_loop
async def test_a_mistake_ends_a_start_while_serve_still_tries_again() -> None:
    said = (
        "Replica failed, retrying 2 more time(s):\nserve_apps.vram.ledger.Overcommit: a--m needs 9 GiB more\n"
    )
    serve = Serve("DEPLOYING", said)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(NAMESPACE, "edgebed-tests")
        patched.setattr(launcher, "serve", serve)
        change = await Launcher(BED, "emulated", timeout_s=3600.0).launch("a", "m", "cpu")
    assert (change.ok, change.status) == (False, "DEPLOY_FAILED")
    assert change.reason == "a--m needs 9 GiB more"
    assert not serve.applications, "and nothing of it is left"
