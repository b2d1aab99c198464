"""The training loop: epochs, validation, early stopping, divergence and checkpoints.

It is the same for the head in NumPy and for the top blocks in Keras. The checkpoint of a run is one
.npz file, written whole or not at all, without pickles.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from tlcore.errors import RunError
from tlcore.models.predictions import Floats
from tlcore.training import history
from tlcore.training.batches import SplitData, training_batches
from tlcore.training.checkpoint import Checkpoint, State
from tlcore.training.config import RunConfig
from tlcore.training.head import BatchMetrics, learning_rate_at
from tlcore.training.history import Epoch, Event, Progress, StageName, StopRequested, Throttle

CHECKPOINT = 2.0  # s at least between two checkpoints on disk
EVALUATED = 256  # images at most in a batch of the evaluation,
EVALUATED_BYTES = 4 * 2**20  # and bytes of their features: activations fill many times that
OPTIMIZER = "o"  # prefix of the optimizer's variables in a learner's state


class Learner(Protocol):
    """Weights that are trained batch by batch: the head, or the top blocks with it."""

    stage: StageName

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch (0-based): its random numbers depend on nothing else."""

    def step(
        self, inputs: Floats, targets: Floats, weights: Floats | None, rate: float
    ) -> BatchMetrics:
        """Make one step of the optimizer: inputs (n, …), targets (n, units), weights (n,)."""

    def evaluate(self, inputs: Floats, targets: Floats) -> BatchMetrics:
        """Compute the loss and the accuracy of one batch; nothing is learned."""

    def logits(self, inputs: Floats) -> Floats:
        """Return the logits of one batch, (n, units)."""

    def state(self) -> State:
        """Return a copy of the weights and of the optimizer's variables."""

    def restore(self, state: State) -> None:
        """Set what ``state`` returned, or its weights alone."""


def select_weights(state: State) -> State:
    """Return a learner's state without the optimizer's variables."""
    return {name: value for name, value in state.items() if not name.startswith(OPTIMIZER)}


@dataclass(frozen=True, eq=False)
class FitOptions:
    """What a stage needs beside its learner and its images."""

    config: RunConfig
    epochs: int
    rate: float  # learning rate at the start
    emit: Callable[[Event], None] = lambda event: None
    stopping: Callable[[], bool] = lambda: False
    save: Callable[[Checkpoint], None] = lambda checkpoint: None
    keep_best: bool = False  # end with the weights of the lowest validation loss, not the last


class Diverged(RunError):
    """The loss is not finite; ``at`` is the end of the last epoch in which it was."""

    def __init__(self, at: Checkpoint, loss: float, rate: float) -> None:
        epoch = at.best_epoch or at.event
        result = f"The weights of epoch {epoch} are kept" if epoch else "Nothing is kept"
        super().__init__(
            f"Expected a finite loss. Received {loss:g} in epoch {at.event + 1} ({at.stage}): its "
            f"steps have become too large. {result}. Start a new run with a learning rate lower "
            f"than {rate:g}."
        )
        self.at = at


class _NotFinite(Exception):
    def __init__(self, loss: float) -> None:
        self.loss = loss


def limit_blas_threads() -> threadpool_limits:
    """Return a context in which NumPy multiplies matrices in one thread.

    The steps of a head are small: two threads make them slower, and another number of threads
    adds up in another order, so that a run in a notebook would not have the bits of the page's.
    """
    return threadpool_limits(limits=1, user_api="blas")


def fit(
    learner: Learner, train: SplitData, val: SplitData, options: FitOptions, at: Checkpoint
) -> Checkpoint:
    """Train a learner from a checkpoint to the end of its stage; return where it has come to.

    An epoch in which the run is asked to stop is not counted: the learner is set back to the end
    of the epoch before it. With ``keep_best`` the learner ends with
    the weights of the first epoch with the lowest validation loss, also if that was in the stage
    before. With a patience the stage ends when that loss has not fallen for so many epochs.

    Raises:
        Diverged: a loss or a weight is not finite. The learner is set back likewise.
    """
    if at.state:
        learner.restore(at.state)
    else:
        at = replace(at, state=learner.state())
    if options.keep_best and at.event and not at.best:  # the stage before ended with these
        at = replace(at, best=select_weights(at.state), best_epoch=at.best_epoch or at.event)
    save = Throttle(CHECKPOINT, at_once=False)
    with limit_blas_threads(), np.errstate(all="ignore"):  # an overflow ends as a loss of inf
        while not at.over and at.epoch < options.epochs:
            try:
                epoch = _run_epoch(learner, train, val, options, at)
                reached = _reach(learner, at, epoch, options)
            except (StopRequested, _NotFinite) as error:
                learner.restore(at.best_or_last)
                options.save(at)
                if isinstance(error, _NotFinite):
                    raise Diverged(at, error.loss, options.rate) from error
                return at
            options.emit(epoch)
            at = reached
            if save.is_due() or at.over:
                options.save(at)
    learner.restore(at.best_or_last)
    return at


