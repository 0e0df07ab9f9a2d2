"""A run in which nobody answered is no result: it said "every request accounted for" of 298 that were all refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgebed.runs.answered import check_answered
from edgebed.runs.client_log import CLIENT_LOG
from edgebed.runs.failure import WorkError
from workloads.load import ClientResult

URL = "http://10.0.0.1:8000"


def logged(folder: Path, *results: dict[str, Any]) -> Path:
    given = {"model": "m", "intended_s": 1.0, "sent_s": 1.0, "ended_s": 1.1, "latency_wall_s": 0.1}
    lines = [
        ClientResult.model_validate({"request_id": f"r{n}", **given, **result}).model_dump_json()
        for n, result in enumerate(results)
    ]
    (folder / CLIENT_LOG).write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_a_run_that_nobody_answered_fails_with_what_the_client_saw(tmp_path: Path) -> None:
    refused = {"outcome": "error", "error": "Connection refused"}
    folder = logged(tmp_path, refused, refused, {"outcome": "aborted"})
    with pytest.raises(
        WorkError, match=f"none of the 3 requests sent to {URL} was answered: Connection refused"
    ):
        check_answered(folder, URL)


@pytest.mark.parametrize(
    "answered",
    [
        {"outcome": "done", "status": 200},
        {"outcome": "rejected", "status": 429},
        {"outcome": "expired", "status": 504},
    ],
)
def test_one_answer_is_enough_whatever_it_says(tmp_path: Path, answered: dict[str, Any]) -> None:
    check_answered(logged(tmp_path, {"outcome": "error", "error": "reset"}, answered), URL)


def test_a_run_that_sent_nothing_asked_nobody(tmp_path: Path) -> None:
    check_answered(logged(tmp_path, {"outcome": "aborted", "sent_s": None}), URL)
