"""A backend that claims memory of a GPU of 24 GiB, which is not there, as one that loads real weights does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from serve_apps.replica.base import BackendSpec
from serve_apps.vram.actor import VramAccount
from serve_apps.vram.ledger import Gpu
from serve_apps.wire.messages import Answer, Delta, Work
from serve_apps.wire.names import app_name

CARD = Gpu("GPU-0", "Stand-in", "here", 24 * 1024, 24 * 1024)


class Claims:
    """Claims what the inventory says, and serves nothing."""

    reads_inputs: ClassVar[bool] = False
    real: ClassVar[bool] = True

    def __init__(self, spec: BackendSpec) -> None:
        account = VramAccount(app_name(spec.node, spec.model.id), spec.model.vram_gb, patience_s=1.0)
        account.report([account.claim(lambda: (CARD,))])

    @classmethod
    def checked(cls, modality: str, given: dict[str, Any]) -> dict[str, Any]:
        return given

    @classmethod
    def width(cls, modality: str, given: dict[str, Any]) -> int:
        return 1

    async def serve(self, work: Work) -> Answer:
        raise AssertionError("it only claims memory")

    def stream(self, work: Work) -> AsyncIterator[Delta | Answer]:
        raise AssertionError("it only claims memory")
