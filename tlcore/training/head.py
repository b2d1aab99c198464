"""The dense head in NumPy: dropout → dense → relu → … → dropout → dense, on cached features.

On cached features a step is a few small products, and Keras spends ten times longer on getting
there than on them; NumPy needs neither that nor TensorFlow's start. Losses, label smoothing, sample
weights, inverted dropout and optimizers are those of Keras with its defaults, which tests compare
step for step, and the weights end up in Keras layers.

Kingma and Ba, "Adam: a method for stochastic optimization" (2015); RMSprop after Hinton's lecture
6e; SGD with momentum after Polyak.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tlcore.models.predictions import Floats as Floats
from tlcore.training.batches import MASKS, START, random_numbers
from tlcore.training.checkpoint import State
from tlcore.training.config import RunConfig
from tlcore.training.history import StageName

EPSILON = np.float32(1e-7)


# Optimizers change a vector of weights in place, and may overwrite the gradient; ``state`` holds
# all of their variables.


class Adam:
    def __init__(self, weights: Floats) -> None:
        self.state = [np.zeros(1, np.float32), np.zeros_like(weights), np.zeros_like(weights)]

    def update(self, weights: Floats, gradient: Floats, rate: float) -> None:
        count, first, second = self.state
        count += 1
        step = float(count[0])
        first *= np.float32(0.9)
        first += gradient * np.float32(0.1)
        gradient *= gradient
        gradient *= np.float32(0.001)
        second *= np.float32(0.999)
        second += gradient
        np.sqrt(second, out=gradient)
        gradient += EPSILON
        np.divide(first, gradient, out=gradient)
        gradient *= np.float32(rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step))
        weights -= gradient


class RMSprop:
    def __init__(self, weights: Floats) -> None:
        self.state = [np.zeros_like(weights)]

    def update(self, weights: Floats, gradient: Floats, rate: float) -> None:
        (second,) = self.state
        second *= np.float32(0.9)
        second += np.float32(0.1) * gradient * gradient
        weights -= np.float32(rate) * gradient / np.sqrt(second + EPSILON)


class SGD:
    def __init__(self, weights: Floats) -> None:
        self.state = [np.zeros_like(weights)]

    def update(self, weights: Floats, gradient: Floats, rate: float) -> None:
        (velocity,) = self.state
        velocity *= np.float32(MOMENTUM)
        velocity -= np.float32(rate) * gradient
        weights += velocity


MOMENTUM = 0.9  # of SGD
OPTIMIZERS: Mapping[str, type[Adam] | type[RMSprop] | type[SGD]] = {
    "adam": Adam,
    "rmsprop": RMSprop,
    "sgd": SGD,
}


def learning_rate_at(step: int, steps: int, rate: float, schedule: str) -> float:
    """Return the learning rate of a step (0-based) of a stage of ``steps``."""
    if schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    return rate


# float32 scalars: NumPy would convert Python's numbers in each step.
ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
HIGHEST_POWER = np.float32(80)  # e to the power of more overflows soon; 1 / (1 + e^80) is zero


@dataclass(frozen=True)
class BatchMetrics:
    """Sums over the images of a batch, or of many."""

    loss: float  # mean loss × images
    correct: float  # images classified correctly
    images: int

    @property
    def mean_loss(self) -> float:
        return self.loss / self.images

    @property
    def accuracy(self) -> float:
        """0…1."""
        return self.correct / self.images


class Head:
    """A learner (see ``loop``): weights, an optimizer and the random numbers of its dropout."""

    stage: StageName = "head"

    def __init__(self, config: RunConfig, features: int, units: int) -> None:
        """Make a head of ``features`` inputs and ``units`` outputs.

        The last layer starts at zero, as in ``add_head``; those before it need a random start.
        """
        self.config = config
        sizes = [features, *config.hidden_units, units]
        # One vector for all weights, so that the optimizer's arithmetic is done once a step.
        self._flat = np.concatenate([each.ravel() for each in _initial_weights(sizes, config.seed)])
        self._gradient = np.empty_like(self._flat)
        self.weights = _split_layers(self._flat, sizes)  # kernel, bias, kernel, bias, …
        self._gradients = _split_layers(self._gradient, sizes)
        self.optimizer = OPTIMIZERS[config.optimizer](self._flat)
        self._draw = random_numbers(config.seed, self.stage, 0, MASKS)

    def begin_epoch(self, epoch: int) -> None:
        self._draw = random_numbers(self.config.seed, self.stage, epoch, MASKS)

    def step(
        self, inputs: Floats, targets: Floats, weights: Floats | None, rate: float
    ) -> BatchMetrics:
        layers, masks, logits = self._forward(inputs, training=True)
        smoothed = smooth_labels(targets, self.config.label_smoothing)
        losses, gradient = compute_losses_and_gradient(logits, smoothed)
        if weights is not None:
            losses, gradient = losses * weights, gradient * weights[:, None]
        gradient /= np.float32(len(inputs))
        self._backward(layers, masks, gradient)
        self.optimizer.update(self._flat, self._gradient, rate)
        return _metrics(losses, logits, targets)

    def evaluate(self, inputs: Floats, targets: Floats) -> BatchMetrics:
        logits = self.logits(inputs)
        smoothed = smooth_labels(targets, self.config.label_smoothing)
        losses, _ = compute_losses_and_gradient(logits, smoothed)
        return _metrics(losses, logits, targets)

    def logits(self, inputs: Floats) -> Floats:
        return self._forward(inputs, training=False)[2]

    def state(self) -> State:
        return {
            "weights": self._flat.copy(),
            **{f"o{i}": array.copy() for i, array in enumerate(self.optimizer.state)},
        }

    def restore(self, state: State) -> None:
        self._flat[...] = state["weights"]
        for i, array in enumerate(self.optimizer.state if "o0" in state else ()):
            array[...] = state[f"o{i}"]

    def _forward(
        self, inputs: Floats, *, training: bool
    ) -> tuple[list[Floats], list[Floats | None], Floats]:
        """Return the input of each dense layer, the dropout mask of that input, and the logits."""
        layers: list[Floats] = []
        masks: list[Floats | None] = []
        value = inputs.reshape(len(inputs), -1)
        for i in range(0, len(self.weights), 2):
            if i:
                value = np.maximum(value, 0)
            mask = None
            if training and (dropout := self.config.dropout):
                active = self._draw.random(value.shape, np.float32) >= dropout
                mask = active * np.float32(1 / (1 - dropout))
                value = value * mask
            layers.append(value)
            masks.append(mask)
            value = value @ self.weights[i] + self.weights[i + 1]
        return layers, masks, value

    def _backward(
        self, layers: Sequence[Floats], masks: Sequence[Floats | None], gradient: Floats
    ) -> None:
        """Compute the gradient of every weight from that of the logits."""
        for i in range(len(layers) - 1, -1, -1):
            np.matmul(layers[i].T, gradient, out=self._gradients[2 * i])
            np.add.reduce(gradient, axis=0, out=self._gradients[2 * i + 1])
            if i:
                gradient = gradient @ self.weights[2 * i].T
                if (mask := masks[i]) is not None:
                    gradient = gradient * mask
                gradient = gradient * (layers[i] > 0)  # the relu; dropped inputs are 0 anyway


def _metrics(losses: Floats, logits: Floats, targets: Floats) -> BatchMetrics:
    return BatchMetrics(float(np.add.reduce(losses)), count_correct(logits, targets), len(logits))


def smooth_labels(targets: Floats, share: float) -> Floats:
    """Take ``share`` of the probability from the targets and spread it over all classes."""
    if not share:
        return targets
    return targets * np.float32(1 - share) + np.float32(share / max(2, targets.shape[1]))


def compute_losses_and_gradient(logits: Floats, targets: Floats) -> tuple[Floats, Floats]:
    """Return the cross-entropy of each image (n,) and its gradient by the logits (n, units)."""
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
    """Return how many rows of logits (n, units) have the class of the targets."""
    if logits.shape[1] == 1:
        return float(np.count_nonzero((logits > ZERO) == (targets > HALF)))
    return float(np.count_nonzero(logits.argmax(axis=1) == targets.argmax(axis=1)))


def _initial_weights(sizes: Sequence[int], seed: int) -> list[Floats]:
    """Draw uniformly as Glorot and Bengio (2010), the last layer zero."""
    draw = random_numbers(seed, "head", 0, START)
    weights: list[Floats] = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        limit = np.sqrt(6 / (inputs + outputs)) if i < len(sizes) - 2 else 0.0
        weights += [
            draw.uniform(-limit, limit, (inputs, outputs)).astype(np.float32),
            np.zeros(outputs, np.float32),
        ]
    return weights


def _split_layers(flat: Floats, sizes: Sequence[int]) -> list[Floats]:
    """Return the kernels and biases of a vector of all weights, as views of it."""
    layers: list[Floats] = []
    start = 0
    for inputs, outputs in pairwise(sizes):
        kernel, end = start + inputs * outputs, start + (inputs + 1) * outputs
        layers += [flat[start:kernel].reshape(inputs, outputs), flat[kernel:end]]
        start = end
    return layers
