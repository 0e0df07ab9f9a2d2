"""Named random streams from one seed: a new component does not shift the draws of the others."""

from __future__ import annotations

import hashlib

from numpy.random import PCG64, Generator, SeedSequence


def stream(seed: int, name: str) -> Generator:
    """The generator of one named stream; same seed and name give the same draws on every platform."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return Generator(PCG64(SeedSequence([seed, int.from_bytes(digest, "big")])))
