"""Work on all cores: everything is done once, and a pool that ended leaves nothing behind that stops the next work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from threading import Event, Timer

import pytest

from edgebed.runs.pool import each, each_ended, stopping, tell


def _square(number: int) -> int:
    return number * number


def test_every_item_is_worked_on_once() -> None:
    assert sorted(each(_square, range(20), workers=3)) == [n * n for n in range(20)]


def test_a_pool_that_ended_asks_nobody_to_stop() -> None:
    for result in each(_square, range(10), workers=2):
        assert result >= 0
        break
    assert not stopping()
    assert list(each(_square, [3], workers=2)) == [9]
    assert not stopping()


INTERRUPTED = """
import faulthandler, os, random, signal, threading, time
from edgebed.runs.pool import each, stopping

faulthandler.dump_traceback_later(90, exit=True)
inside = False

def heard(*_):
    if inside:
        raise KeyboardInterrupt

def work(number):
    return sum(range(300 + number % 7))

def strike(after_s):
    time.sleep(after_s)
    os.killpg(0, signal.SIGINT)

signal.signal(signal.SIGINT, heard)
dice = random.Random(0)
for turn in range(12):
    killer = threading.Thread(target=strike, args=(dice.uniform(0.0, 0.3),))
    count, interrupted = 0, False
    killer.start()
    try:
        inside = True
        for result in each(work, range(3000), workers=2):
            count += 1
    except KeyboardInterrupt:
        interrupted = True
    inside = False
    killer.join()
    assert not stopping()
    assert interrupted or count == 3000
    print(turn, count, flush=True)
"""


@pytest.mark.slow
def test_an_interrupt_at_any_instant_ends_the_pool() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    counts = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(counts) == 12
    assert any(count < 3000 for count in counts)


def _in_steps(number: int) -> int:
    for step in range(4):
        tell(step / 4)
        Event().wait(0.15)
    return number


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_items_tell_of_themselves_is_heard_while_they_are_in_hand(workers: int) -> None:
    looks: list[float] = []
    ended = [e.item for e in each_ended(_in_steps, [0, 1], workers, looks.append)]
    assert sorted(ended) == [0, 1]
    assert any(0.0 < look < 1.0 for look in looks), "a part of an item"
    assert looks == sorted(looks)
    assert max(looks) <= 2.0


ORPHANED = """
import os, sys, time
from edgebed.runs.pool import each, stopping

def work(number):
    print("begun", os.getpid(), flush=True, file=sys.__stdout__)
    while not stopping():
        time.sleep(0.01)
    print("ended", flush=True, file=sys.__stdout__)

list(each(work, [0], workers=2))
"""


def test_what_a_pool_has_in_hand_ends_when_its_owner_is_gone() -> None:
    command = [sys.executable, "-c", ORPHANED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as owner:
        assert owner.stdout is not None
        worker = int(owner.stdout.readline().split()[1])
        owner.kill()
        reaper = Timer(60.0, os.kill, (worker, signal.SIGKILL))
        reaper.start()
        assert owner.stdout.readline() == "ended\n"
        reaper.cancel()


def _leaves(number: int) -> int:
    if number == 1:
        sys.exit("enough")
    if number == 2:
        raise KeyboardInterrupt("of its own")
    return number


def test_work_that_leaves_is_a_failure_in_words_and_its_worker_goes_on() -> None:
    ended = {e.item: e.failure.said if e.failure else "" for e in each_ended(_leaves, range(4), workers=2)}
    assert ended[0] == ended[3] == ""
    assert ended[1].startswith("SystemExit: enough (test_pool.py, line")
    assert ended[2].startswith("KeyboardInterrupt: of its own (test_pool.py, line")


def _prints(number: int) -> int:
    print("not an answer")
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_what_work_prints_does_not_come_among_the_answers(
    workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert sorted(each(_prints, range(3), workers=workers)) == [0, 1, 2]
    assert capfd.readouterr().out == ""
