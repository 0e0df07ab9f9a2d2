"""From what a client asks to the tokens a text model reads, and how many it may say."""

from __future__ import annotations

from typing import Any

from serve_apps.gateway.openai_api import BadAsk
from serve_apps.wire.messages import Work


class Prompts:
    """A text model's tokenizer and its limits."""

    def __init__(self, tokenizer: Any, context: int, default_tokens: int) -> None:
        """`context`: most tokens of prompt and answer together; `default_tokens`: longest answer where the client
        states no limit."""
        self._tokenizer = tokenizer
        self._context = context
        self._default_tokens = default_tokens

    def ids(self, work: Work, index: int) -> list[int]:
        """Tokens of a prompt, at least one; a model that knows how to write a conversation gets one."""
        if work.turns and self._tokenizer.chat_template:
            turns = [{"role": role, "content": text} for role, text in work.turns]
            found = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
        else:
            found = self._tokenizer(work.inputs[index])
        ids: list[int] = found["input_ids"]
        return ids or self.start()

    def start(self) -> list[int]:
        """What stands before the first word."""
        start = self._tokenizer.bos_token_id
        return [start if start is not None else 0]

    def limit(self, work: Work, prompt_tokens: int) -> int:
        """Longest answer. Raises `BadAsk` if it does not fit beside the prompt."""
        room = self._context - prompt_tokens
        asked = work.max_tokens
        if room < (asked or 1):
            wanted = f" and {asked} asked for" if asked else ""
            raise BadAsk(
                f"{prompt_tokens} tokens of prompt{wanted} do not fit in the model's {self._context}",
                "max_tokens" if asked and room > 0 else "messages",
            )
        return asked or min(self._default_tokens, room)

    def decode(self, ids: list[int]) -> str:
        """The text of some tokens."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
