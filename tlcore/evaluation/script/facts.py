"""What a script must know of its run, gathered from the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from tlcore.errors import RunError, WeightsMissing
from tlcore.evaluation.bundle.predict import DEEP, ORIENTATION
from tlcore.models.catalogue import Backbone, backbone
from tlcore.models.units import units
from tlcore.models.weights import file_name, find
from tlcore.settings import KERAS_WEIGHTS_URL, Settings
from tlcore.training.config import RunConfig
from tlcore.training.records import Row, facts_or_none, read_split
from tlcore.training.run import Run

DIGITS = 15  # of a SHA-256 that name a picture; views are drawn from as many
PLAIN, TURNED, ODD = "plain", "turned", "odd"  # what reading the pictures takes


@dataclass(frozen=True)
class Facts:
    """One run, as its script needs it."""

    id: str
    title: str
    config: RunConfig
    classes: tuple[str, ...]
    train: tuple[tuple[str, tuple[str, ...]], ...]  # label, pictures; in the run's order
    val: tuple[tuple[str, tuple[str, ...]], ...]
    done: dict[str, int]  # epochs that count, by stage
    keeps_best: bool  # it ends with the weights of the lowest validation loss, not the last
    stopped: bool  # by a person, before its time
    cut: str  # layer up to which all stays frozen; "" where nothing is unfrozen
    weights: tuple[str, str]  # name and address of a file that Keras would not take by itself
    reading: str  # PLAIN, TURNED or ODD
    versions: dict[str, str]  # that it was trained with
    val_accuracy: float

    @property
    def row(self) -> Backbone:
        return backbone(self.config.backbone)

    @property
    def units(self) -> int:
        return units(len(self.classes), self.config.output)

    @property
    def judged(self) -> int:
        """Validation pictures."""
        return sum(len(pictures) for _, pictures in self.val)

    @property
    def right(self) -> int:
        """Validation pictures that the run's network got right."""
        return round(self.val_accuracy * self.judged)


def facts_of(run: Run, title: str, settings: Settings, cut: Callable[[RunConfig], str]) -> Facts:
    """Gather the facts of a run.

    Args:
        run: with a network.
        title: what it is called.
        settings: where weights lie.
        cut: finds the layer below the unfrozen blocks; asked where there are some.

    Raises:
        RunError: it has no network, or never got to the end of an epoch.
    """
    info = run.info
    if info.model is None or info.val_accuracy is None:
        raise RunError(
            f"Expected a run that has gone through an epoch. Received {info.id}, which is "
            f"{info.state} and has not. Resume it, or choose another run."
        )
    split = read_split(info.folder)
    left_out = {event.file for event in run.skipped}
    parts = {
        part: [row for row in split.rows(part) if row.file not in left_out]
        for part in ("train", "val")
    }
    done = {
        stage: sum(epoch.stage == stage for epoch in run.history) for stage in ("head", "fine-tune")
    }
    paths = [Path(row.path) for rows in parts.values() for row in rows]
    return Facts(
        id=info.id,
        title=title,
        config=info.config,
        classes=run.classes,
        train=_grouped(parts["train"]),
        val=_grouped(parts["val"]),
        done=done,
        keeps_best=bool(info.kept_epoch or info.config.patience),
        stopped=info.state != "finished",
        cut=cut(info.config) if done["fine-tune"] else "",
        weights=_weights(info.config, settings),
        reading=reading(paths),
        versions=facts_or_none(info.folder).versions,
        val_accuracy=info.val_accuracy,
    )


def _grouped(rows: Sequence[Row]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Neighbours of the same class together, in the order in which they come."""
    return tuple(
        (label, tuple(row.sha256[:DIGITS] for row in group))
        for label, group in groupby(rows, key=lambda row: row.label)
    )


def _weights(config: RunConfig, settings: Settings) -> tuple[str, str]:
    """Where the run took the file of another resolution, which Keras would not, name it."""
    if config.random_weights:
        return "", ""
    row = backbone(config.backbone)
    try:
        used = find(row, config.size, settings, top=False).path.name
    except WeightsMissing:
        return "", ""
    if used == file_name(row, config.size, top=False):
        return "", ""
    return used, f"{KERAS_WEIGHTS_URL}/{row.files.address}/{used}"


def reading(paths: Sequence[Path]) -> str:
    """Return what it takes to read these files right; one that is gone may be anything."""
    found = {_kind(path) for path in paths}
    return next(kind for kind in (ODD, TURNED, PLAIN) if kind in found or kind == PLAIN)


def _kind(path: Path) -> str:
    """Judge by the header alone: nothing is decoded."""
    try:
        with Image.open(path) as image:
            if image.mode in DEEP or image.has_transparency_data:
                return ODD
            return TURNED if image.getexif().get(ORIENTATION, 1) != 1 else PLAIN
    except Exception:  # gone since, or notes that cannot be read
        return ODD
