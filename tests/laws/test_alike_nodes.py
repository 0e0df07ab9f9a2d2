"""Patterns are found once for nodes that are alike, and nobody who changes what he was given changes another's."""

from __future__ import annotations

from emulation.domain.feasibility import feasible_configs, node_violations
from emulation.files import load_testbed

BED = load_testbed("bristol-a")


def test_nodes_that_are_alike_have_the_same_patterns_and_others_have_their_own() -> None:
    assert feasible_configs(BED, "VM3") == feasible_configs(BED, "VM4")
    assert len({len(feasible_configs(BED, n.id)) for n in BED.nodes}) == 3
    for node in BED.nodes:
        assert not any(node_violations(BED, node.id, modes) for modes in feasible_configs(BED, node.id))


def test_a_pattern_belongs_to_whoever_asked_for_it() -> None:
    before = feasible_configs(BED, "VM3")
    for pattern in feasible_configs(BED, "VM4"):
        pattern.clear()
    assert feasible_configs(BED, "VM3") == before
