"""What happens at a hint, when it ends, when a device comes and goes; and that all of it is in the trail."""

from __future__ import annotations

import pytest

from tests.build.meta import DEVICES, Silent, Stage, calls, script


def test_an_onset_masks_at_the_same_instant_without_the_reasoner() -> None:
    stage = Stage(Silent(), answers=False)
    stage.serve(6)
    stage.hint("d0", "game")
    assert "d0" not in stage.serve(10)
    first = stage.acts()[0]
    assert (first["tool"], first["by"], first["old"], first["new"]) == ("set_device_risky", "rule", None, 50)


def test_the_reasoner_may_confirm_extend_or_clear_the_provisional_mask() -> None:
    extend = Stage(script(calls(("set_device_risky", {"device": "d0", "ttl_tasks": 300})), {}))
    extend.hint("d0", "game")
    assert extend.meta.steered.ttl_left("d0") == 300
    clear = Stage(script(calls(("clear_device_risky", {"device": "d0"})), {}))
    clear.hint("d0", "update")
    assert clear.meta.steered.ttl_left("d0") is None
    confirm = Stage()
    confirm.hint("d0", "game")
    assert confirm.meta.steered.ttl_left("d0") == 50


def test_the_end_of_the_hint_lifts_every_mask() -> None:
    stage = Stage()
    stage.serve(6)
    stage.hint("d0", "game")
    stage.serve(5)
    stage.hint("d0")
    assert stage.meta.steered.ttl_left("d0") is None
    assert "d0" in stage.serve(4)
    assert stage.acts()[-1]["tool"] == "clear_device_risky"


def test_a_mask_outlives_its_tasks_only_while_the_hint_lasts() -> None:
    stage = Stage(ttl_tasks=10)
    stage.hint("d0", "game")
    assert "d0" not in stage.serve(70)
    stage.hint("d0")
    assert "d0" in stage.serve(4)


def test_masks_avoid_nothing_where_there_is_no_other_device() -> None:
    stage = Stage()
    for device in DEVICES:
        stage.hint(device, "game")
    assert set(stage.serve(9)) <= set(DEVICES)
    assert len(stage.sent) == 9


def test_without_risk_gate_there_are_no_masks() -> None:
    stage = Stage(Silent(), risk_gate=False)
    stage.hint("d0", "game")
    assert stage.meta.steered.masks == {}


def test_a_hint_of_another_speed_masks_nothing() -> None:
    stage = Stage(Silent())
    stage.hint("d0", "drift")
    assert stage.meta.steered.masks == {}
    assert stage.meta.invocations.count == 1


@pytest.mark.parametrize("perf", ["nnls", "bayes"])
def test_results_of_a_hinted_time_leave_the_ordinary_law_alone(perf: str) -> None:
    stage = Stage(Silent(), perf=perf)
    stage.serve(30)
    in_flight, device = stage.send()
    stage.hint(device, "game")
    stage.end(in_flight, device, 20.0, stutter=True)
    stage.hint(device)
    pool = stage.meta.fast_path.view.pools["m"]
    assert pool.service_s(pool.names.index(device), (1.0, 0.0)) == pytest.approx(2.0, rel=0.02)


def test_a_device_that_was_away_is_uncertain_until_it_has_shown_itself() -> None:
    stage = Stage(Silent(), fresh_samples=2)
    stage.rounds(20)
    view = stage.meta.fast_path.view
    column = view.pools["m"].names.index("d1")
    known = view.pools["m"].uncertainty[column]
    flying = [stage.send() for _ in DEVICES]
    stage.meta.executor_changed("d1", "away", "off", 0.0, 0.0)
    for request, device in flying:
        stage.end(request, device, None if device == "d1" else 2.0)
    assert "d1" not in stage.rounds(4)
    stage.meta.executor_changed("d1", "ready", "gpu", stage.now_s, stage.now_s)
    assert stage.meta.steered.queued("d1") == 0, "its old queue is not believed"
    assert view.pools["m"].uncertainty[column] >= 0.5 > known
    stage.rounds(1)
    assert view.pools["m"].uncertainty[column] >= 0.5
    stage.rounds(1)
    assert view.pools["m"].uncertainty[column] == pytest.approx(known, abs=0.05)
    changed = [r.choice for r in stage.records if r.choice.get("rule") == "suspect"]
    assert [(c["device"], c["old"], c["new"]) for c in changed] == [("d1", 0, 2)]


def test_the_last_safe_device_leaving_calls_the_reasoner() -> None:
    llm = Silent()
    stage = Stage(llm)
    stage.meta.executor_changed("d0", "away", "off", 0.0, 0.0)
    stage.meta.executor_changed("d1", "away", "off", 0.0, 0.0)
    assert llm.asked == []
    stage.hint("d2", "game")
    stage.meta.executor_changed("d0", "ready", "gpu", 0.0, 0.0)
    stage.meta.executor_changed("d0", "away", "off", 0.0, 0.0)
    assert [q.situation["kind"] for q in llm.asked] == ["onset", "leave"]


