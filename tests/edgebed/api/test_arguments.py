"""Arguments as Python's users have them."""

from __future__ import annotations

import numpy as np

from edgebed.api.arguments import seeds_of


def test_seeds_of_numpy_are_seeds() -> None:
    found = seeds_of(np.arange(3))
    assert found == [0, 1, 2]
    assert {type(seed) for seed in [*found, *seeds_of(np.int64(3))]} == {int}
