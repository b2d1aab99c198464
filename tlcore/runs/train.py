"""The recipe of a run: features → head → top blocks, with everything it does written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from tlcore.errors import BadDataset
from tlcore.images.dataset import Dataset, Sample, split_samples
from tlcore.networks.answers import Floats, Pretrained
from tlcore.networks.build import build
from tlcore.networks.freeze import cut_below, freeze_base, unfreeze_from
from tlcore.networks.heads import add_head, units
from tlcore.runs.config import RunConfig
from tlcore.runs.events import Epoch, Event, Progress, Skipped, Stage
from tlcore.runs.features import Features, Geometry, compute_features
from tlcore.runs.store import FINISHED, STOPPED, Outcome, write_json
from tlcore.settings import Settings

BEAT = 0.5  # s between two progress events


@dataclass(frozen=True, eq=False)
class Part:
    """What a stage learns from, or is judged by."""

    inputs: Floats  # (n, …), the output of the frozen layers below
    targets: Floats  # (n, units): one-hot, or 0 and 1 for a sigmoid unit


@dataclass(frozen=True, eq=False)
class Desk:
    """What the stages of one run share."""

    config: RunConfig
    settings: Settings
    classes: tuple[str, ...]
    train: Sequence[Sample]
    val: Sequence[Sample]
    emit: Callable[[Event], None]
    stopping: Callable[[], bool]


class Stopped(Exception):  # not an error: somebody asked for it
    """The run was asked to stop in a stage that has nothing to keep."""


def train(
    folder: Path,
    config: RunConfig,
    dataset: Dataset,
    settings: Settings,
    *,
    emit: Callable[[Event], None],
) -> Outcome:
    """Train one run and save its network as ``model.keras`` in ``folder``.

    A file named "stop" in ``folder`` ends it after the current batch; what is trained is kept.

    Raises:
        BadDataset: nothing to learn from or to judge by.
        WeightsMissing: the backbone's weights are not here.
    """
    start = time.perf_counter()
    keras.utils.set_random_seed(config.seed)
    training, validation = split_samples(dataset, config.val_fraction, config.seed)
    desk = Desk(
        config, settings, dataset.classes, training, validation, emit, (folder / "stop").exists
    )
    _write_split(folder, desk)
    history: list[Epoch] = []
    saved = False
    try:
        base, _ = build(
            Pretrained(config.backbone, config.size, random=config.random_weights, top=False),
            settings,
        )
        model = add_head(
            base,
            len(dataset.classes),
            pooling=config.pooling,
            dropout=config.dropout,
            seed=config.seed,
        )
        freeze_base(base)
        history += train_head(model, desk)
        if config.fine_tune_epochs and not desk.stopping():
            history += fine_tune(model, base, desk, after=len(history))
    except Stopped:
        pass
    else:
        _save(model, folder)
        saved = True
    stopped = desk.stopping() and _short(history, config)
    return Outcome(
        state=STOPPED if stopped or not saved else FINISHED,
        seconds=time.perf_counter() - start,
        val_accuracy=history[-1].val_accuracy if history else None,
    )


def train_head(model: keras.Model, desk: Desk) -> list[Epoch]:
    """Train the dense head on pooled bottleneck features, each computed once.

    Raises:
        Stopped: before there was anything to train on.
    """
    features = keras.Model(model.input, model.get_layer("pooling").output)
    train, val = _parts(features, desk)
    head = keras.Model(features.output, model.get_layer("logits").output)
    return _fit(head, train, val, desk, "head", after=0)


def fine_tune(model: keras.Model, base: keras.Model, desk: Desk, *, after: int) -> list[Epoch]:
    """Train the head and the base from ``unfreeze_from`` on, at the lower learning rate.

    Everything below the first unfrozen block is computed once, at a place where one stack of
    activations is all that passes.

    Raises:
        Stopped: before there was anything to train on.
    """
    below = base.get_layer(cut_below(base, desk.config.unfreeze_from)).output
    try:
        train, val = _parts(keras.Model(base.input, below), desk)
    except Stopped:  # the head is trained and worth keeping
        return []
    unfreeze_from(base, desk.config.unfreeze_from)
    top = keras.Model(below, model.get_layer("logits").output)
    return _fit(top, train, val, desk, "fine-tune", after=after)


def _parts(frozen: keras.Model, desk: Desk) -> tuple[Part, Part]:
    """Compute what the frozen layers make of both parts."""
    desk.emit(Stage("features", len(desk.train) + len(desk.val)))
    train = _features(frozen, desk.train, desk, before=0)
    val = _features(frozen, desk.val, desk, before=len(desk.train))
    return _part(train, "training", desk), _part(val, "validation", desk)


def _features(
    frozen: keras.Model, samples: Sequence[Sample], desk: Desk, *, before: int
) -> Features:
    def done(count: int) -> None:
        if desk.stopping():
            raise Stopped
        desk.emit(Progress("features", before + count))

    config = desk.config
    return compute_features(
        frozen,
        samples,
        Geometry(config.backbone, config.size, config.fit, desk.settings.limits),
        done=done,
        skipped=lambda file, reason: desk.emit(Skipped(file, reason)),
    )


def _part(features: Features, name: str, desk: Desk) -> Part:
    if not features.samples:
        raise BadDataset(
            f"Expected pictures for {name}. Received none that can be read. Add pictures: each "
            "class needs at least two, one to train on and one to judge by."
        )
    index = {label: place for place, label in enumerate(desk.classes)}
    targets = np.array([index[sample.label] for sample in features.samples])
    if units(len(desk.classes)) == 1:
        return Part(features.values, targets[:, None].astype(np.float32))
    return Part(features.values, np.eye(len(desk.classes), dtype=np.float32)[targets])


def _fit(
    model: keras.Model, train: Part, val: Part, desk: Desk, stage: str, *, after: int
) -> list[Epoch]:
    """Fit a model that ends in logits, and return its epochs, counted on from ``after``."""
    config = desk.config
    tuning = stage == "fine-tune"
    rate = config.fine_tune_learning_rate if tuning else config.learning_rate
    epochs = config.fine_tune_epochs if tuning else config.epochs
    loss, accuracy = _loss_and_accuracy(len(desk.classes))
    model.compile(keras.optimizers.Adam(rate), loss, metrics=[accuracy])
    steps = -(-len(train.inputs) // config.batch_size)
    desk.emit(Stage(stage, epochs * steps))
    report = Report(stage, steps, after, desk)
    model.fit(
        train.inputs,
        train.targets,
        validation_data=(val.inputs, val.targets),
        validation_batch_size=config.batch_size,
        batch_size=config.batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=[report],
    )
    return report.history


def _loss_and_accuracy(classes: int) -> tuple[keras.losses.Loss, keras.metrics.Metric]:
    if units(classes) == 1:
        accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)  # of a logit
        return keras.losses.BinaryCrossentropy(from_logits=True), accuracy
    accuracy = keras.metrics.CategoricalAccuracy("accuracy")
    return keras.losses.CategoricalCrossentropy(from_logits=True), accuracy


class Report(keras.callbacks.Callback):
    """Writes down each epoch and the way there, and ends a fit that is asked to stop."""

    def __init__(self, stage: str, steps: int, after: int, desk: Desk) -> None:
        super().__init__()
        self.stage, self.steps, self.after, self.desk = stage, steps, after, desk
        self.history: list[Epoch] = []
        self.batches = 0
        self.beat = self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.batches += 1
        if self.desk.stopping():
            self.model.stop_training = True
        if time.monotonic() - self.beat >= BEAT:
            self.beat = time.monotonic()
            self.desk.emit(Progress(self.stage, self.batches))

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self.desk.stopping():
            self.model.stop_evaluating = True

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.model.stop_training or not logs:
            return  # an epoch cut short has no figures that compare with the others
        event = Epoch(
            epoch=self.after + epoch + 1,
            stage=self.stage,
            loss=logs["loss"],
            accuracy=logs["accuracy"],
            val_loss=logs["val_loss"],
            val_accuracy=logs["val_accuracy"],
            seconds=time.perf_counter() - self.began,
        )
        self.history.append(event)
        self.desk.emit(event)
        self.desk.emit(Progress(self.stage, self.batches))


def _short(history: list[Epoch], config: RunConfig) -> bool:
    return len(history) < config.epochs + config.fine_tune_epochs


def _write_split(folder: Path, desk: Desk) -> None:
    def rows(samples: Sequence[Sample]) -> list[dict[str, str]]:
        return [
            {key: str(value) for key, value in asdict(sample).items() if key in SPLIT_FIELDS}
            for sample in samples
        ]

    write_json(
        folder / "split.json",
        {"classes": desk.classes, "train": rows(desk.train), "val": rows(desk.val)},
    )


SPLIT_FIELDS = ("file", "path", "sha256", "label")


def _save(model: keras.Model, folder: Path) -> None:
    model.trainable = False  # what is saved is for answering
    temporary = folder / ".saving.keras"
    model.save(temporary)
    temporary.replace(folder / "model.keras")
