"""What is secret of a language model's address is refused in a scenario, and stands in no file of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.agents.openai_config import OpenAiConfig
from edgebed.runs.comparison import check, compare_virtual
from edgebed.runs.layout import Layout
from edgebed.wiring.reasoners import with_reasoner
from emulation.domain.mistakes import ConfigError
from emulation.recording import RECORD_FILE
from tests.build.command_line import edgebed, nothing_runs
from tests.build.command_line import small as small_file
from tests.build.hierarchy import Hierarchy, short
from tests.build.small import small_scenario
from tests.build.stand_in_llm import serving

SECRET: dict[str, tuple[dict[str, Any], str]] = {
    "password": (
        {"base_url": "https://user:s3cret@h/v1"},
        "base_url: has a user or password before the host",
    ),
    "user": ({"base_url": "https://s3cret@h/v1"}, "base_url: has a user or password before the host"),
    "without scheme": ({"base_url": "user:s3cret@h/v1"}, "base_url: has a user or password before the host"),
    "query": ({"base_url": "https://h/v1?x=1&api-key=s3cret"}, "base_url: has 'api-key' in its query"),
    "token": ({"base_url": "https://h/v1?token=s3cret"}, "base_url: has 'token' in its query"),
    "body": ({"extra_body": {"api_key": "s3cret"}}, "extra_body: has a field 'api_key'"),
    "deep": ({"extra_body": {"a": [{"Authorization": "s3cret"}]}}, "extra_body: has a field 'Authorization'"),
}
FIX = "give the key by OPENAI_API_KEY"


@pytest.mark.parametrize("what", SECRET)
@pytest.mark.parametrize("of", ["agents", "meta"])
def test_a_key_in_a_scenario_is_refused_whoever_runs(what: str, of: str) -> None:
    openai, said = SECRET[what]
    scenario = small_scenario(controllers={of: {"openai": openai}})
    for scheme in ("sect", "MA", "oracle"):
        with pytest.raises(ConfigError, match=f"controllers.{of}.openai.{said}") as caught:
            check(scenario, [scheme])
        assert FIX in str(caught.value)
        assert "s3cret" not in str(caught.value)


def test_nothing_is_written_of_a_scenario_with_a_key(tmp_path: Path) -> None:
    scenario = small_file(tmp_path, controllers={"agents": {"openai": SECRET["password"][0]}})
    with nothing_runs(tmp_path):
        said = edgebed(
            "compare", str(scenario), "--schemes", "oracle", "--out", str(tmp_path / "out"), code=2
        )
    assert FIX in said.stderr
    assert "s3cret" not in said.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "openai",
    [
        {"base_url": "http://h:8000/v1"},
        {"base_url": "https://h/openai/v1?api-version=2026-01-01"},
        {"base_url": "https://h/accounts/@cf/v1"},
        {"base_url": "agent_llm"},
        {
            "extra_body": {
                "chat_template_kwargs": {"enable_thinking": False},
                "max_tokens": 3,
                "stop_token_ids": [1],
            }
        },
        {"extra_body": {"prompt_cache_key": "mine", "keys": {"a": 1}}},
    ],
)
def test_what_is_no_key_is_taken(openai: dict[str, Any]) -> None:
    config = OpenAiConfig.model_validate(openai)
    assert config.model_dump(exclude_defaults=True) == openai


@pytest.mark.slow
def test_no_file_of_a_run_has_the_key_or_what_is_secret_of_the_environments_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / "runs")
    with serving(Hierarchy()) as server:
        monkeypatch.setenv("EDGEBED_LLM_BASE_URL", server.url.replace("//", "//zq-user:pass-s3cret@"))
        monkeypatch.setenv("EDGEBED_LLM_MODEL", "tiny")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-s3cret-key")
        openai = {"timeout_s": 5.0, "attempts": 1, "backoff_s": 0.0}
        scenario = with_reasoner(short(slots=3, openai=openai), "openai")
        compare_virtual(scenario, ["MA"], [0], layout, quiet=True)
    record = (layout.run_folder("MA", 0) / RECORD_FILE).read_text()
    assert server.url in record
    for file in (f for f in layout.root.rglob("*") if f.is_file()):
        content = file.read_bytes()
        assert b"s3cret" not in content, file
        assert b"zq-user" not in content, file
