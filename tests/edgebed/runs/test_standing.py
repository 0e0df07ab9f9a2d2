"""A testbed that stays says how it went down; nothing here starts one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from edgebed.commands.main import app
from edgebed.commands.options import size_of, with_time_limit
from edgebed.runs import standing as module
from edgebed.runs.layout import Layout, empty_or_held
from emulation.domain.mistakes import ConfigError
from emulation.recording import RECORD_FILE, JsonlSink, read_run
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.records.segments import ENDLESS_S
from serve_apps.records.store import OPEN_FOLDER
from serve_apps.testbed import standing as owner
from serve_apps.testbed.listen_address import ListenAddress
from serve_apps.testbed.live import LiveCluster, LiveOptions
from serve_apps.testbed.lives import Life, Role
from serve_apps.testbed.processes import started_at
from serve_apps.testbed.standing import say_how_it_ended
from serve_apps.testbed.state import Standing, claimed, end_of, read_standing
from serve_apps.wire.calls import Unreached
from tests.build.fakes import device_testbed, header, scenario
from tests.build.records import footer
from tests.build.small import small_scenario

LISTENS = ListenAddress("127.0.0.1", 8123, "127.0.0.1", "here")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state file of a testbed whose owner is this very process; asked to end, it does nothing and is gone."""
    path = tmp_path / "testbed.json"
    monkeypatch.setenv("EDGEBED_HOME", str(tmp_path))
    monkeypatch.setattr(Standing, "end", lambda self: True)
    monkeypatch.setattr(LiveCluster, "gateways", lambda self: [])
    return path


def stands(state: Path, pid: int | None = None) -> None:
    import dataclasses

    import orjson

    pid = pid or os.getpid()
    known = Standing(pid, started_at(pid) or 0, "a", "http://x", "{}", {}, "runs/here")
    state.write_bytes(orjson.dumps(dataclasses.asdict(known)))


