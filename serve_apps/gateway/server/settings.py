"""Every limit of the gateway's HTTP server, and the names and web pages it answers."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from emulation.domain.strict import Strict

MIB = 2**20
MOST = 1024 * MIB
Name = Annotated[str, Field(pattern=r"^(\*|(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.\-]{0,251}[A-Za-z0-9_])?)$")]
"""A host name without a port, `*.example.org` for all below it, or `*` for any."""
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+|[a-z][a-z0-9+.\-]*://[^/\s]+)$")]
"""`scheme://host[:port]` as browsers send it, or `*` for any."""


class HttpSettings(Strict):
    """How the gateway's HTTP server treats its clients. Sizes in bytes, times in wall seconds."""

    allow_hosts: tuple[Name, ...] = ()
    """Names clients may call the gateway by, beside those of loopback, `--host` and any bare IP address (else 421)."""
    allow_origins: tuple[Origin, ...] = ()
    """Web pages of other origins that may call `/v1` (CORS); without them such calls are refused (403)."""
    target_bytes: int = Field(default=8192, ge=256, le=MOST)
    """Longest request target, path and query (else 414)."""
    header_bytes: int = Field(default=32 * 1024, ge=256, le=MOST)
    """Most bytes of a request line and its headers together (else 431)."""
    headers: int = Field(default=100, ge=8, le=10_000)
    """Most header lines of a request (else 431)."""
    body_bytes: int = Field(default=32 * MIB, ge=256, le=MOST)
    """Largest body (else 413)."""
    bodies_bytes: int = Field(default=128 * MIB, ge=256, le=MOST)
    """Most bytes of all bodies in the gateway together, those of small requests apart (else 503)."""
    small_body_bytes: int = Field(default=64 * 1024, ge=0, le=MIB)
    """A body up to this size is always taken."""
    chunks: int = Field(default=16_384, ge=16, le=1_000_000)
    """Most chunks of a body in chunked encoding (else 413)."""
    values: int = Field(default=500_000, ge=1000, le=10_000_000)
    """Most values in the JSON of a body, each object counted as eight (else 413)."""
    connections: int = Field(default=1024, ge=1, le=100_000)
    """Most connections at once. Beyond, those silent for longest make room, else a new one gets 503."""
    header_s: float = Field(default=10.0, gt=0, le=3600)
    """Time to send a request line and its headers (else 408)."""
    body_s: float = Field(default=60.0, gt=0, le=3600)
    """Time to send a body (else 408)."""
    quiet_s: float = Field(default=10.0, gt=0, le=3600)
    """Longest silence within a body (else 408)."""
    keep_alive_s: float = Field(default=75.0, gt=0, le=3600)
    """How long a connection stays open between requests."""
    late_s: float = Field(default=5.0, gt=0, le=3600)
    """How late the event loop may be. While it is later, what is asked anew under `/v1` gets 503 at once, so that the
    gateway has the time to answer what it has taken."""
    stall_s: float = Field(default=30.0, gt=0, le=3600)
    """How long a client may leave its answer unread; then its connection is cut."""
    key_requests: int | None = Field(default=None, ge=1, le=10_000_000)
    """Most requests a minute of one caller (else 429): the bearer of a key, or an address where no key is asked for."""
    key_tokens: int | None = Field(default=None, ge=1, le=10_000_000_000)
    """Most tokens a minute of one caller (else 429): those of its prompts, and what it allows its answers.
    An answer that it allows no number counts as what a real model stops at by itself: 256, a caption 20, by default; an
    emulated one may be longer."""
    key_concurrent: int | None = Field(default=None, ge=1, le=100_000)
    """Most requests of one caller at once (else 429)."""
    linger_s: float = Field(default=3.0, gt=0, le=3600)
    """How long the rest of a refused request is read and thrown away, so that the client sees its answer."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.bodies_bytes < self.body_bytes:
            raise ValueError(
                f"bodies_bytes {self.bodies_bytes} is below body_bytes {self.body_bytes}: no such body would be taken"
            )
        if self.header_bytes < self.target_bytes:
            raise ValueError(
                f"header_bytes {self.header_bytes} is below target_bytes {self.target_bytes}: give it more"
            )
        return self
