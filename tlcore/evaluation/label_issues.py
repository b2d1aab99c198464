"""Which labels are probably wrong: confident learning on features that are kept.

C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70, 2021. Each image is judged by a head
that has not learned from it, nor from a copy of it (``FOLDS`` parts, class by class). A class's
threshold is the mean probability that its own images get for it, so that a class of which the
head is never sure is not suspected as a whole. A label is doubted where another class alone reaches
its threshold, or reaches it with more probability. The images are ranked by their normalized
margin after the thresholds have been taken off: the probability of the label less the greatest of
the others.

Classes with fewer than ``LEAST`` different images are left out, and named: beside 100 images of
the other class, clean labels of ants and bees (features of MobileNetV2 at 224 px, 12 draws) were
doubted in 31% of a class of 3, 7% of 5, 2.5% of 10, none of 20, and in 42% of a class of 1 beside
15.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import Sample
from tlcore.datasets.splits import assign_folds, group_of
from tlcore.evaluation.embedding import RunFeatures, load_features
from tlcore.models.catalog import units
from tlcore.models.predictions import expand_sigmoid, softmax
from tlcore.settings import Settings
from tlcore.training.batches import FeatureArray, SplitData, encode_targets
from tlcore.training.config import RunConfig
from tlcore.training.head import Head
from tlcore.training.loop import FitOptions, fit
from tlcore.training.recipe import initial_checkpoint
from tlcore.training.store import load_run_info

FOLDS = 5
LEAST = 10  # different images of a class, below which its labels are not judged
NAMED = 10  # classes that are named where they were left out
REPEATS = 3  # divisions into folds; the mean of their probabilities depends less on luck
SOURCE = "Confident learning, Northcutt, Jiang and Chuang, JAIR 2021"
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelIssue:
    """An image whose label a head that never saw it doubts, or does not."""

    sample: Sample  # with its label; ``split`` is its part of the run
    suggested: str  # the class that the head would give it, by its thresholds
    label_probability: float  # probability of the label, out of fold, 0…1
    suggested_probability: float  # probability of the suggested class, 0…1
    margin: float  # of the two with thresholds taken off; the lower, the more suspect
    likely_wrong: bool  # whether another class reaches its threshold


@dataclass(frozen=True)
class LabelIssues:
    """Every image of the asked parts, the most suspect first."""

    run: str
    ranking: tuple[LabelIssue, ...]  # of the classes that have enough images
    left_out: tuple[tuple[str, int], ...] = ()  # classes that have not, or no other to compare
    method: str = SOURCE

    @property
    def shortage(self) -> str:
        """One sentence on the classes that were left out; "" where there is none."""
        if not self.left_out:
            return ""
        named = [f"{label} {images:,}" for label, images in self.left_out[:NAMED]]
        if len(self.left_out) > NAMED:
            named.append(f"and {len(self.left_out) - NAMED:,} more classes")
        start = "Too few images to tell whether labels are wrong"
        if self.ranking:
            start = "Some classes have too few images to tell whether their labels are wrong"
        return (
            f"{start} ({', '.join(named)}): at least {LEAST} different ones per class are needed."
        )

    @property
    def issues(self) -> tuple[LabelIssue, ...]:
        """Those whose label is probably wrong, the most suspect first."""
        return tuple(each for each in self.ranking if each.likely_wrong)


def find_label_issues(run: str, settings: Settings) -> LabelIssues:
    """Rank the training and validation images of a run. Raises as ``load_features`` does."""
    found = load_features(settings, run, "train", "val")
    images = _different_images(found)
    enough = [label for label, number in images.items() if number >= LEAST]
    if len(enough) < 2:
        return LabelIssues(run, (), tuple(images.items()))
    judged = _of_classes(found, enough)
    ranking = rank_labels(judged, out_of_fold(judged, load_run_info(run, settings).config))
    return LabelIssues(run, ranking, tuple((c, n) for c, n in images.items() if n < LEAST))


def _different_images(found: RunFeatures) -> dict[str, int]:
    """Return how many images, copies counted once, each class has."""
    different = {(sample.label, sample.sha256) for sample in found.samples}
    counts = Counter(label for label, _ in different)
    return {label: counts[label] for label in found.classes}


def _of_classes(found: RunFeatures, classes: Sequence[str]) -> RunFeatures:
    """Return the features of some classes alone, in the order of the run's."""
    places = [place for place, each in enumerate(found.samples) if each.label in classes]
    samples = tuple(found.samples[place] for place in places)
    return replace(
        found,
        classes=tuple(classes),
        samples=samples,
        labels=np.array([classes.index(each.label) for each in samples], np.int64),
        values=found.values[places],
    )


