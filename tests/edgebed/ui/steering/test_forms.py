"""Forms are made from the types of events: each can be filled to a valid event, and says what is wrong before it is."""

from __future__ import annotations

import pytest

from edgebed.ui.steering.forms import KINDS, event_of, forms, mistake_in, models_of
from emulation.domain.cluster import TestbedConfig
from tests.build.fakes import device_testbed, pod_testbed

PODS = pod_testbed()
FILLED = {
    "node": "n", "model": "a", "a": "x", "b": "x", "factor": "3", "factors": "2", "ramp_s": "10", "extra_s": "0.5",
    "rate": "0.5", "to": "MA",
}  # fmt: skip


def filled(kind: str, testbed: TestbedConfig = PODS, **values: str | bool) -> dict[str, object]:
    form = forms(testbed)[kind]
    sites = [n.site for n in testbed.nodes]
    given = {f.name: FILLED.get(f.name, f.default) for f in form.fields if f.required}
    given |= {name: sites[0] for name in ("a", "b") if name in given}
    return event_of(form, {**given, **values})


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_with_its_required_fields_filled_is_a_valid_event_and_without_one_it_is_not(kind: str) -> None:
    form = forms(PODS)[kind]
    assert form.said.endswith(".")
    assert mistake_in(filled(kind), "60", PODS) == ""
    assert mistake_in(filled(kind), "inf", PODS) == ""
    for field in form.fields:
        if field.required:
            without = {k: v for k, v in filled(kind).items() if k != field.name}
            assert "is missing" in mistake_in(without, "60", PODS), field


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_has_every_field_of_its_event_but_its_times(kind: str) -> None:
    names = {field.name for field in forms(PODS)[kind].fields}
    assert names == set(KINDS[kind].model_fields) - {"kind", "at_s", "until_s"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_that_is_offered_is_allowed(kind: str) -> None:
    for field in forms(PODS)[kind].fields:
        for option in field.options:
            node = next(n.id for n in PODS.nodes if field.name != "model" or option in models_of(PODS, n.id))
            values = {"node": node} if "node" in KINDS[kind].model_fields else {}
            assert mistake_in(filled(kind, **{**values, field.name: option}), "60", PODS) == "", (
                field,
                option,
            )


def test_what_is_wrong_is_said_as_the_command_line_says_it() -> None:
    assert "slowdown.factor: must be a number from 0.001" in mistake_in(
        filled("slowdown", factor="x"), "60", PODS
    )
    assert "how long: must be a number" in mistake_in(filled("slowdown"), "soon", PODS)
    assert "unknown node 'm'" in mistake_in(filled("leave", node="m"), "60", PODS)
    assert "a law of one coefficient" in mistake_in(filled("drift", factors="2, 3"), "60", PODS)
    devices = device_testbed()
    crash = {"node": devices.nodes[0].id, "model": devices.models[0].id}
    assert "needs a node with pods" in mistake_in(filled("replica_crash", devices, **crash), "60", devices)


def test_a_field_says_its_unit_and_what_it_may_be() -> None:
    factor = next(f for f in forms(PODS)["slowdown"].fields if f.name == "factor")
    assert (factor.unit, factor.bounds) == ("times slower", "0.001 to 10,000 times slower")
    assert models_of(PODS, "n") == tuple(PODS.hosted("n"))
