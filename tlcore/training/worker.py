"""The process of one run, ``python -m tlcore.training.worker FOLDER``: queue, recipe, final status.

The recipe: compute the features, train the head, fine-tune the top blocks, save the model.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from tlcore.datasets.quality_scan import open_grouped
from tlcore.errors import TLCoreError
from tlcore.jobs import start_job
from tlcore.models.predictions import expand_sigmoid
from tlcore.models.runtime import LOGITS, start_conversion
from tlcore.settings import Settings
from tlcore.storage import acquire_lock, explain_os_error, is_disk_error, is_locked, sync_files
from tlcore.training import batches, checkpoint, history, loop
from tlcore.training import status as files
from tlcore.training.answers import feature_key, run_network
from tlcore.training.checkpoint import Checkpoint
from tlcore.training.config import RunConfig, read_config
from tlcore.training.feature_cache import ENGINES, FeatureStore
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.history import Event, EventLog, StopRequested, Throttle
from tlcore.training.provenance import RunSplits, read_or_write_split
from tlcore.training.status import FAILED, FINISHED, RESUME, STOPPED, FinalStatus
from tlcore.training.store import evaluation_job, load_run_info, save_stage_predictions

NICENESS = 10  # pages and predictions come first
QUEUE_POLL = 0.5  # s between two checks whether the run's turn has come
SYNCED = (files.EVENTS, files.CHECKPOINT, files.MODEL)  # on disk before status.json speaks of them


def execute_run(
    folder: Path, settings: Settings, *, emit: Callable[[Event], None] = lambda _: None
) -> FinalStatus:
    """Wait for a run's turn, train it and write its final status.

    ``create_run`` has made the folder, and the caller keeps its lock. ``emit`` is called with each
    event, after it is on disk.
    """
    start = time.time()
    with ExitStack() as afterwards:  # what nobody has to wait for, once the status is written
        try:
            with _wait_for_turn(folder, settings) as has_turn:
                if has_turn:
                    status = _train(folder, settings, emit, afterwards)
                else:
                    status = FinalStatus(STOPPED, 0.0, None, "It was stopped before it had begun.")
        except Exception as error:  # the last frame of the process: any error becomes its status
            status = FinalStatus(FAILED, time.time() - start, None, _explain(error))
        status = _sync(folder, files.add_previous_status(folder, status))
        files.write_final_status(folder, status)
        if status.status == FINISHED:
            _convert_fine_tuned(folder, settings)
    return status


def _convert_fine_tuned(folder: Path, settings: Settings) -> None:
    """Start converting a model with unfrozen blocks: no other has its network."""
    with suppress(TLCoreError, OSError):  # it was deleted in this moment
        info = load_run_info(folder.name, settings)
        if info.config.fine_tune_epochs and info.model:
            start_conversion(run_network(folder, info.config), settings)


def _train(
    folder: Path, settings: Settings, emit: Callable[[Event], None], afterwards: ExitStack
) -> FinalStatus:
    log = EventLog(folder / files.EVENTS)  # with this file the run is no longer queued
    (folder / files.QUEUED_MARK).unlink(missing_ok=True)

    def write(event: Event) -> None:
        log.write(event)
        emit(event)

    try:
        config = read_config(folder / files.CONFIG)
        return train_run(folder, config, settings, emit=write, afterwards=afterwards)
    finally:
        log.close()


@dataclass(frozen=True, eq=False)
class RunContext:
    """What the stages of one run share."""

    config: RunConfig
    folder: Path  # the run's
    splits: RunSplits  # its images with their hashes
    source: FeatureSource
    emit: Callable[[Event], None]
    stopping: Callable[[], bool]
    afterwards: ExitStack  # called once the status is written


def train_run(
    folder: Path,
    config: RunConfig,
    settings: Settings,
    *,
    emit: Callable[[Event], None],
    afterwards: ExitStack,
) -> FinalStatus:
    """Train a run, or resume it from its checkpoint, and save its model as ``model.keras``.

    A file named "stop" in ``folder`` ends it after the current batch; what was learned is saved. A
    resumed run learns from the images with which it began. ``emit`` is called with each event;
    ``afterwards`` gets what can wait until the status is written.

    Raises:
        BadDataset: a split or a class has no readable image, or the images have changed.
        UnknownName: the backbone has no layer of that name to unfreeze from.
        WeightsMissing: the backbone's weights are not on this machine.
    """
    began, stopping = time.perf_counter(), (folder / files.STOP).exists
    path = folder / files.CHECKPOINT
    at = checkpoint.load_checkpoint(path) or checkpoint.initial_checkpoint(config)
    status, error = STOPPED, ""
    try:
        dataset = partial(open_grouped, config.dataset, settings)
        splits = read_or_write_split(folder, config, dataset, stopping)
        source = FeatureSource(config, len(splits.classes), settings)
        run = RunContext(config, folder, splits, source, emit, stopping, afterwards)
        at, error = _run_stages(run, at)
        if at.over and at.stage == ("fine-tune" if config.fine_tune_epochs else "head"):
            status = FINISHED
    except StopRequested:
        pass
    return FinalStatus(
        status=FAILED if error else status,
        seconds=time.perf_counter() - began,
        val_accuracy=at.best_accuracy if at.event else None,
        val_loss=at.best_loss if at.event else None,
        epochs=at.event,
        error=error,
        best_epoch=at.best_epoch,
    )


def _run_stages(run: RunContext, at: Checkpoint) -> tuple[Checkpoint, str]:
    """Run the stages that are left, save the model, and return where the run has come to, with the
    reason if its loss diverged."""
    config, source, error = run.config, run.source, ""
    _compute_features(run)
    if at.stage == "head":
        head = Head(config, source.head_inputs, source.units)
        if config.epochs:
            at, error = _run_stage(head, run, at)
        if config.fine_tune_epochs and at.over and not run.stopping():
            source.transfer_model.set_head_weights(head.weights)
            at = replace(at, stage="fine-tune", epoch=0, state={}, best={}, waited=0, over=False)
        elif at.event:  # a model that never learned is not saved
            source.save_model(run.folder, head.weights)
    if at.stage == "fine-tune":
        from tlcore.training.fine_tune import TopBlocks

        top = TopBlocks(source.transfer_model.top(), config)
        at, error = _run_stage(top, run, at)
        if at.event:
            source.transfer_model.save(run.folder)
            run.afterwards.callback(_store_logits, top, run)
    return at, error


def _store_logits(top: loop.Learner, run: RunContext) -> None:
    """Put the logits of the saved model for its images into the cache, from the activations that
    lie there: its summary needs no pass of the whole network, which is not converted yet."""
    source, splits, network = run.source, run.splits, run_network(run.folder, run.config)
    key = feature_key(network, LOGITS, run.config.fit, ENGINES[1])
    with suppress(Exception):  # the run is over: they are computed when they are wanted
        store = FeatureStore(source.settings.features, key)
        for samples in (splits.train, splits.val):
            data = batches.build_validation_data(source, samples, splits.classes, top.stage)
            store.append(data.sha256, loop.compute_logits(top, data))


def _run_stage(learner: loop.Learner, run: RunContext, at: Checkpoint) -> tuple[Checkpoint, str]:
    """Run one stage; return as ``_run_stages`` does."""
    config, source, splits, stage = run.config, run.source, run.splits, learner.stage
    before = at.event - at.epoch  # epochs of the stage before
    train = batches.build_training_data(
        source, splits.train, splits.classes, stage, before, run.stopping
    )
    val = batches.build_validation_data(source, splits.val, splits.classes, stage)
    is_head = stage == "head"
    options = loop.FitOptions(
        config,
        epochs=config.epochs if is_head else config.fine_tune_epochs,
        rate=config.learning_rate if is_head else config.fine_tune_learning_rate,
        emit=run.emit,
        stopping=run.stopping,
        save=lambda reached: checkpoint.save_checkpoint(run.folder / files.CHECKPOINT, reached),
        keep_best=True,
    )
    run.emit(history.Stage(stage, options.epochs * -(-len(train) // config.batch_size)))
    error = ""
    try:
        at = loop.fit(learner, train, val, options, at)
    except loop.Diverged as diverged:
        at, error = diverged.at, str(diverged)
    if at.event:
        # with the weights of the best epoch so far
        predicted = expand_sigmoid(loop.compute_logits(learner, val)).argmax(axis=1)
        rows = val.sha256, val.labels, predicted
        save_stage_predictions(run.folder, stage, at.best_epoch, *rows)
    return at, error


def _compute_features(run: RunContext) -> None:
    """Compute what the cache does not have, in one pass for all stages. Raises StopRequested."""
    source, beat, skipped_files = run.source, Throttle(history.PROGRESS_INTERVAL), set[str]()

    def check_stop() -> None:
        if run.stopping():
            raise StopRequested

    def done(count: int) -> None:
        check_stop()
        if beat.is_due() or count == len(missing):
            run.emit(history.Progress("features", count))

    def skipped(file: str, reason: str) -> None:
        if file not in skipped_files:
            skipped_files.add(file)
            run.emit(history.Skipped(file, reason))

    if run.config.fine_tune_epochs:  # only the network has the layer at which it is cut
        source.prepare(check_stop)
    source.prepare_runtime(check_stop)
    layers = batches.list_layers(source)
    copies = batches.list_copies(run.config, run.splits.train, run.splits.val)
    missing = source.missing(layers, copies)
    run.emit(history.Stage("features", len(missing)))
    source.compute(layers, missing, done=done, skipped=skipped)
    check_stop()


@contextmanager
def _wait_for_turn(folder: Path, settings: Settings) -> Iterator[bool]:
    """Wait until no earlier run waits and fewer than ``runs_at_once`` train; hold that place.
    Yields False if the run was stopped before its turn came."""
    queue = settings.runs / ".queue"
    queue.mkdir(parents=True, exist_ok=True)
    place = None
    while place is None and not (folder / files.STOP).exists():
        if _is_next(folder):
            place = _take_place(queue, settings.runs_at_once)
        if place is None:
            time.sleep(QUEUE_POLL)
    try:
        yield place is not None
    finally:
        if place is not None:
            os.close(place)


def _is_next(folder: Path) -> bool:
    """Whether no run that was created earlier still waits."""
    earlier = (other for other in folder.parent.glob("[!.]*") if other.name < folder.name)
    return not any(
        is_locked(other / files.LOCK)
        and files.is_waiting(other)
        and not (other / files.STATUS).exists()
        for other in earlier
    )


def _take_place(queue: Path, places: int) -> int | None:
    """Lock one of the places in which runs train; return the lock, None where all are taken."""
    for place in range(places):
        with suppress(BlockingIOError):
            return acquire_lock(queue / f"{place}.lock")
    return None


def _sync(folder: Path, status: FinalStatus) -> FinalStatus:
    """Make what the run has learned survive a power cut; return the status it ends with."""
    try:
        sync_files(folder, [name for name in SYNCED if (folder / name).is_file()])
    except OSError as error:
        if status.status != FAILED:
            return replace(status, status=FAILED, error=_explain(error))
    return status


def _explain(error: Exception) -> str:
    """Return the message of an error for a person; the log gets its traceback."""
    if isinstance(error, TLCoreError):
        return str(error)
    with suppress(OSError):  # the log is on the same disk
        traceback.print_exc()
    if isinstance(error, OSError) and is_disk_error(error):
        return f"The run could not save its files. {explain_os_error(error)} {RESUME}"
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return f"Memory ran out. {RESUME} If it runs out again, take a smaller batch or image size."
    return f"{type(error).__name__}: {error}. The log says where; nothing else is affected."


def _start_evaluation(run: str, settings: Settings) -> None:
    """Compute what the summary needs in a process of its own: this one's end frees the run."""
    with suppress(TLCoreError, OSError):  # no room: it is computed when the summary is opened
        start_job(evaluation_job(run, settings), ["runs", "evaluate", run], settings)


def main() -> NoReturn:
    """Execute the run whose folder is the only argument; its lock is inherited."""
    folder = Path(sys.argv[1])
    os.nice(NICENESS)
    faulthandler.enable()  # a crash of native code leaves its name in the log
    try:
        files.write_process_group(folder)
        settings = Settings.from_environment()
        status = execute_run(folder, settings)
        if status.status == FINISHED:
            _start_evaluation(folder.name, settings)
    except OSError as error:  # the disk was full before the run began
        status = FinalStatus(FAILED, 0.0, None, _explain(error))
        files.write_final_status(folder, status)
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # At once: a run that is stopped early leaves a thread in TensorFlow's import, which an orderly
    # end would tear down while it runs.
    os._exit(1 if status.status == FAILED else 0)


if __name__ == "__main__":
    main()
