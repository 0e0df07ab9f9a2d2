"""What a paper takes in: embedded fonts, LaTeX that compiles, and the data of everything that is plotted."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from zlib import decompress

import pytest

from edgebed.report import Comparison, compare_runs
from edgebed.report.columns import TABLES, csv_of
from edgebed.report.figures import BY_NAME, SCALARS
from edgebed.report.latex import escaped, latex_tables, preview
from edgebed.report.paper import has_parquet, parquet_of, plotted, write_paper
from edgebed.report.pictures import pictures
from edgebed.report.plots import ends_by_outcome
from edgebed.report.plots_time import latency_over_time
from edgebed.report.theme import Drawing
from edgebed.runs.virtual import simulate_in_memory
from emulation.metrics.view import latency_s
from tests.build.comparisons import SPEEDS, synthetic_comparison, synthetic_run
from tests.build.small import small_scenario


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return synthetic_comparison()


@pytest.fixture(scope="module")
def of_tenants() -> Comparison:
    """The same runs, asked on behalf of two tenants."""
    runs = []
    for run in (synthetic_run(scheme, seed) for scheme in SPEEDS for seed in range(3)):
        named = (replace(r, tenant=("bulk", "steady")[i % 2]) for i, r in enumerate(run.requests))
        runs.append(replace(run, requests=tuple(named)))
    return compare_runs(runs)


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_every_picture_has_the_data_that_it_shows(comparison: Comparison) -> None:
    drawn = pictures(comparison)
    assert sorted(plotted(drawn)) == sorted(drawn)
    for name, columns in plotted(drawn).items():
        assert len({len(values) for values in columns.values()}) == 1, name
        assert all(len(values) > 0 for values in columns.values()), name


def test_data_of_pictures_are_the_points_of_their_lines(comparison: Comparison) -> None:
    drawing = latency_over_time(comparison)
    assert drawing.data is not None
    data = drawing.data()
    of_sect = [
        (start_s, value)
        for scheme, start_s, value in zip(
            data["scheme"], data["start_s"], data["mean_latency_s"], strict=True
        )
        if scheme == "sect"
    ]
    starts = sorted({start_s for start_s, _ in of_sect})
    means = [
        sum(v for s, v in of_sect if s == start) / sum(s == start for s, _ in of_sect) for start in starts
    ]
    with drawing.figure({n: "#000000" for n in _inks()}) as figure:
        line = figure.axes[0].get_lines()[0]
        assert list(line.get_ydata()) == pytest.approx(means)


def _inks() -> list[str]:
    from edgebed.report.palette import LIGHT

    return list(LIGHT)


def test_shares_of_ends_sum_to_one(comparison: Comparison) -> None:
    assert (make := ends_by_outcome(comparison).data) is not None
    data = make()
    for scheme in comparison.schemes:
        shares = [s for n, s in zip(data["scheme"], data["share_of_arrived"], strict=True) if n == scheme]
        assert sum(shares) == pytest.approx(1.0)


@pytest.mark.parametrize("table", list(TABLES))
def test_tables_have_a_row_per_record_in_csv_too(table: str, of_tenants: Comparison) -> None:
    comparison = of_tenants
    columns = TABLES[table](comparison)
    rows = rows_of(csv_of(columns))
    assert len(rows) == len(columns["seed"])
    assert {(r["scheme"], r["seed"]) for r in rows} == {
        (n, str(s)) for n in comparison.schemes for s in comparison.seeds
    }


def test_every_figure_that_a_report_shows_is_a_column(comparison: Comparison) -> None:
    columns = TABLES["summaries"](comparison)
    assert set(BY_NAME) <= set(columns)
    assert set(SCALARS) <= set(columns)
    assert not {"energy", "serving", "tenants", "conservation", "per_model"} & set(columns)


def test_every_tenant_has_its_figures(of_tenants: Comparison) -> None:
    columns = TABLES["tenants"](of_tenants)
    figures = [r.summary.tenants for r in of_tenants.results]
    whole = [named for found in figures if found is not None for named in found.tenants.items()]
    assert list(zip(columns["tenant"], columns["wait_mean_s"], strict=True)) == [
        (name, tenant.wait_mean_s) for name, tenant in whole
    ]
    assert set(columns["tenant"]) == {"bulk", "steady"}
    assert None not in columns["received_ratio"]


def test_latency_in_the_requests_is_that_of_the_records(comparison: Comparison) -> None:
    found = TABLES["requests"](comparison)["latency_s"]
    assert found == [latency_s(r) for result in comparison.results for r in result.run.requests]


@pytest.mark.slow
def test_a_pdf_embeds_its_fonts_as_truetype_and_has_no_type_3(comparison: Comparison) -> None:
    content = pictures(comparison)["per-model"].pdf()
    streams = b"".join(_inflated(content))
    fonts = set(re.findall(rb"/Subtype /(Type\d|TrueType|CIDFontType\d)", content + streams))
    assert fonts & {b"CIDFontType2", b"TrueType"}
    assert b"Type3" not in fonts
    assert b"/FontFile2" in content + streams
    assert b"CreationDate" not in content


def _inflated(pdf: bytes) -> list[bytes]:
    found = []
    for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            found.append(decompress(part))
        except Exception:
            continue
    return found


def test_an_svg_stands_alone_with_outlines_for_letters(comparison: Comparison) -> None:
    text = pictures(comparison)["per-model"].svg_file().decode()
    assert "<text" not in text
    assert "var(--" not in text
    assert "<path" in text


@pytest.mark.slow
def test_pictures_are_the_same_bytes_each_time(comparison: Comparison) -> None:
    first, again = (pictures(comparison)["ends-by-outcome"] for _ in range(2))
    assert first.pdf() == again.pdf()
    assert first.svg_file() == again.svg_file()


def test_text_from_outside_is_escaped() -> None:
    assert escaped(r"a_b & 50% #1 {x} $y ~ ^ \z") == (
        r"a\_b \& 50\% \#1 \{x\} \$y \textasciitilde{} \textasciicircum{} \textbackslash{}z"
    )
    assert escaped("\u2212\u2009±–→") == r"$-$\,$\pm$--$\rightarrow$"
    assert escaped("Zürich\n文\x07") == "Zurich ??"


def test_tables_state_what_their_figures_mean(comparison: Comparison) -> None:
    tables = latex_tables(comparison)
    assert {"service", "latency", "fairness", "differences", "models", "ends"} <= set(tables)
    for name, text in tables.items():
        assert rf"\label{{tab:edgebed-{name}}}" in text
        assert "reasoner none, rules" in text
        assert "speedup 1" in text
        assert "FAILED: two worlds" in text
        columns = re.search(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", text)
        assert columns is not None
        for line in text.splitlines():
            if line.endswith(r" \\"):
                assert line.count(" & ") == len(columns[1]) - 1, line
    assert "success" in tables["latency"]
    assert "MA (rules)" in tables["latency"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.slow
def test_all_of_it_compiles(tmp_path: Path) -> None:
    plain = [synthetic_run("sect", seed) for seed in range(3)]
    odd = compare_runs([replace(r, header=replace(r.header, scheme=r"a_b:A&B#{\x}~^→")) for r in plain])
    for name, text in latex_tables(odd).items():
        (tmp_path / "tables").mkdir(exist_ok=True)
        (tmp_path / "tables" / f"{name}.tex").write_text(text)
    (tmp_path / "preview.tex").write_text(preview(list(latex_tables(odd)), {}))
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "preview.tex"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout[-2000:]


def test_energy_and_cost_state_where_they_come_from_and_in_which_currency() -> None:
    scenario = small_scenario()
    run = simulate_in_memory(scenario, "sect", 0)
    tables = latex_tables(compare_runs([run], testbed=scenario.testbed))
    assert (
        "Energy is computed from the record and the testbed's watts (1 vendor, 10 estimate)"
        in tables["energy"]
    )
    assert "Cost is in EUR" in tables["energy"]
    assert "Cost is in" not in tables["latency"]


@pytest.mark.slow
def test_a_folder_for_a_paper_has_everything_once(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every picture is drawn once, for its PDF file: what an SVG file is like stands above."""
    monkeypatch.setattr(Drawing, "svg_file", lambda _: b"<svg/>")
    counts = write_paper(comparison, tmp_path)
    drawn = pictures(comparison)
    assert {p.stem for p in (tmp_path / "figures").glob("*.pdf")} == set(drawn)
    assert {p.stem for p in (tmp_path / "data").glob("*.csv")} == {*drawn, "requests", "summaries", "models"}
    assert counts["pdf"] == counts["svg"] == len(drawn)
    assert counts.get("parquet", 0) == (counts["csv"] if has_parquet() else 0)
    said = (tmp_path / "preview.tex").read_text()
    for file in (tmp_path / "tables").glob("*.tex"):
        assert rf"\input{{tables/{file.stem}}}" in said


def test_a_folder_for_a_paper_has_its_tenants(
    of_tenants: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebed.report.paper.pictures", lambda _: {})
    write_paper(of_tenants, tmp_path)
    assert len(rows_of((tmp_path / "data" / "tenants.csv").read_bytes())) == 2 * len(of_tenants.results)


def test_nothing_is_left_of_a_folder_that_could_not_be_written(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = ends_by_outcome(comparison)
    monkeypatch.setattr("edgebed.report.paper.pictures", lambda _: {picture.name: picture})
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(OSError):  # noqa: PT011
        write_paper(comparison, tmp_path)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["figures"]


@pytest.mark.parametrize("table", list(TABLES))
def test_parquet_holds_what_csv_holds(table: str, of_tenants: Comparison) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = TABLES[table](of_tenants)
    read = parquet.read_table(io.BytesIO(parquet_of(columns))).to_pydict()
    assert read == columns
