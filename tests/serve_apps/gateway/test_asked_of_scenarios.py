"""What scenarios ask for in virtual time a live gateway takes: every request of all that are packaged."""

from __future__ import annotations

import pytest

from emulation.domain.cluster import ModelSpec
from emulation.domain.one_request import MOST_ANSWER_TOKENS, MOST_ANSWERS, MOST_PICTURES, too_much
from emulation.domain.request import Request
from emulation.files import list_scenarios, load_scenario
from serve_apps.gateway.admission import _check_length, _check_modality
from serve_apps.gateway.openapi import FORMS
from serve_apps.wire.ask import Ask, BadAsk
from tests.build.fakes import request
from workloads.client import build_call
from workloads.generate import generate

BODIES = {form.path: form.body for form in FORMS}
IMAGE = ModelSpec(id="m", modality="image")
CAPTION = ModelSpec(id="m", modality="caption")
BATCH = ModelSpec(id="m", modality="text")
TEXT = ModelSpec(id="m", modality="text", features="tokens", context_tokens=1_000_000)


def taken(asked: Request, model: ModelSpec, max_tokens: int | None) -> Ask:
    """What the gateway understands of the call that is made of a request. Raises `ValueError` where it refuses it."""
    call = build_call(asked, model, max_tokens)
    ask: Ask = BODIES[call.path].model_validate_json(call.body).ask()
    _check_modality(ask, model.modality, call.path)
    _check_length(ask, model)
    return ask


@pytest.mark.slow
@pytest.mark.parametrize("name", list_scenarios())
def test_every_request_of_a_packaged_scenario_is_taken(name: str) -> None:
    scenario = load_scenario(name)
    workload = generate(scenario, 0)
    limits = workload.max_tokens
    forms = {(r.model, r.prompts, r.prompt_tokens, limits.get(r.id)): r for r, _ in workload.items}
    assert forms
    for asked in forms.values():
        ask = taken(asked, scenario.testbed.model(asked.model), limits.get(asked.id))
        assert ask.prompts == asked.prompts
        assert asked.id not in limits or ask.max_tokens == limits[asked.id]


@pytest.mark.parametrize(
    ("model", "prompts", "max_tokens"),
    [
        (IMAGE, MOST_PICTURES, None), (CAPTION, MOST_ANSWERS, None), (BATCH, MOST_ANSWERS, None),
        (TEXT, 1, MOST_ANSWER_TOKENS), (TEXT.model_copy(update={"context_tokens": 40}), 1, 30),
    ],
    ids=["image", "caption", "batch", "text", "window"],
)  # fmt: skip
def test_where_scenarios_end_gateways_end(model: ModelSpec, prompts: int, max_tokens: int | None) -> None:
    more = (prompts + 1, None) if max_tokens is None else (1, max_tokens + 1)
    asked = request(0, 0.0, prompts=prompts, prompt_tokens=10)
    assert taken(asked, model, max_tokens).prompts == prompts
    assert too_much(model, prompts, 10, max_tokens) == ""
    with pytest.raises((ValueError, BadAsk)):
        taken(request(0, 0.0, prompts=more[0], prompt_tokens=10), model, more[1])
    assert too_much(model, more[0], 10, more[1])