def test_an_unanswered_question_is_given_up_and_a_late_answer_ignored() -> None:
    stage = Stage(script({}), answers=False, patience_s=10.0)
    stage.hint("d0", "game")
    question = stage.meta.take_question()
    assert question is not None
    assert stage.meta.take_question() is None, "one at a time"
    thought = stage.meta.think(question)
    stage.serve(8)
    before = len(stage.records)
    stage.meta.answered(question, thought, stage.now_s)
    stage.records.extend(stage.meta.take_records())
    assert len(stage.records) == before
    failed = [r for r in stage.records if "exchange" in r.choice]
    assert [r.violations for r in failed] == [("timeout",)]


def test_a_calibration_that_makes_predictions_worse_is_undone() -> None:
    wrong = {"device": "d0", "model": "m", "factor": 0.25}
    stage = Stage(script(calls(("update_calibration", wrong)), {}, {}, {}, {}, {}), perf="prior")
    stage.serve(12)
    stage.hint("d1", "drift")
    assert stage.meta.steered.calibration.factor(("d0", "m")) == 0.25
    stage.serve(60)
    assert stage.meta.steered.calibration.factor(("d0", "m")) == 1.0
    verdict = next(v for v in stage.verdicts() if v["tool"] == "update_calibration")
    assert (verdict["verdict"], verdict["reverted"], verdict["old"], verdict["new"]) == (
        "refuted",
        True,
        0.25,
        1.0,
    )
    assert verdict["after"] > verdict["before"]


def test_a_mask_that_only_makes_queues_is_undone() -> None:
    both = [("set_device_risky", {"device": device, "ttl_tasks": 2000}) for device in ("d0", "d1")]
    stage = Stage(script(calls(*both), *[{}] * 20), perf="prior")
    stage.rounds(15)
    stage.hint("d2", "drift")
    assert set(stage.meta.steered.masks) == {"d0", "d1"}
    for _ in range(20):
        for request, device in [stage.send() for _ in DEVICES]:
            stage.end(request, device, 2.0)
    assert stage.meta.steered.masks == {}
    reverted = [v for v in stage.verdicts() if v["reverted"]]
    assert {v["device"] for v in reverted} == {"d0", "d1"}
    assert all(v["before"] == pytest.approx(1.0) and v["after"] > 1.5 for v in reverted)


def test_lifting_a_mask_that_brings_stutter_back_is_undone() -> None:
    stage = Stage(script(calls(("clear_device_risky", {"device": "d0"})), {}))
    stage.serve(6)
    stage.hint("d0", "game")
    assert stage.meta.steered.ttl_left("d0") is None
    stage.serve(6, slow={"d0": 2.0})
    assert stage.meta.steered.ttl_left("d0") is not None
    assert stage.sent[6:].count("d0") == 1, "one stutter is enough"


def test_without_revert_a_refuted_act_stays() -> None:
    wrong = {"device": "d0", "model": "m", "factor": 0.25}
    stage = Stage(script(calls(("update_calibration", wrong)), {}, {}, {}, {}), perf="prior", revert=False)
    stage.serve(12)
    stage.hint("d1", "drift")
    stage.serve(60)
    assert stage.meta.steered.calibration.factor(("d0", "m")) == 0.25
    assert any(v["verdict"] == "refuted" and not v["reverted"] for v in stage.verdicts())


def test_what_is_written_of_a_return_bears_the_time_of_the_return() -> None:
    stage = Stage(Silent())
    stage.meta.executor_changed("d1", "away", "off", 0.0, 3.0)
    stage.now_s = 7.0
    stage.meta.executor_changed("d1", "ready", "gpu", 7.0, 7.0)
    assert [r.t_s for r in stage.records if r.choice.get("rule") == "suspect"] == [7.0]


def test_who_takes_no_records_has_the_same_done() -> None:
    """Without them the rules are asked without a word."""

    def told(recorded: bool) -> Stage:
        stage = Stage(warmup_points=2)
        stage.meta.attach(stage._take, recorded=recorded)
        stage.serve(40)
        stage.hint("d1", "game")
        stage.rounds(30, {"d0": 3.0})
        stage.hint("d1")
        stage.rounds(30, {"d0": 3.0})
        return stage

    written, silent = told(True), told(False)
    assert silent.sent == written.sent
    assert silent.meta.invocations.count == written.meta.invocations.count > 1
    laws = [(executor, model) for of in written.meta.steered.laws.values() for model, executor in of.items()]
    factors = [[s.meta.steered.calibration.factor(law) for law in laws] for s in (written, silent)]
    assert factors[0] == factors[1]
    assert factors[0] != [1.0] * len(laws), "the rules have corrected a law"
    assert (bool(written.records), silent.records) == (True, [])
