"""References to models and their predictions: values that are sent between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlcore.errors import UnknownName
from tlcore.text import parse_whole_number

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModelRef:
    """A reference to a backbone of the catalog or to a run's model. Hashable: a cache key."""

    backbone: str = ""  # a name of the catalog; "" for a run's model
    size: int = 0  # side of the square input, pixels; a run's model has its own
    fit: str = "crop"  # a key of tlcore.datasets.geometry.FITS; a run's model has its own
    random: bool = False  # random weights of a fixed seed instead of ImageNet's
    top: bool = True  # with the 1000-class layer
    weights: str = ""  # which file the weights come from and when it was written
    run: str = ""  # the id of a finished run


@dataclass(frozen=True)
class PredictionTime:
    """Where the time of one prediction went, in seconds on this machine."""

    decode: float  # from the file to pixels; near 0 for an image that is decoded already
    prepare: float  # fit to the size, preprocess
    network: float  # the forward pass, the head included


@dataclass(frozen=True)
class Ranked:
    """One class of a prediction."""

    rank: int  # 1 is the most probable
    index: int  # of the class, from 0
    label: str
    wnid: str  # WordNet id of an ImageNet class; "" for a custom class
    probability: float  # 0…1
    logit: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """One model's prediction for one image."""

    probabilities: Floats  # (classes,), sums to 1
    logits: Floats  # (classes,); of a sigmoid unit z: (0, z), the softmax of which is the same
    labels: tuple[str, ...]  # (classes,)
    wnids: tuple[str, ...]  # (classes,) or empty
    source: str  # "imagenet", "random" or "run"
    note: str  # what a reader must know of the weights; often empty
    size: int  # side of the model's input, pixels
    fit: str  # the geometry used
    seconds: PredictionTime

    def __post_init__(self) -> None:
        if not self.probabilities.shape == self.logits.shape == (len(self.labels),):
            raise ValueError(
                f"Expected one probability and one logit for each of {len(self.labels)} labels. "
                f"Received {self.probabilities.shape} and {self.logits.shape}."
            )

    @property
    def best(self) -> int:
        """The index of the most probable class; of equal ones the first."""
        return int(self.logits.argmax())

    def ranking(self, k: int | None = None) -> list[Ranked]:
        """Return the ``k`` most probable classes (all by default), most probable first."""
        order = np.argsort(-self.logits, kind="stable")[:k].tolist()
        wnids = self.wnids or [""] * len(self.labels)
        values = zip(
            self.labels, wnids, self.probabilities.tolist(), self.logits.tolist(), strict=True
        )
        classes = list(values)
        return [Ranked(rank, index, *classes[index]) for rank, index in enumerate(order, start=1)]


def find_class(labels: Sequence[str], target: int | str) -> int:
    """Return the index of a class given by its index or its name; case and "_" do not matter.

    Raises:
        UnknownName: no such class.
    """
    number = target if isinstance(target, int) else parse_whole_number(target)
    if number is not None and 0 <= number < len(labels):
        return number
    names = [label.replace(" ", "_").lower() for label in labels]
    name = str(target).replace(" ", "_").lower()
    if name in names:
        return names.index(name)
    raise UnknownName.of("class", str(target), labels)


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The activations of one layer for one image."""

    layer: str
    maps: Floats  # (height, width, channels)
    source: str  # "imagenet", "random" or "run"
    note: str


def expand_sigmoid(logits: Floats) -> Floats:
    """Return (n, classes) logits; a sigmoid unit z becomes (0, z), whose softmax is the same."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)


def softmax(logits: Floats) -> Floats:
    """Return the probabilities along the last axis, float32, computed in double precision."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)


def log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Return the natural logarithm of ``softmax``, float64, without rounding a small one to 0."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exact: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return exact


@dataclass(frozen=True)
class Certainty:
    """How the probability of a prediction is spread over the classes."""

    entropy: float  # bits; 0 where one class has everything, log2(classes) where all are equal
    best: float  # probability p₁ of the most probable class
    second: float  # p₂ of the next

    @property
    def margin(self) -> float:
        """p₁ − p₂, 0…1."""
        return self.best - self.second

    @property
    def perplexity(self) -> float:
        """Among how many equally probable classes a choice would be as uncertain."""
        return float(2**self.entropy)

    @property
    def description(self) -> str:
        """The certainty in words: the first row that holds."""
        rows = (
            (self.best >= 0.9, "confident"),
            (self.best >= 0.7, "fairly confident"),
            (self.margin >= 0.2, "leaning to one class"),
            (self.best + self.second >= 0.7, "undecided between two classes"),
            (self.perplexity <= 10, "undecided between a few classes"),
        )
        return next((words for holds, words in rows if holds), "no clear answer")


def measure_certainty(probabilities: Floats) -> Certainty:
    """Return entropy (Shannon, 1948) and margin of (classes,) probabilities, at least two."""
    exact = probabilities.astype(np.float64)
    second, best = np.partition(exact, -2)[-2:]
    some = exact[exact > 0]
    entropy = max(0.0, float(-(some * np.log2(some)).sum()))
    return Certainty(entropy, float(best), float(second))


@dataclass(frozen=True)
class BriefPrediction:
    """A prediction without its 1000 numbers: a session holds thousands of them."""

    index: int  # of the most probable class
    probability: float  # of that class, 0…1
