"""Nothing of a testbed dies unnoticed: the core that counts deaths, its eyes, and the guardian that outlives owners."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from serve_apps.observe.logs import FOLDER, file_of
from serve_apps.testbed import guardian
from serve_apps.testbed.lives import Life, Role, Watch
from serve_apps.testbed.lookout import CONTROL_SERVICE, CONTROLLER, HEAD, Lookout, lives_in, roles
from serve_apps.testbed.processes import MARK, Process, end_marked, marked, process_of
from serve_apps.wire.testbed import NAMESPACE, served
from tests.build.waiting import eventually

GATEWAY, NODE = Role("gateway", 60.0, vital=True), Role("node:n1", 60.0, vital=False)


def watching(*expected: Role) -> Watch:
    watch = Watch()
    for role in expected:
        watch.expect(role)
    return watch


def alive(*names: str) -> set[Life]:
    return {Life(name) for name in names}


def test_a_death_between_two_looks_is_counted_though_another_has_taken_the_place() -> None:
    watch = watching(GATEWAY)
    for now_s, lives in enumerate((alive("a"), alive("a"), alive("b"), alive("b"))):
        watch.look(now_s, {"gateway": lives})
    assert (watch.died, watch.lost, watch.said()) == ({"gateway": 1}, None, "gateway ×1")


def test_one_of_two_that_dies_is_a_death_and_leaves_nobody_waiting() -> None:
    watch = watching(GATEWAY)
    watch.look(0, {"gateway": alive("a", "b")})
    watch.look(1, {"gateway": alive("b")})
    assert watch.died == {"gateway": 1}
    assert not watch.waits()


def test_who_died_who_is_back_and_who_is_not_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    watch = watching(GATEWAY, NODE)
    for now_s, lives in enumerate(
        ({"gateway": alive("a"), "node:n1": alive("x")}, {}, {"gateway": alive("b")})
    ):
        watch.look(now_s, lives)
    for now_s in (70, 80, 90):
        watch.look(now_s, {"gateway": alive("b")})
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "gateway died"), ("WARNING", "node:n1 died"), ("INFO", "gateway is there again"),
        ("ERROR", "node:n1 did not come back"),
    ]  # fmt: skip


def test_what_has_yet_to_come_up_and_what_nobody_expects_has_not_died() -> None:
    watch = watching(GATEWAY)
    watch.look(0, {"stranger": alive("x")})
    watch.look(500, {})
    assert (watch.died, watch.lost, watch.waits()) == ({}, None, False)


def test_a_testbed_is_lost_when_what_it_needs_stays_away_longer_than_its_patience() -> None:
    watch = watching(GATEWAY)
    watch.look(0, {"gateway": alive("a")})
    watch.look(10, {})
    watch.look(69, {})
    assert watch.waits()
    assert watch.lost is None
    watch.look(70, {})
    assert watch.lost == "gateway died and did not come back within 60 s"
    assert watch.said() == "gateway ×1 (did not come back)"


def test_a_node_that_stays_away_is_told_and_the_rest_goes_on() -> None:
    watch = watching(GATEWAY, NODE)
    watch.look(0, {"gateway": alive("g"), "node:n1": alive("a")})
    watch.look(1, {"gateway": alive("g")})
    watch.look(100, {"gateway": alive("g")})
    assert (watch.lost, watch.said()) == (None, "node:n1 ×1 (did not come back)")
    watch.look(101, {"gateway": alive("g"), "node:n1": alive("b")})
    assert watch.said() == "node:n1 ×1"


def test_deaths_belong_to_the_run_in_which_they_happen() -> None:
    watch = watching(GATEWAY)
    watch.look(0, {"gateway": alive("a")})
    watch.look(1, {"gateway": alive("b")})
    watch.begin()
    watch.look(2, {"gateway": alive("b")})
    assert watch.said() == ""


def test_a_life_that_came_and_went_between_two_looks_is_counted_when_the_next_one_is_there() -> None:
    watch = watching(NODE)
    for now_s, lives in enumerate(({Life("a", 3)}, set(), {Life("a", 5)}, {Life("a", 5)}, {Life("a", 8)})):
        watch.look(now_s, {"node:n1": lives})
    assert watch.died == {"node:n1": 2 + 3}


def actor(name: str, state: str = "ALIVE", restarts: int = 0, job: str = "01") -> dict[str, Any]:
    return {"Name": name, "State": state, "NumRestarts": restarts, "JobID": job}


def test_who_lives_is_read_from_rays_table_of_actors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMESPACE, "edgebed-test")
    table = {
        "a1": actor("recorder", restarts=2),
        "a2": actor("planner", "RESTARTING"),
        "a3": actor(""),
        "a4": actor("recorder", job="02"),
        "a5": actor("SERVE_CONTROLLER_ACTOR", job="02"),
        "a6": actor(f"SERVE_REPLICA::{served('gateway')}#gateway#x1", job="03"),
        "a7": actor(f"SERVE_REPLICA::{served('gateway')}#gateway#x2", "DEAD", job="03"),
        "a8": actor("SERVE_REPLICA::another-testbed:gateway#gateway#x3", job="04"),
    }
    assert lives_in(table, "01") == {
        "recorder": {Life("a1", 2)},
        CONTROLLER: {Life("a5")},
        "gateway": {Life("a6")},
    }


def test_head_control_service_recorder_and_gateway_are_what_a_testbed_cannot_do_without() -> None:
    found = roles(["recorder", "planner", "node:n1"], ["gateway", "n1--m"], [HEAD, "raylet of n1"])
    assert {role.name for role in found if role.vital} == {HEAD, CONTROL_SERVICE, "recorder", "gateway"}


def sleeper(**environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=os.environ | environment
    )


def test_a_control_service_that_dies_is_seen_while_the_question_to_ray_hangs() -> None:
    hangs, child = threading.Event(), sleeper()
    own, service = process_of(os.getpid()), process_of(child.pid)
    assert own is not None
    assert service is not None
    answers: list[dict[str, set[Life]]] = [{"recorder": alive("r")}] * 3

    def ask() -> dict[str, set[Life]]:
        if not answers:
            hangs.wait(60)
        return answers.pop()

    lookout = Lookout(ask)
    lookout._looking = threading.Thread()  # it looks when told to
    lookout.begin(["recorder"], ["gateway"], {HEAD: own, CONTROL_SERVICE: service})
    assert lookout.settled() is None
    child.communicate(b"\n")
    assert lookout.look() == f"{CONTROL_SERVICE} died and did not come back"
    hangs.set()


def test_whoever_dies_before_the_first_look_has_lived() -> None:
    answers = [{"recorder": alive("first")}, {"recorder": alive("first")}, {"recorder": alive("second")}]
    lookout = Lookout(lambda: answers.pop(0))
    lookout._looking = threading.Thread()
    lookout.begin(["recorder"], [], {})
    lookout.look()
    assert lookout.watch.died == {"recorder": 1}


@pytest.mark.parametrize("starts", [True, False])
def test_a_control_service_that_died_is_started_again_or_given_up(starts: bool) -> None:
    with sleeper() as first, sleeper() as second:
        own, service, again = (process_of(pid) for pid in (os.getpid(), first.pid, second.pid))
        assert own is not None
        assert service is not None

        def mend() -> Process | None:
            if not starts:
                raise AssertionError("GCS server is already running.")
            return again

        lookout = Lookout(dict)
        lookout._looking = threading.Thread()
        lookout.begin([], [], {HEAD: own, CONTROL_SERVICE: service}, mend)
        assert lookout.look() is None
        first.communicate(b"\n")
        assert not lookout.head_alive()
        assert (lookout.look() is None) is starts
        assert lookout.head_alive() is starts
        assert lookout.watch.died == {CONTROL_SERVICE: 1}
        second.communicate(b"\n")


def test_a_number_that_is_used_again_is_another_process() -> None:
    own = process_of(os.getpid())
    assert own is not None
    assert own.alive()
    assert not Process(own.pid, own.started + 1).alive()
    assert process_of(2**22 + 1) is None


def test_keys_and_tables_of_an_owner_that_was_killed_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its guardian, or where that was killed too by whoever starts a testbed next."""
    monkeypatch.setattr(guardian, "_note", lambda owner: tmp_path / f"{owner}.records")
    dead = Process(2**22 + 1, 7)
    own = process_of(os.getpid())
    assert own is not None
    names = [f"{dead.name}.keys", f"{own.name}.keys", "123.records"]
    folders = [f"{guardian.tables_of(o.name)}abc" for o in (dead, own)] + ["gcs-of-an-older-edgebed", "ray"]

    def lay() -> None:
        for name in names:
            (tmp_path / name).write_text("{}")
        for name in folders:
            (tmp_path / name / "tables").mkdir(parents=True, exist_ok=True)

    for clear in (guardian.clear_after_the_dead, lambda: guardian.outlive(dead, tmp_path / "no.records")):
        lay()
        clear()
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {*names[1:], *folders[1:]}


