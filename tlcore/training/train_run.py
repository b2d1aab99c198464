"""The recipe of a run: compute the features, train the head, fine-tune the top blocks, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tlcore.datasets.dataset import Dataset
from tlcore.models.catalog import output_units
from tlcore.settings import Settings
from tlcore.training.batches import (
    SplitData,
    StageSpec,
    build_training_data,
    build_validation_data,
    list_copies,
    list_layers,
)
from tlcore.training.checkpoint import (
    FILE,
    Checkpoint,
    initial_checkpoint,
    load_checkpoint,
    next_stage,
    save_checkpoint,
)
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
from tlcore.training.provenance import RunSplits, read_or_write_split
from tlcore.training.stage_predictions import save_stage_predictions
from tlcore.training.status import FAILED, FINISHED, STOPPED, FinalStatus


@dataclass(frozen=True, eq=False)
class RunContext:
    """What the stages of one run share."""

    config: RunConfig
    folder: Path  # the run's
    splits: RunSplits  # its images with their hashes
    source: FeatureSource
    emit: Callable[[Event], None]
    stopping: Callable[[], bool]

    @property
    def units(self) -> int:
        """Units of the last dense layer."""
        return output_units(len(self.splits.classes), self.config.classifier_activation)


def train_run(
    folder: Path,
    config: RunConfig,
    dataset: Callable[[], Dataset],
    settings: Settings,
    *,
    emit: Callable[[Event], None],
) -> FinalStatus:
    """Train a run, or resume it from its checkpoint, and save its model as ``model.keras``.

    A file named "stop" in ``folder`` ends it after the current batch; what was learned is saved. A
    resumed run learns from the images with which it began.

    Args:
        folder: the run's.
        config: its options.
        dataset: opens the dataset; called where the run has no splits yet.
        settings: where weights and the feature cache lie.
        emit: called with each event.

    Raises:
        BadDataset: a split or a class has no readable image, or the images have changed.
        UnknownName: the backbone has no layer of that name to unfreeze from.
        WeightsMissing: the backbone's weights are not on this machine.
    """
    began = time.perf_counter()
    stopping = (folder / "stop").exists
    at = load_checkpoint(folder / FILE) or initial_checkpoint(config)
    saved, error = False, ""
    try:
        splits = read_or_write_split(folder, config, dataset, stopping)
        source = FeatureSource(config, len(splits.classes), settings)
        at, error = _run_stages(RunContext(config, folder, splits, source, emit, stopping), at)
        saved = True
    except StopRequested:
        pass
    last_stage = "fine-tune" if config.fine_tune_epochs else "head"
    complete = saved and at.over and at.stage == last_stage
    return FinalStatus(
        status=FAILED if error else FINISHED if complete else STOPPED,
        seconds=time.perf_counter() - began,
        val_accuracy=at.best_accuracy if at.event else None,
        val_loss=at.best_loss if at.event else None,
        epochs=at.event,
        error=error,
        best_epoch=at.best_epoch,
    )


def _run_stages(run: RunContext, at: Checkpoint) -> tuple[Checkpoint, str]:
    """Run the stages that are left and save the model.

    Returns:
        Where the run has come to, and the reason if its loss diverged, else "".
    """
    config, source, error = run.config, run.source, ""
    _compute_features(run)
    if at.stage == "head":
        head = Head(config, source.head_inputs, run.units)
        if config.epochs:
            at, error = _run_stage(head, run, at)
        source.transfer_model.set_head_weights(head.weights)
        if config.fine_tune_epochs and at.over and not run.stopping():
            at = next_stage(at, "fine-tune")
    if at.stage == "fine-tune":
        from tlcore.training.fine_tune import TopBlocks

        at, error = _run_stage(TopBlocks(source.transfer_model.top(), config), run, at)
    if at.event:  # a model that never learned is not saved
        source.transfer_model.save(run.folder)
    return at, error


def _run_stage(learner: Learner, run: RunContext, at: Checkpoint) -> tuple[Checkpoint, str]:
    """Run one stage; return as ``_run_stages`` does."""
    config, is_head = run.config, learner.stage == "head"
    train, val = _build_data(learner.stage, run, epochs_before=at.event - at.epoch)
    options = FitOptions(
        config,
        epochs=config.epochs if is_head else config.fine_tune_epochs,
        rate=config.learning_rate if is_head else config.fine_tune_learning_rate,
        emit=run.emit,
        stopping=run.stopping,
        save=lambda reached: save_checkpoint(run.folder / FILE, reached),
        keep_best=True,
    )
    run.emit(Stage(learner.stage, options.epochs * -(-len(train) // config.batch_size)))
    error = ""
    try:
        at = fit(learner, train, val, options, at)
    except Diverged as diverged:
        at, error = diverged.at, str(diverged)
    if at.event:
        save_stage_predictions(run.folder, learner, val, at.best_epoch)
    return at, error


def _compute_features(run: RunContext) -> None:
    """Compute what the cache does not have, in one pass for all stages.

    Raises:
        StopRequested: the run was asked to stop meanwhile.
    """
    source, beat, skipped_files = run.source, Throttle(PROGRESS_INTERVAL), set[str]()

    def check_stop() -> None:
        if run.stopping():
            raise StopRequested

    if run.config.fine_tune_epochs:  # only the network has the layer at which it is cut
        source.prepare(check_stop)
    layers = list_layers(source)
    missing = source.missing(layers, list_copies(run.config, run.splits.train, run.splits.val))
    run.emit(Stage("features", len(missing)))

    def done(count: int) -> None:
        check_stop()
        if beat.is_due() or count == len(missing):
            run.emit(Progress("features", count))

    def skipped(file: str, reason: str) -> None:
        if file not in skipped_files:
            skipped_files.add(file)
            run.emit(Skipped(file, reason))

    source.compute(layers, missing, done=done, skipped=skipped)
    check_stop()


def _build_data(stage: str, run: RunContext, *, epochs_before: int) -> tuple[SplitData, SplitData]:
    """Return the training and the validation data of a stage."""
    source, splits = run.source, run.splits
    layer = source.pooling_layer if stage == "head" else source.transfer_model.cut
    spec = StageSpec(layer, stage, splits.classes, run.units, epochs_before, run.stopping)
    train = build_training_data(source, splits.train, spec)
    return train, build_validation_data(source, splits.val, spec)
