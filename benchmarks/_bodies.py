"""What the gateway benchmark asks, and whom, and how two answers to it are compared.

Pictures are as large as those of Stable Diffusion and of whoever sends BLIP one: 512 by 512 pixels that do not
compress, 1.05 MB in base64.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from emulation.domain.scenario import Scenario
from emulation.png import noise

DEVICES = 2
"""On the gateway's side so many devices with a replica of each model; on the others so many replicas."""
TOKENS = 16
"""Of an answer in text; a stream has a chunk for each of them, one that opens it and two that end it."""
_CHAT, _IMAGES = "/v1/chat/completions", "/v1/images/generations"


@dataclass(frozen=True, slots=True)
class Body:
    """One kind of request."""

    path: str
    what: dict[str, Any]

    @property
    def sent(self) -> bytes:
        """As it is sent."""
        return json.dumps(self.what).encode()

    @property
    def streamed(self) -> bool:
        """Whether its answer comes as server-sent events."""
        return bool(self.what.get("stream"))

    def pieces(self, raw: bytes) -> list[bytes]:
        """An answer to it, as it is written: event by event."""
        return [event + b"\n\n" for event in raw.split(b"\n\n") if event] if self.streamed else [raw]

    def said(self, raw: bytes) -> list[Any]:
        """An answer to it without what differs from one to the next, its id and its time."""
        found = []
        for piece in self.pieces(raw):
            text = piece.removeprefix(b"data: ").strip()
            found.append(text.decode() if text == b"[DONE]" else json.loads(text))
        return [
            {k: v for k, v in each.items() if k not in ("id", "created")} if isinstance(each, dict) else each
            for each in found
        ]


def _chat(content: Any, **more: Any) -> Body:
    messages = [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": content},
    ]
    return Body(_CHAT, {"model": "m", "messages": messages, "max_completion_tokens": TOKENS, **more})


_QUESTION = "Which of the nodes near me would answer this question first?"
_PICTURE = {"url": "data:image/png;base64," + base64.b64encode(noise(512, 512)).decode()}

BODIES = {
    "text": _chat(_QUESTION),
    "stream": _chat(_QUESTION, stream=True),
    "upload": _chat(
        [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": _PICTURE}],
        model="caption",
    ),
    "picture": Body(_IMAGES, {"model": "image", "prompt": "a harbour in fog", "size": "512x512"}),
}
"""text: an answer in one piece; stream: the same in events; upload: a picture to caption; picture: one to be made."""


def devices() -> Scenario:
    """Devices that are always there and take no time (their backend is no-op); no load of its own."""
    testbed = {
        "name": "no-op",
        "models": [
            {"id": "m", "modality": "text", "features": "tokens"},
            {"id": "caption", "modality": "caption"},
            {"id": "image", "modality": "image"},
        ],
        "nodes": [{"id": f"d{i}", "hosting": "device", "gpus": [{}]} for i in range(DEVICES)],
        "profile": [
            {"model": "m", "mode": "gpu", "theta": [0.0, 0.0001]},
            {"model": "caption", "mode": "gpu", "theta": [0.0001]},
            {"model": "image", "mode": "gpu", "theta": [0.0001]},
        ],
    }
    workload = [{"kind": "poisson", "rate_per_s": 0.1, "mix": {"m": 1.0}}]
    return Scenario.model_validate(
        {"name": "no-op", "testbed": testbed, "workload": workload, "slots": 100_000, "deadline_s": 60.0}
    )