def out_of_fold(found: RunFeatures, config: RunConfig) -> Doubles:
    """Return (n, classes) probabilities, each row by heads that have not learned from it."""
    total = np.zeros((len(found.labels), len(found.classes)))
    groups = [group_of(sample) for sample in found.samples]
    for repeat in range(REPEATS):
        seed = (config.seed, repeat)
        fold = np.array(assign_folds(found.labels.tolist(), groups, FOLDS, seed))
        for number in range(FOLDS):
            out = fold == number
            if out.any() and not out.all():
                total[out] += _answers(found, ~out, out, replace(config, seed=repeat))
    return total / REPEATS


def rank_labels(found: RunFeatures, probabilities: Doubles) -> tuple[LabelIssue, ...]:
    """Return all images, the most suspect first; ties by file."""
    labels, number = found.labels, np.arange(len(found.labels))
    own = probabilities[number, labels]
    threshold = _thresholds(labels, probabilities)
    above = np.where(probabilities >= threshold, probabilities, -1.0)
    likely = above.argmax(axis=1)
    doubted = (above[number, likely] >= 0) & (likely != labels)
    shifted = probabilities - threshold
    mine = shifted[number, labels]
    shifted[number, labels] = -np.inf
    other = np.where(doubted, likely, shifted.argmax(axis=1))
    margin = mine - shifted.max(axis=1)
    order = sorted(number.tolist(), key=lambda at: (margin[at], found.samples[at].file))
    return tuple(
        LabelIssue(
            found.samples[at],
            found.classes[other[at]],
            float(own[at]),
            float(probabilities[at, other[at]]),
            float(margin[at]),
            bool(doubted[at]),
        )
        for at in order
    )


def _thresholds(labels: Indices, probabilities: Doubles) -> Doubles:
    """Return each class's mean probability for its own images; 1 for one without images."""
    classes = range(probabilities.shape[1])
    return np.array(
        [probabilities[labels == c, c].mean() if (labels == c).any() else 1.0 for c in classes]
    )


def _answers(
    found: RunFeatures, learn: npt.NDArray[np.bool_], out: npt.NDArray[np.bool_], config: RunConfig
) -> Doubles:
    """Train the run's head on some images and let it answer for others."""
    count = units(len(found.classes), config.classifier_activation)
    config = replace(config, epochs=config.epochs or 10, patience=0)
    head = Head(config, found.values.shape[1], count)
    parts = [_part(found, which, count) for which in (learn, out)]
    fit(head, parts[0], parts[1], _loop(config), initial_checkpoint(config))
    return softmax(expand_sigmoid(head.logits(found.values[out]))).astype(np.float64)


def _part(found: RunFeatures, which: npt.NDArray[np.bool_], count: int) -> SplitData:
    labels = found.labels[which]
    return SplitData(FeatureArray(found.values[which]), labels, encode_targets(labels, count))


def _loop(config: RunConfig) -> FitOptions:
    quiet: Callable[[object], None] = lambda _: None  # noqa: E731
    return FitOptions(config, config.epochs, config.learning_rate, quiet, lambda: False, quiet)
