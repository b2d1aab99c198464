"""A run's cached features, and a head that learns from some of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.datasets.splits import group_of
from tlcore.errors import RunError
from tlcore.models.units import units
from tlcore.settings import Settings
from tlcore.training.cache.shelf import Floats
from tlcore.training.config import RunConfig
from tlcore.training.fit import Loop, fit
from tlcore.training.head import Head
from tlcore.training.inputs import Held, Part, targets_of
from tlcore.training.kept import best_epoch
from tlcore.training.order import Positions
from tlcore.training.parts import classes_of, pictures_of
from tlcore.training.run import Run
from tlcore.training.store import load_run
from tlcore.training.supply import Supply
from tlcore.training.train import beginning

WORK = 2e11  # weights × pictures × epochs of a study at most: a minute on one core or so
OVERHEAD = 20_000  # what a picture costs beside the arithmetic, in weights


@dataclass(frozen=True, eq=False)
class Known:
    """A run's cached features with their classes."""

    config: RunConfig
    train: Floats  # (n, features)
    train_labels: npt.NDArray[np.int64]
    val: Floats
    val_labels: npt.NDArray[np.int64]
    classes: int
    epochs: int = 10  # after which the run's head was the one that is kept
    groups: tuple[str, ...] = ()  # of the pictures, of train and then of val: no study parts one


def known(run: str, settings: Settings) -> Known:
    """Return the features that a run has left in the cache.

    Raises:
        RunError: no such run, or its features are not there (any more).
    """
    found = load_run(run, settings)
    info, classes = found.info, classes_of(found.info)
    supply = Supply(info.config, len(classes), settings)
    try:
        parts = [_features(supply, pictures_of(info, part), classes) for part in ("train", "val")]
    finally:
        supply.close()
    (train, train_labels, learned), (val, val_labels, judged) = parts
    if not len(train) or not len(val):
        raise RunError(
            f"Expected run {run} with its features in the cache. Received none: they were cleared "
            "away, or it never had a head. Run it again."
        )
    return Known(
        info.config,
        train,
        train_labels,
        val,
        val_labels,
        len(classes),
        _epochs_of(found),
        (*learned, *judged),
    )


def _epochs_of(run: Run) -> int:
    """Return after how many epochs the run's head was the one that it kept."""
    head = [epoch for epoch in run.history if epoch.stage == "head"]
    best = best_epoch(head)
    if best and (run.info.kept_epoch or run.info.config.patience):
        return best.epoch
    return len(head) or run.info.config.epochs or 10


def _features(
    supply: Supply, samples: list[Sample], classes: tuple[str, ...]
) -> tuple[Floats, npt.NDArray[np.int64], tuple[str, ...]]:
    known, values = supply.kept(samples)
    labels = np.array([classes.index(sample.label) for sample in known], np.int64)
    return values, labels, tuple(group_of(sample) for sample in known)


def within(data: Known, pictures: int) -> Known:
    """Let the heads of a study learn no longer than WORK allows.

    Args:
        data: with the epochs that the run's own head took.
        pictures: that all heads of the study together see in an epoch.
    """
    sides = [data.train[0].size, *data.config.hidden, units_of(data)]
    weights = sum(before * behind for before, behind in pairwise(sides))
    most = int(WORK / (pictures * (weights + OVERHEAD)))
    return replace(data, epochs=max(1, min(data.epochs, most)))


def accuracy(data: Known, subset: Positions, repeat: int) -> float:
    seed = (data.config.seed + repeat) % 2**31
    config = replace(data.config, epochs=data.epochs, seed=seed, patience=0)
    labels = data.train_labels[subset]
    train = Part(Held(data.train[subset]), labels, targets_of(labels, units_of(data)))
    val = Part(Held(data.val), data.val_labels, targets_of(data.val_labels, units_of(data)))
    loop = Loop(
        config, config.epochs, config.learning_rate, lambda _: None, lambda: False, lambda _: None
    )
    return fit(head_of(data, config), train, val, loop, beginning(config)).best_accuracy


def head_of(data: Known, config: RunConfig) -> Head:
    return Head(config, data.train[0].size, units_of(data))


def units_of(data: Known) -> int:
    return units(data.classes, data.config.output)


def too_few(wanted: int, of: str, received: int) -> RunError:
    return RunError(
        f"Expected at least {wanted} pictures of {of}. Received {received} of the smallest. Add "
        "pictures and start a new run."
    )
