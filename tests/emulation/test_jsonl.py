"""Files of JSON lines: what a killed writer left is passed over, everything else that is wrong is named."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from emulation.jsonl import RecordError, read_lines


def test_a_last_line_that_was_torn_is_left_out_and_one_that_lacks_only_its_end_is_read(
    tmp_path: Path,
) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text('{"a": 1}\n{"a": 2}')
    assert read_lines(file, orjson.loads) == [{"a": 1}, {"a": 2}]
    file.write_text('{"a": 1}\n{"a": ')
    assert read_lines(file, orjson.loads) == [{"a": 1}]
    file.write_text("")
    assert read_lines(file, orjson.loads) == []


def test_any_other_line_that_is_wrong_is_named_with_its_file_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text('{"a": 1}\n\n{"a": 2}\n')
    with pytest.raises(RecordError, match=r"some\.jsonl, line 2: .*; remove it"):
        read_lines(file, orjson.loads, remedy="; remove it")


def test_a_file_written_by_hand_may_hold_blank_lines_but_nothing_else_in_it_is_passed_over(
    tmp_path: Path,
) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text('{"a": 1}\n \n{"a": 2}')
    assert read_lines(file, orjson.loads, by_hand=True) == [{"a": 1}, {"a": 2}]
    file.write_text('{"a": 1}\n{"a": ')
    with pytest.raises(RecordError, match="line 2"):
        read_lines(file, orjson.loads, by_hand=True)
