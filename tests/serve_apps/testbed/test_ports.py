"""A port that is chosen for a gateway is still free when it is opened, half a minute later."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from emulation.files import ConfigError
from serve_apps.testbed import ports
from serve_apps.testbed.ports import checked_port


def test_a_free_port_is_none_that_the_system_gives_to_others_meanwhile() -> None:
    lowest_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = {checked_port("127.0.0.1", 0) for _ in range(20)}
    assert all(1024 < port < lowest_given for port in found)
    assert len(found) > 10, "two testbeds that start together choose different ones"


@pytest.mark.parametrize("range_", ["1024 60999", "nonsense"])
def test_where_the_system_gives_all_ports_away_any_free_one_will_do(
    range_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "range"
    file.write_text(range_)
    monkeypatch.setattr(ports, "_GIVEN_AWAY", file)
    assert checked_port("127.0.0.1", 0) > 0


def test_a_host_that_nobody_knows_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was once for each port that was tried: a minute and more where the name server is slow."""
    asked: list[object] = []

    def unknown(host: object, *_: object) -> list[object]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigError, match="--host 'nonsense': cannot be resolved"):
        checked_port("nonsense", 0)
    assert asked == ["nonsense"]
