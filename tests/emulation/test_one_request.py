"""What a live gateway would refuse of every client is refused when a scenario is loaded, with field, value and fix."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulation.domain.mistakes import ConfigError
from emulation.domain.one_request import MOST_ANSWER_TOKENS, MOST_ANSWERS, MOST_PICTURES
from emulation.files import load_scenario
from tests.build.workloads import BURST, PERIODIC, POISSON, TESTBED, TRACE

TEXT = {**POISSON, "mix": {"gpt2": 1}}
SESSIONS = {"kind": "sessions", "sessions_per_s": 0.1, "mix": {"gpt2": 1}}


def window(tokens: int) -> dict[str, Any]:
    """The testbed, its language model with a context of so many tokens."""
    bed = copy.deepcopy(TESTBED)
    bed["models"][0]["context_tokens"] = tokens
    return bed


def loaded(folder: Path, source: dict[str, Any], testbed: dict[str, Any] | None = None) -> None:
    file = folder / "s.yaml"
    content = {"name": "s", "testbed": testbed or TESTBED, "workload": [source], "slots": 2}
    file.write_text(yaml.safe_dump(content))
    load_scenario(file)


def of(source: dict[str, Any], **lengths: Any) -> dict[str, Any]:
    return {**source, "lengths": {"prompt_tokens": [100], "output_tokens": [10], **lengths}}


TOO_MUCH = [
    ({"kind": "slotted", "models": ["sd"], "k_max": 17}, None, r"\.k_max: 17 prompts in one request of 'sd', at most"),
    ({"kind": "slotted", "models": ["blip"], "k_max": 129}, None, r"\.k_max: 129 prompts .*at most 128; .*lower k_max"),
    ({"kind": "slotted", "k_max": 17}, None, r"\.k_max: 17 prompts in one request of 'sd'"),
    ({**POISSON, "mix": {"sd": 1}, "prompts": [1, 40]}, None, r"\.prompts: 40 prompts .* of 'sd', at most 16"),
    ({**TRACE, "prompts": [200]}, None, r"\.prompts: 200 prompts in one request of 'blip', at most 128"),
    (of(TEXT, max_tokens=131_073), None, r"\.lengths: a limit of 131073 tokens .* at most 131072; .*max_tokens"),
    (of(TEXT, output_tokens=[200_000]), None, r"\.lengths: a limit of 200000 tokens"),
    ({**TRACE, "max_output_tokens": 131_073}, None, r"\.max_output_tokens: a limit of 131073 tokens"),
    (of({**SESSIONS, "context_tokens": 900_000}, max_tokens=131_073), None, r"\.lengths: a limit of 131073 tokens"),
    (TEXT, 1024, r"\.lengths: a prompt of 1024 tokens and a limit of 64, at most 1024 together, the context_tokens"),
    ({**BURST, "mix": {"gpt2": 1}}, 1024, r"\.lengths: a prompt of 1024 tokens"),
    (PERIODIC, 1024, r"\.lengths: a prompt of 1024 tokens"),
    ({"kind": "slotted"}, 1024, r"\.models: a prompt of 1024 tokens .*a source that states lengths"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "tokens", "told"), TOO_MUCH, ids=[told[:40] for *_, told in TOO_MUCH])
def test_what_a_gateway_would_refuse_is_refused_before_anything_runs(
    source: dict[str, Any], tokens: int | None, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"workload\[0\]{told}"):
        loaded(tmp_path, source, None if tokens is None else window(tokens))


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        ({"kind": "slotted", "models": ["sd"], "k_max": MOST_PICTURES}, None),
        ({"kind": "slotted", "models": ["blip", "batch", "gpt2"], "k_max": MOST_ANSWERS}, None),
        ({**POISSON, "mix": {"sd": 0, "blip": 1}, "prompts": [MOST_ANSWERS]}, None),
        (of(TEXT, max_tokens=MOST_ANSWER_TOKENS), None),
        (of(TEXT, max_tokens=924), 1024),
        ({**TRACE, "max_output_tokens": 200_000}, 1024),
        (of({**SESSIONS, "context_tokens": 4096}, max_tokens=200_000), None),
    ],
)
def test_what_it_takes_is_taken(source: dict[str, Any], tokens: int | None, tmp_path: Path) -> None:
    loaded(tmp_path, source, None if tokens is None else window(tokens))
