"""How good a run is, as one frozen value: on which images, how sure, and against what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tlcore.errors import RunError
from tlcore.evaluation.baselines import fit_imagenet_baseline
from tlcore.evaluation.calibration import Calibration, compute_calibration
from tlcore.evaluation.comparison import Correctness, Difference, judge_difference
from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.evaluation.judged import SplitPredictions
from tlcore.evaluation.metrics import (
    ClassMetrics,
    compute_balanced_accuracy,
    compute_class_metrics,
    compute_confusion_matrix,
    compute_curves,
    compute_log_loss,
    compute_macro_f1,
)
from tlcore.text import count

FEW = 10  # judged images of a class, below which its figures say little
NAMED = 5  # classes that a warning names


@dataclass(frozen=True)
class MajorityBaseline:
    """What one reaches by always saying the training part's most frequent class."""

    label: str
    accuracy: Proportion  # on the judged images
    difference: Difference  # of the run beside it, on the same images


@dataclass(frozen=True)
class BinaryMetrics:
    """What only a head of two classes has; the second class is the one looked for."""

    positive_class: str  # the second class
    roc_auc: float  # 0…1
    average_precision: float  # 0…1


@dataclass(frozen=True)
class Evaluation:
    """The honest numbers of one run on one part of its images, by the labels it was made with."""

    run: str  # its id
    split: str  # "test" or "val"; "train" only where it was asked for
    classes: tuple[str, ...]  # in the order of the output units
    images: int  # that were judged
    unreadable: tuple[str, ...]  # files left out, as they could not be read
    accuracy: Proportion
    balanced_accuracy: Proportion  # mean recall of the classes with judged images
    macro_f1: float  # 0…1
    log_loss: float  # natural logarithm; ln(classes) for knowing nothing
    calibration: Calibration  # expected calibration error, with the bins of the diagram
    per_class: tuple[ClassMetrics, ...]  # in the order of ``classes``
    confusion_matrix: tuple[tuple[int, ...], ...]  # [true][said], counts of images
    majority_baseline: MajorityBaseline
    imagenet_accuracy: Proportion | None  # accuracy of ImageNet's classes alone; None: see its note
    imagenet_note: str  # how it was counted, or why there is none
    imagenet_difference: Difference | None  # of the run beside it, on the same images
    binary: BinaryMetrics | None  # None: another number of classes, or one has no judged image
    warnings: tuple[str, ...]  # in plain sentences, the gravest first
    data_hash: str  # of the judged images and labels
    imagenet_unlabelled: int = 0  # images that ImageNet's classes alone give no label

    @property
    def classes_without_images(self) -> tuple[str, ...]:
        """The classes without a judged image: no figure says anything of them."""
        return tuple(each.label for each in self.per_class if not each.images)


def compute_evaluation(
    judged: SplitPredictions, train: SplitPredictions, data_hash: str, *, tested: bool = True
) -> Evaluation:
    """Return the numbers of the judged images; the training part serves the baselines alone.

    Args:
        judged: answers on the images that count, at least one.
        train: answers on the training part of the same run.
        data_hash: of the judged images and labels.
        tested: whether the run has a test part; if not, that is said.

    Raises:
        RunError: nothing was judged, or nothing learned from.
    """
    if not len(judged) or not len(train):
        raise RunError(
            f"Expected readable images in the training and the {judged.split} part of run "
            f"{judged.run}. Received {len(train)} and {len(judged)}: their files are gone or "
            "damaged. Put them back, or start a new run."
        )
    matrix = compute_confusion_matrix(judged.labels, judged.predicted, len(judged.classes))
    figures = compute_class_metrics(matrix, judged.classes)
    labels = _imagenet_labels(judged, train)
    imagenet = None if labels is None else _equal(judged, labels)
    return Evaluation(
        run=judged.run,
        split=judged.split,
        classes=judged.classes,
        images=len(judged),
        unreadable=judged.unreadable,
        accuracy=proportion_of(int(judged.correct.sum()), len(judged)),
        balanced_accuracy=compute_balanced_accuracy(figures),
        macro_f1=compute_macro_f1(figures),
        log_loss=compute_log_loss(judged.labels, judged.logits),
        calibration=compute_calibration(judged.confidence.tolist(), judged.correct.tolist()),
        per_class=figures,
        confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        majority_baseline=_majority(judged, train),
        imagenet_accuracy=None
        if imagenet is None
        else proportion_of(int(imagenet.sum()), len(judged)),
        imagenet_note=_imagenet_note(labels, len(train)),
        imagenet_difference=None
        if imagenet is None
        else judge_difference(imagenet, judged.correct),
        binary=_binary(judged, figures),
        warnings=_warnings(judged, figures, tested=tested),
        data_hash=data_hash,
        imagenet_unlabelled=0 if labels is None else labels.count(None),
    )


def _majority(judged: SplitPredictions, train: SplitPredictions) -> MajorityBaseline:
    """Ties go to the class first in order."""
    counts = Counter(train.labels.tolist())
    most = min(counts, key=lambda index: (-counts[index], index))
    right = judged.labels == most
    return MajorityBaseline(
        judged.classes[most],
        proportion_of(int(right.sum()), len(judged)),
        judge_difference(right, judged.correct),
    )


