"""What real backends share when they load: settings, where the weights are, the device, and what loading cost."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from emulation.domain.cluster import Mode, Strict
from emulation.domain.quantities import SomeFraction, SomeLine, Threads
from emulation.files import ConfigError
from serve_apps.engines.gpus import cap, fold_visible, look, reserved_mb
from serve_apps.engines.needs import need
from serve_apps.engines.pacer import Pacer
from serve_apps.vram.ledger import CONTEXT_MB, Gpu


class RealSettings(Strict):
    """Settings of a backend that runs a real model."""

    source: SomeLine
    """A local folder, or the id of a model on the Hugging Face hub."""
    device: Literal["mode", "cpu", "cuda"] = "mode"
    """mode: where the executor's mode says; cpu, cuda: there, whatever the mode says."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """auto: float32 on a CPU (half precision is slower there), float16 on a GPU."""
    threads: Threads = 1
    """CPU threads of a replica."""
    device_map: SomeLine | None = None
    """Spread over several GPUs or slices by accelerate: auto, balanced, ..."""
    gpu_memory_share: SomeFraction | None = None
    """Largest share of the GPU's memory the process may take."""
    memory_cap: Literal["none", "claim"] = "none"
    """claim: the process may take no more of a GPU than it claimed of the vRAM ledger: what grows fails alone."""
    revision: SomeLine | None = None
    """Of a model on the hub."""


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """What loading a model cost, measured."""

    source: str
    device: str
    dtype: str
    threads: int
    parameters: int
    import_s: float
    weights_s: float
    first_call_s: float
    ram_mb: float
    """By how much the process grew while it imported and loaded."""
    vram_mb: float
    """Most memory allocated on the GPU up to the first call's end; 0 on a CPU."""
    vram_held_mb: float = 0.0
    """Most the process held of all its GPUs by then: torch's allocator, and a stated reserve for each CUDA context."""


class Account(Protocol):
    """Where a replica claims memory of a GPU before it loads."""

    def claim(self, look: Callable[[], Sequence[Gpu]]) -> float:
        """Hold what the model needs on the GPUs found; MiB held on each. Raises `ConfigError` if it does not fit."""

    def report(self, used_mb: Sequence[float]) -> None:
        """What the loaded model really took of each. Raises `ConfigError` if that was promised to others."""


def check_source(settings: RealSettings, libraries: tuple[str, ...]) -> RealSettings:
    """The settings with a local source made absolute, so that every process finds it.

    Raises `ConfigError` if a library is missing, or the source is neither here nor to be had.
    """
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            need(library)
    source = settings.source
    local = Path(source).expanduser()
    if local.is_dir():
        return settings.model_copy(update={"source": str(local.resolve())})
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise ConfigError(
            f"{source}: no such folder; make one with `edgebed models make-tiny` or `make-random`, "
            "or give the id of a model on the hub"
        )
    if offline() and not _cached(source, settings.revision):
        raise ConfigError(missing(source))
    return settings


def offline() -> bool:
    """Whether the environment forbids fetching from the hub."""
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in _OFFLINE)


def missing(source: str) -> str:
    """What to tell whoever asks for a model that is not here."""
    folder = source.rpartition("/")[2]
    return (
        f"model {source!r} is not on this machine and cannot be fetched (offline); where there is a network run "
        f"`hf download {source} --local-dir {folder}`, bring the folder here and give its path as source"
    )


