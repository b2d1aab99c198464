"""Evaluation of a run: metrics with intervals, baselines, warnings, as one frozen value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tlcore.datasets.dataset import SPLIT_NAMES, dataset_hash
from tlcore.errors import RunError
from tlcore.evaluation import metrics
from tlcore.evaluation.comparison import Difference, judge_difference
from tlcore.evaluation.intervals import Proportion, independent_difference, mean_of, proportion_of
from tlcore.evaluation.metrics import Calibration, ClassMetrics
from tlcore.evaluation.split_predictions import SplitPredictions, evaluated_split, predict_split
from tlcore.models.imagenet import imagenet_groups
from tlcore.models.predictions import log_softmax
from tlcore.settings import Settings
from tlcore.text import images_are, plural

WEAKEST = 3  # classes named as recognised less often than the others
FEW = 10  # images of a class, below which its metrics say little
NAMED = 5  # classes that a warning names


@dataclass(frozen=True)
class MajorityBaseline:
    """What is reached by always predicting the most frequent class of the training split."""

    label: str
    accuracy: Proportion  # on the evaluated images
    difference: Difference  # of the run to this baseline, on the same images


@dataclass(frozen=True)
class BinaryMetrics:
    """What only a head of two classes has; the second class counts as positive."""

    positive_class: str
    roc_auc: float  # 0…1
    average_precision: float  # 0…1


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one run on one split, by the labels it was trained with."""

    run: str  # its id
    split: str  # "test", "val" or "train"
    classes: tuple[str, ...]  # in the order of the output units
    images: int  # that were evaluated
    unreadable: tuple[str, ...]  # files left out: they could not be read
    accuracy: Proportion
    balanced_accuracy: Proportion  # mean recall of the classes with images
    macro_f1: float  # 0…1
    log_loss: float  # natural logarithm; ln(classes) for guessing
    calibration: Calibration  # expected calibration error, with the bins of the diagram
    per_class: tuple[ClassMetrics, ...]  # in the order of ``classes``
    confusion_matrix: tuple[tuple[int, ...], ...]  # [label][prediction], counts of images
    majority_baseline: MajorityBaseline
    imagenet_accuracy: Proportion | None  # of ImageNet's classes alone; None: see its note
    imagenet_note: str  # how it was counted, or why there is none
    imagenet_difference: Difference | None  # of the run to ImageNet's classes, same images
    binary: BinaryMetrics | None  # None: not two classes, or one of them has no image
    warnings: tuple[str, ...]  # sentences, the gravest first
    data_hash: str  # of the evaluated images and their labels
    imagenet_unlabelled: int = 0  # images for which ImageNet's classes give no label

    @property
    def classes_without_images(self) -> tuple[str, ...]:
        """The classes of which no image was evaluated."""
        return tuple(each.label for each in self.per_class if not each.images)

    @property
    def classes_with_few_images(self) -> tuple[str, ...]:
        """The classes of which some images were evaluated, but fewer than FEW."""
        return tuple(each.label for each in self.per_class if 0 < each.images < FEW)

    @property
    def worst_first(self) -> tuple[ClassMetrics, ...]:
        """The metrics of the classes by F1, the lowest first; last those without F1."""
        order = sorted(
            self.per_class, key=lambda each: (each.f1 is None, each.f1 or 0, -each.images)
        )
        return tuple(order)

    @property
    def confused_pairs(self) -> list[tuple[int, int, int]]:
        """All mistakes as (label, prediction, images), both classes as indices.

        The pair with the most images comes first; of equal ones that with more in both directions.
        """
        counts = np.array(self.confusion_matrix)
        np.fill_diagonal(counts, 0)
        labels, predicted = counts.nonzero()
        images = counts[labels, predicted]
        order = np.lexsort((-counts[predicted, labels], -images))
        rows = np.column_stack([labels, predicted, images])[order]
        return [(own, other, number) for own, other, number in rows.tolist()]


def evaluate(run: str, split: str | None, settings: Settings) -> Evaluation:
    """Evaluate a run; only predictions that are not stored yet are computed.

    Args:
        run: its id.
        split: one of SPLITS; None or "" for "test" if the run has a test split, else "val".
        settings: where the run lies.

    Raises:
        RunError, StorageError, UnknownName: as ``predict_split``.
    """
    natural = evaluated_split(run, settings)
    predictions = predict_split(run, split or natural, settings)
    train = predict_split(run, "train", settings)
    return compute_evaluation(predictions, train, has_test=natural == "test")


