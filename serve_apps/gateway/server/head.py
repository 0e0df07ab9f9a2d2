"""A request's first part, its request line and headers: read strictly, or refused.

Whatever two servers in a row could understand differently (request smuggling) is refused: line ends other than CRLF,
folded lines, control characters, two ways to say how long the body is. A head whose body comes in chunks is read by h11
too, which then takes the body apart; what h11 forgives is refused here all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import h11

from serve_apps.gateway.http import Headers, HttpError
from serve_apps.gateway.server.hosts import host_of
from serve_apps.gateway.server.settings import HttpSettings

END = b"\r\n\r\n"
FOUL = "a line end that is not CRLF, a folded line or a control character"
_FINE = bytes(byte for byte in range(256) if byte in b"\t\r\n" or (byte >= 0x20 and byte != 0x7F))
"""Bytes that may stand in a head; what else there is would be control characters."""
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])\r\n")
_NAME = re.compile(_TOKEN)
_LENGTH = re.compile(rb"(?im)^content-length:([^\r\n]*)\r$")
_BLANK = b" \t"
_CODING = re.compile(rb"(?im)^transfer-encoding:")
_TARGET = re.compile(
    rb"(?:https?://(?P<authority>[^/?#]+))?(?P<path>/[^?#]*|(?=\?|$))(?:\?(?P<query>[^#]*))?", re.I
)
_ESCAPED = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says before its body."""

    method: str
    path: str
    """Decoded; the parts below are as sent."""
    raw_path: bytes
    query: bytes
    version: str
    host: str
    """As sent, port included; empty where HTTP/1.0 names none."""
    headers: Headers
    """Names in lower case."""
    length: int | None
    """Bytes of the body; None: it comes in chunks."""
    expects: bool
    """The client sends its body only after we asked for it (`100-continue`)."""

    def header(self, name: bytes) -> bytes | None:
        """The first of this name; None if absent."""
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: bytes) -> list[bytes]:
        """Every one of this name, in order."""
        return [value for key, value in self.headers if key == name]


def line_of(raw: bytes | bytearray, name: bytes) -> bytes | None:
    """The first header of this name in what came of a head, right or wrong as it may be; None without a whole line."""
    end = raw.find(END)
    lines = bytes(raw if end < 0 else raw[: end + len(b"\r\n")])
    found = re.search(rb"(?im)^" + name + rb":([^\r\n]*)\r\n", lines)
    return found and found[1].strip(_BLANK)


def look(buffer: bytearray, seen: int, settings: HttpSettings) -> int:
    """Where the head at the start of `buffer` ends; -1 while it is incomplete. `seen` bytes have been looked at before.

    Raises `HttpError` as soon as it is clear that it will be refused.
    """
    end = buffer.find(END, max(0, seen - len(END)))
    head_bytes = len(buffer) if end < 0 else end + len(END)
    if _is_foul(buffer[:head_bytes]):
        raise malformed(FOUL)
    line_end = buffer.find(b"\r\n", 0, settings.header_bytes)
    line_bytes = line_end if line_end >= 0 else len(buffer)
    if line_bytes > settings.target_bytes + len(b"OPTIONS  HTTP/1.1"):
        raise HttpError(414, f"request target longer than {settings.target_bytes} bytes", code="uri_too_long")
    if head_bytes > settings.header_bytes:
        raise _too_large(f"request line and headers larger than {settings.header_bytes} bytes")
    if buffer.count(b"\n", 0, head_bytes) > settings.headers + 2:
        raise _too_large(f"more than {settings.headers} header lines")
    return -1 if end < 0 else head_bytes


def read_head(raw: bytes, settings: HttpSettings) -> Head:
    """The head that `raw` is, all of it and nothing more, which `look` let through. Raises `HttpError`."""
    line = _LINE.match(raw)
    if line is None:
        raise malformed("the request line")
    method, target, *version = line.groups()
    if version not in ([b"1", b"0"], [b"1", b"1"]):
        raise HttpError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here", code="http_version_not_supported")
    if len(target) > settings.target_bytes:
        raise HttpError(414, f"request target longer than {settings.target_bytes} bytes", code="uri_too_long")
    if method == b"CONNECT":
        allow = ((b"allow", b"GET, HEAD, POST"),)
        raise HttpError(405, "CONNECT is not allowed here", code="method_not_allowed", headers=allow)
    old = version[1] == b"0"
    length = _length(raw, old, settings)
    headers = _headers(raw)
    authority, path, query = _split(method, target)
    return Head(
        method=method.decode(),
        path=_decoded(path),
        raw_path=path,
        query=query,
        version=(b".".join(version)).decode(),
        host=_host(headers, authority, old),
        headers=headers,
        length=length,
        expects=_expects(headers),
    )


