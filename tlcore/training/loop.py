"""Epochs of a stage: order, steps, judging, early stopping, checkpoints. For every learner."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from tlcore.errors import RunError
from tlcore.models.predictions import Floats
from tlcore.training.batches import (
    ORDER,
    SplitData,
    compute_class_weights,
    draw_order,
    random_numbers,
)
from tlcore.training.checkpoint import Checkpoint, State, select_weights
from tlcore.training.config import RunConfig
from tlcore.training.head import BatchMetrics, learning_rate_at
from tlcore.training.history import (
    PROGRESS_INTERVAL,
    STOP_INTERVAL,
    Epoch,
    Event,
    Progress,
    StageName,
    StopRequested,
    Throttle,
)

CHECKPOINT = 2.0  # s at least between two checkpoints on disk
EVALUATED = 256  # images a batch at most when nothing is learned,
EVALUATED_BYTES = 4 * 2**20  # and bytes of their values: what is made of them fills many times that


class Learner(Protocol):
    """Something with weights that learns batch by batch."""

    stage: StageName

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch (0-based): its random numbers depend on nothing else."""

    def step(
        self, inputs: Floats, targets: Floats, weights: Floats | None, rate: float
    ) -> BatchMetrics:
        """Learn from one batch."""

    def evaluate(self, inputs: Floats, targets: Floats) -> BatchMetrics:
        """Judge one batch; nothing is learned."""

    def logits(self, inputs: Floats) -> Floats:
        """Return what it answers to one batch, (n, units)."""

    def state(self) -> State:
        """Return a copy of the weights and of what the optimizer remembers."""

    def restore(self, state: State) -> None:
        """Take over what ``state`` returned, or its weights alone."""


@dataclass(frozen=True, eq=False)
class FitOptions:
    """What a stage needs beside its learner and its images."""

    config: RunConfig
    epochs: int
    rate: float  # learning rate at the start
    emit: Callable[[Event], None]
    stopping: Callable[[], bool]
    save: Callable[[Checkpoint], None]  # keep a checkpoint
    keep_best: bool = False  # end with the weights of the lowest validation loss, not the last


class Diverged(RunError):
    """The loss is no number any more; ``at`` is the end of the last epoch in which it was."""

    def __init__(self, at: Checkpoint, loss: float, rate: float) -> None:
        epoch = at.best_epoch or at.event
        kept = f"The weights of epoch {epoch} are kept" if epoch else "Nothing is kept"
        super().__init__(
            f"Expected a finite loss. Received {loss:g} in epoch {at.event + 1} ({at.stage}): its "
            f"steps have become too large. {kept}. Start a new run with a learning rate lower than "
            f"{rate:g}."
        )
        self.at = at


class _NotFinite(Exception):
    def __init__(self, loss: float) -> None:
        self.loss = loss


def fit(
    learner: Learner, train: SplitData, val: SplitData, loop: FitOptions, at: Checkpoint
) -> Checkpoint:
    """Let a learner go through a stage from a checkpoint on; return where it has come to.

    An epoch in which the run is asked to stop is not counted: the learner is set back to the end
    of the epoch before it, of which the figures are known. Only where there is none it keeps what
    the broken epoch has taught it. Where the best is kept, the learner ends with the weights of
    the first epoch with the lowest validation loss, be it one of the stage before. With a patience
    the stage ends when that loss has not fallen for so many epochs.

    Raises:
        Diverged: a loss or a weight is no finite number. The learner is set back likewise.
    """
    if at.state:
        learner.restore(at.state)
    else:
        at = replace(at, state=learner.state())
    if loop.keep_best and at.event and not at.best:  # what the stage before ended with
        at = replace(at, best=select_weights(at.state), best_epoch=at.best_epoch or at.event)
    save = Throttle(CHECKPOINT, at_once=False)
    while not at.over and at.epoch < loop.epochs:
        try:
            figures = _epoch(learner, train, val, loop, at)
            reached = _after(learner, at, figures, loop)
        except StopRequested:
            if at.event:
                learner.restore(_kept(at))
            loop.save(at)
            return at
        except _NotFinite as bad:
            learner.restore(_kept(at))
            loop.save(at)
            raise Diverged(at, bad.loss, loop.rate) from bad
        loop.emit(figures)
        at = reached
        if save.is_due() or at.over:
            loop.save(at)
    learner.restore(_kept(at))
    return at


def _kept(at: Checkpoint) -> State:
    return at.best or at.state


