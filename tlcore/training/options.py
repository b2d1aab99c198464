"""The tables a recipe chooses from: a name, and what it means in one sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

POOLINGS: Mapping[str, str] = MappingProxyType(
    {
        "avg": "average of each map",
        "max": "maximum of each map",
        "flatten": "none, all values",
    }
)
OUTPUTS: Mapping[str, str] = MappingProxyType(
    {
        "sigmoid": "one sigmoid unit for two classes, a softmax for more",
        "softmax": "a softmax with a unit for each class",
    }
)
OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "adam": "Adam: each weight has a step of its own; a safe choice",
        "rmsprop": "RMSprop: the same without momentum, as older recipes have it",
        "sgd": "SGD with momentum 0.9: one step for all; wants a higher rate",
    }
)
SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "constant": "the same rate throughout",
        "cosine": "falls to zero along a cosine, stage by stage",
    }
)
BALANCES: Mapping[str, str] = MappingProxyType(
    {
        "none": "every picture counts the same",
        "weights": "every class counts the same: pictures of rare classes weigh more",
        "sampling": "every class comes as often: pictures of rare classes are repeated",
    }
)
AUGMENTATIONS: Mapping[str, str] = MappingProxyType(
    {
        "flip": "mirrored left to right, every second time",
        "shift": "shifted by up to a tenth, enlarged by up to a fifth",
        "rotate": "turned by up to 15 degrees",
        "light": "brightness and contrast changed by up to a fifth",
    }
)