def compute_evaluation(
    predictions: SplitPredictions, train: SplitPredictions, *, has_test: bool = True
) -> Evaluation:
    """Return the evaluation of predictions.

    Args:
        predictions: of the evaluated split, at least one image.
        train: of the training split of the same run, for the baselines.
        has_test: whether the run has a test split; if not, a warning says so.

    Raises:
        RunError: no image was evaluated, or none is left of the training split.
    """
    if not len(predictions) or not len(train):
        raise RunError(
            f"Expected readable images in the training and the {SPLIT_NAMES[predictions.split]} "
            f"split of run {predictions.run}. Received {len(train)} and {len(predictions)}: their "
            "files are gone or damaged. Put them back, or start a new run."
        )
    matrix = metrics.compute_confusion_matrix(predictions)
    per_class = metrics.compute_class_metrics(matrix, predictions.classes)
    f1_scores = [each.f1 for each in per_class if each.f1 is not None]
    log_losses = -log_softmax(predictions.logits)[np.arange(len(predictions)), predictions.labels]
    most = int(np.bincount(train.labels).argmax())  # ties go to the class first in order
    majority = judge_difference(predictions.labels == most, predictions.correct)
    imagenet_labels = _label_by_imagenet(predictions, train)
    imagenet = None
    if imagenet_labels is not None:
        pairs = zip(imagenet_labels, predictions.samples, strict=True)
        is_correct = np.array([label == sample.label for label, sample in pairs], np.bool_)
        imagenet = judge_difference(is_correct, predictions.correct)
    return Evaluation(
        run=predictions.run,
        split=predictions.split,
        classes=predictions.classes,
        images=len(predictions),
        unreadable=predictions.unreadable,
        accuracy=majority.second,
        balanced_accuracy=mean_of([each.recall for each in per_class if each.recall is not None]),
        macro_f1=math.fsum(f1_scores) / len(f1_scores),
        log_loss=float(log_losses.mean()),
        calibration=metrics.compute_calibration(predictions.confidence, predictions.correct),
        per_class=per_class,
        confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        majority_baseline=MajorityBaseline(predictions.classes[most], majority.first, majority),
        imagenet_accuracy=None if imagenet is None else imagenet.first,
        imagenet_note=_imagenet_note(imagenet_labels, len(train)),
        imagenet_difference=imagenet,
        binary=_binary_metrics(predictions, per_class),
        warnings=_warnings(predictions, per_class, has_test=has_test),
        data_hash=dataset_hash(predictions.samples),
        imagenet_unlabelled=0 if imagenet_labels is None else imagenet_labels.count(None),
    )


def list_verdicts(evaluation: Evaluation) -> list[str]:
    """Return what is concluded of a run: the same sentences on the page, in the report and on the
    command line, that on the strongest baseline first."""
    majority, imagenet = evaluation.majority_baseline, evaluation.imagenet_difference
    verdicts = [majority.difference.sentence(f"always predicting “{majority.label}”")]
    if imagenet is not None:
        verdicts.insert(0, imagenet.sentence("ImageNet alone"))
    advice = evaluation.calibration.advice
    weakest = describe_weakest(evaluation.per_class)
    return [*verdicts, *([weakest] if weakest else []), f"{advice[0].upper()}{advice[1:]}."]


def describe_weakest(per_class: Sequence[ClassMetrics]) -> str:
    """Name the classes that are recognised less often than the others by more than chance.

    Each class with enough images is compared with all others together, by Newcombe's interval at
    95% for all these comparisons at a time: of many classes one is always the lowest.
    """
    recalls = {each.label: each.recall for each in per_class if each.recall is not None}
    enough = {label: recall for label, recall in recalls.items() if recall.images >= FEW}
    if len(recalls) < 2:
        return ""
    if not enough:
        return (
            f"With fewer than {FEW} images of each class, it cannot be said which class it "
            "recognises best or worst."
        )
    weak = []
    hits = sum(each.count for each in recalls.values())
    images = sum(each.images for each in recalls.values())
    for label, recall in sorted(enough.items(), key=lambda row: row[1].value):
        others = proportion_of(hits - recall.count, images - recall.images)
        if independent_difference(recall, others, len(enough))[0] > 0:
            weak.append(f"“{label}” ({recall.count:,} of {recall.images:,} images)")
    if not weak:
        which = "" if len(enough) == len(recalls) else f" with at least {FEW} images"
        return f"No class{which} is recognised clearly less often than the others."
    more = f" and {len(weak) - WEAKEST} more" if len(weak) > WEAKEST else ""
    return f"It recognises {', '.join(weak[:WEAKEST])}{more} clearly less often than the others."


