"""Pictures by Stable Diffusion, or any text-to-image pipeline of the diffusers library that calls back per step."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, Any

from emulation.domain.cluster import Mode
from emulation.domain.quantities import Range
from serve_apps.engines.decoding import Emit, seed_of
from serve_apps.engines.loading import Account, Loader, RealSettings
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.wire.ask import BadAsk
from serve_apps.wire.messages import Piece, Work

MAX_STEPS = 500


class PictureSettings(RealSettings):
    """Settings of an image model."""

    steps: Annotated[int, Range(1, MAX_STEPS, "steps")] = 20
    """Denoising steps where the client states none."""
    guidance: Annotated[float, Range(0, 1_000)] = 7.5
    max_side: Annotated[int, Range(8, 16_384, "pixels")] = 1024
    """Largest width or height that is made."""


class PictureEngine:
    """One diffusion pipeline in memory. Every denoising step is a piece of work; so is the decoding at the end."""

    def __init__(
        self, settings: PictureSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Load it, and make a small picture in one step. Raises `ConfigError`."""
        self._loader = loader = Loader(settings, modes, account)
        with loader.importing():
            pipeline = need("diffusers").DiffusionPipeline
            need("diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion")
        self._settings = settings
        self._pipeline = loader.model(pipeline.from_pretrained)
        self._pipeline.set_progress_bar_config(disable=True)
        self._grain = int(self._pipeline.vae_scale_factor)
        self._side = int(self._pipeline.unet.config.sample_size) * self._grain
        modules = [m for m in self._pipeline.components.values() if hasattr(m, "parameters")]
        self.facts = loader.facts(modules, self._first_call)

    def pacer(self) -> Pacer:
        """A pacer that knows this engine's device."""
        return self._loader.pacer()

    def choices(self, work: Work) -> int:
        """Pictures this work asks for."""
        return work.request.prompts

    def check(self, work: Work) -> None:
        """Raises `BadAsk` for a size or a number of steps that cannot be had."""
        width, height = work.ask.size or (self._side, self._side)
        if width % self._grain or height % self._grain:
            raise BadAsk(f"size {width}x{height}: both must be multiples of {self._grain}", "size")
        if max(width, height) > self._settings.max_side:
            raise BadAsk(f"size {width}x{height}: at most {self._settings.max_side} each way", "size")
        if work.ask.sampling.steps is not None and not 1 <= work.ask.sampling.steps <= MAX_STEPS:
            raise BadAsk(f"{work.ask.sampling.steps} steps; 1 to {MAX_STEPS} can be asked for", "steps")

    def run(self, work: Work, index: int, pacer: Pacer, emit: Emit) -> Piece:
        """One picture, as a PNG file. Raises `Stopped`."""
        sampling = work.ask.sampling
        picture = self._draw(
            str(work.ask.inputs[min(index, len(work.ask.inputs) - 1)]),
            work.ask.size or (self._side, self._side),
            sampling.steps or self._settings.steps,
            self._settings.guidance if sampling.guidance is None else sampling.guidance,
            seed_of(work, index),
            pacer,
        )
        file = BytesIO()
        picture.save(file, format="PNG")
        return Piece(image=file.getvalue())

    def _draw(
        self, prompt: str, size: tuple[int, int], steps: int, guidance: float, seed: int, pacer: Pacer
    ) -> Any:
        def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            pacer.lap()
            return tensors

        torch = self._loader.torch
        generator = torch.Generator().manual_seed(seed)
        pacer.begin()
        with torch.inference_mode():
            drawn = self._pipeline(
                prompt, width=size[0], height=size[1], num_inference_steps=steps, guidance_scale=guidance,
                generator=generator, callback_on_step_end=after_step,
            )  # fmt: skip
        pacer.lap()
        return drawn.images[0]

    def _first_call(self) -> None:
        side = max(self._grain * 8, 64)
        self._draw("a photo", (side, side), 1, 1.0, 0, self.pacer())
