"""What is wrong with a comparison is told before anything runs: parameters of any controller, traces, seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgebed.commands.options import MOST_SEEDS, seeds_of
from edgebed.runs.comparison import check
from edgebed.wiring.controllers import REGISTRIES
from emulation.files import ConfigError
from tests.build.workloads import POISSON, TRACE, scenario
from workloads.traces import TraceError

CONTROLLERS = sorted({name for registry in REGISTRIES.values() for name in registry})


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        (
            "lyapunov",
            {"v": float("nan")},
            "controllers.lyapunov.v: must be a number from 0 to 1,000,000, not nan",
        ),
        ("lyapunov", {"alpha_gpu": {"sd": -1}}, "controllers.lyapunov.alpha_gpu.sd: must be a number"),
        ("lyapunov", {"w": 1}, "controllers.lyapunov.w: unknown key 'w'; known: v, f0"),
        (
            "search",
            {"starts": 10**9},
            "controllers.search.starts: must be a whole number from 1 to 1,000 starts",
        ),
        ("search", {"moves": {"estimate": {"slots": 0}}}, "controllers.search.moves.estimate.slots: must be"),
        ("bayes", {"alarm": {"jump": float("inf")}}, "controllers.bayes.alarm.jump: must be"),
        ("meta", {"patience_s": float("inf")}, "controllers.meta.patience_s: must be"),
        (
            "agents",
            {"openai": {"timeout_s": 0}},
            "controllers.agents.openai.timeout_s: must be a number from 0.001",
        ),
        ("agents", {"planner": "magic"}, "controllers.agents.planner: reasoner 'magic'"),
        ("fast_path", {"eta_s": True}, "controllers.fast_path.eta_s: must be a number from 0 to"),
        ("random", {"slot_s": 0}, "controllers.random"),
    ],
)
def test_parameters_of_controllers_that_do_not_run_are_checked_too(
    name: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(scenario(POISSON, controllers={name: given}), ["sect"])
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_parameter_that_no_controller_has_is_refused_whoever_runs(name: str) -> None:
    with pytest.raises(ConfigError, match=f"controllers.{name}.* unknown key 'no_such'"):
        check(scenario(POISSON, controllers={name: {"no_such": 1}}), ["sect"])


def test_parameters_that_are_right_may_stand_unused() -> None:
    given = {
        "lyapunov": {"v": 2},
        "random": {"slot_s": 5},
        "agent": {"mode": "guided"},
        "search": {"starts": 1},
    }
    check(scenario(POISSON, controllers=given), ["sect"])


def test_a_trace_is_read_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:34:15,\xfc,1\n")
    with pytest.raises(TraceError, match="t.csv: line 2: is not UTF-8"):
        check(scenario({**TRACE, "trace": str(file), "mix": {"sd": 1}}), ["sect"])


def test_an_event_that_may_hit_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"kind": "leave", "node": "n1", "at_s": 1e6, "until_s": float("inf")}
    check(scenario(POISSON, events=[event]), ["sect"])
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: events[0] (leave of n1) begins at 1e+06 s" in said


@pytest.mark.parametrize(
    ("text", "seeds"), [("0", [0]), ("3,1-2", [3, 1, 2]), (f"{2**63 - 1}", [2**63 - 1]), ("5-5", [5])]
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: list[int]) -> None:
    assert seeds_of(text) == seeds
    assert len(seeds_of(f"0-{MOST_SEEDS - 1}")) == MOST_SEEDS


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "-1", "1-", "-", "1,,2", "5-3", "1.5", "1e3", "nan", "inf", "0x10", "1_0", "1,1", "0-3,2", f"{2**63}",
        "0-99999999999999999", "9" * 5000, f"0-{MOST_SEEDS}", f"0-{MOST_SEEDS - 1},{MOST_SEEDS}", "\x1b[31m",
    ],
)  # fmt: skip
def test_what_are_no_seeds_is_told_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="^--seeds ") as caught:
        seeds_of(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
