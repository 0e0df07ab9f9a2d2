"""The command: what it prints for people and machines, and one clear message for every mistake."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build.command_line import edgebed, small
from tests.build.waiting import eventually

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "tests.build.undrawn"]


@pytest.mark.slow
def test_compare_writes_records_report_and_the_promised_json_keys(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = edgebed(
        "compare", str(small(tmp_path)), "--schemes", "AL,sect", "--seeds", "0-1", "--out", str(out), "--json"
    )
    data = json.loads(done.stdout)
    for scheme in ("AL", "sect"):
        assert {"mean_latency_s", "fairness_norm", "success_ratio", "goodput"} <= set(data["schemes"][scheme])
        assert {"mean_latency_s", "success_ratio"} <= set(data["schemes"][scheme]["per_model"]["gpt2"])
        assert (out / scheme / "seed-1" / "record.jsonl").exists()
    assert "<html" in (out / "report.html").read_text()
    again = json.loads(edgebed("report", str(out), "--json").stdout)
    assert again["schemes"] == data["schemes"]
    replayed = json.loads(edgebed("replay", str(out / "AL" / "seed-0"), "--json").stdout)
    assert replayed["ok"]


def test_schemes_and_scenarios_are_listed() -> None:
    assert {"RR", "AL", "MA", "sect", "round-robin"} <= {
        s["scheme"] for s in json.loads(edgebed("schemes", "--json").stdout)
    }
    assert {"demo", "bristol-A"} <= {s["name"] for s in json.loads(edgebed("scenarios", "--json").stdout)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "dmeo"], ["dmeo", "demo"]),
        (["compare", "demo", "--schemes", "AL,ALL"], ["ALL"]),
        (["compare", "demo", "--schemes", "AL,AL"], ["AL", "twice"]),
        (["compare", "demo", "--seeds", "one"], ["--seeds", "one"]),
        (["compare", "demo", "--check-parity"], ["--live"]),
        (["compare", "demo", "--lifecycle", "lukewarm"], ["lifecycle"]),
        (["report", "no-such-folder"], ["no-such-folder"]),
        (["replay", "no-such-folder"], ["no-such-folder"]),
    ],
)
def test_a_wrong_call_is_one_message_and_exit_code_2(arguments: list[str], said: list[str]) -> None:
    done = edgebed(*arguments, code=2)
    assert all(word in done.stderr for word in said), done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"speed": 3}, ["speed"]),
        ({"workload": [{"kind": "poisson", "rate_per_s": -1, "mix": {"gpt2": 1}}]}, ["rate_per_s", "-1"]),
        ({"workload": [{"kind": "poisson", "rate_per_s": 1, "mix": {"gpt9": 1}}]}, ["gpt9"]),
        ({"events": [{"kind": "leave", "node": "nowhere", "at_s": 1, "until_s": 2}]}, ["nowhere"]),
        ({"controllers": {"sekt": {}}}, ["sekt"]),
        ({"controllers": {"lyapunov": {"w": 1}}}, ["lyapunov", "w"]),
    ],
)
def test_a_wrong_scenario_names_field_and_value_and_writes_nothing(
    tmp_path: Path, changes: dict[str, object], said: list[str]
) -> None:
    out = tmp_path / "out"
    done = edgebed("compare", str(small(tmp_path, **changes)), "--schemes", "AL", "--out", str(out), code=2)
    assert all(word in done.stderr.replace("\n", " ") for word in said), done.stderr
    assert not out.exists()


@pytest.mark.parametrize("command", [["compare", "demo", "--live"], ["up", "demo"]])
def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path, command: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        out = tmp_path / "out"
        done = edgebed(*command, "--port", str(port), "--out", str(out), code=2)
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")  # by the second command, which is no other process
def test_ctrl_c_keeps_and_reports_what_was_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    path = small(tmp_path, slots=200)
    process = subprocess.Popen(
        [*COMMAND, "compare", str(path), "--schemes", "RR,AL,sect", "--seeds", "0-60", "--out", str(out), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    eventually(lambda: process.poll() is not None or len(list(out.glob("*/seed-*/record.jsonl"))) >= 5, 60.0)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    data = json.loads(stdout)
    seeds = data["schemes"]["RR"]["seeds"]
    assert 1 <= len(seeds) <= 61
    assert all(scheme["seeds"] == seeds for scheme in data["schemes"].values()), "whole seeds only"
    assert not data["checks"]["complete"]
    assert {left["how"] for left in data["left_out"]} <= {"cut", "missing"}
    assert (out / "report.html").exists()
    assert not list(out.rglob(".*.part"))
    again = json.loads(edgebed("report", str(out), "--json", code=1).stdout)
    assert again["schemes"] == data["schemes"]
    assert again["paired"] == data["paired"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--allow-host", "a/b"), "--allow-host 'a/b' is not a host name"),
        (("--allow-origin", "page.example"), "--allow-origin 'page.example' is not scheme://host"),
        (("--http", "nosuch.yaml"), "--http: file 'nosuch.yaml' does not exist"),
    ],
)
def test_up_refuses_names_and_limits_that_are_none(arguments: tuple[str, str], told: str) -> None:
    assert told in " ".join(edgebed("up", "demo", *arguments, code=2).stderr.split())


def test_up_names_the_limit_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "http.yaml"
    path.write_text("connections: 0\n")
    told = " ".join(edgebed("up", "demo", "--http", str(path), code=2).stderr.split())
    assert "connections: input should be greater than or equal to 1" in told
