"""What an episode tells the trainers: rewards as far as they are known, over slots in which nothing came."""

from __future__ import annotations

import pytest

from controller.rl.world import known_rewards


@pytest.mark.parametrize(
    ("rewards", "empty", "known"),
    [
        ({0: 0.9, 1: 0.5, 2: 0.7}, set(), [0.4, 0.0, 0.2]),
        ({0: 0.9, 2: 0.7}, {1, 3}, [0.4, 0.0, 0.2, 0.0]),
        ({1: 0.9}, {0}, [0.0, 0.4]),
        ({0: 0.9, 2: 0.7}, set(), [0.4]),
        ({0: 0.9, 3: 0.7}, {1}, [0.4, 0.0]),
        ({}, {0, 1, 2, 3}, []),
    ],
)
def test_rewards_are_known_up_to_the_first_slot_with_requests_that_have_not_ended(
    rewards: dict[int, float], empty: set[int], known: list[float]
) -> None:
    assert known_rewards(rewards, empty, 4, 0.5) == pytest.approx(known)


def test_no_more_rewards_are_known_than_there_are_slots() -> None:
    assert known_rewards({0: 1.0, 1: 1.0}, set(), 1, 0.0) == [1.0]
    assert known_rewards({0: 1.0}, set(), 0, 0.0) == []
