"""Machines made of namespaces: each is apart from the others, SSH is the way in, and nothing is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.build.waiting import eventually
from tests.cluster.machines.site import CHECKOUT, Site, missing, users_of
from tests.cluster.machines.switch import Line, Switch

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"this machine lacks {', '.join(missing())}")
A, B, C = b"\x02aaaaa", b"\x02bbbbb", b"\x02ccccc"
EVERYBODY = b"\xff" * 6
CONNECT = """\
import socket, sys, time
begin = time.monotonic()
socket.create_connection((sys.argv[1], 22), 10).close()
print(time.monotonic() - begin)
"""


@pytest.fixture
def switch() -> Switch:
    return Switch({"a": 1, "b": 2, "c": 3})


def test_a_frame_goes_to_whom_it_is_meant_and_to_all_others_while_nobody_knows_him(switch: Switch) -> None:
    switch.take(1, B + A + b"who?", 0.0)
    assert switch.due(0.0) == [(2, B + A + b"who?"), (3, B + A + b"who?")]
    switch.take(2, A + B + b"me", 0.0)
    assert switch.due(0.0) == [(1, A + B + b"me")]
    switch.take(3, EVERYBODY + C + b"all", 0.0)
    assert [port for port, _ in switch.due(0.0)] == [1, 2]


def test_a_delayed_frame_is_held_so_long_and_keeps_its_place(switch: Switch) -> None:
    switch.set_line("a", Line(delay_ms=20.0))
    switch.take(1, B + A + b"first", 1.0)
    switch.take(1, B + A + b"second", 1.0)
    assert switch.next_s() == pytest.approx(1.02)
    assert switch.due(1.019) == []
    assert [frame[12:] for port, frame in switch.due(1.021) if port == 2] == [b"first", b"second"]


def test_of_the_frames_of_a_lossy_line_that_share_is_lost_and_of_others_none(switch: Switch) -> None:
    switch.set_line("a", Line(loss=0.25))
    for number in range(1000):
        switch.take(1, EVERYBODY + A + bytes([number % 256]), 0.0)
        switch.take(2, EVERYBODY + B, 0.0)
    came = Counter(frame[6:12] for port, frame in switch.due(0.0) if port == 3)
    assert came[B] == 1000
    assert 700 < came[A] < 800


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site.up(["one", "two"]) as found:
        yield found


def test_a_machine_has_its_own_name_address_files_and_processes(site: Site, tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    one, two = site["one"], site["two"]
    one.write("/tmp/mine", "written by one")
    one.write("/etc/mine", "written by one")
    assert one.run("ssh two hostname").stdout == "two\n"
    assert not two.run("ls /tmp/mine /tmp/ray", check=False).stdout, "neither the other's nor the host's"
    assert two.run(f"ls /etc/mine {tmp_path}", check=False).returncode != 0
    assert not Path("/etc/mine").exists()
    assert two.run("ps -e -o pid=").stdout.split()[0] == "1"
    assert str(os.getpid()) not in two.run("ps -e -o pid=").stdout.split()
    assert two.run("python -c 'import ray, sys; print(sys.prefix)'").stdout == f"{sys.prefix}\n"
    if str(CHECKOUT) not in sys.prefix:  # else the environment lies there
        assert two.run(f"ls {CHECKOUT}").stdout == "", "what it has of the project, somebody brought there"


def test_nobody_comes_in_without_the_key(site: Site) -> None:
    line = "ssh -F none -o StrictHostKeyChecking=no two true"
    refused = site["one"].run(line, check=False)
    assert refused.returncode != 0
    assert "Permission denied (publickey)" in refused.stderr


def test_what_is_sent_arrives_no_sooner_than_the_lines_let_it(site: Site) -> None:
    site["one"].write("connect.py", CONNECT)
    site.set_delay(40.0)
    try:
        took_s = float(site["one"].run("python connect.py two").stdout)
    finally:
        site.set_delay(0.0)
    assert took_s >= 0.08, "there and back"


def mounts_and_devices() -> tuple[list[str], list[str]]:
    """What this machine itself has mounted, and its network devices."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted(points), sorted(p.name for p in Path("/sys/class/net").iterdir())


def test_nothing_is_left_when_the_block_ends_by_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = mounts_and_devices()
    kept: list[frozenset[str]] = []

    def fail() -> None:
        with Site.up(["one", "two"]) as site:
            site["two"].run("setsid nohup sleep 3600 >/dev/null 2>&1 </dev/null &")
            kept.append(site.namespaces)
            assert len(users_of(site.namespaces)) >= 5, "two who made them, two first ones, and the sleeper"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert users_of(kept[0]) == {}
    assert mounts_and_devices() == before
    assert list(tmp_path.iterdir()) == []


HOLD = """\
import sys
from tests.cluster.machines.site import Site
with Site.up(["one", "two"]) as site:
    print(" ".join(site.namespaces), flush=True)
    sys.stdin.read()
"""


def test_nothing_runs_on_when_whoever_holds_the_machines_is_killed(tmp_path: Path) -> None:
    before = mounts_and_devices()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=CHECKOUT, env=os.environ | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        namespaces = frozenset(holder.stdout.readline().split())
        assert users_of(namespaces)
        holder.send_signal(signal.SIGKILL)
    eventually(lambda: not users_of(namespaces), said=lambda: str(users_of(namespaces)))
    assert mounts_and_devices() == before
