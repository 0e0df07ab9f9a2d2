"""What breaks a contract is said, with the law that it breaks; what breaks none passes."""

from __future__ import annotations

import gc
import linecache
import os
import signal
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from edgebed.check.law import Law, broken_by
from edgebed.check.looking import look
from edgebed.check.sealed import clock_reads, reads_of, truth_imports
from tests.build import badlab, mylab
from tests.build.command_line import edgebed
from tests.build.peeklab import Peeking

HERE = mylab.HERE
CLOCK = "reads no clock, file, environment or unseeded random number"


def broken(name: str) -> dict[str, str]:
    """Law to what was seen, of those that a name breaks."""
    return {v.law: v.broken for v in look(name) if v.broken}


@pytest.mark.slow
@pytest.mark.usefixtures("one_elsewhere")
@pytest.mark.parametrize("name", [f"{HERE}:CAREFUL", f"{HERE}:Careful", "controller.routers.sect:Sect"])
def test_one_that_breaks_nothing_keeps_every_law(name: str) -> None:
    assert broken(name) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "law", "seen"),
    [
        ("OUT_OF_RANGE", "answers with a column of the pool and a reason", "returned column"),
        ("NO_PICK", "answers with a column of the pool and a reason", "returned None"),
        ("ABSENT", "answers with a column of the pool and a reason", "whose node is away"),
        ("FORGETFUL", "answers with a column of the pool and a reason", "KeyError: 'lost' in dispatched"),
        ("Unpicklable", "goes on alike after pickling", "lock"),
        (
            "Clocked",
            CLOCK,
            "it calls time.monotonic (mylab.py, line",
        ),
        ("Moody", "decides alike with the same seed", "the same seed gave two decisions"),
        ("Random", CLOCK, "it calls random."),
        (
            "Meddling",
            "changes nothing by being asked",
            "asked twice, it gave two decisions",
        ),
        (
            "peeklab:Peeking",
            "imports nothing from which the truth could be had",
            "imports emulation.domain.truth",
        ),
        ("badlab:Leaving", "answers with a column of the pool and a reason", "raised SystemExit: no more"),
        (
            "badlab:Speechless",
            "answers with a column of the pool and a reason",
            "Wordless: cannot say what it is",
        ),
        ("badlab:Environed", CLOCK, "it reads os.environ (badlab.py, line"),
        ("badlab:Environed", CLOCK, "it calls posix.urandom (badlab.py, line"),
        ("badlab:Masking", "changes nothing by being asked", "choose changed what the view knows"),
        ("badlab:UNSORTED", "decides alike in another process", "it depends on the order of a set"),
        ("badlab:Interrupting", "answers with a column of the pool and a reason", "raised KeyboardInterrupt"),
        ("badlab:Demanding", "has a default for every parameter", "cannot be made without weight; give"),
        ("Lax", "refuses unknown parameters", "Config takes no_such_parameter"),
        ("NEGATIVE", "keeps coefficients, uncertainty and predictions in their ranges", "coefficients (-"),
        ("Growing", "keeps what it learns of one executor apart from others", "changed the law of llm1"),
        ("Growing", "does not grow with time", "bytes after 200 results"),
        ("GREEDY", "answers with a pattern that its node can run", "no-such-model"),
    ],
)
def test_what_breaks_a_law_is_told_which_and_what_was_seen(name: str, law: str, seen: str) -> None:
    found = broken(f"tests.build.{name}" if ":" in name else f"{HERE}:{name}")
    assert seen in found.get(law, ""), found


def test_one_that_changes_a_request_is_told_so_or_that_it_cannot() -> None:
    found = broken("tests.build.badlab:Altering")
    changed = found.get("changes nothing by being asked", "")
    refused = found.get("answers with a column of the pool and a reason", "")
    compiled = "attribute 'deadline_s' of 'Request' objects is not writable"
    assert "choose changed the request" in changed or compiled in refused, found


@pytest.mark.slow
def test_the_command_ends_with_2_and_the_law_in_words() -> None:
    said = edgebed("check", f"{HERE}:OUT_OF_RANGE", code=2)
    assert f"router {HERE}:OutOfRange breaks the law that it answers with a column of the pool" in said.stderr
    assert "Traceback" not in said.stderr
    kept = edgebed("check", f"{HERE}:Careful", "--json")
    assert yaml.safe_load(kept.stdout)["ok"] is True


def test_a_name_that_is_nothing_of_ours_is_refused() -> None:
    said = edgebed("check", f"{HERE}:COUNT", code=2)
    assert "is neither a Scheme nor a class derived from one of Router" in said.stderr


def test_a_clock_is_seen_wherever_it_is_read_from() -> None:
    from datetime import datetime
    from time import perf_counter as innocent  # noqa: TID251

    assert clock_reads(lambda: innocent()) == [
        f"it calls time.perf_counter (test_look.py, line {innocent_line()})"
    ]
    assert "datetime.now" in clock_reads(lambda: datetime.now())[0]  # noqa: TID251
    assert clock_reads(lambda: None) == []


def innocent_line() -> int:
    """Where the test above reads its clock."""
    text = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(i for i, line in enumerate(text, 1) if "clock_reads(lambda: innocent()" in line)


def test_what_the_collector_calls_meanwhile_is_not_charged_to_a_decider() -> None:
    def timed(*_: object) -> None:
        time.perf_counter()  # noqa: TID251

    gc.callbacks.append(timed)
    try:
        assert clock_reads(lambda: [[number] for number in range(100_000)]) == []
    finally:
        gc.callbacks.remove(timed)
    assert gc.isenabled()


def test_weights_may_be_read_while_a_decider_is_made_and_not_while_it_decides(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_text("1")
    assert reads_of(weights.read_text, len) == []
    (seen,) = reads_of(lambda: weights, Path.read_text)
    assert seen.startswith("it calls io.open")
    assert reads_of(time.monotonic, abs) != []  # noqa: TID251


def test_the_truth_is_found_through_modules_of_the_same_package() -> None:
    assert truth_imports(mylab.Careful) == []
    assert "worlds_truth.py, line" in truth_imports(Peeking)[0]


def test_one_that_never_answers_is_told_where_it_is() -> None:
    router = badlab.Stuck()
    law: Law[object] = Law("answers", lambda _: router.choose(None, None, None))  # type: ignore[arg-type,func-returns-value]
    seen = broken_by(law, [None], most_s=0.1)
    assert seen.startswith("it takes longer than 0.1 s of a processor (badlab.py, line")


def test_a_ctrl_c_ends_a_look_and_one_that_a_class_raises_does_not() -> None:
    def raises(_: object) -> None:
        raise KeyboardInterrupt

    def swallows(_: object) -> None:
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert broken_by(Law("answers", raises), [None]) == "it raised KeyboardInterrupt"
        with pytest.raises(KeyboardInterrupt):
            broken_by(Law("answers", swallows), [None])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_line_that_python_shows_with_a_warning_is_read_by_nobody_else() -> None:
    linecache.clearcache()
    assert clock_reads(lambda: warnings.formatwarning("careful", UserWarning, __file__, 3)) == []
    assert clock_reads(lambda: Path(__file__).stat()) != []
