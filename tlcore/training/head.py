"""Adam, RMSprop and SGD on NumPy arrays, step for step as Keras' own with their defaults.

Kingma and Ba, "Adam: a method for stochastic optimization" (2015); RMSprop after Hinton's lecture
6e; SGD with momentum after Polyak. Held against Keras by tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol

import numpy as np

from tlcore.models.predictions import Floats as Floats
from tlcore.training.batches import MASKS, START, random_numbers
from tlcore.training.checkpoint import State
from tlcore.training.config import RunConfig
from tlcore.training.history import StageName

EPSILON = np.float32(1e-7)


class Optimizer(Protocol):
    """Changes weights in place; its ``state`` is all that it remembers."""

    state: list[Floats]

    def update(self, weights: Sequence[Floats], gradients: Sequence[Floats], rate: float) -> None:
        """Make one step. ``gradients`` may be overwritten."""


class Adam:
    def __init__(self, weights: Sequence[Floats]) -> None:
        self.state = [np.zeros(1, np.float32), *_zeros(weights), *_zeros(weights)]

    def update(self, weights: Sequence[Floats], gradients: Sequence[Floats], rate: float) -> None:
        self.state[0] += 1
        step = float(self.state[0][0])
        first, second = self.state[1 : len(weights) + 1], self.state[len(weights) + 1 :]
        scale = np.float32(rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step))
        for weight, gradient, m, v in zip(weights, gradients, first, second, strict=True):
            m *= np.float32(0.9)
            m += gradient * np.float32(0.1)
            gradient *= gradient
            gradient *= np.float32(0.001)
            v *= np.float32(0.999)
            v += gradient
            np.sqrt(v, out=gradient)
            gradient += EPSILON
            np.divide(m, gradient, out=gradient)
            gradient *= scale
            weight -= gradient


class RMSprop:
    def __init__(self, weights: Sequence[Floats]) -> None:
        self.state = _zeros(weights)

    def update(self, weights: Sequence[Floats], gradients: Sequence[Floats], rate: float) -> None:
        for weight, gradient, v in zip(weights, gradients, self.state, strict=True):
            v *= np.float32(0.9)
            v += np.float32(0.1) * gradient * gradient
            weight -= np.float32(rate) * gradient / np.sqrt(v + EPSILON)


class SGD:
    def __init__(self, weights: Sequence[Floats]) -> None:
        self.state = _zeros(weights)

    def update(self, weights: Sequence[Floats], gradients: Sequence[Floats], rate: float) -> None:
        for weight, gradient, moved in zip(weights, gradients, self.state, strict=True):
            moved *= np.float32(MOMENTUM)
            moved -= np.float32(rate) * gradient
            weight += moved


MOMENTUM = 0.9  # of SGD
OPTIMIZERS: Mapping[str, type[Adam] | type[RMSprop] | type[SGD]] = MappingProxyType(
    {"adam": Adam, "rmsprop": RMSprop, "sgd": SGD}
)


def learning_rate_at(step: int, steps: int, rate: float, schedule: str) -> float:
    """Return the learning rate of a step (0-based) among a stage's ``steps``."""
    if schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    return rate


def _zeros(weights: Sequence[Floats]) -> list[Floats]:
    return [np.zeros_like(weight) for weight in weights]


# The dense head in NumPy: dropout → dense → relu → … → dropout → dense, from cached features.
#
# On cached features a step is a few small products, and Keras spends ten times longer on getting
# there than on them; NumPy needs neither that nor TensorFlow's start. What it does is Keras' own:
# losses, label smoothing, weights, inverted dropout and optimizers are held against a plain Keras
# fit by tests, and the weights end up in Keras layers.


# Of 32 bits, or NumPy would look up how to turn each of them, step for step.
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
HIGHEST_POWER = np.float32(80)  # e to the power of more overflows soon; 1 / (1 + e^80) is zero


@dataclass(frozen=True)
class BatchMetrics:
    """Sums over a batch."""

    loss: float  # mean loss × images
    correct: float  # images answered correctly
    images: int


