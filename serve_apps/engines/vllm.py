"""Language models on vLLM: continuous batching, so that several attempts are computed in the same steps.

`batching.py` tells how the engine is run and slowed. The engine works inside this process: a step must be seen to be
stretched. What a client gets is cut and counted as by the other text backend. A step of another batch may round
otherwise, so two attempts with the same seed say the same only while no rounding decides between two tokens.
"""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace
from typing import Annotated, Any, cast

from pydantic import field_validator

from emulation.domain.cluster import Mode
from emulation.domain.quantities import Range, SomeGigabytes, Tokens
from emulation.files import ConfigError
from serve_apps.engines.batching import BatchPacer, Loop, StepGain
from serve_apps.engines.decoding import Detokenizer, Emit, Wanted
from serve_apps.engines.loading import Account, Loader, LoadFacts
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.engines.prompting import PromptEngine, Prompts, TextSettings
from serve_apps.engines.sampling import Defaults
from serve_apps.wire.messages import Finish, Piece

CPU_CACHE_GB = 0.5
"""Memory for keys and values on a CPU; vLLM itself would take nearly all of the machine's."""
_GB = 1e9


class VllmSettings(TextSettings):
    """Settings of a text model on vLLM."""

    max_num_seqs: Annotated[int, Range(1, 1_024, "requests")] = 8
    """Most attempts computed in the same steps; how many the node serves at once is its profile's batch width."""
    max_model_len: Tokens | None = None
    """Most tokens of prompt and answer together; None: what the model was made for."""
    enforce_eager: bool | None = None
    """Neither compile the model nor capture CUDA graphs: starts sooner, steps take longer. None: so on a CPU only."""
    tensor_parallel_size: Annotated[int, Range(1, 64, "GPUs")] = 1
    """GPUs every layer is spread over."""
    kv_cache_gb: SomeGigabytes | None = None
    """Memory for keys and values; None: what the share of the GPU leaves, on a CPU 0.5."""
    prefix_caching: bool = False
    """Keep what was read: a prompt that begins as an earlier one is read faster, which no linear law knows."""

    @field_validator("device_map")
    @classmethod
    def _spread_otherwise(cls, given: str | None) -> str | None:
        if given is not None:
            raise ValueError("vLLM spreads a model over tensor_parallel_size GPUs")
        return given


class VllmEngine(PromptEngine):
    """One causal language model in vLLM. As many threads may call `run` at once as its `width` says."""

    def __init__(
        self, settings: VllmSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Load it, and answer once. Raises `ConfigError`."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the engine must work in the thread that steps it
        loader = Loader(settings, modes, account)
        with loader.importing():
            need("vllm")
            self._sampling: Any = need("vllm.sampling_params")
            self._inputs: Any = need("vllm.inputs")
            need("vllm.v1.engine.llm_engine")
        _check_build(loader.device, settings)
        self.width = settings.max_num_seqs
        try:
            self._loop = Loop(lambda: _make(settings, loader), loader.finish_queued)
            engine = cast(Any, self._loop.engine)
            context = int(engine.model_config.max_model_len)
            self._prompts = Prompts(engine.get_tokenizer(), context, settings.max_tokens)
            said: dict[str, Any] = engine.model_config.try_get_generation_config()
            self._defaults = Defaults.of(SimpleNamespace(**said))
            facts = loader.facts([], self.first_call)
        except ConfigError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"{settings.source}: vllm cannot run it: {error}") from error
        self.facts: LoadFacts = replace(facts, parameters=sum(engine.apply_model(_parameters)))

    def pacer(self) -> Pacer:
        """A pacer for one attempt."""
        return self._loop.pacer()

    def close(self) -> None:
        """End the engine's thread."""
        self._loop.close()

    def answer(self, ids: list[int], wanted: Wanted, pacer: Pacer, emit: Emit) -> Piece:
        """The answer to these tokens, in the batch with others. Raises `Stopped`."""
        text = Detokenizer(self._prompts.decode, wanted.sampling.stop, emit, wanted.min_tokens)
        finish: Finish = "length"
        prompt, params = self._inputs.tokens_input(ids), self._params(wanted)
        with self._loop.answer(prompt, params, cast(BatchPacer, pacer)) as steps:
            for step in steps:
                for token in _spoken(step):
                    text.add(token)
                if step.finish is not None:
                    finish = step.finish
        text.end()
        return text.piece("stop" if text.stopped else finish, wanted.prompt_tokens)

    def _params(self, wanted: Wanted) -> Any:
        """How vLLM chooses tokens and when it ends; stop sequences are its own, so that their step is the last."""
        sampling, defaults = wanted.sampling, self._defaults
        stop = [s for s in sampling.stop if s]
        top_p = defaults.top_p if sampling.top_p is None else sampling.top_p
        given = (sampling.temperature, defaults.temperature, 1.0)
        return self._sampling.SamplingParams(
            temperature=next(t for t in given if t is not None),
            top_p=1.0 if top_p is None else max(top_p, _LEAST_TOP_P),
            top_k=defaults.top_k or 0,
            min_p=defaults.min_p or 0.0,
            repetition_penalty=defaults.repetition_penalty or 1.0,
            seed=wanted.seed,
            max_tokens=wanted.max_tokens,
            min_tokens=wanted.min_tokens,
            ignore_eos=wanted.ignore_end,
            stop=stop,
            detokenize=bool(stop),
            output_kind=self._sampling.RequestOutputKind.DELTA,
        )


