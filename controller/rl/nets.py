"""The two networks, as a run asks them: numpy alone, and to the last bit the same wherever their weights lie.

Router: every (model, node) row goes through the same three layers; out come a base score of the node as a destination
of the model, and what is added where the agent stands there itself. Deployer: every (model, mode) row goes through one
layer, a pattern sums those of its modes, and two layers more make the value of the pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from controller.rl.features import CANDIDATE, MODEL_MODE, PATTERN, Floats, Ints
from emulation.rng import stream

HIDDEN = 32
"""Width of every hidden layer."""

SHAPES: dict[str, tuple[int, ...]] = {
    "router.w1": (CANDIDATE, HIDDEN), "router.b1": (HIDDEN,),
    "router.w2": (HIDDEN, HIDDEN), "router.b2": (HIDDEN,),
    "router.w3": (HIDDEN, 2), "router.b3": (2,),
    "deployer.w1": (MODEL_MODE, HIDDEN), "deployer.b1": (HIDDEN,),
    "deployer.w2": (HIDDEN + PATTERN, HIDDEN), "deployer.b2": (HIDDEN,),
    "deployer.w3": (HIDDEN, 1), "deployer.b3": (1,),
}  # fmt: skip
"""Name of every array of weights to its shape; layers multiply from the right: x w + b."""

Weights = Mapping[str, Floats]
Product = Callable[[Floats, Floats], Floats]


def steady(x: Floats, w: Floats) -> Floats:
    """x w, summed in a fixed order: a BLAS product rounds by the alignment of memory, and ties would fall by chance."""
    total: Floats = x[..., 0, None] * w[0]
    for i in range(1, len(w)):
        total += x[..., i, None] * w[i]
    return total


def _relu(x: Floats) -> Floats:
    positive: Floats = np.maximum(x, 0.0, out=x)
    return positive


def router_scores(weights: Weights, candidates: Floats, product: Product = steady) -> Floats:
    """(M, N, 2) of (M, N, CANDIDATE): base score, and what standing there adds."""
    h = _relu(product(candidates, weights["router.w1"]) + weights["router.b1"])
    h = _relu(product(h, weights["router.w2"]) + weights["router.b2"])
    return product(h, weights["router.w3"]) + weights["router.b3"]


def route_shares(scores: Floats, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    """(O, M, N) probabilities of every agent, one per node in inventory order; 0 where `mask` (M, N) forbids."""
    own = np.eye(scores.shape[1])[:, None, :]
    logits = scores[None, :, :, 0] + own * scores[None, :, :, 1]
    logits = np.where(mask[None], logits, -np.inf)
    shares: Floats = np.exp(logits - logits.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    return shares


def pattern_values(
    weights: Weights, of_modes: Floats, of_patterns: Floats, modes: Ints, product: Product = steady
) -> Floats:
    """(P,) values of patterns: `of_modes` (M, 3, MODEL_MODE), `of_patterns` (P, PATTERN), `modes` (P, M)."""
    each = _relu(product(of_modes, weights["deployer.w1"]) + weights["deployer.b1"])
    total = np.zeros((len(modes), HIDDEN))
    for m in range(modes.shape[1]):
        total += each[m, modes[:, m]]
    h = np.concatenate([total, of_patterns], axis=1)
    h = _relu(product(h, weights["deployer.w2"]) + weights["deployer.b2"])
    return (product(h, weights["deployer.w3"]) + weights["deployer.b3"])[:, 0]


def random_weights(seed: int) -> dict[str, Floats]:
    """Untrained weights: Gaussian with variance 2 / inputs (He et al. 2015), the last layers near nothing, biases 0."""
    rng = stream(seed, "rl:weights")
    weights: dict[str, Floats] = {}
    for name, shape in SHAPES.items():
        if len(shape) == 1:
            weights[name] = np.zeros(shape)
            continue
        scale = 0.01 if name.endswith("w3") else 1.0
        weights[name] = rng.standard_normal(shape) * scale * (2.0 / shape[0]) ** 0.5
    return weights
