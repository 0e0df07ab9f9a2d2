"""`edgebed ui`: the control room of a run, a comparison or a testbed that stands, in a browser."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from edgebed.commands.console import out
from edgebed.commands.options import QuietOption
from emulation.domain.mistakes import ConfigError


def ui(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A folder that compare, simulate, demo or up wrote or writes, or one run in it. By "
            "default that of the testbed that stands, else the newest below `runs`.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="Address that the page is served on. On any but a loopback address readers need the token in "
            "EDGEBED_TOKEN; where that is set, they do on loopback too.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0 takes any free one.")
    ] = 8080,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Where the testbed answers whose runs these are, if they go on. By default known of one that "
            "`edgebed up` left.",
        ),
    ] = None,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in this machine's browser.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="NAME",
            help="Another name by which browsers may call it, *.lan for all names below lan; repeatable.",
        ),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Watch runs in a browser: live or recorded, with every decision, fault and figure at any moment."""
    from edgebed.commands.standing import http_settings
    from edgebed.runs.address import checked_url, is_loopback
    from edgebed.ui.page.folder import runs_of
    from edgebed.ui.page.run_catalog import CachedRuns
    from serve_apps.wire.secret import Secret

    token = Secret.of("EDGEBED_TOKEN")
    names = http_settings(None, allow_host or [], []).allow_hosts
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"--host {host!r}: is reached from other machines; set EDGEBED_TOKEN to what readers must know, or "
            "leave it out"
        )
    runs = CachedRuns(runs_of(folder, None if url is None else checked_url(url)))
    listening = _listening(host, port)
    runs.prepare()  # beside the page's own libraries, which take a while to load
    from edgebed.ui.page.app import serve

    shown = f"[{host}]" if ":" in host else host
    page = f"http://{shown}:{listening.getsockname()[1]}/"

    def ready() -> None:
        out.print(f"control room: {page}", soft_wrap=True)
        out.file.flush()
        if open_page:
            webbrowser.open(page)

    serve(runs, listening, host, token, names, ready)


def _listening(host: str, port: int) -> socket.socket:
    from serve_apps.testbed.ports import checked_port

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, checked_port(host, port)), family=family)
