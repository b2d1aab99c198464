"""What a network says, as frozen values that travel between processes. No Keras here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tlcore.errors import UnknownName
from tlcore.text import whole_number

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModelRef:
    """Which model is meant: a backbone of the catalog, or a run's model. Hashable: a cache key."""

    backbone: str = ""  # a name of the catalog; "" for a run's model
    size: int = 0  # side of the square input, pixels; a run's model has its own
    fit: str = "crop"  # a key of tlcore.datasets.geometry.FITS; a run's model has its own
    random: bool = False  # random weights of a fixed seed instead of ImageNet's
    top: bool = True  # with the 1000-class layer
    weights: str = ""  # which file the weights come from and when it was written
    run: str = ""  # the id of a finished run


@dataclass(frozen=True)
class Seconds:
    """Where the time of one answer went, in seconds on this machine."""

    prepare: float  # fit to the size, preprocess
    network: float  # the forward pass, the head included
    decode: float = 0.0  # from the file to pixels; 0 where the caller has done it


@dataclass(frozen=True)
class Ranked:
    """One row of an answer."""

    rank: int  # 1 is the most probable
    index: int  # of the class, from 0
    label: str
    wnid: str  # WordNet id of an ImageNet class; "" for a class of one's own
    probability: float  # 0…1
    logit: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """One network's answer to one image."""

    probabilities: Floats  # (classes,), sums to 1
    logits: Floats  # (classes,); of a sigmoid unit z: (0, z), the softmax of which is the same
    labels: tuple[str, ...]  # (classes,)
    wnids: tuple[str, ...]  # (classes,) or empty
    source: str  # "imagenet", "random" or "run"
    note: str  # what a reader of the answer must know of its weights; often empty
    size: int  # side of the network's input, pixels
    fit: str  # the geometry used
    seconds: Seconds

    def __post_init__(self) -> None:
        if not self.probabilities.shape == self.logits.shape == (len(self.labels),):
            raise ValueError(
                f"Expected one probability and one logit for each of {len(self.labels)} labels. "
                f"Received {self.probabilities.shape} and {self.logits.shape}."
            )

    def ranking(self, k: int | None = None) -> list[Ranked]:
        """The ``k`` most probable classes (all by default), most probable first."""
        order = np.argsort(-self.logits, kind="stable")[:k]
        return [
            Ranked(
                rank=place,
                index=int(index),
                label=self.labels[index],
                wnid=self.wnids[index] if self.wnids else "",
                probability=float(self.probabilities[index]),
                logit=float(self.logits[index]),
            )
            for place, index in enumerate(order, start=1)
        ]


@dataclass(frozen=True)
class Layer:
    """One layer of a network, as ``summary`` lists it."""

    name: str  # with "outer/" before it where the layer sits in a nested model
    type: str
    output_shape: tuple[int | None, ...]  # without the batch axis
    parameters: int
    connected_to: tuple[str, ...]
    trainable: bool

    @property
    def spatial(self) -> bool:
        """Whether its output is a stack of maps: (height, width, channels)."""
        return len(self.output_shape) == 3


@dataclass(frozen=True)
class Summary:
    """A network's layers and its parameters, counted once each."""

    layers: tuple[Layer, ...]
    total: int
    trainable: int
    non_trainable: int


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """What one layer sees in one image."""

    layer: str
    maps: Floats  # (height, width, channels)
    source: str  # "imagenet", "random" or "run"
    note: str


# From logits to probabilities. No Keras here.


def expand_sigmoid(logits: Floats) -> Floats:
    """Return (n, classes) logits; a sigmoid unit z becomes (0, z), whose softmax is the same."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)


def softmax(logits: Floats) -> Floats:
    """Return the probabilities along the last axis, float32, taken in double precision."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)


def log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Return the natural logarithm of ``softmax``, float64, without rounding a small one to 0."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exact: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return exact


# How sure an answer is, in numbers and in plain words.
#
# ============================  =====================================================
# words                         when, by the two most probable classes p₁ ≥ p₂
# ============================  =====================================================
# sure                          p₁ at least 0.9 (so p₁ − p₂ at least 0.8)
# fairly sure                   p₁ at least 0.7 (so p₁ − p₂ at least 0.4)
# leaning one way               p₁ − p₂ at least 0.2
# torn between two              p₁ + p₂ at least 0.7 (so p₂ more than 0.25)
# torn between a few            as uncertain as a choice among at most 10 equal classes
# at a loss                     otherwise
# ============================  =====================================================
#
# The first row that holds is used: nothing is called sure that is improbable, and nothing torn of
# which one class is well ahead. "As uncertain as n equal classes" is 2 to the power of the
# entropy in bits (Shannon, 1948).


SURE, FAIRLY, LEANING, TWO, FEW = 0.9, 0.7, 0.2, 0.7, 10


