"""The GPUs of this process: which it sees, how much of their memory is left, and what an out-of-memory error says."""

from __future__ import annotations

import gc
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from serve_apps.vram.ledger import Gpu

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_MB = 2**20
_LONGEST_REASON = 300


def visible(asked: str, there: int) -> str:
    """`CUDA_VISIBLE_DEVICES` with every number turned into one this machine has (number modulo `there`).

    Ray counts the GPUs of the inventory; where several edge nodes share a machine these are more than its own, and
    CUDA would see none. UUIDs stay as they are.
    """
    parts = asked.split(",")
    if there < 1 or not all(part.strip().isdecimal() for part in parts):
        return asked
    return ",".join(dict.fromkeys(str(int(part) % there) for part in parts))


def fold_visible(torch: Any) -> None:
    """Make Ray's choice of a GPU one that exists here. To be called before anything of CUDA."""
    asked = os.environ.get(_VISIBLE)
    if not asked:
        return
    del os.environ[_VISIBLE]
    try:
        there = torch.cuda.device_count()  # by NVML: CUDA itself is not started by it
    finally:
        os.environ[_VISIBLE] = asked
    os.environ[_VISIBLE] = visible(asked, there)


def look(torch: Any, count: int) -> tuple[Gpu, ...]:
    """The first `count` GPUs this process sees, as they are now. Starts CUDA in this process."""
    return tuple(_gpu(torch, index) for index in range(count))


def reserved_mb(torch: Any, count: int) -> tuple[float, ...]:
    """Most MiB torch's allocator ever held of each of them: tensors, and blocks it keeps for the next ones."""
    return tuple(torch.cuda.max_memory_reserved(index) / _MB for index in range(count))


def cap(torch: Any, shares: Sequence[float]) -> None:
    """Let this process allocate at most so much of each GPU. To be called before the first allocation."""
    for index, share in enumerate(shares):
        if share < 1.0:
            torch.cuda.set_per_process_memory_fraction(share, index)


def failure(error: BaseException) -> str:
    """Why a request failed, in a line. After an out-of-memory error this process keeps no more memory than it needs.

    The frames that failed still hold their tensors: they are emptied, then torch gives back its unused blocks.
    """
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, torch.OutOfMemoryError):
        return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
    traceback.clear_frames(error.__traceback__)
    gc.collect()
    torch.cuda.empty_cache()
    return f"out of GPU memory: {error}"[:_LONGEST_REASON]


def _gpu(torch: Any, index: int) -> Gpu:
    of = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    asked = os.environ.get(_VISIBLE, "")
    slice_id = asked if asked.startswith("MIG-") else f"GPU-{of.uuid}"  # a process sees at most one MIG slice
    return Gpu(slice_id, of.name, socket.gethostname(), total / _MB, free / _MB)