def _is_foul(part: bytes | bytearray) -> bool:
    """Whether a head that begins like this cannot be one."""
    lines = part.count(b"\n")
    stray = part.count(b"\r") - part.endswith(b"\r") - lines
    folded = b"\n " in part or b"\n\t" in part
    return bool(stray or folded or part.count(b"\r\n") != lines or part.translate(None, _FINE))


def malformed(what: str) -> HttpError:
    """A request that is not HTTP as it should be."""
    return HttpError(400, f"malformed request: {what}", code="malformed_request")


def too_large(settings: HttpSettings) -> HttpError:
    """A body nobody takes."""
    return HttpError(413, f"body larger than {settings.body_bytes} bytes", code="body_too_large")


def _too_large(message: str) -> HttpError:
    return HttpError(431, message, code="headers_too_large")


def chunks_after(raw: bytes, settings: HttpSettings) -> h11.Connection:
    """Who takes the body apart that comes in chunks after this head. Raises `HttpError` if h11 refuses the head."""
    connection = h11.Connection(h11.SERVER, settings.header_bytes)
    connection.receive_data(raw)
    try:
        request = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise malformed(str(error)[:200]) from error
    if not isinstance(request, h11.Request):
        raise malformed("the request line")
    return connection


def _headers(raw: bytes) -> Headers:
    """Names in lower case, values without the blanks around them."""
    found = []
    for line in raw[raw.index(b"\n") + 1 : -len(b"\r\n\r\n")].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(name):
            found.append((name.lower(), value.strip(_BLANK)))
        elif line:
            raise malformed("a header that is not `name: value`")
    return tuple(found)


def _split(method: bytes, target: bytes) -> tuple[bytes | None, bytes, bytes]:
    """Authority (None where the target names none), path and query of a request target."""
    if target == b"*" and method == b"OPTIONS":
        return None, b"*", b""
    found = _TARGET.fullmatch(target)
    if found is None or not (found["authority"] or found["path"]):
        raise malformed("the request target")
    return found["authority"], found["path"] or b"/", found["query"] or b""


def _decoded(path: bytes) -> str:
    if _ESCAPED.search(path):
        raise malformed("a percent sign in the path that encodes nothing")
    try:
        decoded = unquote_to_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise malformed("the path is not UTF-8") from error
    if not decoded.isprintable():
        raise malformed("a control character in the path")
    return decoded


def _host(headers: Headers, authority: bytes | None, old: bool) -> str:
    """Whom the request is for, by the URL in its request line if there is one, else by its Host header."""
    named = [value for name, value in headers if name == b"host"]
    if len(named) > 1 or (not named and not old):
        raise malformed("exactly one Host header is needed")
    given = authority or (named[0] if named else None)
    if given is None:
        return ""
    if authority is not None and named and authority.lower() != named[0].lower():
        raise malformed("the URL and the Host header name different hosts")
    try:
        host = given.decode("ascii")
        host_of(host)
    except ValueError as error:
        raise malformed("the Host header") from error
    return host


def _length(raw: bytes, old: bool, settings: HttpSettings) -> int | None:
    fields = raw.index(b"\n") + 1
    lengths = [said.strip(_BLANK) for said in _LENGTH.findall(raw, fields)]
    if _CODING.search(raw, fields):
        if lengths or old:
            raise malformed("Transfer-Encoding beside Content-Length, or in HTTP/1.0")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit():
        raise malformed("Content-Length")
    if len(lengths[0]) > 18 or int(lengths[0]) > settings.body_bytes:
        raise too_large(settings)
    return int(lengths[0])


def _expects(headers: Headers) -> bool:
    expected = [value.lower() for name, value in headers if name == b"expect"]
    if any(value != b"100-continue" for value in expected):
        raise HttpError(417, "only Expect: 100-continue is understood", code="expectation_failed")
    return bool(expected)
