"""Who may read the page: checked before NiceGUI sees anything, for HTTP and websocket alike.

The rules are the gateway's (`serve_apps/gateway/server/hosts.py`): the `Host` must be ours, the `Origin` our own page.
Where EDGEBED_TOKEN is set, a reader gives it once and gets a cookie that scripts cannot read; elsewhere only this
machine is served.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Sequence
from html import escape
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps.gateway.server.hosts import host_of, is_ours, is_own_page
from serve_apps.wire.secret import Secret

COOKIE = "edgebed_room"
ENTER = "/enter"
MOST_BYTES = 4096
"""Of the form with the token."""
SLOW_S = 0.5
"""Wall seconds that a wrong token takes."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'"
)
"""Nothing is fetched from elsewhere. NiceGUI makes its page of inline scripts and compiles templates in the browser."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
"""The referrer stays at home; with `no-referrer` a browser would send the form with the token as from origin `null`."""
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>edgebed: token</title>
<meta name="viewport" content="width=device-width"><style>:root{{color-scheme:light dark;font-family:sans-serif}}
body{{max-width:26rem;margin:20vh auto;padding:0 1rem}}input,button{{font:inherit;padding:.4rem;width:100%;
box-sizing:border-box;margin:.3rem 0}}</style><main><h1>Control room</h1><p role="status">{said}</p>
<form method="post" action="{enter}"><label>Token (EDGEBED_TOKEN of the machine that serves this page)
<input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Enter</button></form></main></html>"""


class Guard:
    """An ASGI application in front of another one."""

    def __init__(
        self, app: ASGIApp, bound: str, token: Secret | None, allow_hosts: Sequence[str] = ()
    ) -> None:
        """`bound`: the address or name we listen on; `token`: None asks nobody, which is for loopback only."""
        self.app = app
        self._bound, self._token, self._allowed = bound, token, tuple(allow_hosts)
        self._slow = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = _headers(scope)
        refusal = self._stranger(headers)
        if refusal is not None:
            return await _refuse(scope, send, *refusal)
        if self._token is not None and scope["type"] == "http" and scope["path"] == ENTER:
            return await self._enter(self._token, scope, receive, send)
        if self._token is not None and not self._known(self._token, headers):
            page = _FORM.format(said="This page asks for a token.", enter=ENTER)
            return await _refuse(scope, send, 401, page)
        await self.app(scope, receive, _with_headers(send))

    def _stranger(self, headers: dict[str, str]) -> tuple[int, str] | None:
        """Status and words for whoever means another server, or comes from another's page."""
        host, origin = headers.get("host", ""), headers.get("origin")
        try:
            ours = is_ours(host_of(host), self._bound, self._allowed)
        except ValueError:
            ours = False
        if not ours:
            return 421, f"This page is not {escape(host[:80])}; `edgebed ui --allow-host` adds a name."
        if origin is not None and not is_own_page(origin, host):
            return 403, f"Pages of {escape(origin[:80])} may not call this."
        return None

    def _known(self, token: Secret, headers: dict[str, str]) -> bool:
        if _same(headers.get("authorization", ""), f"Bearer {token.value}"):
            return True
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and _same(morsel.value, _pass(token))

    async def _enter(self, token: Secret, scope: Scope, receive: Receive, send: Send) -> None:
        given = parse_qs(await _body(receive)).get("token", [""])[0] if scope["method"] == "POST" else ""
        if not _same(given, token.value):
            async with self._slow:
                await asyncio.sleep(SLOW_S if given else 0)
            return await _refuse(scope, send, 401, _FORM.format(said="That is not the token.", enter=ENTER))
        cookie = f"{COOKIE}={_pass(token)}; HttpOnly; SameSite=Strict; Path=/"
        await _answer(send, 303, "", ((b"location", b"/"), (b"set-cookie", cookie.encode())))


def _pass(token: Secret) -> str:
    """What a reader who knew the token shows from then on: it does not tell the token."""
    return hmac.new(token.value.encode(), b"edgebed control room", hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _headers(scope: Scope) -> dict[str, str]:
    """Header to value; of several cookies all, of any other header that stands twice the last."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}; {text}" if name == "cookie" and name in found else text
    return found


async def _body(receive: Receive) -> str:
    body = b""
    while len(body) <= MOST_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return body[:MOST_BYTES].decode(errors="replace")


async def _refuse(scope: Scope, send: Send, status: int, page: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before it is accepted: 403
    else:
        await _answer(send, status, page)


async def _answer(send: Send, status: int, page: str, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    kind = (b"content-type", b"text/html; charset=utf-8")
    headers = [kind, (b"cache-control", b"no-store"), *HEADERS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": page.encode()})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return sending
