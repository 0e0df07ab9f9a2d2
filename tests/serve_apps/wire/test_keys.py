"""Keys reach those who need them by a file of mode 600, and nothing that Ray is told holds one."""

from __future__ import annotations

import asyncio
import pickle
import stat
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from emulation.files import load_testbed
from serve_apps.deciders.sending import LocustSenders
from serve_apps.gateway.server.settings import HttpSettings
from serve_apps.testbed import apps
from serve_apps.wire.keys import Keeper, read_keys, write_keys
from serve_apps.wire.restart import resident
from serve_apps.wire.secret import Keys, Secret

KEYS = {"EDGEBED_API_KEY": "abc-123-of-clients", "EDGEBED_TOKEN": "def-456-of-control"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What an owner with these in its environment writes."""
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    write_keys(tmp_path / "1.2.keys")
    return tmp_path / "1.2.keys"


def test_a_secret_is_never_shown_and_never_pickled() -> None:
    keys = Keys(Secret("abc-123"), Secret("def-456"))
    assert "abc" not in f"{keys} {keys!r}"
    assert "def" not in f"{keys} {keys!r}"
    for module in (pickle, cloudpickle):
        with pytest.raises(TypeError, match="no argument of an actor"):
            module.dumps(keys)


def test_only_the_owner_may_read_the_file(file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_keys(file) == KEYS


def test_an_actor_hands_keys_over_beside_its_own_work(file: Path) -> None:
    class Core:
        def __init__(self, number: int) -> None:
            self.number = number

    actor: Any = resident(Core, Keeper)(file, 7)
    assert (type(actor).__name__, actor.number) == ("Core", 7)
    assert asyncio.run(actor.keys()) == KEYS
    file.unlink()
    with pytest.raises(FileNotFoundError):  # never "no key is asked for"
        asyncio.run(actor.keys())


def test_what_ray_is_told_of_gateway_and_senders_holds_no_key(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[Any] = []

    def target(*args: Any, **options: Any) -> None:
        bound.append((args, options))

    monkeypatch.setattr(apps, "target", target)
    apps.gateway_target("127.0.0.1", 8000, HttpSettings(), 1, {})
    told = cloudpickle.dumps((bound, LocustSenders("http://x", file), load_testbed("demo")))
    assert len(bound) == 1
    for value in KEYS.values():
        assert value.encode() not in told