class Head:
    """A learner (see ``fit``): weights, an optimizer and the numbers for its dropout."""

    stage: StageName = "head"

    def __init__(self, config: RunConfig, features: int, units: int) -> None:
        """Make a head of ``features`` inputs and ``units`` outputs.

        The last layer starts at zero, as in ``add_head``; those before it need a random start.
        """
        self.config = config
        sides = [features, *config.hidden_units, units]
        # One vector for all weights, so that the optimizer's arithmetic is done once a step.
        self._flat = np.concatenate([each.ravel() for each in _start(sides, config.seed)])
        self._gradient = np.empty_like(self._flat)
        self.weights = _views(self._flat, sides)
        self._gradients = _views(self._gradient, sides)
        self.optimizer: Optimizer = OPTIMIZERS[config.optimizer]([self._flat])
        self._draw = random_numbers(config.seed, self.stage, 0, MASKS)

    def begin_epoch(self, epoch: int) -> None:
        self._draw = random_numbers(self.config.seed, self.stage, epoch, MASKS)

    def step(
        self, inputs: Floats, targets: Floats, weights: Floats | None, rate: float
    ) -> BatchMetrics:
        """Learn from one batch: inputs (n, features), targets (n, units), weights (n,)."""
        layers, masks, logits = self._forward(inputs, learning=True)
        soft = smooth_labels(targets, self.config.label_smoothing)
        losses, gradient = compute_losses_and_gradient(logits, soft)
        if weights is not None:
            losses, gradient = losses * weights, gradient * weights[:, None]
        gradient /= np.float32(len(inputs))
        self._backward(layers, masks, gradient)
        self.optimizer.update([self._flat], [self._gradient], rate)
        return BatchMetrics(
            float(np.add.reduce(losses)), count_correct(logits, targets), len(inputs)
        )

    def evaluate(self, inputs: Floats, targets: Floats) -> BatchMetrics:
        _, _, logits = self._forward(inputs, learning=False)
        losses, _ = compute_losses_and_gradient(
            logits, smooth_labels(targets, self.config.label_smoothing)
        )
        return BatchMetrics(
            float(np.add.reduce(losses)), count_correct(logits, targets), len(inputs)
        )

    def logits(self, inputs: Floats) -> Floats:
        """Return (n, units)."""
        return self._forward(inputs, learning=False)[2]

    def state(self) -> State:
        """Return a copy of all that it needs to go on."""
        return {
            "weights": self._flat.copy(),
            **{f"o{i}": array.copy() for i, array in enumerate(self.optimizer.state)},
        }

    def restore(self, state: State) -> None:
        self._flat[...] = state["weights"]
        for i, array in enumerate(self.optimizer.state if "o0" in state else ()):
            array[...] = state[f"o{i}"]

    def _forward(
        self, inputs: Floats, *, learning: bool
    ) -> tuple[list[Floats], list[Floats | None], Floats]:
        """Return the input of each dense layer, the mask that made it, and the logits."""
        layers: list[Floats] = []
        masks: list[Floats | None] = []
        value = inputs.reshape(len(inputs), -1)
        for i in range(0, len(self.weights), 2):
            if i:
                value = np.maximum(value, 0)
            mask = self._mask(value.shape) if learning and self.config.dropout else None
            if mask is not None:
                value = value * mask
            layers.append(value)
            masks.append(mask)
            value = value @ self.weights[i] + self.weights[i + 1]
        return layers, masks, value

    def _mask(self, shape: tuple[int, ...]) -> Floats:
        kept = self._draw.random(shape, np.float32) >= self.config.dropout
        return kept * np.float32(1 / (1 - self.config.dropout))

    def _backward(
        self, layers: Sequence[Floats], masks: Sequence[Floats | None], gradient: Floats
    ) -> None:
        """Fill in the gradient of every weight, from that of the logits."""
        for i in range(len(layers) - 1, -1, -1):
            np.matmul(layers[i].T, gradient, out=self._gradients[2 * i])
            np.add.reduce(gradient, axis=0, out=self._gradients[2 * i + 1])
            if i:
                gradient = gradient @ self.weights[2 * i].T
                mask = masks[i]
                if mask is not None:
                    gradient = gradient * mask
                gradient = gradient * (layers[i] > 0)  # past the relu; dropped ones are zero anyway


def smooth_labels(targets: Floats, share: float) -> Floats:
    """Take ``share`` of the certainty off the targets and spread it over all classes."""
    if not share:
        return targets
    return targets * np.float32(1 - share) + np.float32(share / max(2, targets.shape[1]))


def compute_losses_and_gradient(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Return each image's cross-entropy (n,) and its gradient by the logits (n, units)."""
    if logits.shape[1] == 1:
        losses = np.logaddexp(logits, ZERO) - logits * targets
        sigmoid = np.exp(np.minimum(-logits, HIGHEST_POWER))
        sigmoid += ONE
        np.reciprocal(sigmoid, out=sigmoid)
        sigmoid -= targets
        return losses[:, 0], sigmoid
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    sums = powers.sum(axis=1, keepdims=True)
    losses = (targets * (np.log(sums) - shifted)).sum(axis=1)
    return losses, powers / sums - targets


def count_correct(logits: Floats, targets: Floats) -> float:
    """Return how many rows say what the targets say."""
    if logits.shape[1] == 1:
        return float(np.count_nonzero((logits > ZERO) == (targets > HALF)))
    return float(np.count_nonzero(logits.argmax(axis=1) == targets.argmax(axis=1)))


def _start(sides: Sequence[int], seed: int) -> list[Floats]:
    """Uniform as Glorot and Bengio (2010) have it, the last layer zero."""
    draw = random_numbers(seed, "head", 0, START)
    weights: list[Floats] = []
    for i, (before, behind) in enumerate(pairwise(sides)):
        limit = np.sqrt(6 / (before + behind)) if i < len(sides) - 2 else 0.0
        weights += [
            draw.uniform(-limit, limit, (before, behind)).astype(np.float32),
            np.zeros(behind, np.float32),
        ]
    return weights


def _views(flat: Floats, sides: Sequence[int]) -> list[Floats]:
    """Return the kernels and biases that a vector is made of, as views of it."""
    views: list[Floats] = []
    at = 0
    for before, behind in pairwise(sides):
        views += [
            flat[at : at + before * behind].reshape(before, behind),
            flat[at + before * behind : at + (before + 1) * behind],
        ]
        at += (before + 1) * behind
    return views
