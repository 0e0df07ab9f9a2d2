"""Where the gateway listens, and how it is told to others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from emulation.files import ConfigError
from serve_apps.testbed import listen_address
from serve_apps.testbed.joined_node import address_towards, is_node_of
from serve_apps.testbed.listen_address import ListenAddress, listen_at, listen_here


@pytest.mark.parametrize(
    ("host", "bound", "told"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("node", "127.0.0.7", "127.0.0.7"),
        ("0.0.0.0", "0.0.0.0", "127.0.0.7"),
        ("localhost", "localhost", "localhost"),
    ],
)
def test_what_is_told_is_an_address_that_leads_there(host: str, bound: str, told: str) -> None:
    found = listen_here(host, 0, "127.0.0.7")
    assert (found.host, found.address) == (bound, told)
    assert found.url == f"http://{told}:{found.port}"


def test_an_ipv6_address_is_bracketed() -> None:
    assert ListenAddress("::1", 8000, "::1", "here").url == "http://[::1]:8000"


def elsewhere(monkeypatch: pytest.MonkeyPatch, listens: ListenAddress) -> None:
    """Have it settled on another machine where to listen."""
    task = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: None))
    answer: Any = SimpleNamespace(remote=lambda _: task, get=lambda *_, **__: (listens, "10.0.0.1"))
    monkeypatch.setattr(listen_address, "ray", answer)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_of_another_machine_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    elsewhere(monkeypatch, ListenAddress(host, 8000, host, "another network"))
    with pytest.raises(ConfigError, match=r"another machine, 10\.0\.0\.1, .*; give --host node"):
        listen_at({"control": 0.001}, host, 8000)


def test_loopback_of_this_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    here = ListenAddress("127.0.0.1", 8000, "127.0.0.1", listen_address.network())
    elsewhere(monkeypatch, here)
    assert listen_at({"control": 0.001}, "127.0.0.1", 8000) == here


def test_an_address_of_another_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there = ListenAddress("10.0.0.1", 8000, "10.0.0.1", "another network")
    elsewhere(monkeypatch, there)
    assert listen_at({"control": 0.001}, "node", 8000) == there


def test_a_machine_is_a_node_of_what_it_carries_and_of_nothing_else() -> None:
    assert is_node_of("127.0.0.1:6379")
    assert not is_node_of("192.0.2.77:6379")
    assert address_towards("127.0.0.1:6379") == "127.0.0.1"
