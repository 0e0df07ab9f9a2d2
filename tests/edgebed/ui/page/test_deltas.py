"""What is sent makes the browser hold what there is, whatever it held before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgebed.ui.page.deltas import applied, delta, splice, spliced

keys = st.sampled_from([f"{kind}/{i}" for kind in "nefd" for i in range(4)])
values = st.one_of(st.none(), st.integers(0, 3), st.lists(st.integers(0, 2), max_size=2))
states = st.dictionaries(keys, values)
points = st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 1))), max_size=8)


@given(states, states)
def test_applying_the_delta_gives_the_new_state(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(old, delta(old, new)) == new


@given(states)
def test_nothing_is_sent_where_nothing_changed(state: dict[str, Any]) -> None:
    assert delta(state, dict(state)) == {}


@given(states, keys, values)
def test_only_what_changed_is_sent(old: dict[str, Any], key: str, value: Any) -> None:
    assert set(delta(old, {**old, key: value}).get("set", {})) <= {key}


@given(points, points)
def test_splicing_gives_the_new_points(old: list[Any], new: list[Any]) -> None:
    assert spliced(old, splice(old, new)) == new


@given(points, points)
def test_appended_points_are_all_that_is_sent(old: list[Any], more: list[Any]) -> None:
    change = splice(old, [*old, *more])
    assert (change["points"] if change else []) == more


def test_a_window_that_slides_sends_its_new_end_only() -> None:
    old = [[i] for i in range(400)]
    assert splice(old, [*old[2:], [400], [401]]) == {"drop": 2, "keep": 398, "points": [[400], [401]]}
