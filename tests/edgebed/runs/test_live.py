"""What a live comparison refuses before it starts anything, and what a run that fails leaves of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from controller.agents.llm import ReasonerError
from edgebed.runs import live as module
from edgebed.runs import live_run, room
from edgebed.runs.comparison import Outcome
from edgebed.runs.layout import Layout, fresh_folder
from edgebed.runs.live import compare_live
from emulation.files import ConfigError, load_scenario
from tests.build.small import small_scenario


def test_parity_of_real_processes_with_virtual_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--check-parity needs lifecycle warm"):
        compare_live(load_scenario("bristol-A-cold"), ["AL"], [0], Layout(tmp_path), check_parity=True)
    assert list(tmp_path.iterdir()) == []


class Lookout:
    """Whether a testbed that can break is broken."""

    def __init__(self) -> None:
        self.watch = SimpleNamespace(lost=None)

    def look(self) -> str | None:
        return self.watch.lost

    settled = look


class Standing:
    """A testbed that can break: then nothing of it answers."""

    url = "http://here"

    def __init__(self, started: list[Standing]) -> None:
        self.lookout = Lookout()
        started.append(self)

    def __enter__(self) -> Standing:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Standing]:
    """Testbeds started so far; a run of `AL` fails, that of `MAL` breaks its testbed, others are made."""
    found: list[Standing] = []

    def run_live(cluster: Standing, scenario: Any, scheme: str, *_: Any) -> str:
        if scheme in ("AL", "MAL"):
            cluster.lookout.watch.lost = "MAL broke it" if scheme == "MAL" else None
            raise ConnectionError(f"{scheme} failed")
        return f"run of {scheme}"

    monkeypatch.setattr(module, "start_cluster", lambda *_: Standing(found))
    monkeypatch.setattr(module, "run_live", run_live)
    monkeypatch.setattr(module, "note_deaths", lambda watch, note, folder: note)
    return found


def compared(root: Path, *schemes: str, ui_port: int | None = None) -> Outcome:
    return compare_live(small_scenario(), schemes, [0], Layout(root), quiet=True, ui_port=ui_port)


def test_a_run_that_fails_stops_no_other(tmp_path: Path, started: list[Standing]) -> None:
    outcome = compared(tmp_path, "AL", "sect", "RR")
    assert [scheme for scheme, _ in outcome.runs] == ["sect", "RR"]
    assert list(outcome.failed) == [("AL", 0)]
    assert "AL failed" in outcome.failed["AL", 0]
    assert len(started) == 1


def test_the_model_that_the_testbed_hosts_is_looked_at_once_it_stands(
    tmp_path: Path, started: list[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(scenario: Any, schemes: list[str]) -> None:
        assert (len(started), schemes) == (1, ["sect", "RR"])
        raise ReasonerError("its key is refused")

    monkeypatch.setattr(module, "look_at_hosted_model", refused)
    with pytest.raises(ReasonerError, match="its key is refused"):
        compared(tmp_path, "sect", "RR")


def test_runs_go_on_after_one_that_took_the_testbed_with_it(tmp_path: Path, started: list[Standing]) -> None:
    outcome = compared(tmp_path, "MAL", "sect")
    assert [scheme for scheme, _ in outcome.runs] == ["sect"]
    assert list(outcome.failed) == [("MAL", 0)]
    assert len(started) == 2


def test_what_was_made_is_reported_though_no_further_testbed_comes_up(
    tmp_path: Path, started: list[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: Any) -> Standing:
        if started:
            raise ConfigError("no port is free")
        return Standing(started)

    monkeypatch.setattr(module, "start_cluster", start)
    outcome = compared(tmp_path, "RR", "MAL", "sect")
    assert [scheme for scheme, _ in outcome.runs] == ["RR"]
    assert outcome.failed["sect", 0] == "no testbed to run on: no port is free"


def test_an_interrupted_run_without_a_record_is_no_traceback(
    tmp_path: Path, started: list[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_live", interrupted)
    outcome = compared(tmp_path, "RR", "sect")
    assert (outcome.interrupted, outcome.runs, outcome.failed) == (True, {}, {})


def test_ctrl_c_is_not_taken_for_the_failure_of_what_it_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Cut:
        def end_run(self, interrupted: bool) -> None:
            assert interrupted
            raise ConnectionError("the recorder is gone")

    cut: Any = Cut()
    live_run._end_cut(cut)


class Page:
    """A process that serves the control room."""

    pid = 2**30
    """Nobody's."""

    def __init__(self, command: list[str], **_: Any) -> None:
        assert "ui" in command

    def terminate(self) -> None:
        pass

    def wait(self, timeout_s: float) -> None:
        pass


