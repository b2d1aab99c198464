"""Adam, RMSprop and SGD on NumPy arrays, step for step as Keras' own with their defaults.

Kingma and Ba, "Adam: a method for stochastic optimization" (2015); RMSprop after Hinton's lecture
6e; SGD with momentum after Polyak. Held against Keras by tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np

from tlcore.models.answers import Floats as Floats

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


def rate_at(step: int, steps: int, rate: float, schedule: str) -> float:
    """Return the learning rate of a step (0-based) among a stage's ``steps``."""
    if schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * step / steps))
    return rate


def _zeros(weights: Sequence[Floats]) -> list[Floats]:
    return [np.zeros_like(weight) for weight in weights]
