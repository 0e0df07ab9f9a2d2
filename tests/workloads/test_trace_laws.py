"""Law of every trace: rows read = requests sent + rows dropped for a named reason, whatever stands in the file."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulation.domain.scenario import Scenario
from tests.build.workloads import scenario
from workloads.generate import Arrivals, Workload, generate
from workloads.trace_files import TraceError, _not_text, told_by_content

REASONS = {
    "unreadable", "not_a_time", "not_a_number", "negative", "out_of_order", "after_end", "empty", "other_model",
    "over_context", "over_limit",
}  # fmt: skip

CELL = st.one_of(
    st.integers(-5, 900).map(str), st.floats(0, 900, allow_nan=False).map(lambda v: f"{v:.3f}"),
    st.sampled_from(["", "nan", "inf", "1e3", "-0", "0", "x", "2023-11-16 18:34:15", "99999999999999999999", "4.5"]),
)  # fmt: skip
ROW = st.lists(CELL, min_size=2, max_size=5) | st.tuples(
    st.integers(0, 700).map(str),
    st.integers(0, 3000).map(str),
    st.integers(0, 90).map(str),
    st.sampled_from("AB"),
).map(list)
CSV: dict[str, Any] = {
    "kind": "trace", "format": "csv",
    "columns": {"time": "t", "time_unit": "s", "prompt_tokens": "in", "output_tokens": "out", "model": "who"},
}  # fmt: skip


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ROW, min_size=1, max_size=40),
    by_model=st.booleans(),
    context=st.sampled_from([None, 500, 2000]),
    over=st.sampled_from(["clip", "drop"]),
    start=st.integers(0, 3),
    count=st.none() | st.integers(1, 50),
)
def test_of_any_csv_every_row_read_is_sent_or_dropped_by_name(
    tmp_path: Path, rows: list[list[str]], by_model: bool, context: int | None, over: str, start: int,
    count: int | None,
) -> None:  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text("t,in,out,who\n" + "".join(",".join(row) + "\n" for row in rows))
    models = {"by_model": {"A": "gpt2"}} if by_model else {"mix": {"gpt2": 1.0}}
    more = {"context_tokens": context, "over_limit": over, "start_row": start, "rows": count}
    asked = scenario({**CSV, "trace": str(path), **models, **more})
    found = drawn_unless_nothing_is_there(asked)
    if found is None:
        return
    account = found.accounting[0]
    assert account.adds_up
    assert account.dropped.keys() <= REASONS
    assert account.emitted == len(found.items)
    assert 1 <= account.read <= min(len(rows) - start, count or len(rows))
    times = [r.arrival_s for r, _ in found.items]
    assert times == sorted(times)
    assert all(r.prompt_tokens > 0 and t.output_tokens > 0 for r, t in found.items)
    if count is not None:
        assert account.read == min(len(rows) - start, count)


def drawn_unless_nothing_is_there(asked: Scenario) -> Workload | None:
    try:
        return generate(asked, 1)
    except TraceError as error:
        said = str(error)
    assert "none of" in said or "no row at start_row" in said
    return None


def replayed(tmp_path: Path, text: str, name: str = "t.csv", **source: Any) -> Workload:
    path = tmp_path / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    given_models = {} if "by_model" in source else {"mix": {"gpt2": 1.0}}
    return generate(scenario({"kind": "trace", "trace": str(path), **given_models, **source}), 1)


def test_each_reason_is_given_where_it_holds_and_nowhere_else(tmp_path: Path) -> None:
    rows = (
        "0,100,10,A\n" "1,100\n" "yesterday,100,10,A\n" "2,many,10,A\n" "3,100,-4,A\n" "-3,100,10,A\n" "0.5,100,10,A\n"
        "0.2,100,10,A\n" "4,0,10,A\n" "5,100,0,A\n" "6,100,10,B\n" "7,1900,200,A\n"
        "8,600,10,A\n" "601,100,10,A\n" "9,1,1,A\n"
    )  # fmt: skip
    found = replayed(
        tmp_path, "t,in,out,who\n" + rows, format="csv", columns=CSV["columns"], by_model={"A": "gpt2"}, rows=15,
        context_tokens=2000, max_prompt_tokens=500, over_limit="drop",
    ).accounting[0]  # fmt: skip
    assert (found.read, found.emitted) == (15, 2)
    assert found.dropped == {
        "unreadable": 1, "not_a_time": 1, "not_a_number": 1, "negative": 2, "out_of_order": 2, "empty": 2,
        "other_model": 1, "over_context": 1, "over_limit": 1, "after_end": 1,
    }  # fmt: skip


def test_a_far_time_that_is_wrong_shows_in_the_reasons(tmp_path: Path) -> None:
    text = "t,in,out,who\n0,9,9,A\n500,9,9,A\n" + "".join(f"{t},9,9,A\n" for t in range(1, 40))
    found = replayed(tmp_path, text, format="csv", columns=CSV["columns"]).accounting[0]
    assert (found.emitted, found.dropped) == (2, {"out_of_order": 39})


@pytest.mark.parametrize(
    ("unit", "times"),
    [
        ("s", ("5", "5.5", "7")),
        ("ms", ("5000", "5500", "7e3")),
        ("us", ("5000000", "5500000", "7000000")),
        ("ns", ("1700000005000000000", "1700000005500000000", "1700000007000000000")),
        ("date", ("2024-05-10 00:00:05", "2024-05-10T00:00:05.5000000", "2024-05-10 00:00:07.0")),
        ("date", ("2024-05-10 00:00:05.0+00:00", "2024-05-10 02:00:05.5+02:00", "2024-05-09 22:30:07-0130")),
        ("date", ("2024-05-10T00:00:05Z", "2024-05-10 00:00:05.500", "2024-05-10 00:00:07 +00:00")),
    ],
)
def test_times_are_read_in_the_unit_that_is_declared(
    tmp_path: Path, unit: str, times: tuple[str, ...]
) -> None:
    columns = {**CSV["columns"], "time_unit": unit, "model": None}
    text = "t,in,out\n" + "".join(f"{t},10,10\n" for t in times)
    found = replayed(tmp_path, text, format="csv", columns=columns)
    assert [r.arrival_s for r, _ in found.items] == pytest.approx([0.0, 0.5, 2.0], abs=1e-6)


def test_a_unit_is_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match="none of 1 rows can be taken as format csv: 1 not_a_time; first line 2"
    ):
        replayed(tmp_path, "t,in,out,who\n2024-05-10 00:00:05,1,1,A\n", format="csv", columns=CSV["columns"])
    columns = {k: v for k, v in CSV["columns"].items() if k != "time_unit"}
    with pytest.raises(ValueError, match="time_unit"):
        replayed(tmp_path, "t,in,out,who\n1,1,1,A\n", format="csv", columns=columns)


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_mooncake_counts_in_milliseconds_and_bad_lines_are_named(tmp_path: Path, name: str) -> None:
    rows: list[Any] = [
        {"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]},
        {"timestamp": 27482, "input_length": 655, "output_length": 52},
        {"timestamp": 27000, "input_length": 6, "output_length": 2},
        {"timestamp": True, "input_length": 6, "output_length": 2},
        {"timestamp": 28000, "input_length": 6.5, "output_length": 2},
        {"timestamp": 28000, "output_length": 2},
        {"timestamp": -1, "input_length": 6, "output_length": 2},
        [1],
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) + "\n{cut\n"
    found = replayed(tmp_path, text, name, format="mooncake")
    assert [(r.arrival_s, r.prompt_tokens, t.output_tokens) for r, t in found.items] == [
        (0.0, 4096, 500),
        (27.482, 655, 52),
    ]
    assert found.accounting[0].read == 9
    assert found.accounting[0].dropped == {
        "out_of_order": 1, "not_a_time": 1, "not_a_number": 1, "unreadable": 3, "negative": 1
    }  # fmt: skip


def test_burstgpt_is_read_by_name_and_knows_its_models(tmp_path: Path) -> None:
    text = (
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,a,1.5,ChatGPT,472,18,490,Conversation log\n45,a,1.5,GPT-4,1087,0,1087,API log\n"
        "118,b,1.5,Llama,417,276,693,Conversation log\n"
    )
    by_model = {"ChatGPT": "gpt2", "GPT-4": "batch"}
    found = replayed(tmp_path, text, format="burstgpt", by_model=by_model)
    assert [(r.arrival_s, r.model, r.prompt_tokens) for r, _ in found.items] == [(0.0, "gpt2", 472)]
    assert found.accounting[0].dropped == {"empty": 1, "other_model": 1}


def test_the_packaged_traces_add_up_to_what_their_sources_say() -> None:
    counted = {}
    for name, source in (
        ("burstgpt", {"by_model": {"ChatGPT": "gpt2", "GPT-4": "gpt2"}}),
        ("mooncake", {"mix": {"gpt2": 1.0}, "context_tokens": 32768}),
    ):
        asked = scenario({"kind": "trace", "trace": name, "rate_per_s": 2.0, "rows": 400, **source})
        counted[name] = generate(asked, 1).accounting[0]
    assert counted["burstgpt"].dropped == {"empty": 17}
    assert (counted["burstgpt"].read, counted["burstgpt"].emitted) == (400, 383)
    assert (counted["mooncake"].read, counted["mooncake"].dropped) == (131, {"over_context": 11})


@contextmanager
def bounded(most: int) -> Iterator[None]:
    """So many bytes may be held at once within it, and no more."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most