@dataclass(frozen=True)
class Certainty:
    """How an answer's probability is spread."""

    bits: float  # entropy; 0 where one class has everything, log2(classes) where all are equal
    margin: float  # p₁ − p₂, 0…1
    best: float  # p₁
    second: float  # p₂

    @property
    def like(self) -> float:
        """Among how many equally probable classes a choice would be as uncertain."""
        return float(2**self.bits)

    @property
    def words(self) -> str:
        if self.best >= SURE:
            return "sure"
        if self.best >= FAIRLY:
            return "fairly sure"
        if self.margin >= LEANING:
            return "leaning one way"
        if self.best + self.second >= TWO:
            return "torn between two"
        return "torn between a few" if self.like <= FEW else "at a loss"


def certainty(probabilities: Floats) -> Certainty:
    """Return how sure (classes,) probabilities are; at least two classes."""
    exact = probabilities.astype(np.float64)
    second, best = np.partition(exact, -2)[-2:]
    some = exact[exact > 0]
    bits = max(0.0, float(-(some * np.log2(some)).sum()))
    return Certainty(bits, float(best - second), float(best), float(second))


# One network's answer to one image of many, in a few bytes: no 1000 numbers an image.


@dataclass(frozen=True)
class BriefPrediction:
    """The best class and how sure it is."""

    index: int  # of the most probable class
    probability: float  # of that class, 0…1
    certainty: Certainty


def brief(probabilities: Floats) -> BriefPrediction:
    """Return the short form of (classes,) probabilities."""
    best = int(probabilities.argmax())
    return BriefPrediction(best, float(probabilities[best]), certainty(probabilities))


# Where a network looked for one class, as a value, and laid over the image. No Keras here.


Pixels = npt.NDArray[np.uint8]
# from what speaks a little for the class to what speaks most: violet, red, orange, yellow
RAMP = np.array([[72, 20, 120], [190, 30, 90], [246, 120, 30], [255, 225, 70]], np.float32)
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (BT.601)
FAINT = 0.15  # of the greatest value; below it the image stays as it is


@dataclass(frozen=True, eq=False)
class Explanation:
    """A Grad-CAM map: which places of the image speak for a class."""

    cam: Floats  # (height, width) of the layer, ≥ 0, in the units of the logit
    index: int  # of the class
    label: str
    wnid: str  # "" for a class of one's own
    probability: float  # of that class
    layer: str  # whose maps were weighted
    source: str  # "imagenet", "random" or "run"
    note: str
    size: int  # side of the network's input, pixels
    fit: str  # the geometry: the map lies over the image in this geometry
    seconds: float  # on this machine, decoding left out

    @property
    def heat(self) -> Floats:
        """The map from 0 to 1, its greatest value; all 0 where nothing speaks for the class."""
        peak = float(self.cam.max())
        return self.cam / np.float32(peak) if peak > 0 else np.zeros_like(self.cam)


def enlarge(heat: Floats, side: int) -> Floats:
    """Return a (height, width) map of 0…1 as (side, side), smooth between its values."""
    drawn = Image.fromarray(heat).resize((side, side), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(drawn, np.float32), 0, 1)


def overlay(pixels: Pixels, heat: Floats, opacity: float) -> Pixels:
    """Lay a map over the square image that it explains.

    The image loses its own colours as the map gains them, so that a colour is always the map's.

    Args:
        pixels: uint8 (side, side, 3), in the network's geometry.
        heat: float32 (height, width), 0…1.
        opacity: 0 leaves the image, 1 covers it where the map is at its greatest.
    """
    strength = enlarge(heat, pixels.shape[0])
    place = strength * (len(RAMP) - 1)
    lower = np.minimum(place.astype(np.intp), len(RAMP) - 2)
    part = (place - lower)[..., None]
    colour = RAMP[lower] * (1 - part) + RAMP[lower + 1] * part
    cover = opacity * np.clip((strength - FAINT) / (1 - FAINT), 0, 1) ** 0.7
    grey = (pixels @ LUMINANCE)[..., None]
    under = pixels * (1 - opacity) + grey * opacity
    mixed = under * (1 - cover[..., None]) + colour * cover[..., None]
    return np.rint(mixed).astype(np.uint8)


# How an image becomes a network's answer, as a frozen value: shapes and parameters all along.


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
    body_seconds: float  # one image through the body on this machine, median of a few
    head_seconds: float  # through pooling and dense


def find_class(labels: Sequence[str], target: int | str) -> int:
    """Return the index of a class given by its index or its name; case and "_" do not matter.

    Raises:
        UnknownName: no such class.
    """
    number = target if isinstance(target, int) else whole_number(target)
    if number is not None and 0 <= number < len(labels):
        return number
    names = [label.replace(" ", "_").lower() for label in labels]
    name = str(target).replace(" ", "_").lower()
    if name in names:
        return names.index(name)
    raise UnknownName.of("class", str(target), labels[:SOME_CLASSES])


SOME_CLASSES = 20  # named in a message
