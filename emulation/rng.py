"""Named random streams from one seed: a new component does not shift the draws of the others."""

from __future__ import annotations

import hashlib

from numpy.random import PCG64, Generator, SeedSequence


def share(seed: int, name: str) -> float:
    """One uniform draw in [0, 1) that depends on seed and name only: 53 bits of BLAKE2b over both.

    For a quantity that is drawn once: a stream of its own takes ten times as long to make as this.
    """
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53


def stream(seed: int, name: str) -> Generator:
    """The generator of one named stream; same seed and name give the same draws on every platform."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return Generator(PCG64(SeedSequence([seed, int.from_bytes(digest, "big")])))