@pytest.mark.slow
def test_a_long_trace_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("t,in,out\n")
        file.writelines(f"{i},10,10\n" for i in range(10_000))
    columns = {**CSV["columns"], "model": None}
    asked = scenario(
        {"kind": "trace", "trace": str(path), "format": "csv", "columns": columns, "mix": {"gpt2": 1.0},
         "rate_per_s": 50.0},
    )  # fmt: skip
    with bounded(1_500_000):  # 10,000 rows held as objects would take more
        drawn = Arrivals(asked, 1)
        sent = sum(1 for _ in drawn)
    assert sent == drawn.accounting()[0].emitted == 10_000


MISTAKES = [
    ({"format": "csv"}, "format csv needs columns"),
    ({"columns": CSV["columns"]}, "columns go with format csv, not with azure"),
    ({"mix": None}, "needs one of mix and by_model, has neither"),
    ({"by_model": {"A": "gpt2"}}, "needs one of mix and by_model, has both"),
    ({"mix": None, "by_model": {"A": "gpt2"}}, "by_model needs a trace that names models"),
    ({"mix": None, "format": "burstgpt", "by_model": {"A": "gpt3"}}, "unknown model 'gpt3'"),
    ({"format": "parquet"}, "format"),
    ({"format": "csv", "columns": {**CSV["columns"], "model": "t"}}, "column 't' is named twice"),
]


