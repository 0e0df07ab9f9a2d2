"""The limit: the gateway's own HTTP server with nothing behind it. `python -m benchmarks._echo FOLDER`

Same server and settings, same router, same event loop. It reads each body and answers what FOLDER holds for its path,
in the same pieces; nothing is parsed, decided or called. Prints its port, and ends with its input.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

from ray._private.async_compat import try_install_uvloop
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from serve_apps.gateway.server.books import Books
from serve_apps.gateway.server.listener import listen, open_socket
from serve_apps.gateway.server.settings import HttpSettings

LOOPBACK = "127.0.0.1"


class Answers:
    """ASGI application of one path: the same answer to everything."""

    def __init__(self, pieces: list[bytes], streamed: bool) -> None:
        self._pieces, self._kind = pieces, b"text/event-stream" if streamed else b"application/json"
        self._headers = [(b"content-type", self._kind)]
        if not streamed:
            self._headers.append((b"content-length", b"%d" % sum(map(len, pieces))))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, answer."""
        while (await receive()).get("more_body", False):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": list(self._headers)})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _serve(folder: Path) -> None:
    answers: dict[str, tuple[list[bytes], bool]] = pickle.loads((folder / "answers").read_bytes())
    routes = [Route(f"/{name}", Answers(*answer)) for name, answer in answers.items()]
    settings, sock = HttpSettings(), open_socket(LOOPBACK, 0)
    app = Router(routes, redirect_slashes=False)
    serving = asyncio.ensure_future(listen(app, sock, LOOPBACK, settings, Books(settings)))
    print(sock.getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()


if __name__ == "__main__":
    try_install_uvloop()  # type: ignore[no-untyped-call]
    asyncio.run(_serve(Path(sys.argv[1])))
