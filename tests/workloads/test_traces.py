"""The rule that maps trace rows to requests, the packaged data, and rows that cannot be read."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from emulation.domain.trace_source import TraceSource
from tests.build.workloads import TRACE, scenario
from workloads import traces
from workloads.generate import Workload, generate
from workloads.trace_files import PACKAGED, TraceError, trace_path
from workloads.trace_rows import BadRow, TraceRow, rows_of

SHA256 = {
    "burstgpt": "7865fda5dac50938a84dfccb06c405e2f5202969ecfbd671c8399de00f4335f0",
    "mooncake": "c41003a576df5984a0be75552bb27a9315101c4e245453f05b91668cf7c46307",
    "azure-conv": "11ca4929bc9413c5b4fd5631e4d31043aec0bad97de65d2af7ebd3156719b753",
    "azure-code": "4f8beef95f94c55c936a68e215dff66874bb7d296116e0271a03a1ffad0c1100",
}
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
GOOD = "2023-11-16 18:34:15.5504310,1064,396\n"


def trace(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + "".join(rows))
    return path


def replay(**changes: object) -> Workload:
    return generate(scenario({**TRACE, **changes}), 1)


def read(trace: str | Path, **more: Any) -> list[TraceRow]:
    """Every row, of a file in which all can be taken."""
    source = TraceSource(trace=str(trace), mix={"gpt2": 1.0}, **more)
    found = list(rows_of(source))
    assert not any(isinstance(row, BadRow) for row in found)
    return [row for row in found if isinstance(row, TraceRow)]


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_trace_is_the_file_its_readme_names(name: str) -> None:
    path = PACKAGED[name].file
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == SHA256[name]
    assert digest in (path.parent / "README.md").read_text()


def test_packaged_traces_read_to_the_last_row() -> None:
    assert [len(read(name)) for name in PACKAGED] == [7800, 8000, 400, 131]


def test_rescaled_rows_have_the_asked_rate_and_keep_their_shape() -> None:
    workload = replay(rate_per_s=1.5)
    times = [r.arrival_s for r, _ in workload.items]
    assert workload.accounting[0].read == len(times) == 900
    assert (len(times) - 1) / (times[-1] - times[0]) == pytest.approx(1.5)
    rows = [r.t_s for _, r in zip(range(900), read("azure-conv"), strict=False)]
    stretch = times[-1] / (rows[-1] - rows[0])
    assert times == pytest.approx([(t - rows[0]) * stretch for t in rows], abs=1e-6)


def test_own_time_reads_until_the_run_is_covered() -> None:
    workload = replay(rate_per_s=None, start_row=100)
    rows = [r.t_s for r in read("azure-conv", start_row=100)]
    assert workload.accounting[0].read == sum(1 for t in rows if t - rows[0] < 600)
    assert workload.accounting[0].dropped == {}


def test_rows_after_the_end_are_counted_as_such() -> None:
    account = replay(rate_per_s=1.0, rows=1000).accounting[0]
    assert account.read == 1000
    assert account.dropped == {"after_end": 1000 - account.emitted}
    assert account.dropped["after_end"] > 300


def test_lengths_are_cut_or_dropped_by_the_limits() -> None:
    cut = replay(max_prompt_tokens=500, max_output_tokens=100)
    for request, truth in cut.items:
        if request.model == "gpt2":
            assert 1 <= request.prompt_tokens <= 500
            assert 1 <= truth.output_tokens <= 100
    dropped = replay(max_prompt_tokens=500, max_output_tokens=100, over_limit="drop")
    account = dropped.accounting[0]
    assert account.dropped.keys() == {"over_limit"}
    assert account.read == account.emitted + account.dropped["over_limit"]
    images = sum(1 for r, _ in cut.items if r.model == "blip")
    assert sum(1 for r, _ in dropped.items if r.model == "blip") == images, "limits are of token models only"


def test_a_row_keeps_its_model_and_size_wherever_reading_starts() -> None:
    whole = replay(rate_per_s=None).items
    later = replay(rate_per_s=None, start_row=50).items
    facts = [(r.model, r.origin, r.prompts, r.prompt_tokens, t.output_tokens) for r, t in whole]
    assert facts[50:200] == [
        (r.model, r.origin, r.prompts, r.prompt_tokens, t.output_tokens) for r, t in later[:150]
    ]


def test_failed_calls_of_a_trace_are_dropped_by_name(tmp_path: Path) -> None:
    path = trace(tmp_path, GOOD, "2023-11-16 18:34:16,12,0\n", "2023-11-16 18:34:17,0,7\n")
    account = replay(trace=str(path), rate_per_s=None).accounting[0]
    assert (account.read, account.emitted, account.dropped) == (3, 1, {"empty": 2})


def test_compressed_traces_read_the_same(tmp_path: Path) -> None:
    packed = tmp_path / "t.csv.gz"
    packed.write_bytes(gzip.compress(PACKAGED["azure-code"].file.read_bytes()))
    assert read(packed) == read("azure-code")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2023-11-16 18:34:15.63,42", "2 of 3 columns"),
        ("2023-11-16 18:34:1", "1 of 3 columns"),
        ("2023-11-16 18:34:15.63,4x5,72\n", "ContextTokens '4x5'"),
        ("2023-11-16 18:34:15.63,425,-1\n", "GeneratedTokens '-1'"),
        ("2023-11-16 18:34:15.63,425,\n", "GeneratedTokens ''"),
        ("yesterday,425,72\n", "TIMESTAMP 'yesterday'"),
        ("2023-11-16 18:34:15.6x,425,72\n", "TIMESTAMP"),
        ("2023-11-16 18:34:14.0,425,72\n", "earlier than the row before"),
        ("2023-11-16 18:34:15.63,425,72,9\n", "4 of 3 columns"),
        ("\n2023-11-16 18:34:16.0,1,1\n", "line 3: is blank, and rows follow"),
    ],
)
def test_a_garbled_row_raises_one_error_that_names_file_line_and_value(
    tmp_path: Path, row: str, told: str
) -> None:
    path = trace(tmp_path, GOOD, row)
    with pytest.raises(TraceError) as caught:
        replay(trace=str(path), rate_per_s=None, bad_rows="refuse")
    message = str(caught.value)
    assert message.startswith(f"{path}: line 3: ")
    assert told in message
    assert "\n" not in message.replace("\\n", "")


def test_a_missing_trace_a_wrong_header_and_a_start_beyond_the_end_are_told(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match="no trace 'nowhere.csv'; packaged: azure-conv, azure-code, burstgpt, mooncake"
    ):
        replay(trace="nowhere.csv")
    headless = tmp_path / "h.csv"
    headless.write_text(GOOD)
    with pytest.raises(TraceError, match="line 1: columns"):
        replay(trace=str(headless))
    with pytest.raises(TraceError, match="start_row 9"):
        replay(trace=str(trace(tmp_path, GOOD)), start_row=9)


def test_a_byte_order_mark_line_ends_and_blank_last_lines_change_nothing(tmp_path: Path) -> None:
    plain = read(trace(tmp_path, GOOD, GOOD))
    other = tmp_path / "u.csv"
    for text in ("\ufeff{}", "{}\n\n \n".replace(" ", ""), "{}"):
        for end in ("\n", "\r\n", "\r"):
            other.write_bytes(text.replace("{}", HEADER + GOOD + GOOD).replace("\n", end).encode())
            assert read(other) == plain


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "line 1: columns ''; expected"),
        (HEADER.encode(), "holds no row below its header"),
        (HEADER.replace(",", ";").encode(), "separated by commas"),
        (HEADER.encode() + "2023-11-16 18:34:15,\u00fc,1\n".encode("latin-1"), "is not UTF-8 (byte 0xfc)"),
        (HEADER.encode("utf-16"), "is not UTF-8"),
        (HEADER.encode() + b'"2023-11-16 18:34:15,1,1\n' * 3, "line 2: "),
        (HEADER.encode() + b"2023-11-16 18:34:15,1\x00,1\n", "line 2: "),
        (HEADER.encode() + b"2023-11-16 18:34:15," + b"9" * 5000 + b",1\n", "not a whole number from 0 to"),
        (HEADER.encode() + b"2023-11-16 18:34:15," + b"9" * 200_000 + b",1\n", "line 2: "),
        (HEADER.encode() + b"2023-11-16 18:34:15,-0,1\n", "ContextTokens '-0': not a whole number"),
        (HEADER.encode() + b"2023-11-16 18:34:15,NaN,1\n", "ContextTokens 'NaN'"),
        (HEADER.encode() + b"inf,1,1\n", "TIMESTAMP 'inf': not a time"),
        (HEADER.encode() + b'"a\nb",1,1\n', "line 3: TIMESTAMP 'a\\nb'"),
        (HEADER.encode() + b"\x1b[31m,1,1\n", "TIMESTAMP '\\x1b[31m'"),
        (gzip.compress(HEADER.encode()), "is not UTF-8"),
    ],
    ids=lambda value: repr(value[-25:]),
)
def test_a_trace_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(TraceError) as caught:
        replay(trace=str(path), bad_rows="refuse")
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ((HEADER + GOOD).encode(), "is not compressed by gzip"),
        (b"", "line 1: columns ''"),
        (gzip.compress((HEADER + GOOD * 5000).encode())[:-40], "is cut or damaged"),
        (gzip.compress((HEADER + GOOD * 5000).encode())[:12] + b"\xff" * 40, "is cut or damaged"),
    ],
    ids=["plain", "empty", "cut", "damaged"],
)
def test_a_packed_trace_that_is_none_or_cut_is_told_in_one_line(
    tmp_path: Path, data: bytes, told: str
) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(data)
    with pytest.raises(TraceError, match="t.csv.gz: ") as caught:
        read(path)
    assert told in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "x" * 5000, "a\x00b", "no\x1b[31m.csv"])
def test_a_trace_that_is_no_file_is_told(name: str) -> None:
    with pytest.raises(TraceError, match="no trace") as caught:
        trace_path(name)
    assert str(caught.value).isprintable()


def test_rows_of_one_instant_have_no_rate(tmp_path: Path) -> None:
    path = str(trace(tmp_path, GOOD, GOOD, GOOD))
    with pytest.raises(TraceError, match="share one timestamp"):
        replay(trace=path, rate_per_s=1.0)
    assert len(replay(trace=path, rate_per_s=None).items) == 3
    assert len(replay(trace=path, rate_per_s=1.0, rows=1).items) == 1


def test_rows_that_cannot_be_taken_leave_no_quiet_end(tmp_path: Path) -> None:
    rows = [f"2023-11-16 18:{m:02}:{s:02}.0,10,10\n" for m in range(4) for s in range(60)]
    spoilt = trace(tmp_path, *(row if i % 2 == 0 else f"x{row}" for i, row in enumerate(rows)))
    workload = generate(
        scenario({**TRACE, "trace": str(spoilt), "rate_per_s": 1.0}, slots=6, tail_slots=0), 1
    )
    (account,) = workload.accounting
    assert (account.read, account.emitted, account.dropped) == (239, 120, {"not_a_time": 119})
    assert workload.items[-1][0].arrival_s == pytest.approx(119.0)


def test_a_run_looks_at_so_many_rows_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MOST_ROWS", 50)
    path = trace(tmp_path, GOOD, *["x,1,1\n"] * 60)
    with pytest.raises(TraceError, match="more than 50 rows fall into the run"):
        replay(trace=str(path), rate_per_s=1.0)
