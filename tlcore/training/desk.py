"""What the stages of one run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tlcore.datasets.dataset import Sample
from tlcore.models.units import units
from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.training.events import Event


@dataclass(frozen=True, eq=False)
class Desk:
    """What the stages of one run share."""

    config: RunConfig
    settings: Settings
    folder: Path  # the run's
    classes: tuple[str, ...]
    train: tuple[Sample, ...]  # with their hashes
    val: tuple[Sample, ...]
    emit: Callable[[Event], None]
    stopping: Callable[[], bool]

    @property
    def units(self) -> int:
        """Units of the last dense layer."""
        return units(len(self.classes), self.config.output)
