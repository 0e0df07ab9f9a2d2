"""The soak's arithmetic: who grows, and that its warm-up and those who come and go are left out."""

from __future__ import annotations

import pytest

from benchmarks.actors import ACTORS
from benchmarks.idle_cost import kind_of
from benchmarks.soak import RESULT, Look, page, slopes

GATEWAY, AGENT, LATE = (1, "gateway"), (2, "Ray's agent"), (3, "replica")


def looks() -> list[tuple[float, Look]]:
    """An hour, a look a minute: the gateway grows by 30 MB and 6 descriptors an hour once it has loaded its caches."""
    found = []
    for minute in range(61):
        hours = minute / 60.0
        cold = 500.0 if minute < 10 else 0.0
        look: Look = {
            GATEWAY: (100.0 + 30.0 * hours + cold, 40 + minute // 10),
            AGENT: (80.0 + 90.0 * hours, 9),
        }
        if minute > 30:
            look[LATE] = (50.0, 7)
        found.append((60.0 * minute, look))
    return found


def test_a_slope_is_per_hour_and_leaves_the_warm_up_out() -> None:
    ours, of_ray = slopes(looks(), 0.25)
    assert (ours.kind, ours.mb_per_hour) == ("gateway", pytest.approx(30.0))
    assert ours.descriptors_per_hour == pytest.approx(6.0, abs=0.3)
    assert (of_ray.kind, of_ray.mb_per_hour) == ("Ray's agent", pytest.approx(90.0))


def test_only_ours_are_judged_and_only_those_above_a_bound() -> None:
    ours, of_ray = slopes(looks(), 0.25)
    assert ours.grows
    assert not of_ray.grows
    flat = [(at_s, {GATEWAY: (100.0 + at_s / 3600.0, 40)}) for at_s, _ in looks()]
    assert not slopes(flat, 0.25)[0].grows


@pytest.mark.parametrize(("steps", "grows"), [(1, False), (6, True)])
def test_one_step_is_no_growth_and_many_are(steps: int, grows: bool) -> None:
    """A heap that keeps the room of one busy moment, and one that keeps a little more each time: 30 MB in the hour."""
    every = len(looks()) // (steps + 1) + 1
    held = [100.0 + 30.0 / steps * min(steps, i // every) for i in range(len(looks()))]
    found = slopes([(at_s, {GATEWAY: (mb, 40)}) for (at_s, _), mb in zip(looks(), held, strict=True)], 0.0)[0]
    assert (found.first_mb, found.last_mb) == (100.0, 130.0)
    assert found.grows == grows


@pytest.mark.parametrize(("leak_every", "grows"), [(0, False), (20, True)])
def test_connections_that_come_and_go_are_no_growth_and_those_left_open_are(
    leak_every: int, grows: bool
) -> None:
    """Looks every ten seconds for half an hour, at the clients of a gateway that was soaked."""
    seen: list[tuple[float, Look]] = []
    waves = (
        103,
        106,
        107,
        107,
        107,
        106,
        108,
        109,
        109,
        107,
        106,
        106,
        109,
        109,
        108,
        106,
        107,
        106,
        106,
        103,
    )
    for look in range(180):
        clients = waves[look // 9]
        left = look // leak_every if leak_every else 0
        seen.append((10.0 * look, {GATEWAY: (100.0, clients + left)}))
    assert slopes(seen, 0.25)[0].grows == grows


def test_every_actor_of_ours_is_judged() -> None:
    commands = [f"ray::{cls.__name__}.work" for cls in ACTORS]
    hour: list[tuple[float, Look]] = [
        (60.0 * m, {(pid, kind_of(c)): (100.0 + m, 9) for pid, c in enumerate(commands)}) for m in range(61)
    ]
    assert {slope.kind for slope in slopes(hour, 0.25) if slope.grows} == set(ACTORS.values())


def test_the_page_says_its_verdict() -> None:
    found = slopes(looks(), 0.25)
    assert "**It failed**: gateway (1) grows." in page("said", found, ["gateway (1) grows"])
    assert "**It passed**" in page("said", found, [])


def test_the_committed_page_says_its_verdict() -> None:
    assert "**It failed**" in RESULT.read_text() or "**It passed**" in RESULT.read_text()
