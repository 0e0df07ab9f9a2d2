"""Somebody else's router that would look at the truth, through a module beside it."""

from __future__ import annotations

from tests.build.mylab import Careful
from tests.build.worlds_truth import peek


class Peeking(Careful):
    """As cautious as the other, and curious."""

    curious = peek
