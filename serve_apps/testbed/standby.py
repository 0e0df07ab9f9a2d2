"""The one application that KubeRay's operator deploys: it says that the machines of a testbed are there."""

from __future__ import annotations

from typing import Any

from ray import serve


class Standby:
    """Answers every request that the machines stand by."""

    async def __call__(self, _request: Any) -> str:
        return "the machines of this testbed stand by; bring it up with `edgebed up --address auto`\n"


_deployment: Any = serve.deployment(
    Standby, ray_actor_options={"num_cpus": 0, "resources": {"control": 0.001}}
)
app = _deployment.bind()