class Cluster:
    """A cluster that ends its run as a test says."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def end_run(self, interrupted: bool = False) -> None:
        if self._error is not None:
            raise self._error


def cut_record(folder: Path) -> None:
    sink = JsonlSink(folder)
    sink.write(header(scenario(device_testbed())))
    sink.close()


def test_books_that_do_not_balance_are_what_down_reports(state: Path, tmp_path: Path) -> None:
    cut_record(tmp_path)
    stands(state)
    broken: Any = Cluster(Unreached("recorder.close: ConservationError: arrived {'m': 2}, ends {'m': 1}"))
    with pytest.raises(Unreached):
        module.close_run(broken, tmp_path)
    result = CliRunner().invoke(app, ["down"])
    assert result.exit_code == 1
    assert "ConservationError" in result.output
    assert "runs/here" in result.output
    assert read_run(tmp_path).footer is None, "and a record that was cut is left as it is"


def test_a_record_that_its_recorder_may_still_be_closing_is_not_touched(state: Path, tmp_path: Path) -> None:
    sink = JsonlSink(tmp_path)
    sink.write(replace(header(scenario(device_testbed())), horizon_s=ENDLESS_S))
    sink.write(footer([]))
    sink.close()
    before = (tmp_path / RECORD_FILE).read_bytes()
    private = tmp_path / OPEN_FOLDER
    private.mkdir()
    stalled: Any = Cluster(Unreached("recorder.close: no answer in time"))
    with pytest.raises(Unreached):
        module.close_run(stalled, tmp_path)
    assert (tmp_path / RECORD_FILE).read_bytes() == before
    private.rmdir()
    module.close_run(Cluster(), tmp_path)  # type: ignore[arg-type]
    assert read_run(tmp_path).header.horizon_s == 200.0


def test_down_says_down_where_all_went_well(state: Path, tmp_path: Path) -> None:
    cut_record(tmp_path)
    stands(state)
    whole: Any = Cluster()
    module.close_run(whole, tmp_path)
    result = CliRunner().invoke(app, ["down"])
    assert (result.exit_code, result.stdout.strip()) == (0, "down")
    again = CliRunner().invoke(app, ["down"])
    assert (again.exit_code, again.stdout.strip()) == (0, "no testbed stands here")


def test_an_owner_that_died_without_a_word_is_no_success(state: Path) -> None:
    stands(state, pid=2**22 + 1)
    result = CliRunner().invoke(app, ["down"])
    assert result.exit_code == 1
    assert "ended before it had closed the record" in " ".join(result.output.split())


def test_the_word_of_another_testbed_is_not_taken_for_this_one(state: Path) -> None:
    say_how_it_ended(state, "")
    stands(state, pid=2**22 + 1)
    assert CliRunner().invoke(app, ["down"]).exit_code == 1


@pytest.mark.parametrize("foreground", [False, True])
def test_a_second_testbed_is_refused_and_the_first_keeps_its_state_file(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreground: bool
) -> None:
    def start(*_: Any, **__: Any) -> Any:
        pytest.fail("a second one is started")

    monkeypatch.setattr(module, "start_cluster", start)
    monkeypatch.setattr(module.subprocess, "Popen", start)
    stands(state)
    targets = state.with_name("targets.json")
    targets.write_text("[]")
    before = state.read_bytes()
    words = ["up", "demo", "--port", "0", "--out", str(tmp_path / "second")]
    failed = CliRunner().invoke(app, [*words, "--foreground"] if foreground else words).exception
    assert isinstance(failed, ConfigError), failed
    assert "a testbed stands already at http://x; end it with `edgebed down`" in str(failed)
    assert state.read_bytes() == before
    assert targets.exists()
    assert not (tmp_path / "second").exists()


def test_of_two_testbeds_that_are_started_at_once_one_is_refused(state: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from serve_apps.testbed.state import claimed\n"
        f"with claimed(Path({str(state)!r})): print('claimed', flush=True); sys.stdin.read()"
    )
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], **pipes) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        with pytest.raises(ConfigError, match="is being started or taken down here"), claimed(state):
            pass
        other.kill()
    with claimed(state):
        pass


def test_what_another_testbed_says_of_itself_is_not_removed_with_ours(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one without this lock was started beside ours."""
    base: Any = SimpleNamespace(address="address")
    cluster = LiveCluster(device_testbed(), LiveOptions(port=8123), LISTENS, base)

    class Asked(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            stands(state, pid=1)
            return True

    monkeypatch.setattr(owner.threading, "Event", Asked)
    owner.stand(cluster, state, tmp_path)
    left = read_standing(state)
    assert left is not None
    assert left.pid == 1


@pytest.mark.parametrize(("given", "limit_s"), [(None, 900.0), (45.0, 45.0), (0.0, None)])
def test_how_long_a_request_may_take_is_the_scenarios_or_an_options(
    given: float | None, limit_s: float | None
) -> None:
    known = scenario(device_testbed(), deadline_s=900.0)
    assert with_time_limit(known, given).deadline_s == limit_s


@pytest.mark.parametrize("given", [1e-9, 1e300, float("inf"), float("nan")])
def test_a_time_limit_that_is_none_is_told_by_name(given: float) -> None:
    with pytest.raises(ConfigError, match=r"--time-limit .*: "):
        with_time_limit(scenario(device_testbed()), given)


def test_whoever_looks_for_a_testbed_reads_what_its_owner_wrote(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state
    base: Any = SimpleNamespace(address="address")
    cluster = LiveCluster(device_testbed(), LiveOptions(port=8123), LISTENS, base)
    found: list[Standing | None] = []

    class Asked(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            found.append(read_standing(path))
            return True

    monkeypatch.setattr(owner.threading, "Event", Asked)
    owner.stand(cluster, path, tmp_path)
    (read,) = found
    assert read is not None
    assert (read.url, read.folder, read.pid) == ("http://127.0.0.1:8123", str(tmp_path), os.getpid())
    assert read.options["http"]["target_bytes"] == HttpSettings().target_bytes
    assert not path.exists()


def test_scrapers_hear_of_a_gateway_that_was_restarted_by_its_new_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base: Any = SimpleNamespace(address="address")
    cluster = LiveCluster(device_testbed(), LiveOptions(port=8123, gateways=2), LISTENS, base)
    ports: list[tuple[int, bool]] = [(1, True), (2, True)]

    def gateways() -> list[dict[str, Any]]:
        if not ports:
            raise Unreached("the recorder is gone")
        return [{"url": f"http://127.0.0.1:{port}", "alive": alive} for port, alive in ports]

    monkeypatch.setattr(cluster, "gateways", gateways)
    monkeypatch.setattr(owner, "TARGETS_S", 0.0)
    targets = owner.Targets(tmp_path / "targets.json", cluster)

    def told() -> list[str]:
        found = orjson.loads(targets.path.read_bytes())
        return [t for each in found if each["labels"]["part"] == "gateway" for t in each["targets"]]

    assert told() == ["127.0.0.1:1", "127.0.0.1:2"]
    ports[:] = [(1, False), (2, True), (3, True)]
    targets.look()
    assert told() == ["127.0.0.1:2", "127.0.0.1:3"]
    ports.clear()
    targets.look()
    assert told() == ["127.0.0.1:2", "127.0.0.1:3"]


def test_a_testbed_that_could_not_go_on_says_why_and_down_says_it_again(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base: Any = SimpleNamespace(address="address")
    cluster = LiveCluster(device_testbed(), LiveOptions(port=8123), LISTENS, base)
    watch = cluster.lookout.watch
    watch.expect(Role("recorder", 0.0, vital=True))
    watch.look(0, {"recorder": {Life("a")}})
    watch.look(1, {})
    lost = owner.stand(cluster, state, tmp_path)
    assert lost == "recorder died and did not come back"
    broken: Any = Cluster(Unreached("recorder.close: nobody is there"))
    cut_record(tmp_path)
    module.close_run(broken, tmp_path, lost)
    assert read_standing(state) is not None, "as long as its owner, this process, lives"
    monkeypatch.setattr(Standing, "end_rest", lambda self: [77])
    result = CliRunner().invoke(app, ["down"])
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "recorder died and did not come back; Unreached: recorder.close: nobody is there" in said
    assert "its processes 77 were still there, and were ended" in said


def test_whoever_asks_for_a_testbed_whose_owner_died_leaves_word_of_it_for_down(state: Path) -> None:
    stands(state, pid=2**22 + 1)
    assert read_standing(state) is None
    assert CliRunner().invoke(app, ["down"]).exit_code == 1


@pytest.mark.parametrize(("given", "size"), [("500MB", 500_000_000), ("2gb", 2_000_000_000), ("all", None)])
def test_how_much_of_a_record_is_kept_is_given_as_a_size(given: str, size: int | None) -> None:
    assert size_of("--keep-records", given) == size


@pytest.mark.parametrize(
    "given", ["", "8", "MB", "1.5GB", "-1GB", "7MB", "0MB", "9" * 30 + "GB", "all of it"]
)
def test_a_size_that_is_none_is_told_by_name(given: str) -> None:
    with pytest.raises(ConfigError, match=r"--keep-records .*: is .*; give"):
        size_of("--keep-records", given)


KNOWN = {"pid": 1, "started": 1, "address": "a", "url": "http://x", "testbed": "{}", "options": {}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (b"[1, 2]", "is damaged"),
        (b'{"pid": 1, "star', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (orjson.dumps({**KNOWN, "pid": "many"}), "pid: "),
        (orjson.dumps({name: v for name, v in KNOWN.items() if name != "url"}), "url: "),
        (orjson.dumps({**KNOWN, "colour": "red"}), "colour: "),
    ],
)
def test_a_state_file_that_is_none_is_named_with_what_to_do(state: Path, content: bytes, words: str) -> None:
    state.write_bytes(content)
    for command in ("down", "events"):
        failed = CliRunner().invoke(app, [command]).exception
        assert isinstance(failed, ConfigError), failed
        assert all(word in str(failed) for word in (words, "testbed.json", "remove the file"))
    assert state.exists(), "it may be all that is known of what stands"


def test_an_ending_that_cannot_be_read_is_no_good_ending(state: Path) -> None:
    stands(state)
    end_of(state).write_bytes(b'{"pid": 1}')
    result = CliRunner().invoke(app, ["down"])
    assert result.exit_code == 1
    assert "is damaged, or of another edgebed" in " ".join(result.output.split())


@pytest.mark.parametrize("broken", ["run_plan", "start_cluster"])
def test_a_testbed_that_does_not_come_up_leaves_its_folder_free(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refused(*_: Any) -> None:
        raise ConfigError("not so")

    monkeypatch.setattr(module, broken, refused)
    with pytest.raises(ConfigError, match="not so"):
        module.serve_in_foreground(small_scenario(), "sect", 0, LiveOptions(port=0), Layout(tmp_path / "up"))
    assert empty_or_held(tmp_path / "up") == ""
