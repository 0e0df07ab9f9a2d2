"""A source of another package: the same requests everywhere, and one that breaks a law ends the run in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edgebed
from emulation.domain.scenario import Scenario
from emulation.files import ConfigError, load_scenario
from tests.build import faultlab
from tests.build.command_line import edgebed as command
from tests.build.command_line import small
from workloads.generate import Arrivals, generate

HERE = faultlab.HERE


def of(folder: Path, name: str, **fields: Any) -> Scenario:
    source = {"kind": "outside", "source": f"{HERE}:{name}", **fields}
    return load_scenario(small(folder, workload=[source]))


def test_the_same_seed_gives_the_same_requests_with_ids_in_order(tmp_path: Path) -> None:
    scenario = of(tmp_path, "Regular", settings={"every_s": 5})
    one, again, other = (generate(scenario, seed) for seed in (1, 1, 2))
    assert one.items == again.items
    assert one.items != other.items
    assert [request.id for request, _ in one.items] == [f"r{i:06d}" for i in range(16)]
    assert list(Arrivals(scenario, 1)) == list(one.items)
    assert [a.read == a.emitted + sum(a.dropped.values()) for a in one.accounting] == [True]


def test_it_goes_beside_sources_that_are_shipped(tmp_path: Path) -> None:
    both = [
        {"kind": "outside", "source": f"{HERE}:Regular"},
        {"kind": "poisson", "rate_per_s": 1.0, "mix": {"gpt2": 1}},
    ]
    found = generate(load_scenario(small(tmp_path, workload=both)), 0)
    times = [request.arrival_s for request, _ in found.items]
    assert times == sorted(times)
    assert [a.kind for a in found.accounting] == ["outside", "poisson"]


@pytest.mark.parametrize("name", ["Backwards", "TooLate", "Stranger", "Elsewhere", "NoDraft", "Failing"])
def test_one_that_breaks_a_law_is_refused_with_class_and_request(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^request source {HERE}:{name}: (request \\d+|KeyError)"):
        generate(of(tmp_path, name), 0)


def test_numbers_of_numpy_become_python_s_own(tmp_path: Path) -> None:
    own, numpys = (generate(of(tmp_path, name), 3) for name in ("Regular", "Numpy"))
    assert numpys.items == own.items
    fields = [
        getattr(r, f) for r, _ in numpys.items for f in ("arrival_s", "prompts", "prompt_tokens", "model")
    ]
    assert {type(value) for value in fields} == {float, int, str}
    assert {type(limit) for limit in numpys.max_tokens.values()} == {int}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("arrival_s", "3", "arrival_s: input should be a valid number"),
        ("arrival_s", float("nan"), "arrives at nan s, outside the run"),
        ("prompts", 1.5, "prompts: must be a whole number from 1 to 10,000 prompts, not 1.5"),
        ("prompts", True, "prompts: must be a whole number"),
        ("prompts", 0, "prompts: must be a whole number"),
        ("prompts", 10**12, "prompts: must be a whole number"),
        ("prompts", 200, "asks 200 prompts in one request"),
        ("prompt_tokens", 10**7, "prompt_tokens: must be a whole number from 0 to 1,000,000 tokens"),
        ("output_tokens", -1, "output_tokens: must be a whole number"),
        ("max_tokens", 0, "max_tokens: must be a whole number"),
        ("max_tokens", 200_000, "asks a limit of 200000 tokens for an answer, at most 131072"),
        ("tenant", "a b\n", "tenant: must be a tenant's name"),
        ("tenant", 3, "tenant: must be text, not 3"),
        ("model", 3, "model: must be text, not 3"),
        ("origin", None, "origin: must be text, not null"),
    ],
)
def test_a_request_with_an_odd_field_ends_the_run_with_field_and_value(
    field: str, value: object, said: str, tmp_path: Path
) -> None:
    scenario = of(tmp_path, "Odd", settings={"field": field, "value": value})
    with pytest.raises(ConfigError, match=f"^request source {HERE}:Odd: request \\d+ ") as caught:
        generate(scenario, 0)
    assert said in str(caught.value)


def test_more_than_was_said_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gives more than 50 requests; raise most_requests"):
        generate(of(tmp_path, "Endless", most_requests=50), 0)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"source": f"{HERE}:Nobody"}, "has no Nobody; "),
        ({"source": f"{HERE}:Slower"}, "must be a class derived from workloads.outside.RequestSource"),
        ({"source": "no.such.package:X"}, "there is no module no"),
        ({"settings": {"every": 3}}, "settings.every: unknown key 'every'; did you mean 'every_s'"),
        ({"settings": {"every_s": -1}}, "settings.every_s: input should be greater than 0"),
    ],
)
def test_what_is_wrong_with_its_name_or_settings_is_said_before_anything_runs(
    fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    scenario = of(tmp_path, "Regular", **fields)
    with pytest.raises(edgebed.ConfigError) as error:
        edgebed.compare(scenario, "sect", out=tmp_path / "out")
    assert said in str(error.value)
    assert not (tmp_path / "out").exists()


def test_in_a_run_it_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    small(tmp_path, workload=[{"kind": "outside", "source": f"{HERE}:Failing"}])
    said = command(
        "compare", str(tmp_path / "small.yaml"), "--schemes", "sect", "--out", str(tmp_path / "o"), code=1
    )
    assert f"FAILED: request source {HERE}:Failing: KeyError: 'third'" in said.stderr
    assert "Traceback" not in said.stderr
