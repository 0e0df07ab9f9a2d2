"""The load that a testbed sends itself: begun, paced and stopped by hand, and every change of it in the record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.records import DecisionRecord
from serve_apps.deciders.load_desk import LOST, SENT, LoadDesk
from serve_apps.deciders.sending import Job
from serve_apps.wire.clock import LiveClock
from serve_apps.wire.steer import Load, Rate
from tests.build.fakes import pod_testbed, scenario
from tests.build.waiting import in_a_loop, until
from workloads.demand_digest import demand_digest

OWN = scenario(pod_testbed(), live={"speedup": 50.0})


class Sent:
    """A load on its way that does as it is told, and ends when a test says so."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.told: list[float | str] = []
        self.over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def change(self, rate: float) -> None:
        self.told.append(rate)

    def stop(self) -> None:
        self.told.append("stop")

    async def ended(self) -> int:
        return await asyncio.shield(self.over)


class Stage:
    """A desk at which a run goes on."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[DecisionRecord] = []
        self.sent: list[Sent] = []
        self.desk = LoadDesk(self, self.lines.append)
        self.folder, self.clock = folder, LiveClock(50.0)
        self.clock.start(self.clock.wall_s())
        self.desk.begin(OWN, str(folder), self.clock)

    def start(self, job: Job) -> Sent:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.touch()
        self.sent.append(Sent(job))
        return self.sent[-1]

    def said(self) -> list[tuple[Any, str]]:
        """(rate, cause) of every line."""
        return [(line.choice["load"]["rate"], line.cause) for line in self.lines]


@in_a_loop
async def test_every_change_of_a_load_is_done_and_written_down_as_somebody_s(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    entry = await stage.desk.start(Load(seed=3, rate=2.0))
    assert (entry.scenario, entry.running, entry.began_s > 100.0) == (OWN.name, True, True)
    stage.desk.change(Rate(rate=0.5))
    over = stage.desk.change(Rate(rate=0))
    assert (over.running, over.said) == (False, "stopped by hand")
    (sent,) = stage.sent
    assert (sent.job.seed, sent.job.rate, sent.job.speedup, sent.told) == (3, 2.0, 50.0, [0.5, "stop"])
    assert stage.said() == [(2.0, "by hand"), (0.5, "by hand"), (0.0, "by hand")]
    assert {line.actor for line in stage.lines} == {"person"}
    assert [line.t_s for line in stage.lines] == sorted(line.t_s for line in stage.lines)


@pytest.mark.parametrize(("code", "words"), [(0, SENT), (2, "ended with code 2")])
@in_a_loop
async def test_a_load_that_ends_by_itself_is_over_and_another_may_begin(
    tmp_path: Path, code: int, words: str
) -> None:
    stage = Stage(tmp_path)
    await stage.desk.start(Load())
    with pytest.raises(ValueError, match="is being sent"):
        await stage.desk.start(Load())
    stage.sent[0].over.set_result(code)
    await until(lambda: not (stage.desk.entry is not None and stage.desk.entry.running))
    assert words in stage.lines[-1].reason
    with pytest.raises(ValueError, match="no load is being sent"):
        stage.desk.change(Rate(rate=2.0))
    second = await stage.desk.start(Load(scenario=OWN.name))
    assert second.log != str(stage.sent[0].job.log), "the first log stays"


@in_a_loop
async def test_a_load_ends_with_its_run_and_with_the_process_that_owns_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    entry = await stage.desk.start(Load())
    successor = LoadDesk(stage, stage.lines.append)
    successor.begin(OWN, str(tmp_path), stage.clock)
    successor.restore(entry)
    state = successor.state().load
    assert state is not None
    assert (state.running, state.said, stage.said()[-1]) == (False, LOST, (0.0, "restart"))
    stage.desk.begin(OWN, str(tmp_path), stage.clock)
    assert stage.sent[0].told == ["stop"]
    assert stage.desk.state().load is None


@in_a_loop
async def test_what_this_testbed_cannot_serve_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with pytest.raises(ValueError, match="did you mean 'demo'"):
        await stage.desk.start(Load(scenario="demmo"))
    with pytest.raises(ValueError, match="are not for this testbed: .*unknown model"):
        await stage.desk.start(Load(scenario="demo"))
    assert stage.sent == []
    assert stage.lines == []
    with pytest.raises(ValueError, match="no run is in progress"):
        LoadDesk(stage, stage.lines.append).state()


@in_a_loop
async def test_another_scenario_of_that_name_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    longer = OWN.model_copy(update={"slots": OWN.slots + 1})
    with pytest.raises(ValueError, match="'test': what stands here calls another scenario so; rename it"):
        await stage.desk.start(Load(scenario=OWN.name, demand=demand_digest(longer)))
    with pytest.raises(ValueError, match="'demo': what stands here calls another scenario so"):
        await stage.desk.start(Load(scenario="demo", demand=demand_digest(longer)))
    assert (stage.sent, stage.lines) == ([], [])
    await stage.desk.start(Load(scenario=OWN.name, demand=demand_digest(OWN)))
    assert len(stage.sent) == 1
