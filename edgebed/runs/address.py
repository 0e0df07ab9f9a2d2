"""Addresses of servers, as users write them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from emulation.domain.mistakes import ConfigError


def checked_url(url: str) -> str:
    """A base URL without `/v1`. Raises `ConfigError` for what is no HTTP URL."""
    parts = urlsplit(url.strip())
    try:
        known = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # a port that is no number
        known = False
    if not known or parts.query or parts.fragment:
        raise ConfigError(
            f"--url {url!r}: is not the address of a server; write for example http://127.0.0.1:8000"
        )
    return url.strip().rstrip("/").removesuffix("/v1")


def is_loopback(host: str) -> bool:
    """Whether nobody from another machine can call there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
