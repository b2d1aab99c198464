"""How a picture becomes a network's answer, as a frozen value: shapes and parameters all along."""

from __future__ import annotations

from dataclasses import dataclass

from tlcore.models.answers import Layer


@dataclass(frozen=True)
class Head:
    """A head as it would stand, or stands, on the bottleneck features."""

    pooling: str  # "avg", "max" or "flatten"
    pooled: tuple[int, ...]  # shape after pooling
    units: int  # of the dense layer: 1 for two classes
    parameters: int  # of pooling and dense layer together


@dataclass(frozen=True)
class ShapePath:
    """One backbone at one size: image → preprocess → bottleneck → pooling → dense."""

    backbone: str
    input: tuple[int, ...]  # (height, width, 3)
    mode: str  # key of MODES: what preprocessing does
    body_layers: int
    body_parameters: int
    learned_parameters: int  # of the body, that a run has fine-tuned; 0 where all is frozen
    learned_from: str  # the first layer that did; "" where all is frozen
    bottleneck: tuple[int, ...]  # (height, width, channels)
    bottleneck_layer: str
    heads: tuple[Head, ...]  # for the same classes, one a pooling
    pooling: str  # of the run's head; "" where no run is looked at
    top: tuple[Layer, ...]  # what include_top=True puts in the place of the head
    top_parameters: int
    body_seconds: float  # one picture through the body on this machine, median of a few
    head_seconds: float  # through pooling and dense