def _after(learner: Learner, at: Checkpoint, figures: Epoch, loop: FitOptions) -> Checkpoint:
    """Return the checkpoint at the end of an epoch. Raises _NotFinite."""
    patience = loop.config.patience
    state = learner.state()
    if not all(np.isfinite(each).all() for each in state.values()):  # the loss can hide it: relu
        raise _NotFinite(math.nan)
    better = not loop.keep_best or figures.val_loss < at.best_loss
    at = replace(
        at,
        epoch=at.epoch + 1,
        event=figures.epoch,
        seconds=at.seconds + figures.seconds,
        state=state,
        best=(select_weights(state) if better else at.best) if loop.keep_best else {},
        best_loss=figures.val_loss if better else at.best_loss,
        best_accuracy=figures.val_accuracy if better else at.best_accuracy,
        best_epoch=figures.epoch if better else at.best_epoch,
        waited=0 if better else at.waited + 1,
    )
    return replace(at, over=at.epoch == loop.epochs or bool(patience and at.waited >= patience))


def _epoch(
    learner: Learner, train: SplitData, val: SplitData, loop: FitOptions, at: Checkpoint
) -> Epoch:
    """Go through one epoch and judge it. Raises StopRequested and _NotFinite."""
    began = time.perf_counter()
    with np.errstate(all="ignore"):  # what overflows ends as a loss that is not finite
        learned = _learn(learner, train, loop, at)
        judged = evaluate(learner, val, loop.stopping)
    loss, val_loss = learned.loss / learned.images, judged.loss / judged.images
    if not math.isfinite(val_loss):
        raise _NotFinite(val_loss)
    steps = -(-learned.images // loop.config.batch_size)
    loop.emit(Progress(learner.stage, (at.epoch + 1) * steps))
    return Epoch(
        epoch=at.event + 1,
        stage=learner.stage,
        loss=loss,
        accuracy=learned.correct / learned.images,
        val_loss=val_loss,
        val_accuracy=judged.correct / judged.images,
        seconds=time.perf_counter() - began,
    )


def _learn(learner: Learner, train: SplitData, loop: FitOptions, at: Checkpoint) -> BatchMetrics:
    """Make an epoch's steps; return the sums over them. Raises StopRequested and _NotFinite."""
    config = loop.config
    draw = random_numbers(config.seed, learner.stage, at.epoch, ORDER)
    order = draw_order(train.labels, draw, even=config.class_weights == "oversampling")
    weights = compute_sample_weights(train, config)
    size, steps = config.batch_size, -(-len(order) // config.batch_size)
    learner.begin_epoch(at.epoch)
    loss, correct = 0.0, 0.0
    look, beat = Throttle(STOP_INTERVAL), Throttle(PROGRESS_INTERVAL, at_once=False)
    for step, inputs in enumerate(train.source.batches(order, size, at.epoch)):
        batch = order[step * size : (step + 1) * size]
        done = at.epoch * steps + step
        rate = learning_rate_at(done, loop.epochs * steps, loop.rate, config.learning_rate_schedule)
        weighed = None if weights is None else weights[batch]
        score = learner.step(inputs, train.targets.take(batch, axis=0), weighed, rate)
        loss, correct = loss + score.loss, correct + score.correct
        if not math.isfinite(loss):
            raise _NotFinite(loss)
        if look.is_due():  # after every batch, unless batches take no time at all
            if loop.stopping():
                raise StopRequested
            if beat.is_due():
                loop.emit(Progress(learner.stage, done + 1))
    return BatchMetrics(loss, correct, len(order))


def evaluate(
    learner: Learner, part: SplitData, stopping: Callable[[], bool] = lambda: False
) -> BatchMetrics:
    """Judge a learner by a part. Raises StopRequested if the run is asked to stop meanwhile."""
    total, look = BatchMetrics(0.0, 0.0, 0), Throttle(STOP_INTERVAL)
    size = evaluation_batch_size(part.source.image_bytes)
    for place, inputs in enumerate(part.source.batches(np.arange(len(part)), size, 0)):
        targets = part.targets[place * size : (place + 1) * size]
        total = _add(total, learner.evaluate(inputs, targets))
        if look.is_due() and stopping():
            raise StopRequested
    return total


def evaluation_batch_size(image_bytes: int) -> int:
    """Return how many images are judged at a time, whose values take so many bytes each."""
    return max(1, min(EVALUATED, EVALUATED_BYTES // max(1, image_bytes)))


def compute_sample_weights(train: SplitData, config: RunConfig) -> Any:
    """Return what each image weighs, or None where all weigh the same."""
    if config.class_weights != "balanced":
        return None
    return compute_class_weights(train.labels, int(train.labels.max()) + 1)[train.labels]


def _add(one: BatchMetrics, other: BatchMetrics) -> BatchMetrics:
    return BatchMetrics(
        one.loss + other.loss, one.correct + other.correct, one.images + other.images
    )
