"""A macro policy from roles: traffic split in proportion to what each node can serve."""

from __future__ import annotations

from collections.abc import Mapping

from controller.capacity import Floats
from emulation.domain.actions import MacroPolicy
from emulation.domain.cluster import Mode, TestbedConfig


def proportional(
    testbed: TestbedConfig, roles: Mapping[str, Mapping[str, Mode]], capacity: Floats
) -> MacroPolicy:
    """p[model][node] in proportion to `capacity` (N, M); uniform over routable nodes if that is zero."""
    p: dict[str, dict[str, float]] = {}
    for i, model in enumerate(testbed.models):
        shares = {n.id: float(c) for n, c in zip(testbed.nodes, capacity[:, i], strict=True) if c > 0}
        shares = shares or dict.fromkeys(testbed.routable(model.id), 1.0)
        total = sum(shares.values())
        p[model.id] = {node: share / total for node, share in shares.items()}
    active = {n: {m: mode for m, mode in modes.items() if mode != "off"} for n, modes in roles.items()}
    return MacroPolicy(p=p, roles=active)