def _imagenet_labels(judged: SplitPredictions, train: SplitPredictions) -> list[str | None] | None:
    """Return the label that ImageNet's class stands for, of each judged image; None where
    ImageNet's network was not asked."""
    if not (judged.has_imagenet and train.has_imagenet):
        return None
    labels = [train.classes[index] for index in train.labels.tolist()]
    baseline = fit_imagenet_baseline(train.imagenet.tolist(), labels)
    return [baseline.label(index) for index in judged.imagenet.tolist()]


def _equal(judged: SplitPredictions, labels: Sequence[str | None]) -> Correctness:
    """Return of each judged image whether that is its label."""
    truth = [judged.classes[index] for index in judged.labels.tolist()]
    return np.array([one == other for one, other in zip(labels, truth, strict=True)], np.bool_)


def _imagenet_note(labels: Sequence[str | None] | None, train: int) -> str:
    if labels is None:
        return "Not known: ImageNet's weights with the 1000 classes are not here."
    note = (
        "Each ImageNet class stands for the label it most often goes with in the "
        f"{train:,} training images, a class not met there for the label of its group "
        "(dogs, birds, vehicles …)."
    )
    unlabelled = labels.count(None)
    return f"{note} {unlabelled_note(unlabelled)}." if unlabelled else note


def unlabelled_note(images: int) -> str:
    """Return what is said of images that ImageNet's classes give no label."""
    if images == 1:
        return "1 image got no label, as no training image is of its group: not counted right"
    return (
        f"{images:,} images got no label, as no training image is of their groups: not counted "
        "right"
    )


def _binary(judged: SplitPredictions, figures: tuple[ClassMetrics, ...]) -> BinaryMetrics | None:
    if len(figures) != 2 or not all(each.images for each in figures):
        return None
    found = compute_curves(judged)
    return BinaryMetrics(judged.classes[1], found.roc_auc, found.average_precision)


def _warnings(
    judged: SplitPredictions, figures: tuple[ClassMetrics, ...], *, tested: bool
) -> tuple[str, ...]:
    lines: list[str] = []
    answers = [each.label for each in figures if each.predicted]
    shown = [each.label for each in figures if each.images]
    if len(shown) == 1:
        lines.append(
            f"Only images of “{shown[0]}” were judged: whether it tells the classes apart is "
            "not known, however high its accuracy. Judge it by images of every class."
        )
    elif len(answers) == 1:
        lines.append(
            f"It says “{answers[0]}” to every image: it has learned nothing that tells the "
            "classes apart, however high its accuracy."
        )
    if judged.split == "train":
        lines.append("These are the images it learned from: it is better here than elsewhere.")
    if judged.split == "val" and not tested:
        lines.append(
            "The dataset has no test part, so the validation images judge. Whoever chooses "
            "settings by them makes these figures a little too good."
        )
    lines += _few(figures)
    never = [each.label for each in figures if each.images and not each.predicted]
    if never and len(answers) > 1:
        lines.append(f"It never says {quote_labels(never)}, of which images were judged.")
    if judged.duplicates:
        lines.append(
            f"{_images(judged.duplicates, 'test ')} left out: the same files are among those it "
            "learned from or was judged by."
        )
    if judged.unreadable:
        lines.append(
            f"{_images(len(judged.unreadable))} left out: {', '.join(judged.unreadable[:3])}"
            f"{' …' * (len(judged.unreadable) > 3)} could not be read."
        )
    return tuple(lines)


def _images(number: int, kind: str = "") -> str:
    return f"1 {kind}image is" if number == 1 else f"{number:,} {kind}images are"


def _few(figures: tuple[ClassMetrics, ...]) -> list[str]:
    """A line for each class of few or no images; for many such classes one line for all."""
    none = [each.label for each in figures if not each.images]
    few = [each for each in figures if 0 < each.images < FEW]
    lines = []
    if len(few) > NAMED:
        lines.append(
            f"{len(few)} of {len(figures)} classes are judged by fewer than {FEW} images each, "
            "so the figures of any one of them may be far off."
        )
    else:
        lines += [_of_few(each) for each in few]
    if none:
        them = "it" if len(none) == 1 else "them"
        lines.append(
            f"No image of {quote_labels(none)} was judged: nothing is known of {them}, and the "
            f"figures over all classes leave {them} out."
        )
    return lines


def _of_few(figures: ClassMetrics) -> str:
    return (
        f"“{figures.label}” is judged by {count(figures.images, 'image')} only, so its figures "
        f"may be far off: {FEW} or more would say something."
    )


def quote_labels(labels: Sequence[str]) -> str:
    """Return some names and how many more there are: “a”, “b” and 3 more."""
    names = ", ".join(f"“{label}”" for label in labels[:NAMED])
    more = len(labels) - NAMED
    return f"{names} and {more} more" if more > 0 else names
