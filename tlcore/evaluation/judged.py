"""What a run's network says of one part of its images: the value that all of review reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.models.predictions import softmax

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
NOT_PREDICTED = -1  # ImageNet's class where that network was not asked


@dataclass(frozen=True, eq=False)
class SplitPredictions:
    """The images of one part that could be read, with the answers of one run."""

    run: str  # its id
    split: str  # one of SPLITS
    classes: tuple[str, ...]  # in the order of the output units
    samples: tuple[Sample, ...]  # (n,) file, path, sha256 and label as the run noted them
    labels: Indices  # (n,) int64, the index of each image's class
    logits: Floats  # (n, classes) float32; of a sigmoid unit z: (0, z)
    imagenet: Indices  # (n,) int64, ImageNet's first class; UNKNOWN where it was not asked
    unreadable: tuple[str, ...] = ()  # files of the part that could not be read
    duplicates: int = 0  # test images left out, as the same bytes were learned from or judged by

    def __post_init__(self) -> None:
        number, classes = len(self.samples), len(self.classes)
        shapes = (self.labels.shape, self.logits.shape, self.imagenet.shape)
        if shapes != ((number,), (number, classes), (number,)):
            raise ValueError(
                f"Expected labels, logits and ImageNet's answers of {number} images and "
                f"{classes} classes. Received {shapes}."
            )

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def probabilities(self) -> Floats:
        """(n, classes) float32, each row sums to 1."""
        return softmax(self.logits)

    @cached_property
    def predicted(self) -> Indices:
        """(n,) the class that the network says; of two equal ones the first."""
        return self.logits.argmax(axis=1)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(n,) whether that is the image's class."""
        return self.predicted == self.labels

    @cached_property
    def confidence(self) -> Floats:
        """(n,) the probability of what the network says, 0…1."""
        return self.probabilities.max(axis=1)

    @property
    def has_imagenet(self) -> bool:
        """Whether ImageNet's answer is known for every image."""
        return bool(len(self.imagenet)) and bool((self.imagenet != NOT_PREDICTED).all())

    def take(self, places: Indices) -> SplitPredictions:
        """Return it for the images at these places alone."""
        return replace(
            self,
            samples=tuple(self.samples[place] for place in places.tolist()),
            labels=self.labels[places],
            logits=self.logits[places],
            imagenet=self.imagenet[places],
        )