class Loader:
    """Times one load: `importing`, then `weights`, then the first call in `facts`."""

    def __init__(
        self, settings: RealSettings, modes: tuple[Mode, ...], account: Account | None = None
    ) -> None:
        """Raises `ConfigError` if the model must run on a GPU and there is none, or not enough of its memory.

        `account`: where memory of a GPU is claimed; None: nowhere (a process that is alone).
        """
        self._settings = settings
        self._account = account
        self._modes = modes
        self._rss = _rss_mb()
        self._import_s = self._weights_s = 0.0
        with self.importing():
            self.torch: Any = need("torch")
            need("transformers")
        self.torch.set_num_threads(settings.threads)
        self.device = self._device()
        self.dtype: Any = self._dtype()
        self._gpus = 0
        if self.device == "cuda":
            self._gpus = 1 if settings.device_map is None else self.torch.cuda.device_count()
            self._claim()

    @contextmanager
    def importing(self) -> Iterator[None]:
        """What happens inside counts as import: these libraries load their parts when they are first named."""
        began = time.perf_counter()
        yield
        self._import_s += time.perf_counter() - began

    def weights(self, load: Callable[..., Any], **changes: Any) -> Any:
        """Call a library's `from_pretrained`, timed. Raises `ConfigError` if there is no such model to be had."""
        options: dict[str, Any] = {"local_files_only": offline(), **changes}
        if self._settings.revision is not None:
            options["revision"] = self._settings.revision
        began = time.perf_counter()
        try:
            return load(self._settings.source, **options)
        except OSError as error:
            if Path(self._settings.source).is_dir():
                raise ConfigError(f"{self._settings.source}: cannot be loaded: {error}") from error
            raise ConfigError(
                f"{missing(self._settings.source)} ({type(error).__name__}: {error})"
            ) from error
        finally:
            self._weights_s += time.perf_counter() - began

    def model(self, load: Callable[..., Any]) -> Any:
        """Call `from_pretrained` of a model or pipeline as `weights` does, and bring it to where it computes."""
        spread = self._settings.device_map
        if spread is not None:
            return self.weights(load, dtype=self.dtype, device_map=spread)
        return self.weights(load, dtype=self.dtype).to(self.device)

    def pacer(self) -> Pacer:
        """A pacer for one attempt at work of this model."""
        return Pacer(finish_queued=self.finish_queued)

    def finish_queued(self) -> None:
        """Wait for what the GPU still computes."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def facts(self, modules: list[Any], first_call: Callable[[], Any]) -> LoadFacts:
        """Make the first call, which is slower than all others, and sum up."""
        began = time.perf_counter()
        first_call()
        self.finish_queued()
        first_call_s = time.perf_counter() - began
        on_gpu = self.device == "cuda"
        used_mb = [mb + CONTEXT_MB for mb in reserved_mb(self.torch, self._gpus)]
        if self._account is not None and on_gpu:
            self._account.report(used_mb)
        return LoadFacts(
            source=self._settings.source,
            device=self.torch.cuda.get_device_name() if on_gpu else "cpu",
            dtype=str(self.dtype).removeprefix("torch."),
            threads=self._settings.threads,
            parameters=sum(p.numel() for m in modules for p in m.parameters()),
            import_s=self._import_s,
            weights_s=self._weights_s,
            first_call_s=first_call_s,
            ram_mb=max(_rss_mb() - self._rss, 0.0),
            vram_mb=self.torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0,
            vram_held_mb=sum(used_mb),
        )

    def _claim(self) -> None:
        """Claim memory and set the cap, before anything is allocated."""
        settings = self._settings
        if settings.memory_cap == "claim" and self._account is None:
            raise ConfigError("settings.memory_cap: nothing is claimed here; take none, or gpu_memory_share")
        gpus = look(self.torch, self._gpus)
        shares = [settings.gpu_memory_share or 1.0] * len(gpus)
        if self._account is not None:
            held_mb = self._account.claim(lambda: look(self.torch, self._gpus))
            if settings.memory_cap == "claim":
                room_mb = self._room(held_mb)
                shares = [min(s, room_mb / g.total_mb) for s, g in zip(shares, gpus, strict=True)]
        cap(self.torch, shares)

    def _room(self, held_mb: float) -> float:
        """MiB of a claim that are left for tensors."""
        if held_mb <= CONTEXT_MB:
            raise ConfigError(
                f"{self._settings.source}: memory_cap: claim needs the model's vram_gb in the testbed, which is 0"
            )
        return held_mb - CONTEXT_MB

    def _device(self) -> str:
        wanted = self._settings.device
        if wanted == "mode":
            wanted = "cuda" if "gpu" in self._modes else "cpu"
        if wanted == "cuda":
            fold_visible(self.torch)
        if wanted == "cuda" and not self.torch.cuda.is_available():
            raise ConfigError(
                f"{self._settings.source}: its node runs it on a GPU, but torch finds none here; "
                "set device: cpu in the backend's settings to run it on the CPU"
            )
        return wanted

    def _dtype(self) -> Any:
        if self._settings.dtype == "auto":
            return self.torch.float16 if self.device == "cuda" else self.torch.float32
        return getattr(self.torch, self._settings.dtype)


_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def _cached(source: str, revision: str | None) -> bool:
    hub: Any = need("huggingface_hub")
    names = ("config.json", "model_index.json")
    return any(isinstance(hub.try_to_load_from_cache(source, n, revision=revision), str) for n in names)


def _rss_mb() -> float:
    """Memory this process holds now."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
