"""What processes log: whole lines that say who, when and about which request, and nothing that is nobody's business."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from serve_apps.observe import logs as module
from serve_apps.observe.logs import (
    FOLDER,
    LogFile,
    file_of,
    log_samples,
    logging_to,
    starting,
    stop_logs,
    write_logs,
)

log = logging.getLogger("edgebed")
KEY = "sk-3f9a-very-secret"
PROMPT = "the patient in room nine"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A process that logs as `node:n1`, and what it was before."""
    level = log.level
    monkeypatch.setenv(FOLDER, str(tmp_path / "logs"))
    monkeypatch.setenv("EDGEBED_API_KEY", KEY)
    monkeypatch.setattr(sys, "excepthook", lambda *error: None)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    write_logs("node:n1", "n1")
    yield tmp_path / "logs"
    stop_logs()
    log.setLevel(level)


def lines(folder: Path, actor: str = "node:n1") -> list[dict[str, Any]]:
    """What it logged, without the line that it started."""
    return [orjson.loads(line) for line in file_of(folder, actor).read_bytes().splitlines()][1:]


def test_a_line_says_when_how_bad_who_where_and_about_which_request(folder: Path) -> None:
    log.warning("attempt %d broke", 2, extra={"request_id": "r-7"})
    (line,) = lines(folder)
    assert line.pop("time").endswith("+00:00")
    assert line.pop("pid") > 0
    assert line == {
        "level": "warning", "actor": "node:n1", "node": "n1", "request_id": "r-7", "message": "attempt 2 broke",
    }  # fmt: skip


def test_the_first_line_says_that_it_started(folder: Path) -> None:
    first = orjson.loads(file_of(folder, "node:n1").read_bytes().splitlines()[0])
    assert (first["level"], first["message"]) == ("info", "node:n1 started")


def test_what_others_log_is_written_from_a_warning_on(folder: Path) -> None:
    other = logging.getLogger("somebody.else")
    other.info("chatter")
    other.warning("trouble")
    assert [line["message"] for line in lines(folder)] == ["trouble"]


def test_an_exception_is_one_line_with_its_trace(folder: Path) -> None:
    try:
        raise KeyError("gone")
    except KeyError:
        log.exception("it broke")
    (line,) = lines(folder)
    assert (line["message"], line["error"], line["said"]) == ("it broke", "KeyError", "'gone'")
    assert "test_an_exception_is_one_line_with_its_trace" in line["trace"]


def test_what_nobody_caught_is_a_line(folder: Path) -> None:
    sys.excepthook(ValueError, ValueError("in the process"), None)
    thread = threading.Thread(target=lambda: [][0], name="worker")
    thread.start()
    thread.join()

    async def forgotten() -> None:
        async def fails() -> None:
            raise RuntimeError("in a task")

        task = asyncio.ensure_future(fails())
        await asyncio.wait((task,))
        del task
        gc.collect()

    asyncio.run(forgotten())
    assert [line["error"] for line in lines(folder)] == ["ValueError", "IndexError", "RuntimeError"]
    assert [line["level"] for line in lines(folder)] == ["critical", "critical", "error"]


class Body(BaseModel):
    model: int


def test_neither_keys_nor_what_a_client_said_are_written(folder: Path) -> None:
    log.error("asked with %s", KEY)
    try:
        Body.model_validate({"model": PROMPT})
    except ValueError:
        log.exception("a body is wrong")
    text = file_of(folder, "node:n1").read_text()
    assert KEY not in text
    assert PROMPT not in text
    assert [line["message"] for line in lines(folder)] == ["asked with [secret]", "a body is wrong"]
    assert lines(folder)[1]["said"] == "model: int_parsing"
    try:
        raise RuntimeError(f"cannot tokenize {PROMPT}")
    except RuntimeError:
        log.exception("an attempt broke", extra={"request_id": "r", "private": True})
    assert PROMPT not in file_of(folder, "node:n1").read_text()
    assert lines(folder)[2]["error"] == "RuntimeError"


def test_line_ends_and_broken_characters_stay_within_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pytest captures it sends from process to process in UTF-8, which has no such character.
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [h for h in root.handlers if isinstance(h, LogFile)])
    log.warning("one\ntwo \udcff %s", "\x1b[31m")
    assert len(lines(folder)) == 1


def test_a_log_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", 2000)
    write_logs("planner")
    for _ in range(50):
        log.warning("x" * 5000)
    sizes = [file.stat().st_size for file in folder.glob("planner.jsonl*")]
    assert len(sizes) == 1 + module.KEPT_FILES
    assert sum(sizes) < 4 * (2000 + module.LONGEST + 300)


def test_a_full_disk_loses_lines_counts_them_and_breaks_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handler: LogFile) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(LogFile, "flush", full)
        log.warning("nobody will read this")
    counted = {sample.labels[1]: sample.value for sample in log_samples("node:n1")}
    assert counted["lost"] == 1


def test_lines_are_counted_by_level(folder: Path) -> None:
    log.warning("a")
    log.error("b")
    counted = {sample.labels[1]: sample.value for sample in log_samples("node:n1")}
    assert (counted["warning"], counted["error"], counted["lost"]) == (1, 1, 0)


def test_a_folder_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    assert write_logs("planner") is None
    assert log_samples("planner") == []


def test_an_actor_of_any_name_has_a_file_in_the_folder(tmp_path: Path) -> None:
    for name in ("node:n1", "../../etc/passwd", "n--gpt2", "a b"):
        assert file_of(tmp_path, name).parent == tmp_path


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert write_logs("planner") is None


def test_a_driver_logs_while_its_testbed_is_up_and_no_longer(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    with logging_to(str(tmp_path), "driver"):
        log.warning("here")
    log.warning("elsewhere")
    assert [line["message"] for line in lines(tmp_path, "driver")] == ["here"]
    assert logging.getLogger().handlers == before


def test_why_an_actor_could_not_be_made_is_a_line_without_the_secrets_it_was_handed(
    folder: Path,
) -> None:
    with pytest.raises(ValueError, match="handed"), starting("gateway", secrets=["handed-over-secret"]):
        raise ValueError("no port for handed-over-secret")
    (line,) = lines(folder, "gateway")
    assert (line["message"], line["said"]) == ("gateway could not be made", "no port for [secret]")
