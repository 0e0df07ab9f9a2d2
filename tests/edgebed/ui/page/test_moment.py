"""Which moment is shown, as the run grows, plays, or is looked through by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgebed.ui.page.moment import PACES, Moment
from edgebed.ui.views import Span

spans = st.builds(
    lambda from_s, seen_s, growing: Span(from_s=from_s, to_s=from_s + seen_s, end_s=500.0, growing=growing),
    st.floats(0, 100), st.floats(0, 400), st.booleans(),
)  # fmt: skip
moments = st.builds(
    lambda t_s, following, playing, pace: Moment(t_s=t_s, following=following, playing=playing, pace=pace),
    st.floats(0, 1000), st.booleans(), st.booleans(), st.sampled_from(PACES),
)  # fmt: skip
GROWING = Span(from_s=0, to_s=100, end_s=500, growing=True)
WHOLE = Span(from_s=0, to_s=500, end_s=500, growing=False)


@given(moments, spans, st.floats(0, 10), st.floats(-1e6, 1e6))
def test_it_never_leaves_what_there_is(moment: Moment, span: Span, wall_s: float, sought_s: float) -> None:
    steps = (moment.advanced(span, wall_s), moment.at(sought_s, span), Moment.newest(span))
    assert all(span.from_s <= step.t_s <= span.to_s for step in steps)


@given(moments, spans, st.floats(0, 10))
def test_only_playing_or_following_moves_it(moment: Moment, span: Span, wall_s: float) -> None:
    still = moment.paused().at(moment.t_s, span)
    assert still.advanced(span, wall_s) == still


def test_it_follows_the_end_of_a_run_that_grows() -> None:
    later = Span(from_s=0, to_s=130, end_s=500, growing=True)
    assert Moment.newest(GROWING).advanced(later, 0.5).t_s == 130


def test_whoever_went_back_stays_there_and_may_return_to_now() -> None:
    back = Moment.newest(GROWING).at(40, GROWING)
    assert back.advanced(GROWING, 5).t_s == 40
    assert Moment.newest(GROWING) == Moment(t_s=100, following=True)


def test_it_plays_at_its_pace() -> None:
    assert Moment(t_s=40).at_pace(5).played(WHOLE).advanced(WHOLE, 2).t_s == 50


def test_at_the_end_of_a_whole_run_it_stops_and_playing_begins_anew() -> None:
    end = Moment(t_s=499).at_pace(10).played(WHOLE).advanced(WHOLE, 1)
    assert (end.t_s, end.playing) == (500, False)
    assert end.played(WHOLE).t_s == 0


def test_playing_that_reaches_the_end_of_a_run_that_grows_follows_it() -> None:
    assert Moment(t_s=99).at_pace(10).played(GROWING).advanced(GROWING, 1).following


def test_a_pace_that_is_not_offered_becomes_the_nearest_that_is() -> None:
    assert Moment().at_pace(-7.0).pace == PACES[0]
    assert Moment().at_pace(1e9).pace == PACES[-1]
