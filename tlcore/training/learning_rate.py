"""The learning-rate finder: which learning rate suits the head of a recipe?

L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decoding import hash_samples
from tlcore.errors import RunError
from tlcore.models.catalog import output_units
from tlcore.settings import Settings
from tlcore.training.batches import (
    Batch,
    SplitData,
    StageSpec,
    build_training_data,
    list_copies,
    list_layers,
    training_batches,
)
from tlcore.training.config import RunConfig
from tlcore.training.features import FeatureSource
from tlcore.training.head import Head
from tlcore.training.loop import limit_blas_threads
from tlcore.training.provenance import list_samples, read_classes
from tlcore.training.store import load_run_info

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120  # the rates that are tried
SMOOTHING = 0.9  # share of the smoothed loss that each step keeps
EXPLODED = 4  # times the lowest loss, where the scan ends


@dataclass(frozen=True)
class LearningRateScan:
    """The smoothed loss while the learning rate grows from step to step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float  # the rate at the middle of the fall of the loss
    computed: int = 0  # images and augmented copies whose features had to be computed


def find_learning_rate(run: str, settings: Settings) -> LearningRateScan:
    """Scan the rates for a run's own recipe and images; errors as ``find_learning_rate_for``."""
    info = load_run_info(run, settings)
    train = list_samples(info, "train")
    return find_learning_rate_for(info.config, read_classes(info), train, settings)


def find_learning_rate_for(
    config: RunConfig, classes: Sequence[str], train: Sequence[Sample], settings: Settings
) -> LearningRateScan:
    """Let the learning rate grow from step to step until the loss explodes.

    Each step is the recipe's own: its backbone, size and geometry, batches, optimizer, dropout,
    label smoothing, class weights or oversampling, and augmented copies. Features that are not in
    the cache are computed and stored.

    Args:
        config: the recipe; see ``select_head_recipe`` for what has no influence.
        classes: in the order of the output units.
        train: the training images.
        settings: where weights and the feature cache lie.

    Raises:
        BadDataset: no image can be read, also of one class.
        WeightsMissing: something has to be computed and the backbone's weights are not here.
        RunError: the loss is not finite from the first step on.
    """
    config = select_head_recipe(config)
    source = FeatureSource(config, len(classes), settings)
    samples, layers = tuple(hash_samples(train)), list_layers(source)
    missing = source.missing(layers, list_copies(config, samples, ()))
    source.compute(layers, missing)
    outputs = output_units(len(classes), config.classifier_activation)
    spec = StageSpec(layers[0], "head", tuple(classes), outputs, 0, lambda: False)
    data = build_training_data(source, samples, spec)
    head = Head(config, source.head_inputs, outputs)
    return replace(scan_learning_rates(head, data, config), computed=len(missing))


def select_head_recipe(config: RunConfig) -> RunConfig:
    """Return what the head's rate depends on: the recipe without rates, epochs and fine-tuning."""
    return replace(
        config,
        epochs=1,
        fine_tune_epochs=0,
        learning_rate=1e-3,
        fine_tune_learning_rate=0.0,
        learning_rate_schedule="constant",
        patience=0,
    )


def scan_learning_rates(head: Head, train: SplitData, config: RunConfig) -> LearningRateScan:
    """Scan the rates on features that are here. See ``find_learning_rate_for``."""
    rates: list[float] = []
    losses: list[float] = []
    smoothed, loss = 0.0, math.nan
    batches = _endless_batches(head, train, config)
    with limit_blas_threads(), np.errstate(all="ignore"):  # an overflow ends as a loss of inf
        for step in range(STEPS):
            rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
            loss = head.step(*next(batches), rate).mean_loss
            if not math.isfinite(loss):
                break
            smoothed = SMOOTHING * smoothed + (1 - SMOOTHING) * loss
            rates.append(rate)
            losses.append(smoothed / (1 - SMOOTHING ** (step + 1)))
            if losses[-1] > EXPLODED * min(losses):
                break
    if not rates:
        raise RunError(
            f"Expected features that a head can learn from. Received a loss of {loss:g} in "
            "the first step. Choose another backbone or pooling."
        )
    # The middle of the fall. The lowest point will not do: the loss of one dense layer on frozen
    # features falls until the scan ends. On 397 and 1,980 images, five recipes, the middle was
    # within a factor of 3 of the rate with the lowest validation loss after ten epochs.
    middle = (losses[0] + min(losses)) / 2
    suggested = rates[int(np.argmax(np.array(losses) <= middle))]
    return LearningRateScan(tuple(rates), tuple(losses), suggested)


def _endless_batches(head: Head, train: SplitData, config: RunConfig) -> Iterator[Batch]:
    """Yield the batches of epoch after epoch, as a run has them."""
    for epoch in count():
        head.begin_epoch(epoch)
        yield from training_batches(train, config, head.stage, epoch)
