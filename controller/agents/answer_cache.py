"""Answers by content, on request: a question that was asked before with the same settings is not asked again.

One file per answer in a folder, named after the digest of question, server and settings. A broken or foreign file
counts as none.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from controller.agents.llm import Query, Reply
from controller.agents.openai_config import OpenAiConfig
from emulation.recording import write_whole

log = logging.getLogger("edgebed")

_SETTINGS = ("model", "temperature", "reasoning_effort", "answer_tokens", "extra_body")
_REPLY = TypeAdapter(Reply)


class AnswerCache:
    """A folder of answers; made where it is not there."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def find(self, query: Query, config: OpenAiConfig) -> Reply | None:
        """The answer that was given then, marked as cached, with the thinking it took then and no tokens."""
        try:
            reply: Reply = _REPLY.validate_json(self._file(query, config).read_bytes())
        except (OSError, ValidationError):
            return None
        if reply.served is None:
            return None
        served = replace(
            reply.served, cached=True, retries=0, prompt_tokens=0, answer_tokens=0, lost_tokens=0, price=None
        )
        return replace(reply, tokens=0, served=served)

    def keep(self, query: Query, config: OpenAiConfig, reply: Reply) -> None:
        """Keep an answer. Where it cannot be written that is told, once, and no more: the answer was paid for."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._file(query, config), json.dumps(asdict(reply)).encode())
        except OSError as error:
            _not_kept(str(self._folder), error.strerror or type(error).__name__)

    def _file(self, query: Query, config: OpenAiConfig) -> Path:
        settings = config.model_dump(mode="json", include=set(_SETTINGS))
        asked = [query.key(), query.wanted.must_call, config.url_told, settings]
        text = json.dumps(asked if query.may_call else [*asked, "no call"], sort_keys=True)
        return self._folder / f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}.json"


@cache
def _not_kept(folder: str, why: str) -> None:
    log.warning("answers are not kept in %s: %s", folder, why)
