"""Pictures come from strangers: four formats are read, within bounds, and nothing else is touched."""

from __future__ import annotations

import base64
import struct
import subprocess
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from serve_apps.engines import caption
from serve_apps.engines.caption import read_picture
from serve_apps.wire.ask import BadAsk

pil = pytest.importorskip("PIL.Image")

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
(/tmp/edgebed-was-here) (w) file closefile
showpage
%%EOF
"""


def _uri(raw: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(raw).decode()


def _saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = BytesIO()
    pil.new(mode, (64, 48), 77 if mode in ("L", "P", "I;16") else None).save(out, kind, **options)
    return out.getvalue()


def _animated() -> bytes:
    out = BytesIO()
    first, *others = (pil.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue"))
    first.save(out, "GIF", save_all=True, append_images=others)
    return out.getvalue()


def _png_that_says(width: int, height: int) -> bytes:
    """Of a few bytes, whatever size it claims."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    "raw",
    [
        *(_saved(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")),
        *(_saved("PNG", mode) for mode in ("1", "L", "LA", "P", "RGBA", "I;16")),
        _saved("JPEG", "CMYK"),
        _saved("WEBP", "RGBA", lossless=True),
        _animated(),
    ],
)
def test_a_picture_becomes_red_green_and_blue_whatever_it_was(raw: bytes) -> None:
    assert read_picture(_uri(raw)).mode == "RGB"


@pytest.mark.parametrize(
    "raw", [EPS, b"", b"%PDF-1.4\n", b"<svg/>", *map(_saved, ("BMP", "TIFF", "ICO", "PPM", "PCX", "TGA"))]
)
def test_no_other_format_is_read_and_no_program_started_for_it(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*command: Any, **_: Any) -> None:
        pytest.fail(f"a program was started: {command}")

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(BadAsk, match=r"an image is none of PNG, JPEG, WEBP, GIF$"):
        read_picture(_uri(raw))


@pytest.mark.parametrize("side", [7_000, 20_000, 2**31 - 1])
def test_a_picture_that_unpacks_to_much_is_refused_before_it_is_unpacked(side: int) -> None:
    with pytest.raises(BadAsk, match=r"has more than 40000000 pixels|cannot be read: Image size .* pixels"):
        read_picture(_uri(_png_that_says(side, side)))


def test_a_picture_of_many_bytes_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caption, "MAX_BYTES", 1000)
    with pytest.raises(BadAsk, match="an image is larger than 1000 bytes"):
        read_picture("data:image/png;base64," + "!" * 2000)


def _cut(raw: bytes) -> bytes:
    return raw[: len(raw) * 2 // 3]


def _spoilt(raw: bytes) -> bytes:
    return raw[:60] + bytes(255 - byte for byte in raw[60:])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("broken", [_cut, _spoilt, lambda raw: raw[:20]])
def test_a_broken_picture_is_the_clients_mistake_or_what_is_left_of_it(
    kind: str, broken: Callable[[bytes], bytes]
) -> None:
    said = ""
    try:
        read_picture(_uri(broken(_saved(kind))))
    except BadAsk as error:
        said = str(error)
    assert "0x" not in said, "where something lies in memory is nobody's business"


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/x.png", "file:///etc/passwd", "/etc/passwd", "data:", ""]
)
def test_nothing_is_fetched(uri: str) -> None:
    with pytest.raises(BadAsk, match="is not a data URI; pictures are not fetched"):
        read_picture(uri)
