"""Records of somebody else: whatever stands in them, nothing is raised, and text stays text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from edgebed.runs.layout import Layout
from edgebed.ui.sources import open_run
from emulation.domain.records import Record
from emulation.recording import RECORD_FILE, encode
from tests.build.records import decision, header, request, state
from tests.build.small import small_scenario
from tests.build.ui_sources import lawful

MARKUP = "<img src=x onerror=alert(1)>\u202e\x00"


def _changed(line: Any, **changes: Any) -> bytes:
    return orjson.dumps({**orjson.loads(encode(line)), **changes})


BAD = [
    b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"kind":"request"}', b'{"t_s":1,"kind":"decision"}',
    b'{"t_s":1e999,"actor":"router","kind":"decision"}', b'{"t_s":nan,"actor":"router","kind":"decision"}',
    b'{"kind":["header"]}', b"[" * 2000,
    _changed(request(1, 1), model=["a"]), _changed(request(1, 1), ended_s="soon"),
    _changed(request(1, 1), ended_s=None), _changed(request(1, 1), outcome=7),
    _changed(state(1, "x", "ready"), t_s={}), _changed(decision(1, "planner"), candidates=[[1]]),
]  # fmt: skip
ODD = [
    request(-1e308, 1e300), request(5, -9, executor="nowhere/at all", model=MARKUP, origin=MARKUP),
    request(1, 1, started_s=9e15, service_s=-1.0, dispatched_s=1e18),
    decision(3, MARKUP, choice=MARKUP, reason=MARKUP), decision(1e12, "meta", choice={"exchange": None}),
    decision(3, "meta", choice={"entry": 1}), decision(3, "meta", choice={"entry": [], "verdict": {}, "of": 1}),
    decision(3, "meta", choice={"entry": 1, "exchange": {"calls": 3}, "invocation": {}}, promised="stretch"),
    decision(3, "meta", choice={"entry": 1, "tool": "set_device_risky", "arguments": 3}, promised="x"),
    decision(3, "scheduler", choice={"masked": {"a": 1}}), decision(3, "scheduler", choice=[1]),
    decision(3, "planner", choice={"p": {"a": 3}}), decision(3, "deployer:", choice={"modes": {"a": {}}}),
    decision(3, "router", choice={"x": 1}, request_id=MARKUP, candidates=(("a", 1e300),)),
    state(-5, "arc-b60/gpt2", "gone", "quantum"),
]  # fmt: skip


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder of a run without a record."""
    layout = Layout(tmp_path)
    layout.save_scenario(small_scenario())
    folder = layout.run_folder("sect", 1)
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
def test_what_is_no_line_of_a_record_is_passed_over_and_said(empty: Path, line: bytes) -> None:
    good = encode(request(1, 1, "gpt2"))
    (empty / RECORD_FILE).write_bytes(encode(header()) + good + line + b"\n" + good)
    source = open_run(empty)
    lawful(source)
    assert source.frame(10.0).arrived == 2
    assert "not all of its record can be read" in source.span().problem


@pytest.mark.parametrize("line", ODD, ids=range(len(ODD)))
def test_no_line_however_odd_stops_a_page(empty: Path, line: Any) -> None:
    (empty / RECORD_FILE).write_bytes(encode(header()) + encode(request(1, 1, "gpt2")) + encode(line))
    source = open_run(empty)
    lawful(source)
    for view in source.decisions(1e300):
        source.decision(view.number)


def test_text_stays_as_it_was_written(empty: Path) -> None:
    lines: list[Record] = [header(), decision(3, "planner", choice=MARKUP, reason=MARKUP)]
    (empty / RECORD_FILE).write_bytes(b"".join(map(encode, lines)))
    (view,) = open_run(empty).decisions(10.0)
    assert view.said == MARKUP
    assert open_run(empty).decision(view.number).reason == MARKUP


def test_a_version_that_is_not_known_is_said(empty: Path) -> None:
    (empty / RECORD_FILE).write_bytes(encode(header(version=99)))
    assert "record version 99" in open_run(empty).span().problem
