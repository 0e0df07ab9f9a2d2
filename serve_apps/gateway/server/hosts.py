"""Whether a request is meant for this gateway: the host it names, and the web page it comes from.

A page of a stranger whose name suddenly points to 127.0.0.1 (DNS rebinding) reaches the gateway from the user's own
browser; its `Host` still is the stranger's. An address cannot be rebound: whoever calls by address means us.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers as PageHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from serve_apps.gateway.http import JSON, Headers, HttpError
from serve_apps.gateway.server.settings import HttpSettings

EXPOSED = (
    b"x-request-id",
    b"traceparent",
    b"retry-after",
    *(
        f"x-ratelimit-{name}-{what}".encode()
        for name in ("limit", "remaining", "reset")
        for what in ("requests", "tokens")
    ),
)
"""Headers of our own that pages of allowed origins may read."""


class Guard:
    """Refuses what is meant for somebody else, or comes from somebody else's web page."""

    def __init__(self, bound: str, settings: HttpSettings) -> None:
        """`bound`: the address or name we listen on."""
        self._bound = bound
        self._settings = settings

    def check(self, host: str, origin: str | None, path: str) -> None:
        """`host` and `origin` as their headers say; HTTP/1.0 may name no host. Raises `HttpError` 421 or 403."""
        if host and not is_ours(host_of(host), self._bound, self._settings.allow_hosts):
            message = f"this gateway is not {host[:80]!r}; `edgebed up --allow-host` adds a name"
            raise HttpError(421, message, "permission_error", code="wrong_host")
        if origin is None or is_own_page(origin, host):
            return
        allowed = self._settings.allow_origins
        if path.startswith("/control") or not ("*" in allowed or origin in allowed):
            message = (
                f"pages of {origin[:80]!r} may not call this; `edgebed up --allow-origin` lets them call /v1"
            )
            raise HttpError(403, message, "permission_error", code="wrong_origin")

    def readable_by(self, origin: bytes | None) -> Headers:
        """Headers that let a page of this origin read an answer, if its calls are allowed."""
        allowed = self._settings.allow_origins
        if origin is None or not ("*" in allowed or origin.decode("latin-1") in allowed):
            return ()
        exposed = (b"access-control-expose-headers", b", ".join(EXPOSED))
        allowed_origin = b"*" if "*" in allowed else origin
        return ((b"access-control-allow-origin", allowed_origin), exposed, (b"vary", b"Origin"))


class Pages(CORSMiddleware):
    """What browsers ask before a page may call us; refused in the shape of all errors."""

    def preflight_response(self, request_headers: PageHeaders) -> Response:
        """Whether the page may send what it wants to send."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        error = HttpError(400, bytes(response.body).decode(), "permission_error", code="wrong_preflight")
        around = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
        return Response(orjson.dumps(error.body()), 400, around, media_type=JSON.decode())


@lru_cache(64)
def host_of(authority: str) -> str:
    """The host of `host[:port]`, lower-case, without brackets or a last dot. Raises `ValueError` if it is malformed."""
    found = urlsplit(f"//{authority}")
    found.port  # noqa: B018  raises on a port that is none
    if "@" in authority or "/" in authority or not found.hostname:
        raise ValueError("not of the form host[:port]")
    return found.hostname.rstrip(".")


def is_ours(host: str, bound: str, allowed: Sequence[str]) -> bool:
    """Whether clients may call us `host`: loopback, an address, what we listen on, or a name that is allowed."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        names = ("localhost", bound.lower(), *(name.lower() for name in allowed))
        return any(_matches(host, name) for name in names)
    return True


def is_own_page(origin: str, host: str) -> bool:
    """Whether a page of this origin was served under this `Host`: the gateway's own."""
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _matches(host: str, name: str) -> bool:
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))