@pytest.mark.parametrize(("changes", "told"), MISTAKES)
def test_what_does_not_fit_together_is_told(changes: dict[str, Any], told: str) -> None:
    source = {"kind": "trace", "trace": "azure-conv", "mix": {"gpt2": 1.0}, **changes}
    with pytest.raises(ValueError, match=told):
        scenario({k: v for k, v in source.items() if v is not None})


@pytest.mark.parametrize(
    ("header", "told"),
    [("t,in", "no column 'out' among"), ("t,in,out,out,who", "more than one column 'out'")],
)
def test_a_header_that_lacks_a_column_is_refused(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(TraceError, match=told):
        replayed(tmp_path, f"{header}\n1,2,3,4\n", format="csv", columns=CSV["columns"])


def test_a_packaged_trace_of_another_format_is_refused() -> None:
    with pytest.raises(TraceError, match="is of format mooncake, not azure"):
        generate(scenario({"kind": "trace", "trace": "mooncake", "format": "azure", "mix": {"gpt2": 1}}), 1)


def test_a_scenario_without_the_new_options_has_the_plain_data_it_always_had() -> None:
    plain = scenario({"kind": "trace", "trace": "azure-conv", "mix": {"gpt2": 1}}).model_dump()["workload"][0]
    assert set(plain) == {
        "origins", "kind", "trace", "start_row", "rows", "rate_per_s", "mix", "prompts", "max_prompt_tokens",
        "max_output_tokens", "over_limit",
    }  # fmt: skip


ENDLESS = {
    "csv": ("t,in,out\n", "1"),
    "csv of one row in many lines": ('t,in,out\n"', '","\n'),
    "mooncake": ("", "[1,"),
}
"""Begin of a file, and what it goes on with in a line or row that does not end."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_row_without_end_is_refused_and_never_held(kind: str, tmp_path: Path) -> None:
    begin, piece = ENDLESS[kind]
    path = tmp_path / "endless.gz"
    path.write_bytes(gzip.compress((begin + piece * (24_000_000 // len(piece))).encode(), compresslevel=1))
    form: dict[str, Any] = {"format": "mooncake"}
    if kind != "mooncake":
        form = {"format": "csv", "columns": {**CSV["columns"], "model": None}}
    asked = scenario({"kind": "trace", "trace": str(path), "mix": {"gpt2": 1.0}, **form})
    with bounded(12_000_000), pytest.raises(TraceError, match=r"line \d+: is longer than 1000000 characters"):
        generate(asked, 1)


def test_bytes_that_are_no_text_are_named_by_their_line_and_never_held(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"t,in,out\n1,1,1\n" + b"\xc3\xa9" * 9_000_000 + b"\xff", compresslevel=1))
    with bounded(9_000_000):
        assert _not_text(path) == 3


@pytest.mark.slow
def test_a_file_of_any_size_is_digested_in_pieces_to_the_digest_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"0123456789abcdef" * 1_500_000)
    whole = hashlib.sha256(path.read_bytes()).hexdigest()
    with bounded(2_000_000):
        assert told_by_content(str(path)) == f"t.csv (sha256 {whole[:16]})"
    assert told_by_content("azure-conv") == "azure-conv"
    assert told_by_content(str(tmp_path / "none.csv")) == str(tmp_path / "none.csv")
