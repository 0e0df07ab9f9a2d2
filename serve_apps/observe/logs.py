"""What a process logs: one JSON object a line, in one file per actor, in the log folder of the run.

A line has `time` (UTC), `level`, `actor`, `node` where the actor belongs to one, `pid`, `message`, and `request_id`
where it is about one request. What nobody caught is a line too, its traceback in `trace`. No line has what a client
said to a model (`extra={"private": True}` leaves out an exception's words, which may quote it), and keys and tokens of
the environment are blotted out. A file is put aside when it is full, and few are kept.

Which folder it is stands in `EDGEBED_LOGS`: set where a testbed is started, inherited by every process of it. Without
it nothing is written here, and logging is what it would be.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from pydantic import ValidationError

from serve_apps.observe.samples import Sample

FOLDER = "EDGEBED_LOGS"
"""Environment variable that names the folder."""
FILE_BYTES = 8 * 2**20
"""A file that would become larger is put aside; `KEPT_FILES` of those are kept beside the present one."""
KEPT_FILES = 3
LONGEST = 2000
"""Characters of a message; the rest is cut off."""
_SECRET = re.compile(r"(_KEY|_TOKEN|_SECRET|_PASSWORD)$")
_SHORTEST_SECRET = 6
_LEVELS = ("debug", "info", "warning", "error", "critical")
log = logging.getLogger("edgebed")


class JsonLines(logging.Formatter):
    """A log record as a line of JSON."""

    def __init__(self, actor: str, node: str = "", environment: Mapping[str, str] | None = None) -> None:
        """`environment`: whose keys and tokens are never written; by default that of this process."""
        super().__init__()
        self._about = {"actor": actor, **({"node": node} if node else {}), "pid": os.getpid()}
        known = os.environ if environment is None else environment
        self._secrets: list[str] = []
        self.hide(v for k, v in known.items() if _SECRET.search(k))

    def hide(self, secrets: Iterable[str]) -> None:
        """Never write these either; what is too short to be a secret is no such."""
        found = {*self._secrets, *(s for s in secrets if len(s) >= _SHORTEST_SECRET)}
        self._secrets = sorted(found, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": when, "level": record.levelname.lower(), **self._about}
        if (request_id := getattr(record, "request_id", None)) is not None:
            line["request_id"] = str(request_id)
        message = record.getMessage()
        if record.name == "asyncio":  # below its first line a task is shown, with the words of its exception
            message = message.partition("\n")[0]
        line["message"] = self._clean(message)[:LONGEST]
        if record.exc_info is not None and record.exc_info[1] is not None:
            said = said_of(record.exc_info[1])
            if getattr(record, "private", False):
                del said["said"]
            line |= {name: self._clean(text) for name, text in said.items()}
        return orjson.dumps(line, option=orjson.OPT_NON_STR_KEYS).decode(errors="replace")

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text.encode(errors="replace").decode()


def said_of(error: BaseException) -> dict[str, str]:
    """An exception as fields of a line: what it is, its words, where it came from.

    Of a value that was found wrong its place and the rule are told, never the value: it may be a client's.
    """
    words = str(error)
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False, include_context=False)
        words = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in found)
    frames = traceback.extract_tb(error.__traceback__)
    trace = "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-20:])
    return {"error": type(error).__name__, "said": words[:LONGEST], "trace": trace}


class LogFile(RotatingFileHandler):
    """The file of one actor. What cannot be written is lost, and counted; nobody fails for it."""

    def __init__(self, folder: Path, actor: str, node: str = "") -> None:
        """Raises `OSError` if the file cannot be opened."""
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(
            file_of(folder, actor), maxBytes=FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        )
        self.form = JsonLines(actor, node)
        self.setFormatter(self.form)
        self.lines: Counter[str] = Counter()
        """Level to lines; `lost`: those that could not be written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        self.lines[record.levelname.lower()] += 1
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """A line that could not be written."""
        self.lines["lost"] += 1


def file_of(folder: Path, actor: str) -> Path:
    """The file of an actor's lines."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '-', actor)}.jsonl"


_present: LogFile | None = None
"""What this process writes to."""
_hooks_before: tuple[Any, Any] = (sys.__excepthook__, threading.__excepthook__)
"""Who heard of what nobody caught."""


def write_logs(actor: str, node: str = "") -> LogFile | None:
    """From now on write what this process logs, and what nobody catches in it; None without a folder.

    A folder that cannot be written is said on standard error, and nothing more comes of it.
    """
    global _present, _hooks_before
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    stop_logs()
    try:
        _present = LogFile(Path(folder), actor, node)
    except OSError as error:
        log.warning("%s: no log file: %s", actor, error)
        return None
    root = logging.getLogger()
    root.addHandler(_present)
    if logging.lastResort is not None:  # what is printed where nothing is set up goes on being printed
        root.addHandler(logging.lastResort)
    logging.getLogger("edgebed").setLevel(logging.INFO)
    _hooks_before = (sys.excepthook, threading.excepthook)
    sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
    log.info("%s started", actor)
    return _present


@contextmanager
def starting(actor: str, node: str = "", secrets: Iterable[str] = ()) -> Iterator[None]:
    """The constructor of an actor: from now on its process writes its logs, and why it could not be made is a line.

    `secrets`: keys and tokens that it is handed, which the environment does not have.
    """
    file = write_logs(actor, node)
    if file is not None:
        file.form.hide(secrets)
    try:
        yield
    except Exception:
        log.exception("%s could not be made", actor)
        raise


def stop_logs() -> None:
    """Write no more to the file."""
    global _present
    if _present is not None:
        root = logging.getLogger()
        root.removeHandler(_present)
        if logging.lastResort is not None:
            root.removeHandler(logging.lastResort)
        _present.close()
        _present = None
        sys.excepthook, threading.excepthook = _hooks_before


def folder_elsewhere() -> dict[str, str]:
    """Environment of processes that do not inherit ours, so that they log to the same folder."""
    return {FOLDER: os.environ[FOLDER]} if os.environ.get(FOLDER) else {}


@contextmanager
def logging_to(folder: str, actor: str) -> Iterator[None]:
    """While it lasts, this process and all that it starts log to this folder (empty: to none)."""
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = folder
    try:
        write_logs(actor)
        yield
    finally:
        stop_logs()
        if before is None:
            del os.environ[FOLDER]
        else:
            os.environ[FOLDER] = before


def log_samples(actor: str) -> list[Sample]:
    """Lines this process has logged, by level; nothing where it has no file."""
    if _present is None:
        return []
    found = {level: _present.lines[level] for level in (*_LEVELS[1:], "lost")}
    return [Sample("edgebed_log_lines_total", (actor, level), count) for level, count in found.items()]


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("nobody caught this", exc_info=(kind, error, trace))
    _hooks_before[0](kind, error, trace)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        where = "a thread" if args.thread is None else f"thread {args.thread.name}"
        log.critical("nobody caught this in %s", where, exc_info=args.exc_value)
    _hooks_before[1](args)