def fit_imagenet_baseline(train: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Return the label of each of ImageNet's classes, learned by counting: accuracy without a head.

    A class stands for the label it most often goes with among the training images, a class that
    was never predicted there for the label of its group (dogs, birds, vehicles …); of a group that
    was not met there is none. Ties go to the first in order.

    Args:
        train: ImageNet's most probable class and the label of each training image.
    """
    groups = imagenet_groups()
    counts: dict[int | str, Counter[str]] = {}
    for index, label in train:
        for key in (index, groups[index]):
            counts.setdefault(key, Counter())[label] += 1
    frequent = {key: max(sorted(each), key=each.__getitem__) for key, each in counts.items()}
    return {
        index: frequent.get(index, frequent[group])
        for index, group in enumerate(groups)
        if group in frequent
    }


def unlabelled_note(images: int) -> str:
    """Return the note on images for which ImageNet's classes give no label."""
    whose = "its group" if images == 1 else "their groups"
    return (
        f"{plural(images, 'image')} got no label, as no training image is of {whose}: counted as "
        "wrong"
    )


def quote_labels(labels: Sequence[str]) -> str:
    """Return the first labels and how many more there are: “a”, “b” and 3 more."""
    names = ", ".join(f"“{label}”" for label in labels[:NAMED])
    more = len(labels) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _label_by_imagenet(
    predictions: SplitPredictions, train: SplitPredictions
) -> list[str | None] | None:
    """Return the label that ImageNet's class of each image stands for; None without its model."""
    if not (predictions.has_imagenet and train.has_imagenet):
        return None
    labels = (sample.label for sample in train.samples)
    baseline = fit_imagenet_baseline(zip(train.imagenet.tolist(), labels, strict=True))
    return [baseline.get(index) for index in predictions.imagenet.tolist()]


def _imagenet_note(labels: Sequence[str | None] | None, train: int) -> str:
    if labels is None:
        return "Not available: ImageNet's weights with the 1000 classes are not here."
    note = (
        "Each ImageNet class stands for the label it most often goes with in the "
        f"{train:,} training images, a class not met there for the label of its group "
        "(dogs, birds, vehicles …)."
    )
    unlabelled = labels.count(None)
    return f"{note} {unlabelled_note(unlabelled)}." if unlabelled else note


def _binary_metrics(
    predictions: SplitPredictions, per_class: tuple[ClassMetrics, ...]
) -> BinaryMetrics | None:
    if len(per_class) != 2 or not all(each.images for each in per_class):
        return None
    curves = metrics.compute_curves(predictions)
    return BinaryMetrics(predictions.classes[1], curves.roc_auc, curves.average_precision)


def _warnings(
    predictions: SplitPredictions, per_class: tuple[ClassMetrics, ...], *, has_test: bool
) -> tuple[str, ...]:
    lines = _warn_of_one_class(per_class)
    if predictions.split == "train":
        lines.append("These are the images it learned from: it is better here than elsewhere.")
    if predictions.split == "val" and not has_test:
        lines.append(
            "The dataset has no test split, so the run is evaluated on its validation images. "
            "Whoever chooses settings by them makes these metrics a little too good."
        )
    lines += _warn_of_few_images(per_class)
    never = [each.label for each in per_class if each.images and not each.predicted]
    if never and sum(each.predicted > 0 for each in per_class) > 1:
        lines.append(f"It never predicts {quote_labels(never)}, of which there are images.")
    if predictions.duplicates:
        lines.append(
            f"{images_are(predictions.duplicates, 'test')} left out: the same files are in its "
            "training or validation split."
        )
    unreadable = predictions.unreadable
    if unreadable:
        files = ", ".join(unreadable[:3]) + " …" * (len(unreadable) > 3)
        lines.append(f"{images_are(len(unreadable))} left out: {files} could not be read.")
    return tuple(lines)


def _warn_of_one_class(per_class: Sequence[ClassMetrics]) -> list[str]:
    with_images = [each.label for each in per_class if each.images]
    predicted = [each.label for each in per_class if each.predicted]
    if len(with_images) == 1:
        return [
            f"Only images of “{with_images[0]}” were evaluated: they do not "
            "show whether it tells the classes apart, however high its accuracy. Evaluate it on "
            "images of every class."
        ]
    if len(predicted) == 1:
        return [
            f"It predicts “{predicted[0]}” for every image: it has learned nothing that tells the "
            "classes apart, however high its accuracy."
        ]
    return []


def _warn_of_few_images(per_class: Sequence[ClassMetrics]) -> list[str]:
    few = [each for each in per_class if 0 < each.images < FEW]
    lines = [
        f"“{each.label}” has only {plural(each.images, 'image')} here, so its metrics may be "
        f"far off: {FEW} or more would tell."
        for each in few
    ]
    if len(few) > NAMED:
        lines = [
            f"{len(few):,} of {len(per_class):,} classes are judged by fewer than {FEW} images, so "
            "the metrics of any one of them may be far off."
        ]
    none = [each.label for each in per_class if not each.images]
    if none:
        has, them = ("it has", "it") if len(none) == 1 else ("they have", "them")
        lines.append(
            f"There is no image of {quote_labels(none)} here: {has} no metrics, and those over all "
            f"classes leave {them} out."
        )
    return lines
