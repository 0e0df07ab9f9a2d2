"""The Python interface: cheap to import, the same runs as the command, and every bad argument one clear error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgebed
from edgebed.report.figures import BY_NAME
from edgebed.runs.failure import WorkError
from emulation.recording import RECORD_FILE
from tests.build.command_line import edgebed as command
from tests.build.command_line import small

pytestmark = pytest.mark.usefixtures("undrawn")  # what pages show is looked at in `tests/edgebed/report`

HEAVY = ("numpy", "pydantic", "pandas", "matplotlib", "ray", "typer", "scipy")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> edgebed.Result:
    folder = tmp_path_factory.mktemp("api")
    return edgebed.compare(small(folder), ["AL", "sect"], seeds=range(3), out=folder / "out")


@pytest.mark.slow
def test_importing_it_loads_nothing_heavy_and_everything_offered_is_there() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys, edgebed; print([m for m in {HEAVY} if m in sys.modules]);"
            " print(all(getattr(edgebed, n) is not None and n in dir(edgebed) for n in edgebed.__all__))",
        ],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert said.stdout.split("\n")[:2] == ["[]", "True"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = edgebed.nothing


@pytest.mark.slow
def test_a_comparison_in_virtual_time_loads_nothing_heavy_either(tmp_path: Path) -> None:
    program = (
        "import sys, edgebed;"
        f" edgebed.compare({str(small(tmp_path))!r}, ['sect'], seeds=range(1), out={str(tmp_path / 'out')!r});"
        " print([m for m in ('ray', 'locust', 'pandas', 'scipy') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert said.stdout.endswith("[]\n")


def test_everything_offered_says_what_it_is() -> None:
    assert [n for n in edgebed.__all__ if not (getattr(edgebed, n).__doc__ or "").strip()] == []


@pytest.mark.slow
def test_a_comparison_is_the_one_that_the_command_makes(made: edgebed.Result, tmp_path: Path) -> None:
    scenario = small(tmp_path)
    command("compare", str(scenario), "--schemes", "AL,sect", "--seeds", "0-2", "--out", str(tmp_path / "o"))
    assert made.folder is not None
    records = sorted(p.relative_to(made.folder) for p in made.folder.rglob(RECORD_FILE))
    assert len(records) == 6
    for record in records:
        assert (made.folder / record).read_bytes() == (tmp_path / "o" / record).read_bytes()


def test_what_was_run_is_read_again_by_python_and_the_command(made: edgebed.Result) -> None:
    assert made.folder is not None
    again = edgebed.read(made.folder, baseline="sect")
    assert again.run("AL", 1) == made.run("AL", 1)
    assert again.difference("sect", "mean_latency_s") is None
    assert (found := again.difference("AL", "mean_latency_s")) is not None
    assert (other := made.difference("sect", "mean_latency_s")) is not None
    assert found.mean == pytest.approx(-other.mean)
    assert str(made).splitlines()[0] in command("report", str(made.folder)).stdout


def test_one_run_in_memory_has_the_records_of_the_same_run_on_disk(
    made: edgebed.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = small(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = edgebed.simulate(scenario, "sect", seed=2)
    assert result.run("sect", 2) == made.run("sect", 2)
    assert result.folder is None
    assert [p.name for p in tmp_path.iterdir()] == ["small.yaml"]


def test_figures_have_intervals_and_frames_the_rows_of_the_records(made: edgebed.Result) -> None:
    summary, interval = made.summary("sect", 0), made.interval("sect", "success_ratio")
    assert interval is not None
    assert interval.low is not None
    assert interval.n == 3
    requests = made.columns("requests")
    assert len(requests["request_id"]) == sum(
        len(made.run(s, n).requests) for s in made.schemes for n in made.seeds
    )
    served = [
        latency
        for latency, scheme, seed, counted in zip(
            *(requests[n] for n in ("latency_s", "scheme", "seed", "counted")), strict=True
        )
        if (scheme, seed) == ("sect", 0) and counted and latency is not None
    ]
    assert sum(served) / len(served) == pytest.approx(summary.mean_latency_s)


def test_figures_of_energy_cost_slo_and_tenants_are_figures_too() -> None:
    base = edgebed.load_scenario("tenants")
    stated = {"tier": "estimate", "source": "test"}
    testbed = base.testbed.model_dump()
    testbed["power"] = [
        {"mode": m, "watts": w, **stated} for m, w in (("idle", 50), ("cpu", 90), ("gpu", 200))
    ]
    testbed["prices"] = {"currency": "EUR", "nodes": [{"per_hour": 1, **stated}]}
    slo = {model.id: {"e2e_s": 30} for model in base.testbed.models}
    world = edgebed.build_scenario(**{**base.model_dump(), "testbed": testbed, "slo": slo, "slots": 6})
    result = edgebed.simulate(world, "sect")
    row = result.columns("summaries")
    for name in BY_NAME:
        found = result.interval("sect", name)
        assert row[name] == [None if found is None else found.mean], name
    for name in (
        "energy_wh",
        "energy_request_j",
        "energy_request_idle_j",
        "cost",
        "slo_share",
        "slo_goodput",
    ):
        assert result.interval("sect", name) is not None, name
    assert result.interval("sect", "tenant_fairness") is not None
    assert result.interval("sect", "tenant_wait_s") is not None
    assert set(result.columns("tenants")["tenant"]) == {"bulk", "steady"}
    for name in ("energy", "serving", "tenants", "per_model", "speedup", "interrupted"):
        with pytest.raises(edgebed.ConfigError, match="is none of a run"):
            result.interval("sect", name)


def test_a_data_frame_is_the_same_table(made: edgebed.Result) -> None:
    pytest.importorskip("pandas")
    frame = made.frame("requests")
    assert list(frame.columns) == list(made.columns("requests"))
    assert len(frame) == len(made.columns("requests")["seed"])
    assert frame.latency_s.isna().sum() == made.columns("requests")["latency_s"].count(None)


def test_without_pandas_it_says_what_brings_it(made: edgebed.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(edgebed.ConfigError, match=r"pip install 'edgebed\[frames\]'"):
        made.frame("requests")


@pytest.mark.slow
def test_report_paper_and_plots_are_written_whole(
    made: edgebed.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = made.plot("per-model")
    monkeypatch.setattr("edgebed.report.paper.pictures", lambda _: {"per-model": picture})
    assert made.report(tmp_path / "r.html").read_bytes().startswith(b"<!doctype html>")
    assert (made.paper(tmp_path / "p") / "tables" / "latency.tex").is_file()
    assert made.folder is not None
    said = command("report", str(made.folder), "--paper", str(tmp_path / "q"))
    assert "1 pdf, 1 svg" in said.stderr
    for name in ("figures/per-model.pdf", "tables/models.tex", "data/requests.csv"):
        assert (tmp_path / "q" / name).read_bytes() == (tmp_path / "p" / name).read_bytes()
    assert picture.save(tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")
    assert picture._repr_png_().startswith(b"\x89PNG")
    assert len(repr(picture)) < 1000


def test_a_scenario_is_changed_and_built_from_the_fields_of_its_file(tmp_path: Path) -> None:
    base = edgebed.load_scenario("demo")
    changed = edgebed.load_scenario("demo", slots=3, testbed="bristol-a", events=[], workload=[
        {"kind": "poisson", "rate_per_s": 1.0, "mix": {"gpt2": 1}}
    ])  # fmt: skip
    assert (changed.slots, changed.testbed.name, changed.events) == (3, "bristol-A", ())
    assert changed.deadline_s == base.deadline_s
    kept = edgebed.load_scenario("demo", events=[*base.events[:1]])
    assert kept.events == base.events[:1]
    built = edgebed.build_scenario(name="mine", testbed="demo", workload=changed.workload)
    assert built.testbed == base.testbed


WRONG: dict[str, tuple[Callable[[edgebed.Result], Any], str]] = {
    "scenario": (lambda _: edgebed.compare("dmo", "sect"), "unknown scenario 'dmo'; did you mean 'demo'"),
    "no scenario": (lambda _: edgebed.compare(3, "sect"), "scenario 3: must be a scenario"),  # type: ignore[arg-type]
    "scheme": (lambda _: edgebed.compare("demo", "sct"), "unknown scheme 'sct'; did you mean 'sect'"),
    "schemes": (lambda _: edgebed.compare("demo", []), "schemes .*: must be names"),
    "scheme's kind": (lambda _: edgebed.compare("demo", [1]), "schemes: 1 is no name"),  # type: ignore[list-item]
    "seed": (lambda _: edgebed.compare("demo", "sect", seeds=-1), "seeds: -1 is no seed"),
    "seeds": (lambda _: edgebed.compare("demo", "sect", seeds=[1, 1]), "must name at least one seed"),
    "seed of half": (lambda _: edgebed.compare("demo", "sect", seeds=[0.5]), "seeds: 0.5 is no seed"),  # type: ignore[list-item]
    "seeds' kind": (lambda _: edgebed.compare("demo", "sect", seeds="0-3"), "must be whole numbers"),  # type: ignore[arg-type]
    "virtual": (lambda _: edgebed.compare("demo", "sect", speedup=2), "speedup 2: has no effect in virtual"),
    "workers": (lambda _: edgebed.compare("demo", "sect", workers=0), "workers 0: must be a whole number"),
    "workers, live": (
        lambda _: edgebed.compare("demo", "sect", live=True, workers=2),
        "workers 2: has no effect",
    ),
    "live": (
        lambda _: edgebed.compare("demo", "sect", live=True, speedup=-1),
        "^speedup: must be a number from 0.01",
    ),
    "field": (lambda _: edgebed.load_scenario("demo", slot=3), "unknown key 'slot'; did you mean 'slots'"),
    "value": (lambda _: edgebed.load_scenario("demo", slots=0), "slots: must be a whole number from 1"),
    "testbed": (lambda _: edgebed.load_scenario("demo", testbed="demi"), "unknown testbed 'demi'"),
    "folder": (
        lambda r: edgebed.compare("demo", "sect", out=r.folder),
        "add resume=True to go on .* with out",
    ),
    "no folder": (lambda _: edgebed.read("/nope"), "no such folder"),
    "baseline": (lambda r: edgebed.read(r.folder or "", baseline="x"), "^baseline 'x' is not among"),
    "table": (lambda r: r.columns("request"), "table 'request': is none; did you mean 'requests'"),
    "plot": (lambda r: r.plot("models"), "plot 'models': is none of this result; did you mean 'modes"),
    "format": (lambda r: r.plot("per-model").save("x.eps"), "path 'x.eps': is of no format"),
    "run": (lambda r: r.run("sect", 9), "seed 9: was not run of sect; there are 0, 1, 2"),
    "who": (lambda r: r.run("MA", 0), "scheme 'MA': was not run; .*AL, sect"),
    "figure": (lambda r: r.interval("sect", "latency"), "figure 'latency': is none of a run; did you mean"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_what_is_wrong_is_one_error_that_names_argument_value_and_fix(
    what: str, made: edgebed.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, said = WRONG[what]
    with pytest.raises(edgebed.ConfigError, match=said) as error:
        call(made)
    assert "--" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_is_left_out_and_said_and_none_at_all_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebed.runs.virtual.simulate", _fails_under("AL"))
    result = edgebed.compare(small(tmp_path), ["AL", "sect"], out=tmp_path / "some")
    assert [(o.scheme, o.how) for o in result.left_out] == [("AL", "failed")]
    assert not result.sound
    with pytest.raises(WorkError, match="holds no whole run"):
        edgebed.compare(small(tmp_path), "AL", out=tmp_path / "none")


def _fails_under(bad: str) -> Any:
    from edgebed.runs.virtual import simulate

    def failing(scenario: Any, scheme: Any, *args: Any, **named: Any) -> Any:
        if scheme == bad:
            raise RuntimeError("out of luck")
        return simulate(scenario, scheme, *args, **named)

    return failing
