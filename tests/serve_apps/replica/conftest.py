"""A replica of real work beside its node, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.build.real_work import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.engine.let(1000)  # whatever happened, no thread stays behind
