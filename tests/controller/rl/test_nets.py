"""What the trained agents see and how they decide: permutations, masks, draws, and the same figures as torch."""

from __future__ import annotations

import numpy as np
import pytest

from controller.rl.features import (
    CANDIDATE,
    LIMIT,
    MODEL_MODE,
    PATTERN,
    DeployerFeatures,
    RouterFeatures,
    Terms,
)
from controller.rl.nets import (
    SHAPES,
    pattern_values,
    random_weights,
    route_shares,
    router_scores,
)
from controller.schedulers.mappo import drawn_from
from edgebed.check.views import random_snapshot, random_view
from emulation.domain.cluster import TestbedConfig
from emulation.domain.snapshot import ClusterSnapshot
from emulation.files import list_testbeds, load_testbed

TERMS = Terms(30.0, 900.0)
BRISTOL = load_testbed("bristol-a")
every_testbed = pytest.mark.parametrize("bed", sorted(list_testbeds()))
SEEDS = range(6)


def reversed_nodes(testbed: TestbedConfig) -> TestbedConfig:
    return testbed.model_copy(update={"nodes": testbed.nodes[::-1]})


@every_testbed
def test_figures_have_their_shapes_and_bounds_on_every_testbed(bed: str) -> None:
    testbed = load_testbed(bed)
    features = RouterFeatures(testbed, TERMS)
    for seed in SEEDS:
        snapshot = random_snapshot(testbed, seed)
        rows = features.candidates(snapshot)
        assert rows.shape == (len(testbed.models), len(testbed.nodes), CANDIDATE)
        assert np.isfinite(rows).all()
        assert np.abs(rows).max() <= LIMIT
        for node in testbed.nodes:
            seen = DeployerFeatures(testbed, node.id, TERMS)
            modes, patterns = seen.rows(random_view(testbed, node.id, seed))
            assert modes.shape == (len(seen.models), 3, MODEL_MODE)
            assert patterns.shape == (len(seen.patterns), PATTERN)
            assert max(np.abs(modes).max(), np.abs(patterns).max()) <= LIMIT


def test_another_order_of_nodes_is_another_order_of_shares() -> None:
    weights = random_weights(3)
    for seed in SEEDS:
        snapshot = random_snapshot(BRISTOL, seed)
        turned = ClusterSnapshot(snapshot.t_s, snapshot.slot, snapshot.nodes[::-1], snapshot.window)
        shares = []
        for testbed, seen in ((BRISTOL, snapshot), (reversed_nodes(BRISTOL), turned)):
            features = RouterFeatures(testbed, TERMS)
            scores = router_scores(weights, features.candidates(seen))
            shares.append(route_shares(scores, features.mask(seen)))
        np.testing.assert_allclose(shares[0], shares[1][::-1, :, ::-1], atol=1e-12)


def test_shares_add_up_to_one_and_none_goes_where_the_mask_forbids() -> None:
    features = RouterFeatures(BRISTOL, TERMS)
    for seed in SEEDS:
        snapshot = random_snapshot(BRISTOL, seed)
        mask = features.mask(snapshot)
        shares = route_shares(10 * router_scores(random_weights(seed), features.candidates(snapshot)), mask)
        np.testing.assert_allclose(shares.sum(axis=2), 1.0)
        assert (shares[:, ~mask] == 0).all()


def test_a_node_that_is_away_is_masked_unless_all_are() -> None:
    features = RouterFeatures(BRISTOL, TERMS)
    nobody = ClusterSnapshot(0.0, 0, ())
    snapshots = (random_snapshot(BRISTOL, seed) for seed in range(100))
    snapshot = next(s for s in snapshots if not all(v.available for v in s.nodes))
    away = {v.id for v in snapshot.nodes if not v.available}
    assert not features.mask(snapshot)[:, [n in away for n in features.nodes]].any()
    assert (features.mask(nobody) == features.routable).all()


@pytest.mark.slow
def test_destinations_are_drawn_as_often_as_their_shares_say() -> None:
    shares = np.array([[[0.5, 0.0, 0.25, 0.25, 0.0]]])
    drawn = [int(drawn_from(shares, 5, slot)[0, 0]) for slot in range(4000)]
    assert drawn == [int(drawn_from(shares, 5, slot)[0, 0]) for slot in range(4000)]
    found = np.bincount(drawn, minlength=5) / len(drawn)
    np.testing.assert_allclose(found, shares[0, 0], atol=0.03)
    assert found[1] == found[4] == 0


def test_a_pattern_is_worth_the_same_in_whatever_order_the_models_stand() -> None:
    weights, rng = random_weights(1), np.random.Generator(np.random.PCG64(1))
    of_modes, of_patterns = rng.random((4, 3, MODEL_MODE)), rng.random((5, PATTERN))
    modes, order = rng.integers(3, size=(5, 4)), [2, 0, 3, 1]
    np.testing.assert_allclose(
        pattern_values(weights, of_modes, of_patterns, modes),
        pattern_values(weights, of_modes[order], of_patterns, modes[:, order]),
        rtol=1e-12,
    )


@pytest.mark.models
def test_numpy_and_torch_compute_the_same() -> None:
    import torch

    from controller.rl.dqn import _values
    from controller.rl.mappo import _log_shares

    weights, rng = random_weights(2), np.random.Generator(np.random.PCG64(2))
    tensors = {name: torch.tensor(weights[name], dtype=torch.float64) for name in SHAPES}
    candidates, mask = rng.random((4, 6, CANDIDATE)), np.ones((4, 6), dtype=bool)
    mask[2, 3] = False
    shares = _log_shares(tensors, torch.tensor(candidates)[None], torch.tensor(mask)[None])[0].exp().numpy()
    np.testing.assert_allclose(shares, route_shares(router_scores(weights, candidates), mask), atol=1e-9)
    of_modes, of_patterns = rng.random((4, 3, MODEL_MODE)), rng.random((7, PATTERN))
    modes = rng.integers(3, size=(7, 4))
    picked = torch.tensor(np.eye(3)[modes])[None]
    values = _values(tensors, torch.tensor(of_modes)[None], torch.tensor(of_patterns)[None], picked)[
        0
    ].numpy()
    np.testing.assert_allclose(values, pattern_values(weights, of_modes, of_patterns, modes), rtol=1e-9)