def test_left_over_processes_are_found_by_their_mark_and_ended_and_no_others() -> None:
    with sleeper(**{MARK: "1.2"}) as ours, sleeper(**{MARK: "1.23"}) as strange:
        assert [process.pid for process in marked("1.2")] == [ours.pid]
        assert [process.pid for process in end_marked("1.2")] == [ours.pid]
        assert ours.wait(10) != 0
        assert strange.poll() is None


HELPED = """
from multiprocessing import get_context, resource_tracker
from serve_apps.testbed.guardian import guard
from serve_apps.testbed.processes import end_marked
guard()
lock = get_context("spawn").Lock()
end_marked(guard())
del lock
print("still counted" if resource_tracker._resource_tracker._check_alive() else "nobody counts")
"""


@pytest.mark.slow
def test_who_ends_what_it_started_leaves_the_process_that_counts_its_locks() -> None:
    """Python's own: without it a pool of processes cannot be made again, but for a warning and what leaks."""
    said = subprocess.run([sys.executable, "-W", "error", "-c", HELPED], capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("still counted\n", "")


OWNER = """
import subprocess, sys
from serve_apps.testbed.guardian import guard
guard(), guard()
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"])
print(child.pid, flush=True)
input()
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_what_an_owner_started_ends_with_it_however_it_ends_and_the_log_says_so(
    how: str, tmp_path: Path
) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, FOLDER: str(tmp_path)},
    )  # fmt: skip
    assert owner.stdout is not None
    child = process_of(int(owner.stdout.readline()))
    assert child is not None
    getattr(owner, how)()
    owner.communicate()
    eventually(lambda: not child.alive())
    written = file_of(tmp_path, "guardian")
    eventually(lambda: written.exists() and f"left: {child.pid}" in written.read_text())