_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
"""Unless the environment says otherwise: nothing is reported to anybody, and a replica's log stays short."""
_LEAST_TOP_P = 1e-6
"""vLLM takes no top_p of 0, which asks for the likeliest token alone, as this does."""


def _check_build(device: str, settings: VllmSettings) -> None:
    """Raises `ConfigError` if this vLLM was built for another device."""
    built_for = str(need("vllm.platforms").current_platform.device_type)
    if built_for != device:
        raise ConfigError(
            f"{settings.source}: is to run on {device}, but the vllm installed here is built for {built_for!r}; "
            "set device in the backend's settings, or install the build for that device"
        )


def _make(settings: VllmSettings, loader: Loader) -> Any:
    """vLLM's engine. Called in the thread that runs it: the number of threads it computes with is that thread's own."""
    loader.torch.set_num_threads(settings.threads)
    arguments = need("vllm.engine.arg_utils").EngineArgs
    make = need("vllm.v1.engine.llm_engine").LLMEngine.from_engine_args

    def load(source: str, local_files_only: bool, revision: str | None = None) -> Any:
        return make(arguments(model=source, revision=revision, **_arguments(settings, loader)))

    return loader.weights(load)


def _arguments(settings: VllmSettings, loader: Loader) -> dict[str, Any]:
    on_cpu = loader.device == "cpu"
    given: dict[str, Any] = {
        "dtype": str(loader.dtype).removeprefix("torch."),
        "max_num_seqs": settings.max_num_seqs,
        "max_model_len": settings.max_model_len,
        "enforce_eager": on_cpu if settings.enforce_eager is None else settings.enforce_eager,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enable_prefix_caching": settings.prefix_caching,
        "async_scheduling": False,  # a step must be over when it returns
        "disable_log_stats": True,
    }
    cache_gb = settings.kv_cache_gb or (CPU_CACHE_GB if on_cpu else None)
    if cache_gb is not None:
        given["kv_cache_memory_bytes"] = round(cache_gb * _GB)
    if settings.gpu_memory_share is not None:
        given["gpu_memory_utilization"] = settings.gpu_memory_share
    return given


def _spoken(step: StepGain) -> tuple[int, ...]:
    """The tokens that are part of the answer: one that only ends it is not."""
    silent = step.finish == "stop" and not isinstance(step.ended_by, str)
    return step.ids[:-1] if silent else step.ids


def _parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())
