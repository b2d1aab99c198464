"""How good a run is, as one frozen value: on which pictures, how sure, and against what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tlcore.errors import RunError
from tlcore.evaluation.curves import curves
from tlcore.evaluation.intervals import Share, share_of
from tlcore.evaluation.judged import Judged
from tlcore.evaluation.metrics import (
    ClassFigures,
    balanced_accuracy,
    class_figures,
    confusion,
    log_loss,
    macro_f1,
)
from tlcore.models.baseline import learn_baseline
from tlcore.models.calibration import Calibration, calibration

FEW = 10  # judged pictures of a class, below which its figures say little


@dataclass(frozen=True)
class Majority:
    """What one reaches by always saying the training part's most frequent class."""

    label: str
    accuracy: Share  # on the judged pictures


@dataclass(frozen=True)
class TwoClass:
    """What only a head of two classes has; the second class is the one looked for."""

    looked_for: str  # the second class
    roc_area: float  # 0…1
    average_precision: float  # 0…1


@dataclass(frozen=True)
class Evaluation:
    """The honest numbers of one run on one part of its pictures, by the labels it was made with."""

    run: str  # its id
    part: str  # "test" or "val"; "train" only where it was asked for
    classes: tuple[str, ...]  # in the order of the output units
    pictures: int  # that were judged
    unreadable: tuple[str, ...]  # files left out, as they could not be read
    accuracy: Share
    balanced_accuracy: Share  # mean recall of the classes with pictures
    macro_f1: float  # 0…1
    log_loss: float  # natural logarithm; ln(classes) for knowing nothing
    calibration: Calibration  # expected calibration error, with the bins of the diagram
    per_class: tuple[ClassFigures, ...]  # in the order of ``classes``
    matrix: tuple[tuple[int, ...], ...]  # [true][said], counts of pictures
    majority: Majority
    imagenet: Share | None  # accuracy of ImageNet's classes alone; None: see its note
    imagenet_note: str  # how it was counted, or why there is none
    two_class: TwoClass | None  # None: another number of classes, or one has no judged picture
    warnings: tuple[str, ...]  # in plain sentences, the gravest first
    data_hash: str  # of the judged pictures and labels


def evaluate(judged: Judged, train: Judged, data_hash: str, *, tested: bool = True) -> Evaluation:
    """Return the numbers of the judged pictures; the training part serves the baselines alone.

    Args:
        judged: answers on the pictures that count, at least one.
        train: answers on the training part of the same run.
        data_hash: of the judged pictures and labels.
        tested: whether the run has a test part; if not, that is said.

    Raises:
        RunError: nothing was judged, or nothing learned from.
    """
    if not len(judged) or not len(train):
        raise RunError(
            f"Expected readable pictures in the training and the {judged.part} part of run "
            f"{judged.run}. Received {len(train)} and {len(judged)}: their files are gone or "
            "damaged. Put them back, or start a new run."
        )
    matrix = confusion(judged.labels, judged.answers, len(judged.classes))
    figures = class_figures(matrix, judged.classes)
    imagenet, note = _imagenet(judged, train)
    return Evaluation(
        run=judged.run,
        part=judged.part,
        classes=judged.classes,
        pictures=len(judged),
        unreadable=judged.unreadable,
        accuracy=share_of(int(judged.right.sum()), len(judged)),
        balanced_accuracy=balanced_accuracy(figures),
        macro_f1=macro_f1(figures),
        log_loss=log_loss(judged.labels, judged.probabilities),
        calibration=calibration(judged.confidence.tolist(), judged.right.tolist()),
        per_class=figures,
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        majority=_majority(judged, train),
        imagenet=imagenet,
        imagenet_note=note,
        two_class=_two_class(judged, figures),
        warnings=_warnings(judged, figures, tested=tested),
        data_hash=data_hash,
    )


def _majority(judged: Judged, train: Judged) -> Majority:
    """Ties go to the class first in order."""
    counts = Counter(train.labels.tolist())
    most = min(counts, key=lambda index: (-counts[index], index))
    return Majority(judged.classes[most], share_of(int((judged.labels == most).sum()), len(judged)))


def _imagenet(judged: Judged, train: Judged) -> tuple[Share | None, str]:
    if not (judged.asked_imagenet and train.asked_imagenet):
        return None, "Not known: ImageNet's weights with the 1000 classes are not here."
    labels = [train.classes[index] for index in train.labels.tolist()]
    baseline = learn_baseline(train.imagenet.tolist(), labels)
    said = [baseline.label(index) for index in judged.imagenet.tolist()]
    truth = [judged.classes[index] for index in judged.labels.tolist()]
    right = sum(one == other for one, other in zip(said, truth, strict=True))
    return share_of(right, len(judged)), (
        "Each ImageNet class stands for the label it most often goes with in the "
        f"{len(train):,} training pictures."
    )


def _two_class(judged: Judged, figures: tuple[ClassFigures, ...]) -> TwoClass | None:
    if len(figures) != 2 or not all(each.pictures for each in figures):
        return None
    found = curves(judged)
    return TwoClass(judged.classes[1], found.roc_area, found.average_precision)


def _warnings(
    judged: Judged, figures: tuple[ClassFigures, ...], *, tested: bool
) -> tuple[str, ...]:
    said: list[str] = []
    answers = [each.label for each in figures if each.answers]
    if len(answers) == 1:
        said.append(
            f"It says “{answers[0]}” to every picture: it has learned nothing that tells the "
            "classes apart, however high its accuracy."
        )
    if judged.part == "train":
        said.append("These are the pictures it learned from: it is better here than elsewhere.")
    if judged.part == "val" and not tested:
        said.append(
            "The data set has no test part, so the validation pictures judge. Whoever chooses "
            "settings by them makes these figures a little too good."
        )
    said += [_few(each) for each in figures if each.pictures < FEW]
    never = [each.label for each in figures if not each.answers]
    if never and len(answers) > 1:
        said.append(f"It never says {', '.join(f'“{label}”' for label in never)}.")
    if judged.seen:
        said.append(
            f"{_pictures(judged.seen, 'test ')} left out: the same files are among those it "
            "learned from or was judged by."
        )
    if judged.unreadable:
        said.append(
            f"{_pictures(len(judged.unreadable))} left out: {', '.join(judged.unreadable[:3])}"
            f"{' …' * (len(judged.unreadable) > 3)} could not be read."
        )
    return tuple(said)


def _pictures(number: int, kind: str = "") -> str:
    return f"1 {kind}picture is" if number == 1 else f"{number:,} {kind}pictures are"


def _few(figures: ClassFigures) -> str:
    if not figures.pictures:
        return f"No picture of “{figures.label}” was judged: nothing is known of it."
    number = "1 picture" if figures.pictures == 1 else f"{figures.pictures} pictures"
    return (
        f"“{figures.label}” is judged by {number} only, so its figures may be far off: {FEW} or "
        "more would say something."
    )
