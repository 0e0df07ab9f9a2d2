"""Parameters of the two deciders that run trained weights."""

from __future__ import annotations

from pathlib import Path

from controller.rl.checkpoint import SHIPPED, Checkpoint, read_checkpoint
from emulation.domain.quantities import SomeLine
from emulation.domain.strict import Strict


class TrainedConfig(Strict):
    """Which weights decide."""

    checkpoint: SomeLine | None = None
    """File that `edgebed train drl` wrote; None: the one that comes with the program, trained on bristol-A."""

    def read(self) -> Checkpoint:
        """The checkpoint. Raises `ValueError` naming the file and what is wrong, and `OSError`."""
        return read_checkpoint(SHIPPED if self.checkpoint is None else Path(self.checkpoint))
