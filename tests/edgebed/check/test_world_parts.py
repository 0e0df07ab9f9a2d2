"""Faults and sources of requests of other packages: what breaks a law is said, and what breaks none passes."""

from __future__ import annotations

import pytest

from edgebed.check.looking import look
from edgebed.wiring.parts import OWN_FAULT, REQUEST_SOURCE
from emulation import outside
from tests.build import faultlab
from tests.build.command_line import edgebed
from tests.edgebed.wiring.test_parts import offer

HERE = faultlab.HERE
OF_RUN = "gives requests of the testbed, in order of arrival and within the run"


def broken(name: str) -> dict[str, str]:
    return {v.law: v.broken for v in look(name) if v.broken}


# Those that `edgebed new` starts from keep them too: as its copies, in `tests/edgebed/commands/test_new.py`.
@pytest.mark.slow
@pytest.mark.usefixtures("one_elsewhere")
@pytest.mark.parametrize("name", [f"{HERE}:Slower", f"{HERE}:Regular", f"{HERE}:Numpy"])
def test_one_that_breaks_nothing_keeps_every_law(name: str) -> None:
    assert len(look(name)) >= 7
    assert broken(name) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "law", "seen"),
    [
        ("LateLevels", "plans its levels in order", "levels must begin at 0 s"),
        ("PastItsEnd", "plans its levels in order", "comes after the end of the event"),
        ("Unfelt", "begins: its node can tell", "its onset changes nothing"),
        ("Sticky", "ends, and undoes itself", "its end leaves"),
        ("Leaver", "ends, and undoes itself", "its end leaves"),
        ("Greedy", "leaves other events alone", "takes away another of its kind"),
        ("Mounting", "changes nothing by the same step again", "is not what it is once"),
        ("Clocked", "reads no clock, file, environment or unseeded", "it calls time.monotonic (faultlab.py"),
        ("Raising", "begins: its node can tell", "begin: RuntimeError: out of order"),
        ("Backwards", OF_RUN, "before the one that was given before it"),
        ("TooLate", OF_RUN, "outside the run of 1200 s"),
        ("Stranger", OF_RUN, 'is for model "nobody\'s"'),
        ("Elsewhere", OF_RUN, "enters at node 'nowhere'"),
        ("NoDraft", OF_RUN, "is a int; make it by draws.draft"),
        (
            "Halves",
            OF_RUN,
            "cannot be sent: prompts: must be a whole number from 1 to 10,000 prompts, not 1.5",
        ),
        ("Endless", "comes to an end", "requests and more"),
        ("Moody", "gives the same requests for the same seed", "two lists of requests"),
        ("Shared", "gives the same beside others", "changed what it gives"),
        ("Dice", "reads no clock, file, environment or unseeded", "it calls random.random"),
        ("Unsorted", "gives the same in another process", "another process gave another answer"),
        ("Failing", OF_RUN, "it raised KeyError: 'third'"),
        ("Lax", "refuses unknown parameters", "Config takes no_such_parameter"),
    ],
)
def test_what_breaks_a_law_is_said_with_the_law(name: str, law: str, seen: str) -> None:
    found = {said: how for said, how in broken(f"{HERE}:{name}").items() if said.startswith(law)}
    assert len(found) == 1, broken(f"{HERE}:{name}")
    assert seen in next(iter(found.values()))


def test_the_command_says_it_and_ends_with_2() -> None:
    said = edgebed("check", f"{HERE}:Backwards", code=2).stderr
    assert f"request source {HERE}:Backwards breaks the law that it {OF_RUN}" in said


@pytest.mark.usefixtures("one_elsewhere")
def test_entry_points_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(
        monkeypatch,
        ("edgebed.faults", "slower", f"{HERE}:Slower"),
        ("edgebed.workloads", "regular", f"{HERE}:Regular"),
    )
    assert OWN_FAULT.find("slower") is faultlab.Slower
    assert REQUEST_SOURCE.find("regular") is faultlab.Regular
    assert set(outside.offered("edgebed.faults")) == {"slower"}
    assert set(broken("regular")) == {"gives the same in another process"}, "where nothing is installed"
