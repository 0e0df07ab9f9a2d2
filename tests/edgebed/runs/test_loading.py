"""The client's log and its neighbours: those of its workers belong to it, whatever else lies there does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebed.runs.loading import fresh_log
from edgebed.ui.sources.files import client_logs
from emulation.domain.mistakes import ConfigError
from tests.workloads.test_load import result
from workloads.load import client_log

NEIGHBOURS = (
    "client.warm.jsonl",
    "client.w0.jsonl.jsonl",
    "client.w.jsonl",
    "client.w1x.jsonl",
    "xclient.w0.jsonl",
)


def written(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text(result(name).model_dump_json() + "\n")


def test_a_log_of_another_load_is_read_by_none_and_survives_a_fresh_one(tmp_path: Path) -> None:
    own = ("client.jsonl", "client.w0.jsonl", "client.w11.jsonl")
    written(tmp_path, *own, *NEIGHBOURS)
    log = tmp_path / "client.jsonl"
    assert sorted(r.request_id for r in client_log(log)) == sorted(own)
    assert [file.name for file in client_logs(tmp_path)] == list(own)
    fresh_log(log)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["client.jsonl", *NEIGHBOURS])
    assert log.read_text() == ""


def test_a_name_with_the_signs_of_a_pattern_stands_for_itself(tmp_path: Path) -> None:
    written(tmp_path, "c[ab].jsonl", "c[ab].w0.jsonl", "ca.w0.jsonl")
    fresh_log(tmp_path / "c[ab].jsonl")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c[ab].jsonl", "ca.w0.jsonl"]


def test_what_is_no_log_of_a_worker_is_refused_and_left_alone(tmp_path: Path) -> None:
    worker = tmp_path / "client.w0.jsonl"
    worker.write_text("my notes\n")
    with pytest.raises(ConfigError, match="is no client's log"):
        fresh_log(tmp_path / "client.jsonl")
    assert worker.read_text() == "my notes\n"
