"""The nine tools: whatever a reasoner writes, either a valid call in bounds or a message and no change."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.agents.llm import ToolCall
from controller.agents.tools import run_call
from controller.meta.tools import TOOLS
from tests.build.meta import DEVICES, Stage, script

NINE = {
    "get_system_status", "pull_observations", "compute_drift", "update_calibration", "switch_router",
    "set_router_params", "trigger_online_profile_update", "set_device_risky", "clear_device_risky",
}  # fmt: skip


def _call(stage: Stage, name: str, arguments: str) -> Any:
    return run_call(ToolCall("c", name, arguments), TOOLS, stage.meta.tools.run)


def _knobs(stage: Stage) -> tuple[Any, ...]:
    steered = stage.meta.steered
    laws = [(d, "m") for d in DEVICES]
    return (
        steered.router, steered.weights_ms(), {d: steered.ttl_left(d) for d in DEVICES},
        [steered.calibration.factor(law) for law in laws], [steered.calibration.refits.get(law) for law in laws],
        [b.risky for b in steered.fast_path.view.beliefs.values()],
    )  # fmt: skip


def test_there_are_the_nine_tools_of_the_paper() -> None:
    assert set(TOOLS) == NINE
    looking = {name for name, tool in TOOLS.items() if not tool.acts}
    assert looking == {"get_system_status", "pull_observations", "compute_drift"}


def test_descriptions_are_what_the_openai_sdk_takes() -> None:
    from openai.types.chat import ChatCompletionToolParam
    from pydantic import TypeAdapter

    for tool in TOOLS.values():
        found = TypeAdapter(ChatCompletionToolParam).validate_python(tool.schema())
        parameters = found["function"]["parameters"]
        assert parameters["type"] == "object"
        assert parameters["additionalProperties"] is False


_junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
)
_names = st.sampled_from([*NINE, "reboot", ""])
_keys = st.sampled_from(
    ["device", "model", "factor", "ttl_tasks", "router", "window_s", "limit", "min_samples",
     "explore_weight_ms", "risk_penalty_ms", "other"]
)  # fmt: skip
_values = st.one_of(_junk, st.sampled_from([*DEVICES, "m", "sect", "explore_risk"]))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    name=_names,
    arguments=st.one_of(st.dictionaries(_keys, _values, max_size=4).map(json.dumps), st.text(max_size=30)),
)
def test_any_call_is_valid_or_changes_nothing(name: str, arguments: str) -> None:
    stage = Stage(script())
    stage.serve(2)
    before = _knobs(stage)
    called = _call(stage, name, arguments)
    assert (called.result is None) == (called.error is not None)
    json.loads(called.content())
    if called.result is None or not TOOLS[name].acts:
        assert _knobs(stage) == before
    steered = stage.meta.steered
    explore_ms, risk_ms = steered.weights_ms()
    assert 0 <= explore_ms <= 60_000
    assert 0 <= risk_ms <= 600_000
    assert all(0.05 <= steered.calibration.factor((d, "m")) <= 20 for d in DEVICES)
    assert all(1 <= (steered.ttl_left(d) or 1) <= 2000 for d in DEVICES)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("set_device_risky", {"device": "d9"}, "no device 'd9'"),
        ("compute_drift", {"device": "d0", "model": "x"}, "does not serve 'x'"),
        ("update_calibration", {"device": "d0", "model": "m", "factor": 1e9}, "factor"),
        ("set_router_params", {"explore_weight_ms": -1, "risk_penalty_ms": 5}, "explore_weight_ms"),
        ("switch_router", {"router": "random"}, "router"),
        ("set_device_risky", {"device": "d0", "why": "because"}, "why"),
    ],
)
def test_what_was_wrong_is_said(name: str, arguments: dict[str, Any], said: str) -> None:
    called = _call(Stage(script()), name, json.dumps(arguments))
    assert called.result is None
    assert said in str(called.error)


def test_a_calibration_moves_predictions_and_what_is_queued() -> None:
    stage = Stage(script())
    request, device = stage.send()
    wait_s = stage.meta.steered.wait_s(device)
    _call(stage, "update_calibration", json.dumps({"device": device, "model": "m", "factor": 3.0}))
    assert stage.meta.steered.wait_s(device) == pytest.approx(3 * wait_s)
    belief = stage.meta.fast_path.view.beliefs[device]
    (pool, column) = belief.places[0]
    assert pool.service_s(column, (1.0, 0.0)) == pytest.approx(6.0)
    stage.end(request, device, 6.0)
    assert pool.service_s(column, (1.0, 0.0)) == pytest.approx(6.0), (
        "what was slow by the factor teaches nothing new"
    )
    _call(stage, "update_calibration", json.dumps({"device": device, "model": "m", "factor": 1.0}))
    assert pool.service_s(column, (1.0, 0.0)) == pytest.approx(2.0)


def test_a_profile_update_fits_recent_results_alone() -> None:
    stage = Stage(script())
    stage.serve(40, slow=dict.fromkeys(DEVICES, 3.0))
    before = stage.meta.fast_path.view.pools["m"].service_s(0, (1.0, 0.0))
    result = _call(
        stage, "trigger_online_profile_update", json.dumps({"window_s": 30, "min_samples": 1})
    ).result
    assert sum(result.fitted.values()) <= 7
    assert before == pytest.approx(6.0, rel=0.2)
    assert set(result.new) == set(result.fitted)


def test_status_and_observations_say_what_the_gateway_knows() -> None:
    stage = Stage(script())
    stage.serve(5, slow={"d0": 2.0})
    stage.send()
    status = _call(stage, "get_system_status", "{}").result
    assert [d.id for d in status.devices] == list(DEVICES)
    assert sum(d.queued for d in status.devices) == 1
    assert status.tasks == 6
    seen = _call(stage, "pull_observations", json.dumps({"window_s": 600, "limit": 3})).result
    assert seen.finished == 5
    assert len(seen.rows) == 3
    assert seen.stutters == sum(d == "d0" for d in stage.sent[:5])
    drift = _call(stage, "compute_drift", json.dumps({"device": "d1", "model": "m", "window_s": 600})).result
    assert drift.ratio == pytest.approx(1.0)
    assert drift.n == stage.sent[:5].count("d1")


def test_what_it_remembers_is_bounded() -> None:
    stage = Stage()
    sizes = []
    for _ in range(3):
        stage.hint("d2", "game")
        stage.rounds(300, slow={"d1": 1.7})
        stage.hint("d2")
        sizes.append(len(pickle.dumps(stage.meta)))
    assert sizes[2] <= 1.1 * sizes[1]
    assert not stage.meta.steered.flights


def test_the_whole_controller_pickles_and_goes_on_the_same() -> None:
    one = Stage()
    one.serve(6)
    one.hint("d0", "game")
    other = Stage()
    other.meta = pickle.loads(pickle.dumps(one.meta))
    other.meta.attach(other._take)
    other.now_s, other._number = one.now_s, one._number
    assert other.meta.fast_path.perf is other.meta.steered.calibration, "one object, not two copies"
    assert one.serve(60) == other.serve(60)
    assert one.meta.steered.ttl_left("d0") == other.meta.steered.ttl_left("d0")


def test_a_copy_tells_nobody_until_somebody_wants_to_be_told() -> None:
    one = Stage()
    copy = pickle.loads(pickle.dumps(one.meta))
    copy.hinted("d1", ("game",), one.now_s)
    assert copy.take_records(), "who is told takes them"