def _reach(learner: Learner, at: Checkpoint, epoch: Epoch, options: FitOptions) -> Checkpoint:
    """Return the checkpoint at the end of an epoch. Raises _NotFinite."""
    state = learner.state()
    if not all(np.isfinite(each).all() for each in state.values()):  # a relu can hide it
        raise _NotFinite(math.nan)
    at = replace(
        at, epoch=at.epoch + 1, event=epoch.epoch, seconds=at.seconds + epoch.seconds, state=state
    )
    if not options.keep_best or epoch.val_loss < at.best_loss:
        at = replace(
            at,
            best=select_weights(state) if options.keep_best else {},
            best_loss=epoch.val_loss,
            best_accuracy=epoch.val_accuracy,
            best_epoch=epoch.epoch,
            waited=0,
        )
    else:
        at = replace(at, waited=at.waited + 1)
    patience = options.config.patience
    early = bool(patience and at.waited >= patience)
    return replace(at, over=early or at.epoch == options.epochs)


def _run_epoch(
    learner: Learner, train: SplitData, val: SplitData, options: FitOptions, at: Checkpoint
) -> Epoch:
    """Train for one epoch and evaluate. Raises StopRequested and _NotFinite."""
    began = time.perf_counter()
    trained = _train_epoch(learner, train, options, at)
    validated = evaluate(learner, val, options.stopping)
    if not math.isfinite(validated.mean_loss):
        raise _NotFinite(validated.mean_loss)
    steps = _steps(train, options)
    options.emit(Progress(learner.stage, (at.epoch + 1) * steps))
    return Epoch(
        epoch=at.event + 1,
        stage=learner.stage,
        loss=trained.mean_loss,
        accuracy=trained.accuracy,
        val_loss=validated.mean_loss,
        val_accuracy=validated.accuracy,
        seconds=time.perf_counter() - began,
    )


def _train_epoch(
    learner: Learner, train: SplitData, options: FitOptions, at: Checkpoint
) -> BatchMetrics:
    """Make the steps of an epoch; return their sums. Raises StopRequested and _NotFinite."""
    config, steps = options.config, _steps(train, options)
    step, last = at.epoch * steps, options.epochs * steps
    loss = correct = 0.0
    progress = Throttle(history.PROGRESS_INTERVAL, at_once=False)
    stop_check = Throttle(history.STOP_INTERVAL)
    learner.begin_epoch(at.epoch)
    for inputs, targets, weights in training_batches(train, config, learner.stage, at.epoch):
        rate = learning_rate_at(step, last, options.rate, config.learning_rate_schedule)
        metrics = learner.step(inputs, targets, weights, rate)
        step, loss, correct = step + 1, loss + metrics.loss, correct + metrics.correct
        if not math.isfinite(loss):
            raise _NotFinite(loss)
        if stop_check.is_due():  # after every batch, unless batches take no time
            if options.stopping():
                raise StopRequested
            if progress.is_due():
                options.emit(Progress(learner.stage, step))
    return BatchMetrics(loss, correct, len(train))


def _steps(train: SplitData, options: FitOptions) -> int:
    return -(-len(train) // options.config.batch_size)


def evaluate(
    learner: Learner, data: SplitData, stopping: Callable[[], bool] = lambda: False
) -> BatchMetrics:
    """Return the sums over a split. Raises StopRequested where the run is to stop."""
    loss, correct, stop_check = 0.0, 0.0, Throttle(history.STOP_INTERVAL)
    size = evaluation_batch_size(data.source.image_bytes)
    order = np.arange(len(data))
    for number, inputs in enumerate(data.source.batches(order, size, 0)):
        metrics = learner.evaluate(inputs, data.targets[number * size : (number + 1) * size])
        loss, correct = loss + metrics.loss, correct + metrics.correct
        if stop_check.is_due() and stopping():
            raise StopRequested
    return BatchMetrics(loss, correct, len(data))


def compute_logits(learner: Learner, data: SplitData) -> Floats:
    """Return the logits of a split, (n, units)."""
    size, order = evaluation_batch_size(data.source.image_bytes), np.arange(len(data))
    return np.concatenate([learner.logits(each) for each in data.source.batches(order, size, 0)])


def evaluation_batch_size(image_bytes: int) -> int:
    """Return how many images are evaluated at a time, whose features take so many bytes each."""
    return max(1, min(EVALUATED, EVALUATED_BYTES // max(1, image_bytes)))
