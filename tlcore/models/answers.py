"""What a network says, as frozen values that travel between processes. No Keras here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pretrained:
    """A network of the catalogue; hashable, so that caches can be keyed by it."""

    backbone: str
    size: int  # side of the square input, pixels
    fit: str = "crop"  # a key of tlcore.datasets.geometry.FITS
    random: bool = False  # random weights of a fixed seed instead of ImageNet's
    top: bool = True  # with the 1000-class layer
    weights: str = ""  # the file it is built from and when that was written, see ``with_weights``


@dataclass(frozen=True)
class Trained:
    """A finished run's network; its size, geometry and classes are the run's own."""

    run: str  # the run's id
    written: int = 0  # when its file was, ns since 1970: a resumed run writes another network


NetworkRef = Pretrained | Trained


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
