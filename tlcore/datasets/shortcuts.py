"""What a label could be read from without looking at what an image shows.

Where the width, the shape, the brightness, the file format or the camera alone tells the classes
apart, a head may learn that and fail on images from elsewhere. Each is tried by a decision tree of
three levels on that one value, judged by cross-validation on images that it has not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.datasets.image_facts import AnyFacts, ImageFacts
from tlcore.datasets.splits import assign_folds
from tlcore.percentages import percent

FOLDS = 5
FEWEST = 10  # images of a class that is judged
CLASSES, MOST = 20, 2_000  # that are judged at most: the largest classes, and images of them
NAMED = 3  # values, at most
DEPTH = 3  # levels of a tree
_LEAF = 3  # images in a leaf, at least

Floats = NDArray[np.float64]

_VALUES: Mapping[str, Callable[[ImageFacts], float | str]] = {
    "image width": lambda facts: float(facts.width),
    "image height": lambda facts: float(facts.height),
    "image shape": lambda facts: facts.width / facts.height,
    "brightness": lambda facts: facts.brightness[1],
    "file format": lambda facts: facts.header.format,
    "colour mode": lambda facts: facts.header.mode,
    "camera": lambda facts: facts.header.camera,
}


def find_shortcuts(
    samples: Sequence[Sample], facts: Mapping[str, AnyFacts], groups: Mapping[str, str]
) -> list[str]:
    """Return a sentence on each value that tells the classes apart by itself, the best first.

    That is one whose accuracy on images that the tree has not seen, the mean over the classes, lies
    at least halfway between guessing and always being right, also less two standard errors.

    Args:
        samples: of the dataset.
        facts: of images, by sha256.
        groups: sha256 → group, which is in one fold of the images.
    """
    measured = [
        (sample.label, each, groups.get(sample.sha256, sample.sha256))
        for sample in samples
        if sample.label != UNLABELLED and isinstance(each := facts.get(sample.sha256), ImageFacts)
    ]
    counts = Counter(label for label, _, _ in measured)
    judged = {label for label, images in counts.most_common(CLASSES) if images >= FEWEST}
    measured = [one for one in measured if one[0] in judged]
    measured = measured[:: -(-len(measured) // MOST) or 1]
    names, labels = np.unique([label for label, _, _ in measured], return_inverse=True)
    if len(names) < 2:
        return []
    fold = np.array(assign_folds(labels.tolist(), [group for _, _, group in measured], FOLDS, 0))
    found = []
    for name, value in _VALUES.items():
        _, values = np.unique([value(each) for _, each, _ in measured], return_inverse=True)
        accuracy = _cross_validate(values.astype(np.float64), labels, fold)
        error = np.sqrt(accuracy * (1 - accuracy) / len(labels))
        if accuracy - 2 * error >= (1 + 1 / len(names)) / 2:
            sentence = (
                f"{name.capitalize()} alone reaches {percent(accuracy)} (guessing: "
                f"{percent(1 / len(names))}): the head may learn that instead of what the images "
                "show. Bring images of every class from the same sources."
            )
            found.append((-accuracy, sentence))
    return [sentence for _, sentence in sorted(found, key=itemgetter(0))[:NAMED]]


def _cross_validate(values: Floats, labels: NDArray[np.intp], fold: NDArray[np.intp]) -> float:
    """Return the mean accuracy over the classes (0…n − 1) of trees on one value (n,)."""
    classes = np.eye(labels.max() + 1)[labels]
    weights = classes / classes.sum(axis=0)  # a class counts as much as any other
    right = 0.0
    for held_out in range(FOLDS):
        seen, unseen = fold != held_out, fold == held_out
        by_value = np.argsort(values[seen], kind="stable")
        cuts, leaves = _grow(values[seen][by_value], weights[seen][by_value], DEPTH)
        predicted = np.array(leaves)[np.searchsorted(cuts, values[unseen], side="right")]
        right += float(weights[unseen, predicted].sum())
    return right / classes.shape[1]


def _grow(values: Floats, weights: Floats, depth: int) -> tuple[list[float], list[int]]:
    """Return the thresholds of a tree on sorted values, and the class between two of them."""
    leaf: tuple[list[float], list[int]] = [], [int(weights.sum(axis=0).argmax())]
    places = np.flatnonzero(np.diff(values)) + 1  # of the first value behind a threshold
    places = places[(places >= _LEAF) & (places <= len(values) - _LEAF)]
    if not depth or not len(places):
        return leaf
    below = weights.cumsum(axis=0)[places - 1]
    above = weights.sum(axis=0) - below
    purity = sum((side**2).sum(axis=1) / side.sum(axis=1) for side in (below, above))
    at = places[int(np.argmax(purity))]
    left, right = (
        _grow(values[part], weights[part], depth - 1) for part in (slice(at), slice(at, None))
    )
    return [*left[0], float(values[at]), *right[0]], [*left[1], *right[1]]
