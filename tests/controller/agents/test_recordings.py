"""Files that answer in a model's place: what is wrong in one is named with its line, never a traceback of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.agents.replay import ReplayLlm
from controller.agents.scripted import ScriptedLlm
from edgebed.runs.virtual import simulate, simulate_in_memory
from edgebed.wiring.controllers import build_controllers
from edgebed.wiring.parts import find_scheme
from edgebed.wiring.reasoners import with_reasoner
from emulation.files import ConfigError, load_scenario
from emulation.recording import JsonlSink, read_run
from tests.build.small import small_scenario

EXCHANGE: dict[str, Any] = {
    "key": "k", "agent": "planner", "round": 0, "asked": "what now?", "text": "this", "calls": [["1", "look", "{}"]],
    "thinking_s": 1.5, "failure": None, "tokens": 12,
}  # fmt: skip
WRONG = [
    {**EXCHANGE, "thinking_s": float("inf")},
    {**EXCHANGE, "tokens": -1},
    {**EXCHANGE, "calls": [["1"]]},
    {**EXCHANGE, "calls": None},
    {k: v for k, v in EXCHANGE.items() if k != "text"},
    {"key": 1},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda w: str(len(w)))
@pytest.mark.parametrize("of_a_run", [True, False])
def test_an_exchange_that_is_not_as_it_was_recorded_is_named_with_its_line(
    tmp_path: Path, wrong: dict[str, Any], of_a_run: bool
) -> None:
    file = tmp_path / "r.jsonl"
    rows = [
        {"kind": "decision", "choice": {"exchange": row}} if of_a_run else row for row in (EXCHANGE, wrong)
    ]
    file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    with pytest.raises(ValueError, match=r"r\.jsonl, line 2: "):
        ReplayLlm.read(file)


@pytest.mark.slow
def test_a_run_in_which_a_role_was_never_asked_replays(tmp_path: Path) -> None:
    """Nothing waits anywhere, so that no deployment agent has two options."""
    scenario = small_scenario(rate_per_s=0.05, slots=6)
    sink = JsonlSink(tmp_path / "MA" / "seed-0")
    simulate(with_reasoner(scenario, "first"), "MA", 0, sink)
    sink.close()
    before = read_run(tmp_path / "MA" / "seed-0")
    asked = {d.choice["exchange"]["agent"] for d in before.decisions if "exchange" in d.choice}
    assert not any(agent.startswith("deployer") for agent in asked)
    again = simulate_in_memory(with_reasoner(scenario, f"replay:{tmp_path}"), "MA", 0)
    assert [(d.actor, d.choice) for d in again.decisions] == [(d.actor, d.choice) for d in before.decisions]


def test_a_recording_is_read_with_a_byte_order_mark_and_other_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + orjson.dumps(EXCHANGE) + b"\r\n" + b'[1, "key"]\r\n')
    assert ReplayLlm.read(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"times": 0}', "times: must be a whole number from 1 to 1,000,000, not 0"),
        (b'{"times": NaN}', "line 1: "),
        (b'{"thinking_s": Infinity}', "thinking_s: must be a number"),
        (b'{"text": "\xfc"}', "line 1: "),
        (b'\n\n{"text"', "line 3: "),
        (b"[]", "line 1: "),
        (b'{"a\x1b": 1}', "line 1: "),
        (b"{" * 100_000, "line 1: "),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_a_script_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, text: bytes, told: str) -> None:
    file = tmp_path / "s.jsonl"
    file.write_bytes(text)
    with pytest.raises(ValueError, match="line ") as caught:
        ScriptedLlm.read(file)
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


NO_FILES = ["scripted:.", "scripted:no.jsonl", "replay:.", "replay:/dev/null", "scripted:a\x00b"]


@pytest.mark.parametrize("choice", NO_FILES)
def test_a_reasoner_whose_file_is_none_is_wrong_input(tmp_path: Path, choice: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"reasoner|planner") as caught:
        build_controllers(find_scheme("MA"), with_reasoner(load_scenario("demo"), choice), 0)
    assert str(caught.value).isprintable()