@pytest.mark.parametrize("ui_port", [None, 0])
def test_a_folder_whose_testbed_did_not_come_up_is_free_for_the_same_command(
    tmp_path: Path, started: list[Standing], monkeypatch: pytest.MonkeyPatch, ui_port: int | None
) -> None:
    monkeypatch.setattr(room, "guard", lambda: 0)
    monkeypatch.setattr(room.subprocess, "Popen", Page)

    def refused(*_: Any) -> Standing:
        raise ConfigError("the cluster runs other sources; do this")

    with monkeypatch.context() as beforehand:
        beforehand.setattr(module, "start_cluster", refused)
        with pytest.raises(ConfigError, match="do this"):
            compared(tmp_path, "sect", ui_port=ui_port)
    words = ["logs"] if ui_port is None else ["logs", "ui.log"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == words
    assert fresh_folder(tmp_path) == tmp_path, "for `edgebed up` too"
    assert list(compared(tmp_path, "sect", ui_port=ui_port).runs) == [("sect", 0)]


def test_a_folder_in_which_a_run_began_is_not_given_away(tmp_path: Path, started: list[Standing]) -> None:
    compared(tmp_path, "AL")  # fails, and says so beside what it recorded
    with pytest.raises(ConfigError, match="--resume"):
        compared(tmp_path, "sect")


class Watched:
    """A clock that a watched run alone moves, its load generator, and a testbed that stands."""

    url = "http://here"

    def __init__(self, load_ends_s: float) -> None:
        self.now_s, self._load_ends_s = 0.0, load_ends_s
        self.lookout = Lookout()
        self.warned: list[str] = []

    def time(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s

    def progress(self) -> SimpleNamespace:
        return SimpleNamespace(t_s=self.now_s, arrived=0, ended=0)

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return 0 if self.now_s >= self._load_ends_s else None


def watched(monkeypatch: pytest.MonkeyPatch, load_ends_s: float, **changes: Any) -> Watched:
    """A run of speedup 1 whose load generator ends at this time, watched to its end. Arrivals end at 80 s."""
    bed: Any = Watched(load_ends_s)
    monkeypatch.setattr(live_run, "time", bed)
    monkeypatch.setattr(live_run, "warn", bed.warned.append)
    scenario = small_scenario(live={"speedup": 1}, **changes)
    live_run._watch(bed, scenario, "sect", bed, 0.0, True)
    watched: Watched = bed
    return watched


@pytest.mark.parametrize(("deadline_s", "ends_s"), [(None, 600.0), (60.0, 150.0), (60.0, 20.0)])
def test_a_run_lasts_as_long_as_its_clients_wait(
    monkeypatch: pytest.MonkeyPatch, deadline_s: float | None, ends_s: float
) -> None:
    """Without a deadline the load generator was stopped a minute after the last arrival, whatever still waited."""
    bed = watched(monkeypatch, ends_s, deadline_s=deadline_s)
    assert bed.warned == []
    assert bed.now_s == pytest.approx(max(ends_s, 80.0), abs=2 * live_run.LOOK_S)


@pytest.mark.parametrize("deadline_s", [None, 60.0])
def test_a_load_generator_that_never_ends_is_given_up(
    monkeypatch: pytest.MonkeyPatch, deadline_s: float | None
) -> None:
    bed = watched(monkeypatch, float("inf"), deadline_s=deadline_s)
    (said,) = bed.warned
    assert "did not end" in said


@pytest.mark.parametrize(("ends_s", "over_s"), [(110.0, 130.0), (90.0, 90.0)])
def test_an_event_that_begins_late_is_waited_for_if_the_run_still_goes_on(
    monkeypatch: pytest.MonkeyPatch, ends_s: float, over_s: float
) -> None:
    late = {"kind": "leave", "node": "arc-b60", "at_s": 100, "until_s": 130}
    bed = watched(monkeypatch, ends_s, events=[late])
    assert bed.warned == []
    assert bed.now_s == pytest.approx(over_s, abs=2 * live_run.LOOK_S)
