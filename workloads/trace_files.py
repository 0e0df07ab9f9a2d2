"""Trace files as lines: packaged ones by name, CSV or JSON lines, gzip or plain, never whole in memory."""

from __future__ import annotations

import csv
import gzip
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple, TextIO

from emulation.domain.mistakes import Mistake
from emulation.domain.trace_source import TraceFormat
from emulation.files import is_file
from emulation.yaml_text import not_utf8

DATA = Path(__file__).parent / "data"
MOST_LINE = 1_000_000
"""Characters of one row: what is longer is no row of a trace."""


class Packaged(NamedTuple):
    """A trace that comes with the program."""

    file: Path
    format: TraceFormat


PACKAGED = {
    "azure-conv": Packaged(DATA / "azure_llm_2023_conv_busy7800.csv", "azure"),
    "azure-code": Packaged(DATA / "azure_llm_2023_code_busy8000.csv", "azure"),
    "burstgpt": Packaged(DATA / "burstgpt_1_first400.csv", "burstgpt"),
    "mooncake": Packaged(DATA / "mooncake_conversation_first131.jsonl", "mooncake"),
}


class TraceError(Mistake, ValueError):
    """A trace file or row that cannot be read; the message names file, line, value and fix."""


def trace_path(name_or_path: str) -> Path:
    """File of a packaged trace or of a path. Raises `TraceError` if there is none."""
    packaged = PACKAGED.get(name_or_path)
    path = Path(name_or_path) if packaged is None else packaged.file
    if not is_file(path):
        known = ", ".join(PACKAGED)
        raise TraceError(f"no trace {name_or_path!r}; packaged: {known}; or give the path of a file")
    return path


def told_by_content(named: str) -> str:
    """A trace as digests count it: a file by its name and the digest of its content, which may be of any size; one that
    is packaged, or no more, as it is named."""
    path = Path(named)
    try:
        found = path.stat()
        return f"{path.name} (sha256 {_content(path, found.st_mtime_ns, found.st_size)[:16]})"
    except OSError:
        return named


@cache
def _content(path: Path, _changed_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number, from 1, and cells of every line, the header's first. Raises `TraceError` if the file cannot be read."""
    line = 0
    with _told(path) as at:
        try:
            with _open(path) as file:
                lines = _Lines(path, file)
                reader = csv.reader(lines, strict=True)
                for cells in reader:
                    line = at.line = reader.line_num
                    lines.left = MOST_LINE
                    yield line, cells
        except csv.Error as error:
            raise TraceError(f"{path}: line {line + 1}: {error}; correct or remove the row") from None


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of every line, without its end. Raises `TraceError` if the file cannot be read."""
    with _told(path) as at, _open(path) as file:
        lines = _Lines(path, file)
        for text in lines:
            at.line, lines.left = lines.number, MOST_LINE
            yield at.line, text.strip()


class _Lines:
    """Lines of a file with their ends, none held that is too long. Raises `TraceError` for the first that is."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file
        self.number = 0
        self.left = MOST_LINE
        """Characters that the row may still have, which may be of several lines."""

    def __iter__(self) -> Iterator[str]:
        while text := self._file.readline(self.left + 1):
            self.number += 1
            if len(text) > self.left:
                raise TraceError(
                    f"{self._path}: line {self.number}: is longer than {MOST_LINE} characters, which no row is;"
                    " correct or remove it"
                )
            self.left -= len(text)
            yield text


class _At:
    """How far a file was read."""

    line = 0


@contextmanager
def _told(path: Path) -> Iterator[_At]:
    """What can be wrong with a file as a whole, in one line."""
    at = _At()
    try:
        yield at
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: line {_not_text(path)}: {not_utf8(error)}") from None
    except gzip.BadGzipFile:
        raise TraceError(
            f"{path}: is not compressed by gzip, as its name says; compress or rename it"
        ) from None
    except (EOFError, zlib.error):
        raise TraceError(
            f"{path}: after line {at.line}: its compressed data is cut or damaged; copy it again"
        ) from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", newline="", encoding="utf-8-sig")
    return path.open(newline="", encoding="utf-8-sig")


def _not_text(path: Path) -> int:
    """The first line that is not UTF-8."""
    decoder, line = getincrementaldecoder("utf-8")(), 1
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while piece := file.readline(MOST_LINE):
            try:
                decoder.decode(piece)
            except UnicodeDecodeError:
                break
            line += piece.endswith(b"\n")
    return line
