"""Which learning rate suits the head of a recipe?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.errors import RunError
from tlcore.models.catalog import output_units
from tlcore.models.predictions import Floats
from tlcore.settings import Settings
from tlcore.training.augmentation import hash_samples
from tlcore.training.batches import (
    ORDER,
    Positions,
    SplitData,
    StageSpec,
    build_training_data,
    draw_order,
    list_copies,
    list_layers,
    random_numbers,
)
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.loop import compute_sample_weights
from tlcore.training.provenance import list_samples, read_classes
from tlcore.training.store import load_run_info

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120  # of the learning-rate finder
CALM = 0.9  # share of the smoothed loss that each step keeps


@dataclass(frozen=True)
class LearningRateScan:
    """The smoothed loss while the learning rate grows from step to step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float  # the rate at which half of the loss's fall was behind
    computed: int = 0  # images and views whose features had to be computed for it


def select_head_recipe(config: RunConfig) -> RunConfig:
    """Return what the head's rate depends on: the recipe without rates, epochs and later stages."""
    return replace(
        config,
        epochs=1,
        fine_tune_epochs=0,
        learning_rate=1e-3,
        fine_tune_learning_rate=0.0,
        learning_rate_schedule="constant",
        patience=0,
    )


def find_learning_rate(run: str, settings: Settings) -> LearningRateScan:
    """Scan the rates for a run's own recipe and images; errors as ``find_learning_rate_for``."""
    info = load_run_info(run, settings)
    train = list_samples(info, "train")
    return find_learning_rate_for(info.config, read_classes(info), train, settings)


def find_learning_rate_for(
    config: RunConfig, classes: Sequence[str], train: Sequence[Sample], settings: Settings
) -> LearningRateScan:
    """Let the learning rate grow from step to step until the loss explodes (Smith, "Cyclical
    Learning Rates for Training Neural Networks", 2017, section 3.3).

    Each step is the recipe's own: its backbone, size and geometry, batches, optimizer, dropout,
    label smoothing, class weights or oversampling, and augmented views. Features that the cache
    does not have are computed and kept.

    Args:
        config: the recipe; what ``select_head_recipe`` leaves out has no influence.
        classes: in the order of the output units.
        train: the images to learn from.
        settings: where weights and the feature cache lie.

    Raises:
        BadDataset: no image that can be read, also in one class.
        WeightsMissing: something has to be computed and the backbone's weights are not here.
        RunError: the loss is no finite number from the first step on.
    """
    config = select_head_recipe(config)
    supply = FeatureSource(config, len(classes), settings)
    try:
        samples = hash_samples(train)
        layers = list_layers(supply)
        missing = supply.missing(layers, list_copies(config, samples, ()))
        supply.compute(layers, missing, done=lambda _: None, skipped=lambda file, reason: None)
        outputs = output_units(len(classes), config.classifier_activation)
        asked = StageSpec(supply.pooled, "head", tuple(classes), outputs, 0, lambda: False)
        part = build_training_data(supply, samples, asked)
        head = Head(config, supply.head_inputs, outputs)
        return replace(scan_learning_rates(head, part, config), computed=len(missing))
    finally:
        supply.close()


def scan_learning_rates(head: Head, train: SplitData, config: RunConfig) -> LearningRateScan:
    """Do what ``find_learning_rate_for`` does, on features that are there."""
    weights = compute_sample_weights(train, config)
    rates: list[float] = []
    losses: list[float] = []
    calm, loss = 0.0, math.nan
    for step, (inputs, batch) in zip(range(STEPS), _batches(head, train, config), strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        weighed = None if weights is None else weights[batch]
        with np.errstate(all="ignore"):  # what overflows ends as a loss that is not finite
            score = head.step(inputs, train.targets[batch], weighed, rate)
        loss = score.loss / score.images
        if not math.isfinite(loss):
            break
        calm = CALM * calm + (1 - CALM) * loss
        rates.append(rate)
        losses.append(calm / (1 - CALM ** (step + 1)))
        if losses[-1] > 4 * min(losses):
            break
    if not rates:
        raise RunError(
            f"Expected features that a head can learn from. Received a loss of {loss:g} in "
            "the first step. Choose another backbone or pooling."
        )
    # The middle of the fall. The lowest point will not do: the loss of one dense layer on frozen
    # features falls until the scan ends, so that it would say where that is. On 397 and 1,980
    # images, five recipes, the middle was within a factor of 3 of the rate with the lowest
    # validation loss after ten epochs.
    middle = (losses[0] + min(losses)) / 2
    suggested = rates[int(np.argmax(np.array(losses) <= middle))]
    return LearningRateScan(tuple(rates), tuple(losses), suggested)


def _batches(head: Head, train: SplitData, config: RunConfig) -> Iterator[tuple[Floats, Positions]]:
    """Yield features and positions of batch after batch, epoch after epoch, as a run has them."""
    for epoch in count():
        head.begin_epoch(epoch)
        draw = random_numbers(config.seed, head.stage, epoch, ORDER)
        order = draw_order(train.labels, draw, even=config.class_weights == "oversampling")
        source = train.source.batches(order, config.batch_size, epoch)
        for number, inputs in enumerate(source):
            yield inputs, order[number * config.batch_size :][: config.batch_size]
