"""What the stages of one run share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.models.catalog import output_units
from tlcore.settings import Settings
from tlcore.training import checkpoint
from tlcore.training.batches import (
    SplitData,
    StageSpec,
    build_training_data,
    build_validation_data,
    list_copies,
    list_layers,
)
from tlcore.training.checkpoint import Checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.history import (
    PROGRESS_INTERVAL,
    Event,
    Progress,
    Skipped,
    Stage,
    StopRequested,
    Throttle,
)
from tlcore.training.loop import Diverged, FitOptions, Learner, fit
from tlcore.training.provenance import read_or_write_split
from tlcore.training.stage_predictions import save_stage_predictions
from tlcore.training.status import FAILED, FINISHED, STOPPED, FinalStatus


@dataclass(frozen=True, eq=False)
class RunContext:
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
        return output_units(len(self.classes), self.config.classifier_activation)


# The recipe of a run: features → head → top blocks, with everything it does written down.


def train_run(
    folder: Path,
    config: RunConfig,
    dataset: Callable[[], Dataset],
    settings: Settings,
    *,
    emit: Callable[[Event], None],
) -> FinalStatus:
    """Train one run, or go on with it, and save its network as ``model.keras`` in ``folder``.

    A file named "stop" in ``folder`` ends it after the current batch; what is trained is kept. A
    run that has a checkpoint goes on from there, on the images it began with.

    Args:
        folder: the run's.
        config: its recipe.
        dataset: opens the dataset, if this run has not divided it yet.
        settings: where weights and the feature cache lie.
        emit: told each event.

    Raises:
        BadDataset: nothing to learn from or to judge by, also in one class, or the images have
            changed.
        UnknownName: the network has no layer of that name to unfreeze from.
        WeightsMissing: the backbone's weights are not here.
    """
    start = time.perf_counter()
    stopping = (folder / "stop").exists
    at = checkpoint.load_checkpoint(folder / checkpoint.FILE) or initial_checkpoint(config)
    saved, error = False, ""
    try:
        split = read_or_write_split(folder, config, dataset, stopping)
        desk = RunContext(
            config, settings, folder, split.classes, split.train, split.val, emit, stopping
        )
        at, error = _supplied(desk, at)
        saved = True
    except StopRequested:
        pass
    complete = saved and at.over and at.stage == _stages_of(config)[-1]
    return FinalStatus(
        status=FAILED if error else FINISHED if complete else STOPPED,
        seconds=time.perf_counter() - start,
        val_accuracy=at.best_accuracy if at.event else None,
        val_loss=at.best_loss if at.event else None,
        epochs=at.event,
        error=error,
        best_epoch=at.best_epoch,
    )


def _supplied(desk: RunContext, at: Checkpoint) -> tuple[Checkpoint, str]:
    supply = FeatureSource(desk.config, len(desk.classes), desk.settings)
    try:
        return _stages(supply, desk, at)
    finally:
        supply.close()


def _stages(supply: FeatureSource, desk: RunContext, at: Checkpoint) -> tuple[Checkpoint, str]:
    """Go through what is left of the stages and save the network.

    Returns:
        Where the run has come to, and why it could not go on, "" where it could.
    """
    config, error = desk.config, ""
    _features(supply, desk)
    head = Head(config, supply.head_inputs, desk.units)
    if at.stage == "head":
        if config.epochs:
            at, error = _run(head, supply, desk, at)
        supply.whole.head_weights(head.weights)
    if config.fine_tune_epochs and at.stage == "head" and at.over and not desk.stopping():
        at = _fresh(at, "fine-tune")
    if at.stage == "fine-tune":
        from tlcore.training.fine_tune import TopBlocks

        at, error = _run(TopBlocks(supply.whole.top(), config), supply, desk, at)
    if at.event:  # what never learned anything is not offered
        supply.whole.save(desk.folder)
    return at, error


def _run(
    learner: Learner, supply: FeatureSource, desk: RunContext, at: Checkpoint
) -> tuple[Checkpoint, str]:
    """Go through one stage; return as ``_stages`` does."""
    config = desk.config
    head = learner.stage == "head"
    train_run, val = _parts(learner.stage, supply, desk, before=at.event - at.epoch)
    loop = FitOptions(
        config,
        epochs=config.epochs if head else config.fine_tune_epochs,
        rate=config.learning_rate if head else config.fine_tune_learning_rate,
        emit=desk.emit,
        stopping=desk.stopping,
        save=lambda reached: checkpoint.save_checkpoint(desk.folder / checkpoint.FILE, reached),
        keep_best=True,
    )
    steps = -(-len(train_run) // config.batch_size)
    desk.emit(Stage(learner.stage, loop.epochs * steps))
    try:
        at, error = fit(learner, train_run, val, loop, at), ""
    except Diverged as diverged:
        at, error = diverged.at, str(diverged)
    if at.event:
        save_stage_predictions(desk.folder, learner, val, at.best_epoch)
    return at, error


def _features(supply: FeatureSource, desk: RunContext) -> None:
    """Compute what the cache does not have, in one pass for all stages.

    Raises:
        StopRequested: before all of it was there.
    """

    def look() -> None:
        if desk.stopping():
            raise StopRequested

    config = desk.config
    if config.fine_tune_epochs:  # where it can be cut, only the network knows
        supply.prepare(look)
    layers = list_layers(supply)
    requests = supply.missing(layers, list_copies(config, desk.train, desk.val))
    desk.emit(Stage("features", len(requests)))
    beat = Throttle(PROGRESS_INTERVAL)
    named: set[str] = set()

    def done(count: int) -> None:
        look()
        if beat.is_due() or count == len(requests):
            desk.emit(Progress("features", count))

    def skipped(file: str, reason: str) -> None:
        if file not in named:
            named.add(file)
            desk.emit(Skipped(file, reason))

    supply.compute(layers, requests, done=done, skipped=skipped)
    look()


def _parts(
    stage: str, supply: FeatureSource, desk: RunContext, *, before: int
) -> tuple[SplitData, SplitData]:
    layer = supply.pooled if stage == "head" else supply.whole.cut
    asked = StageSpec(layer, stage, desk.classes, desk.units, before, desk.stopping)
    return build_training_data(supply, desk.train, asked), build_validation_data(
        supply, desk.val, asked
    )


def _stages_of(config: RunConfig) -> list[str]:
    planned = (("head", config.epochs), ("fine-tune", config.fine_tune_epochs))
    return [stage for stage, epochs in planned if epochs]


def initial_checkpoint(config: RunConfig) -> Checkpoint:
    """Return the checkpoint before a run's first epoch."""
    over = not config.epochs
    return Checkpoint("head", 0, 0, 0.0, {}, {}, math.inf, 0.0, 0, over, version=checkpoint.VERSION)


def _fresh(at: Checkpoint, stage: str) -> Checkpoint:
    """Return the beginning of the next stage."""
    return replace(at, stage=stage, epoch=0, state={}, best={}, waited=0, over=False)
