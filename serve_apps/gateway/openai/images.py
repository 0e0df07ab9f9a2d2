"""`POST /v1/images/generations`."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any, Literal

import orjson
import pybase64
from pydantic import Field

from emulation.domain.one_request import MOST_PICTURES
from serve_apps.gateway.openai.bodies import Body, Seed, Text, words
from serve_apps.gateway.openai.fields import IGNORED, Only
from serve_apps.gateway.openai.form import Asked, Form
from serve_apps.wire.ask import Ask, BadAsk, Sampling
from serve_apps.wire.messages import Answer

MAX_SIDE = 2048
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


class ImageBody(Body):
    """`POST /v1/images/generations`: n pictures of the asked size."""

    prompt: Text = Field(max_length=32_000)
    n: Annotated[int, Field(ge=1, le=MOST_PICTURES)] | None = None
    size: Text | None = None
    response_format: Literal["b64_json", "url"] | None = None
    seed: Seed | None = None
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Denoising steps; like `seed` and `guidance_scale` beyond what OpenAI's own API has."""
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    stream: Annotated[Any, Only("pictures are not streamed", False)] = None
    partial_images: Annotated[Any, Only("pictures are not streamed", 0)] = None
    output_format: Annotated[Any, Only("pictures are PNG files", "png")] = None
    output_compression: Annotated[Any, Only("PNG files lose nothing", 100)] = None
    background: Annotated[Any, Only("pictures have an opaque background", "auto", "opaque")] = None
    quality: Annotated[Any, Only("there is one quality; ask for steps", "auto", "standard")] = None
    style: Annotated[Any, Only("there is one style", "vivid")] = None
    complexity: Annotated[Any, Only("there is one complexity")] = None
    frame_count: Annotated[Any, Only("pictures do not move", 1)] = None
    frame_duration_ms: Annotated[Any, Only("pictures do not move")] = None
    svg: Annotated[Any, Only("pictures are PNG files")] = None
    negative_prompt: Annotated[Any, Only("nothing is kept out of pictures", "")] = None
    num_inference_steps: Annotated[Any, Only("it is called steps here")] = None
    image: Annotated[Any, Only("pictures are made from the prompt alone")] = None
    images: Annotated[Any, Only("pictures are made from the prompt alone")] = None
    mask: Annotated[Any, Only("pictures are made from the prompt alone")] = None
    input_fidelity: Annotated[Any, Only("pictures are made from the prompt alone")] = None
    moderation: Annotated[Text | None, IGNORED] = None
    safety_identifier: Annotated[Text | None, IGNORED] = None

    def ask(self) -> Ask:
        """n pictures."""
        return Ask(
            model=self.model,
            prompts=self.n or 1,
            each=self.n or 1,
            said_in="prompt",
            prompt_tokens=(said_tokens := words([self.prompt])),
            longest_tokens=said_tokens,
            size=parse_size(self.size),
            inputs=(self.prompt,),
            sampling=Sampling(seed=self.seed, steps=self.steps, guidance=self.guidance_scale),
        )


def parse_size(size: str | None) -> tuple[int, int] | None:
    """`WxH` in pixels; None (or `auto`): the model's default. Raises `BadAsk` on anything else."""
    if size is None or size == "auto":
        return None
    found = _SIZE.fullmatch(size)
    if found is None:
        raise BadAsk(f"size {size[:40]!r} is not of the form 512x512", "size")
    width, height = int(found[1]), int(found[2])
    if max(width, height) > MAX_SIDE:
        raise BadAsk(f"size {size} is too large, at most {MAX_SIDE}x{MAX_SIDE}", "size")
    return width, height


def _whole(asked: Asked, answer: Answer) -> dict[str, Any]:
    field, head = (
        ("url", b"data:image/png;base64,") if asked.again["response_format"] == "url" else ("b64_json", b"")
    )
    # nothing in it has to be escaped: a megabyte is not looked through for that
    data = [
        {field: orjson.Fragment(b'"%b%b"' % (head, pybase64.b64encode(image)))} for image in answer.images
    ]
    return {"created": int(time.time()), "data": data}


def _again(body: ImageBody) -> dict[str, Any]:
    return {"response_format": body.response_format}


IMAGES = Form(path="/v1/images/generations", summary="Images", body=ImageBody, whole=_whole, again=_again)
