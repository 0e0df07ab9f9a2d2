"""Injecting by hand into a testbed that stays: what its gateway says is what the user reads."""

from __future__ import annotations

import pytest

from edgebed.runs.testbed_client import inject
from emulation.domain.mistakes import ConfigError
from serve_apps.wire.secret import Keys, Secret
from tests.build.asgi import MadeUpCalls
from tests.build.http_server import Server

EVENT = {"kind": "leave", "node": "d0"}


class Actors(MadeUpCalls):
    """They say the time, and number events."""

    async def call(self, name: str, method: str, *args: object, limit_s: float = 1.0) -> object:
        self.called.append((name, method, *args))
        return {"t_s": 12.0} if method == "progress" else 7


def test_an_event_begins_now_and_has_a_number() -> None:
    actors = Actors()
    with Server(calls=actors) as server:
        assert inject(f"http://127.0.0.1:{server.port}", dict(EVENT), 30.0) == 7
    event = actors.called[-1][2]
    assert (event.at_s, event.until_s) == (12.0, 42.0)


def test_a_refusal_is_told_in_the_gateway_s_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBED_TOKEN", "wrong")
    with (
        Server(keys=Keys(control=Secret("right")), calls=Actors()) as server,
        pytest.raises(ConfigError, match=r"401.*needs the token of EDGEBED_TOKEN"),
    ):
        inject(f"http://127.0.0.1:{server.port}", dict(EVENT), 30.0)


def test_a_port_nobody_answers_on_is_said() -> None:
    with pytest.raises(ConfigError, match="no testbed answers"):
        inject("http://127.0.0.1:9", dict(EVENT), 30.0)
