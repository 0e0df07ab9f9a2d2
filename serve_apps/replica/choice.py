"""Which backend runs a model on a node: the testbed file's word, else what the command line says for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulation.domain.cluster import BackendEntry, TestbedConfig
from emulation.domain.scenario import Lifecycle
from emulation.files import ConfigError
from serve_apps.replica import Backend, backend_class


def chosen(testbed: TestbedConfig, node_id: str, model_id: str, default: str) -> BackendEntry:
    """The backend of a model on a node and its settings."""
    return testbed.backend(node_id, model_id) or BackendEntry(backend=default)


def class_of(testbed: TestbedConfig, node_id: str, model_id: str, default: str) -> type[Backend]:
    """The backend of a model on a node. Raises `KeyError` for an unknown name."""
    return backend_class(chosen(testbed, node_id, model_id, default).backend)


def real_models(testbed: TestbedConfig, node_id: str, default: str) -> tuple[str, ...]:
    """Models of a node that really run."""
    return tuple(m for m in testbed.hosted(node_id) if class_of(testbed, node_id, m, default).real)


def takes_gpu(testbed: TestbedConfig, node_id: str, model_id: str) -> bool:
    """Whether a replica asks Ray for a share of a GPU: it may run in mode gpu, or its settings put it there."""
    return "gpu" in testbed.modes(node_id, model_id) or _device(testbed, node_id, model_id) == "cuda"


def gpu_models(testbed: TestbedConfig, node_id: str, default: str) -> tuple[str, ...]:
    """Models of a node whose weights are loaded to a GPU."""
    return tuple(
        m
        for m in real_models(testbed, node_id, default)
        if takes_gpu(testbed, node_id, m) and _device(testbed, node_id, m) != "cpu"
    )


def has_ledger(testbed: TestbedConfig, default: str) -> bool:
    """Whether any real model is loaded to a GPU, so that a vRAM ledger is kept."""
    return any(gpu_models(testbed, node.id, default) for node in testbed.nodes)


def checked(
    testbed: TestbedConfig, default: str, speedup: float, lifecycle: Lifecycle = "warm"
) -> TestbedConfig:
    """The testbed with settings that every process can use, before anything is started.

    Raises `ConfigError` for unknown backends, settings or sources, missing libraries, for a clock that real work
    cannot follow, for batches wider than a backend can compute, and for models that do not fit a node's GPUs together
    (lifecycle warm loads them all).
    """
    entries = []
    for number, entry in enumerate(testbed.backends):
        try:
            entries.append(_checked(testbed, entry))
        except (ConfigError, KeyError, ImportError, AttributeError) as error:
            said = error.args[0] if isinstance(error, KeyError) else error
            raise ConfigError(f"backends[{number}] ({entry.backend}): {said}") from error
    try:
        real = [(n.id, m) for n in testbed.nodes for m in real_models(testbed, n.id, default)]
    except (KeyError, ImportError, AttributeError) as error:
        raise ConfigError(f"--backend {default}: {error.args[0]}") from error
    themselves = [f"{m} on {n}" for n, m in real if not chosen(testbed, n, m, default).stand_in]
    if themselves and speedup != 1.0:
        named = ", ".join(themselves)
        raise ConfigError(
            f"real models take the time they take: speedup must be 1, not {speedup:g} ({named}); add --speedup 1"
        )
    for node_id, model in real:
        _check_width(testbed, node_id, model, default)
    for node in testbed.nodes:
        _check_vram(testbed, node.id, gpu_models(testbed, node.id, default), lifecycle)
    return testbed.model_copy(update={"backends": tuple(entries)})


def _check_width(testbed: TestbedConfig, node_id: str, model_id: str, default: str) -> None:
    """Raise `ConfigError` if a profile serves more requests at once than the backend can compute."""
    entry = chosen(testbed, node_id, model_id, default)
    backend: Any = backend_class(entry.backend)
    can = backend.width(testbed.model(model_id).modality, dict(entry.settings))
    for mode in testbed.modes(node_id, model_id):
        width = testbed.batching(node_id, model_id, mode).width
        if width > can:
            raise ConfigError(
                f"profile of {model_id} on {node_id}, {mode}: batch width {width}, but backend {entry.backend} "
                f"computes {can} at once; leave batch out or make it narrower, or use backend vllm with a larger "
                "max_num_seqs"
            )


def _check_vram(testbed: TestbedConfig, node_id: str, models: Sequence[str], lifecycle: Lifecycle) -> None:
    """Raise `ConfigError` if the GPUs of a node cannot hold what is loaded to them at once, by the inventory."""
    gpus = [gpu.vram_gb for gpu in testbed.node(node_id).gpus]
    needs = sorted((testbed.model(m).vram_gb for m in models), reverse=True)
    if models and not gpus:
        raise ConfigError(
            f"nodes.{node_id}.gpus: it has none, but {models[0]} is to run on one; add a GPU, or set device: mode"
        )
    if lifecycle == "warm" and not _pack(needs, gpus):
        named = ", ".join(f"{m} {testbed.model(m).vram_gb:g}" for m in models)
        raise ConfigError(
            f"nodes.{node_id}.models: with lifecycle warm all its real models stay in GPU memory, and {named} GB "
            f"do not fit its GPUs of {', '.join(f'{g:g}' for g in gpus)} GB; host fewer there, set device: cpu in "
            "the settings of one's backend, or add --lifecycle cold"
        )


def _pack(needs: Sequence[float], rooms: Sequence[float]) -> bool:
    """Whether models fit GPUs together, each on one of them: every way is tried, GPUs of equal room once."""
    if not needs:
        return True
    ways = {room: i for i, room in enumerate(rooms) if room >= needs[0]}
    return any(
        _pack(needs[1:], [r - needs[0] if i == at else r for i, r in enumerate(rooms)])
        for at in ways.values()
    )


def _device(testbed: TestbedConfig, node_id: str, model_id: str) -> str:
    """Setting `device` of the backend of a model on a node."""
    return str(chosen(testbed, node_id, model_id, "emulated").settings.get("device", "mode"))


def _checked(testbed: TestbedConfig, entry: BackendEntry) -> BackendEntry:
    """Its settings, checked for every kind of model it is for."""
    backend = backend_class(entry.backend)
    settings = entry.settings
    for modality in dict.fromkeys(
        model.modality
        for model in testbed.models
        if any(testbed.backend(node, model.id) is entry for node in testbed.hosts(model.id))
    ):
        settings = backend.checked(modality, settings)
    return entry.model_copy(update={"settings": settings})
