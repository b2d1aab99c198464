"""Epochs of a stage: order, steps, judging, early stopping, checkpoints. For every learner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tlcore.runs.config import RunConfig
from tlcore.runs.events import Epoch, Event, Progress
from tlcore.runs.training.checkpoint import Checkpoint, State
from tlcore.runs.training.head import Score
from tlcore.runs.training.inputs import EVALUATED, Part
from tlcore.runs.training.optimizers import rate_at
from tlcore.runs.training.order import ORDER, class_weights, epoch_order, generator

LOOK = 0.02  # s between two looks whether to stop
BEAT = 0.5  # s between two progress events
CHECKPOINT = 2.0  # s at least between two checkpoints on disk
Floats = npt.NDArray[np.float32]


class Learner(Protocol):
    """Something with weights that learns batch by batch."""

    stage: str

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch (0-based): its random numbers depend on nothing else."""

    def step(self, inputs: Floats, targets: Floats, weights: Floats | None, rate: float) -> Score:
        """Learn from one batch."""

    def evaluate(self, inputs: Floats, targets: Floats) -> Score:
        """Judge one batch; nothing is learned."""

    def state(self) -> State:
        """Return a copy of the weights and of what the optimizer remembers."""

    def restore(self, state: State) -> None:
        """Take over what ``state`` returned."""


@dataclass(frozen=True, eq=False)
class Loop:
    """What a stage needs beside its learner and its pictures."""

    config: RunConfig
    epochs: int
    rate: float  # learning rate at the start
    emit: Callable[[Event], None]
    stopping: Callable[[], bool]
    save: Callable[[Checkpoint], None]  # keep a checkpoint


def fit(learner: Learner, train: Part, val: Part, loop: Loop, at: Checkpoint) -> Checkpoint:
    """Let a learner go through a stage from a checkpoint on; return where it has come to.

    An epoch in which the run is asked to stop is not counted: the learner is set back to the end
    of the epoch before it, of which the figures are known. Only where there is none it keeps what
    the broken epoch has taught it. With a patience the stage ends when the validation loss has
    not fallen for so many epochs, and the weights of the best epoch are kept, be it the one
    that the stage before ended with.
    """
    if at.state:
        learner.restore(at.state)
    else:
        at = _started(at, learner.state(), loop.config)
    saved = time.monotonic()
    while not at.over and at.epoch < loop.epochs:
        figures = _epoch(learner, train, val, loop, at)
        if figures is None:
            if at.event:
                learner.restore(_kept(at))
            loop.save(at)
            return at
        loop.emit(figures)
        at = _after(learner, at, figures, loop)
        if at.over or time.monotonic() - saved > CHECKPOINT:
            saved = time.monotonic()
            loop.save(at)
    learner.restore(_kept(at))
    return at


def _started(at: Checkpoint, state: State, config: RunConfig) -> Checkpoint:
    """Return the checkpoint before the first epoch; what an earlier stage kept counts as best."""
    return replace(at, state=state, best=state if config.patience and at.event else {})


def _kept(at: Checkpoint) -> State:
    return at.best or at.state


def _after(learner: Learner, at: Checkpoint, figures: Epoch, loop: Loop) -> Checkpoint:
    """Return the checkpoint at the end of an epoch."""
    patience = loop.config.patience
    state = learner.state()
    better = not patience or figures.val_loss < at.best_loss
    at = replace(
        at,
        epoch=at.epoch + 1,
        event=figures.epoch,
        seconds=at.seconds + figures.seconds,
        state=state,
        best=(state if better else at.best) if patience else {},
        best_loss=figures.val_loss if better else at.best_loss,
        best_accuracy=figures.val_accuracy if better else at.best_accuracy,
        waited=0 if better else at.waited + 1,
    )
    return replace(at, over=at.epoch == loop.epochs or bool(patience and at.waited >= patience))


def _epoch(learner: Learner, train: Part, val: Part, loop: Loop, at: Checkpoint) -> Epoch | None:
    """Go through one epoch; None if the run was asked to stop in it."""
    config, began = loop.config, time.perf_counter()
    draw = generator(config.seed, learner.stage, at.epoch, ORDER)
    order = epoch_order(train.labels, draw, even=config.balance == "sampling")
    weights = _weights(train, config)
    steps = -(-len(order) // config.batch_size)
    learner.begin_epoch(at.epoch)
    loss, right, beat, looked = 0.0, 0.0, time.monotonic(), 0.0
    for step, inputs in enumerate(train.source.batches(order, config.batch_size, at.epoch)):
        batch = order[step * config.batch_size : (step + 1) * config.batch_size]
        done = at.epoch * steps + step
        rate = rate_at(done, loop.epochs * steps, loop.rate, config.schedule)
        heavy = None if weights is None else weights[batch]
        score = learner.step(inputs, train.targets[batch], heavy, rate)
        loss, right = loss + score.loss, right + score.right
        now = time.monotonic()
        if now - looked >= LOOK:  # after every batch, unless batches take no time at all
            looked = now
            if loop.stopping():
                return None
        if now - beat >= BEAT:
            beat = now
            loop.emit(Progress(learner.stage, done + 1))
    judged = evaluate(learner, val, loop.stopping)
    if judged is None:
        return None
    loop.emit(Progress(learner.stage, (at.epoch + 1) * steps))
    return Epoch(
        epoch=at.event + 1,
        stage=learner.stage,
        loss=loss / len(order),
        accuracy=right / len(order),
        val_loss=judged.loss / judged.pictures,
        val_accuracy=judged.right / judged.pictures,
        seconds=time.perf_counter() - began,
    )


def evaluate(
    learner: Learner, part: Part, stopping: Callable[[], bool] = lambda: False
) -> Score | None:
    """Judge a learner by a part; None if the run was asked to stop."""
    total, everything = Score(0.0, 0.0, 0), np.arange(len(part))
    for place, inputs in enumerate(part.source.batches(everything, EVALUATED, 0)):
        targets = part.targets[place * EVALUATED : (place + 1) * EVALUATED]
        total = _add(total, learner.evaluate(inputs, targets))
        if stopping():
            return None
    return total


def _weights(train: Part, config: RunConfig) -> Any:
    """Return what each picture weighs, or None where all weigh the same."""
    if config.balance != "weights":
        return None
    return class_weights(train.labels, int(train.labels.max()) + 1)[train.labels]


def _add(one: Score, other: Score) -> Score:
    return Score(one.loss + other.loss, one.right + other.right, one.pictures + other.pictures)
