"""`edgebed calibrate check`: a virtual run under the name of a live one must be found again, another law told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgebed.calibrate.check import Check, Pair, check, compared, real_places
from edgebed.calibrate.refit import refit, write_refit
from edgebed.commands.main import app, main
from edgebed.runs.layout import Layout
from edgebed.runs.virtual import simulate_in_memory
from emulation.domain.profile import Law, ProfileFile
from emulation.domain.scenario import Scenario
from emulation.domain.sharing import Batching
from emulation.files import load_profile
from emulation.recording import Run, write_records

LAW = (0.002, 0.03)
CAPTION = (1.5,)


def scenario(**changes: Any) -> Scenario:
    """Two nodes whose text and caption models count as real, and a third that emulates a text model."""
    models = [
        {"id": "gpt2", "modality": "text", "features": "tokens", "modes": ["cpu"]},
        {"id": "blip", "modality": "caption", "modes": ["cpu"]},
        {"id": "fake", "modality": "text", "features": "tokens", "modes": ["cpu"]},
    ]
    nodes = [
        {"id": "a", "cores": 2, "models": ["gpt2", "blip"]},
        {"id": "b", "cores": 2, "models": ["gpt2", "blip"]},
        {"id": "c", "cores": 1, "models": ["fake"]},
    ]
    real = {"backend": "transformers", "settings": {"source": "./models/gpt2"}}
    base: dict[str, Any] = {
        "name": "s",
        "testbed": {
            "name": "t",
            "models": models,
            "nodes": nodes,
            "profile": [
                {"model": "gpt2", "mode": "cpu", "theta": LAW},
                {"model": "blip", "mode": "cpu", "theta": CAPTION},
                {"model": "fake", "mode": "cpu", "theta": LAW},
            ],
            "cpu": {"reference_cores": 1, "exponent": 0.7},
            "backends": [{"model": "gpt2", **real}, {"model": "blip", **real}],
        },
        "workload": [
            {
                "kind": "poisson",
                "rate_per_s": 0.5,
                "mix": {"gpt2": 0.5, "blip": 0.2, "fake": 0.3},
                "prompts": [1, 2],
                "lengths": {"prompt_tokens": [32, 128, 512], "output_tokens": [8, 32, 96]},
            }
        ],
        "events": [
            {"kind": "slowdown", "node": "a", "factor": 2.0, "at_s": 60, "until_s": 120},
            {"kind": "leave", "node": "b", "at_s": 150, "until_s": 180, "in_flight": "requeue"},
        ],
        "slot_s": 30,
        "epoch_slots": 10,
        "slots": 10,
        "deadline_s": 120,
        "length_knowledge": "predicted",
    }
    return Scenario.model_validate(base | changes)


def as_if_live(given: Scenario, scheme: str = "sect", seed: int = 1) -> Run:
    """A virtual run under another name: its replicas took exactly the time their law says."""
    run = simulate_in_memory(given, scheme, seed)
    return replace(run, header=replace(run.header, world="live"))


def with_side(run: Run, theta: tuple[float, float] = LAW) -> Run:
    """What replicas would have told of their computing, slowdowns left out; kept beside the lines of the record."""
    sides: dict[int, dict[str, Any]] = {}
    for line, r in enumerate(run.requests, start=1):
        side = {"request_id": r.request_id, "wall": 1_795_000_000.0 + r.ended_s}
        if r.model == "gpt2" and r.outcome == "done":
            read = r.prompt_tokens if r.input_tokens is None else r.input_tokens
            side |= {"prefill_s": theta[0] * read, "decode_s": theta[1] * r.output_tokens}
        elif r.model == "blip" and r.outcome == "done":
            side |= {"prefill_s": CAPTION[0] * r.prompts, "decode_s": 0.0}
        sides[line] = side
    return replace(run, side=sides)


def law(*theta: float, model: str = "gpt2", mode: str = "cpu") -> ProfileFile:
    """A profile that was never measured."""
    derived = load_profile("mlperf-v4.0/l4-sdxl").derived
    return ProfileFile(model=model, mode=mode, derived=derived, law=Law(theta=theta))  # type: ignore[arg-type]


def of(found: Check, model: str = "gpt2") -> Any:
    return next(t for t in found.types if t.model == model)


# -- laws ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["sect", "RF", "MA"])
@pytest.mark.parametrize("decisions", ["recorded", "own"])
def test_a_run_that_followed_its_profile_is_found_again_request_by_request(
    scheme: str, decisions: Any
) -> None:
    given = scenario()
    found = check(as_if_live(given, scheme), given, decisions)
    assert found.ok
    assert {t.model for t in found.types} == {"gpt2", "blip"}
    for row in found.types:
        assert row.done_live == row.done_virtual > 20
        assert all(p.virtual_s == pytest.approx(p.live_s, abs=1e-6) for p in (*row.pairs, *row.service_pairs))
        assert row.latency is not None
        assert row.latency.mean_error == pytest.approx(0.0, abs=1e-9)
        assert (row.latency.pearson, row.latency.spearman) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_a_profile_that_is_off_is_found_with_the_right_sign_and_size(factor: float) -> None:
    given = scenario(events=[])
    found = check(as_if_live(given), given, profiles=[law(*(c * factor for c in LAW))])
    row = of(found)
    assert row.service.mean_error == pytest.approx(factor - 1.0)
    assert row.service.bias_s == pytest.approx((factor - 1.0) * row.service.live_mean_s)
    assert (row.latency.mean_error > 0.2) if factor > 1 else (row.latency.mean_error < -0.2)
    assert not row.ok
    assert of(found, "blip").ok
    assert not found.ok


def test_the_tolerance_decides() -> None:
    given = scenario(events=[])
    run, slower = as_if_live(given), [law(*(c * 1.2 for c in LAW))]
    error = of(check(run, given, profiles=slower)).latency.mean_error
    assert check(run, given, within=error + 0.001, profiles=slower).ok
    assert not check(run, given, within=error - 0.001, profiles=slower).ok


def test_the_faults_of_the_run_are_played_when_they_landed() -> None:
    given = scenario()
    run = as_if_live(given)
    late = replace(
        run, events=tuple(replace(e, t_s=e.t_s + 40.0) if e.type == "slowdown" else e for e in run.events)
    )
    assert any(p.virtual_s != pytest.approx(p.live_s, abs=1e-3) for p in of(check(late, given)).service_pairs)


@pytest.mark.parametrize("decisions", ["recorded", "own"])
def test_every_request_that_was_dispatched_ends_once_again(decisions: Any) -> None:
    given = scenario(deadline_s=8)
    run = as_if_live(given)
    assert {r.outcome for r in run.requests} >= {"done", "expired"}
    again = check(run, given, decisions).virtual
    assert sorted(r.request_id for r in again.requests) == sorted(r.request_id for r in run.requests)
    assert again.footer is not None
    assert again.footer.conserved()
    assert sum(again.footer.arrived.values()) == len(run.requests)


def test_emulated_neighbours_keep_the_truth_they_were_drawn_with() -> None:
    given = scenario(service_cv=0.3, mismatch_sigma=0.3)
    run = as_if_live(given)
    again = {r.request_id: r.ended_s for r in check(run, given).virtual.requests}
    emulated = [r for r in run.requests if r.model == "fake"]
    assert all(again[r.request_id] == pytest.approx(r.ended_s, abs=1e-6) for r in emulated)
    assert any(abs(again[r.request_id] - r.ended_s) > 0.01 for r in run.requests if r.model == "gpt2")


def test_the_tokens_a_model_really_read_count_not_the_gateways_words() -> None:
    given = scenario(events=[])
    run = as_if_live(given)
    read = tuple(
        replace(r, input_tokens=r.prompt_tokens + 100) if r.model == "gpt2" else r for r in run.requests
    )
    row = of(check(replace(run, requests=read), given))
    share = 2**0.7 * 0.5**0.7  # two cores, two pods on each node
    assert all(p.virtual_s - p.live_s == pytest.approx(100 * LAW[0] / share) for p in row.service_pairs)


def test_requests_sent_by_hand_are_replayed_too() -> None:
    given = scenario(events=[])
    run = as_if_live(given)
    names = {r.request_id: f"x-{r.request_id}" for r in run.requests}
    renamed = replace(
        run,
        requests=tuple(replace(r, request_id=names[r.request_id]) for r in run.requests),
        decisions=tuple(
            replace(d, request_id=names[d.request_id]) if d.request_id else d for d in run.decisions
        ),
    )
    row = of(check(renamed, given))
    assert row.done_virtual == row.done_live
    assert row.latency.mean_error == pytest.approx(0.0, abs=1e-9)


def test_figures_of_pairs_are_what_they_say() -> None:
    pairs = [Pair("a", 1.0, 2.0), Pair("b", 2.0, 2.5), Pair("c", 3.0, 3.3)]
    found = compared(pairs)
    assert found is not None
    assert found.mean_error == pytest.approx(0.3)
    assert found.bias_s == pytest.approx(0.6)
    assert found.mean_absolute_error_s == pytest.approx(0.6)
    assert found.spearman == pytest.approx(1.0)
    assert found.pearson is not None
    assert found.pearson < 1.0
    alike = compared([Pair("a", 1.0, 2.0)] * 5)
    assert alike is not None
    assert alike.pearson is None
    assert compared([]) is None


# -- the law a run itself shows ---------------------------------------------------------------------------------


def test_the_loop_closes_run_check_refit_check(tmp_path: Path) -> None:
    truth = scenario()
    run = with_side(as_if_live(truth))
    share = 2**0.7 * 0.5**0.7
    assert share == pytest.approx(1.0)
    believed = [law(LAW[0] * 0.7, LAW[1] * 1.5)]
    assert not check(run, truth, profiles=believed).ok
    fitted = refit(run, truth, real_places(run, truth))
    assert {p.model for p in fitted} == {"gpt2", "blip"}
    paths = write_refit(tmp_path / "new", fitted)
    assert sorted(p.name for p in paths) == ["blip-cpu.yaml", "gpt2-cpu.yaml"]
    loaded = [load_profile(p) for p in paths]
    text = next(p for p in loaded if p.model == "gpt2")
    assert text.law.theta == pytest.approx(LAW)
    assert text.run is not None
    assert text.run.nodes == ("a", "b")
    again = check(run, truth, profiles=loaded)
    assert of(again).latency.mean_error == pytest.approx(0.0, abs=1e-6)
    assert "fitted to a run of s under sect" in again.laws["gpt2, cpu"]


def test_a_slowdown_is_not_fitted_into_the_law() -> None:
    given = scenario(events=[{"kind": "slowdown", "node": "a", "factor": 3.0, "at_s": 1, "until_s": 290}])
    run = with_side(as_if_live(given))
    found = next(p for p in refit(run, given, real_places(run, given)) if p.model == "gpt2")
    assert found.law.theta == pytest.approx(LAW)


def test_requests_that_were_interrupted_are_not_fitted() -> None:
    calm = as_if_live(scenario(events=[]))
    first = next(r for r in calm.requests if r.executor == "b/gpt2" and r.service_s and r.service_s > 1.0)
    at_s = (first.started_s or 0.0) + 0.5
    leave = {"kind": "leave", "node": "b", "at_s": at_s, "until_s": at_s + 30, "in_flight": "resume"}
    given = scenario(events=[leave])
    run = with_side(as_if_live(given))
    resumed = next(r for r in run.requests if r.request_id == first.request_id)
    assert resumed.ended_s == pytest.approx(at_s + 30 + (first.service_s or 0.0))  # from its start
    found = next(p for p in refit(run, given, real_places(run, given)) if p.model == "gpt2")
    done = [r for r in run.requests if r.model == "gpt2" and r.outcome == "done" and r.attempt == 1]
    assert len(found.points) == len(done) - 1


def test_requests_that_shared_a_batch_are_not_fitted_and_the_batch_is_kept_with_another_law() -> None:
    base = scenario(events=[], deadline_s=None)
    batched = base.testbed.profile[0].model_copy(update={"batch": Batching(width=4, cost=0.5)})
    nodes = tuple(n for n in base.testbed.nodes if n.id != "b")
    testbed = base.testbed.model_copy(
        update={"nodes": nodes, "profile": (batched, *base.testbed.profile[1:])}
    )
    given = base.model_copy(update={"testbed": testbed})
    run = with_side(as_if_live(given))
    found = next(p for p in refit(run, given, real_places(run, given)) if p.model == "gpt2")
    done = [r for r in run.requests if r.model == "gpt2" and r.outcome == "done"]
    slowed = [
        r for r in done if (r.service_s or 0.0) > 1.01 * (LAW[0] * r.prompt_tokens + LAW[1] * r.output_tokens)
    ]
    assert len(slowed) > 5
    assert 5 < len(found.points) < len(done) - 5
    again = check(run, given, profiles=[found])
    assert of(again).service.mean_error == pytest.approx(0.0, abs=1e-6)


def test_a_node_with_a_law_of_its_own_gets_one_and_its_speed_is_taken_out() -> None:
    base = scenario(events=[])
    nodes = tuple(n.model_copy(update={"speed": 2.0}) if n.id == "a" else n for n in base.testbed.nodes)
    own = base.testbed.profile[0].model_copy(update={"node": "a"})
    testbed = base.testbed.model_copy(update={"nodes": nodes, "profile": (own, *base.testbed.profile)})
    given = base.model_copy(update={"testbed": testbed})
    run = with_side(as_if_live(given))
    found = {p.node: p for p in refit(run, given, real_places(run, given)) if p.model == "gpt2"}
    assert set(found) == {"a", None}
    assert found[None].law.theta == pytest.approx(LAW)
    assert found["a"].law.theta == pytest.approx(tuple(2 * c for c in LAW))


# -- the command -------------------------------------------------------------------------------------------------


def kept(folder: Path, given: Scenario, run: Run, seed: int = 1) -> Path:
    """The run as a live one leaves it."""
    layout = Layout(folder)
    layout.save_scenario(given)
    own = layout.run_folder(run.header.scheme, seed)
    sides = {s["request_id"]: s for s in run.side.values()}
    rows: list[Any] = [(run.header, None)]
    rows += [(r, sides.get(r.request_id)) for r in run.requests]
    rows += [(r, None) for group in (run.decisions, run.events, run.executors) for r in group]
    write_records(own, [*rows, (run.footer, None)])
    return own


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")  # in the page; the plot is drawn into a file
def test_the_command_writes_page_plot_figures_and_refit(tmp_path: Path) -> None:
    own = kept(tmp_path / "run", scenario(), with_side(as_if_live(scenario())))
    done = CliRunner().invoke(
        app, ["calibrate", "check", str(own), "--refit", str(tmp_path / "fit"), "--json"]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["ok"] is True
    assert said["types"]["gpt2"]["latency"]["mean_error"] == pytest.approx(0.0, abs=1e-6)
    assert json.loads((own / "check.json").read_bytes())["types"] == said["types"]
    assert (own / "check.png").read_bytes().startswith(b"\x89PNG")
    page = (own / "check.html").read_text()
    assert "within 10%" in page
    assert said["refit"] == [str(tmp_path / "fit" / "blip-cpu.yaml"), str(tmp_path / "fit" / "gpt2-cpu.yaml")]
    closed = ["calibrate", "check", str(tmp_path / "run"), "--profile", said["refit"][1]]
    assert CliRunner().invoke(app, closed).exit_code == 0


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_means_that_are_too_far_off_are_exit_code_1(tmp_path: Path) -> None:
    own = kept(tmp_path, scenario(), as_if_live(scenario()))
    done = CliRunner().invoke(
        app, ["calibrate", "check", str(own), "--profile", "epyc-1-thread/gpt2", "--within", "0.001"]
    )
    assert done.exit_code == 1
    assert "Outside 0% of the live mean latency: gpt2" in " ".join(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--decisions", "recored"], "did you mean 'recorded'"),
        (["--profile", "gpt2.yaml"], "gpt2.yaml: no such profile file"),
        (["--profile", "mlperf-v4.0/l4-sdxl"], "the profile is of model 'sdxl'"),
        (["--profile", "fake.yaml"], "here it ran not at all"),
        (["--profile", "gpu.yaml"], "is of 'gpt2' on gpu; here it ran cpu"),
        (["--profile", "short.yaml"], "has 1 coefficient(s), the testbed's law 2"),
        (["--refit", "fit"], "nothing to fit a law to"),
        (["--out", "gpu.yaml"], "'gpu.yaml' is a file; give a folder"),
    ],
)
def test_wrong_options_are_one_message_and_exit_code_2(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = kept(tmp_path / "run", scenario(), as_if_live(scenario()))
    monkeypatch.chdir(tmp_path)
    for name, theta, changes in (
        ("gpu", LAW, {"mode": "gpu"}),
        ("short", (1.0,), {}),
        ("fake", LAW, {"model": "blup"}),
    ):
        Path(f"{name}.yaml").write_text(json.dumps(law(*theta, **changes).model_dump(exclude_none=True)))
    says = says.replace("here it ran not at all", "the profile is of model 'blup'; did you mean 'blip'")
    assert refused(monkeypatch, capsys, "calibrate", "check", str(own), *arguments, says=says)


def test_a_run_that_holds_nothing_real_is_one_message_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = scenario()
    emulated = given.model_copy(update={"testbed": given.testbed.model_copy(update={"backends": ()})})
    none = kept(tmp_path / "none", emulated, as_if_live(emulated))
    virtual = kept(tmp_path / "virtual", given, simulate_in_memory(given, "sect", 1))
    kept(tmp_path / "two", given, as_if_live(given))
    kept(tmp_path / "two", given, as_if_live(given, seed=2), seed=2)
    for folder, says in (
        (none, "names no real backend"),
        (virtual, "is virtual"),
        (tmp_path / "two", "holds 2 runs"),
        (tmp_path / "gone", "does not exist; give an existing folder"),
    ):
        assert refused(monkeypatch, capsys, "calibrate", "check", str(folder), says=says)


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, says: str
) -> bool:
    monkeypatch.setattr("sys.argv", ["edgebed", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
    return True
