"""On a busy machine Ray sometimes does not start at once; what is the user's mistake is not tried again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from emulation.files import ConfigError
from serve_apps.testbed.ray_cluster import RayCluster, _twice


def failing(*errors: Exception) -> Callable[[], RayCluster]:
    """A start that fails so often, then succeeds."""
    left = list(errors)

    def start() -> RayCluster:
        if left:
            raise left.pop(0)
        return RayCluster("here", lambda: None, {})

    return start


def test_a_start_of_ray_that_fails_is_tried_once_again() -> None:
    late = RuntimeError("The current node timed out during startup.")
    assert _twice(failing(late)).address == "here"
    with pytest.raises(RuntimeError, match="timed out"):
        _twice(failing(late, late))


def test_a_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match="token"):
        _twice(failing(ConfigError("no token")))
