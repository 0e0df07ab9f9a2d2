"""Limits of the gateway's HTTP server."""

from __future__ import annotations

from docs.generate.fields import model_section
from serve_apps.gateway.server.settings import HttpSettings


def page() -> str:
    """Limits of the gateway's HTTP server."""
    return (
        "# Settings of the gateway's HTTP server\n\nYAML for `edgebed up --http FILE`; unknown keys are errors. "
        "Without a file the defaults hold.\nWhat is refused, and how it is answered: [HTTP API](http.md).\n\n"
    ) + model_section(HttpSettings, "Keys")
