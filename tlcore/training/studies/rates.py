"""Which learning rate suits the head?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tlcore.errors import RunError
from tlcore.settings import Settings
from tlcore.training.inputs import targets_of
from tlcore.training.studies.known import Known, head_of, known, units_of

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 120  # of the learning-rate finder
CALM = 0.9  # share of the smoothed loss that each step keeps


@dataclass(frozen=True)
class Rates:
    """The smoothed loss while the learning rate grows from step to step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float  # the rate at which half of the loss's fall was behind


def find_rate(run: str, settings: Settings) -> Rates:
    """Let the learning rate grow from step to step until the loss explodes (Smith, "Cyclical
    Learning Rates for Training Neural Networks", 2017, section 3.3).

    Raises:
        RunError: as ``known``, or the loss is no finite number from the first step on.
    """
    return sweep(known(run, settings))


def sweep(data: Known) -> Rates:
    """Do what ``find_rate`` does, on features that are known."""
    head = head_of(data, data.config)
    targets = targets_of(data.train_labels, units_of(data))
    draw = np.random.default_rng(data.config.seed)
    rates, losses = [], []
    calm = 0.0
    for step in range(STEPS):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        batch = draw.choice(len(data.train), min(len(data.train), data.config.batch_size), False)
        with np.errstate(all="ignore"):  # what overflows ends as a loss that is not finite
            score = head.step(data.train[batch], targets[batch], None, rate)
        if not math.isfinite(score.loss):
            break
        calm = CALM * calm + (1 - CALM) * score.loss / score.pictures
        rates.append(rate)
        losses.append(calm / (1 - CALM ** (step + 1)))
        if losses[-1] > 4 * min(losses):
            break
    if not rates:
        raise RunError(
            f"Expected features that a head can learn from. Received a loss of {score.loss:g} in "
            "the first step. Choose another backbone or pooling."
        )
    # The middle of the fall. The lowest point will not do: the loss of one dense layer on frozen
    # features falls until the scan ends, so that it would say where that is. On 397 and 1,980
    # photographs, five recipes, the middle was within a factor of 3 of the rate with the lowest
    # validation loss after ten epochs.
    middle = (losses[0] + min(losses)) / 2
    suggested = rates[int(np.argmax(np.array(losses) <= middle))]
    return Rates(tuple(rates), tuple(losses), suggested)
