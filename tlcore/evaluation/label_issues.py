"""Label issues: labels that are probably wrong, by confident learning on cached features.

C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 70, 2021. Each image is predicted by heads that learned neither from it nor from a
copy of it. A class's threshold is the mean probability that its own images get for it. A label is
likely wrong where another class alone reaches its threshold, or reaches it with more probability.
Images are ranked by their normalized margin: the probability of the label less the greatest of
the others, each after its class's threshold is taken off. A run's issues are stored in its folder:
neither its images nor their features change any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tlcore.datasets.dataset import SPLITS, Sample
from tlcore.datasets.splits import assign_folds, duplicate_group
from tlcore.errors import DamagedFile, StorageError
from tlcore.evaluation.embedding import RunFeatures, load_features
from tlcore.models.catalog import output_units
from tlcore.models.predictions import expand_sigmoid, softmax
from tlcore.settings import Settings
from tlcore.storage import read_json, write_json
from tlcore.training.batches import FeatureArray, SplitData, encode_targets
from tlcore.training.checkpoint import initial_checkpoint
from tlcore.training.config import RunConfig
from tlcore.training.head import Head
from tlcore.training.loop import FitOptions, fit
from tlcore.training.provenance import list_samples
from tlcore.training.store import load_run_info

FOLDS = 5
REPEATS = 3  # divisions into folds; the mean of their probabilities depends less on luck
# Different images of a class, below which its labels are not ranked: beside 100 of the other class,
# correct labels of ants and bees were called wrong in 31% of a class of 3, 7% of 5, 2.5% of 10.
ENOUGH = 10
NAMED = 10  # classes that are named where they were left out
FILE = "label-issues.json"  # in the run's folder
VERSION = 1  # of that file: counted up when the same features give other issues
METHOD = "Confident learning, Northcutt, Jiang and Chuang, JAIR 2021"
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelIssue:
    """An image with its label and the class that heads which never saw it suggest."""

    sample: Sample  # with its label and its split of the run
    suggested: str  # the likeliest other class after thresholds
    label_probability: float  # out of fold, 0…1
    suggested_probability: float  # out of fold, 0…1
    margin: float  # of the two after thresholds; the lower, the more likely the label is wrong
    likely_wrong: bool  # whether another class reaches its threshold


@dataclass(frozen=True)
class LabelIssues:
    """Every image of the training and validation split, the likeliest issue first."""

    run: str
    ranking: tuple[LabelIssue, ...]  # of the classes that have enough images
    left_out: tuple[tuple[str, int], ...] = ()  # (class, images) with too few, or none to compare
    method: str = METHOD

    @property
    def shortage(self) -> str:
        """A sentence on the classes that were left out; "" where there is none."""
        if not self.left_out:
            return ""
        names = [f"{label} {images:,}" for label, images in self.left_out[:NAMED]]
        if len(self.left_out) > NAMED:
            names.append(f"and {len(self.left_out) - NAMED:,} more classes")
        return (
            f"Too few images to tell whether labels are wrong ({', '.join(names)}): at least "
            f"{ENOUGH} different ones per class are needed."
        )

    @property
    def issues(self) -> tuple[LabelIssue, ...]:
        """The images whose label is likely wrong, the likeliest first."""
        return tuple(each for each in self.ranking if each.likely_wrong)


@dataclass(frozen=True)
class _Stored:
    """The content of FILE."""

    version: int
    # Of each ranked image its key, then the fields of LabelIssue without the sample.
    ranking: tuple[tuple[str, str, float, float, float, bool], ...]
    left_out: tuple[tuple[str, int], ...]


def load_label_issues(run: str, settings: Settings) -> LabelIssues | None:
    """Return what ``find_label_issues`` has stored; None where it is to be computed.

    Raises:
        RunError: no such run.
    """
    info = load_run_info(run, settings)
    samples = {each.key: each for split in SPLITS for each in list_samples(info, split)}
    with suppress(FileNotFoundError, DamagedFile, KeyError):
        stored = read_json(info.folder / FILE, _Stored)
        if stored.version == VERSION:
            ranking = (LabelIssue(samples[row[0]], *row[1:]) for row in stored.ranking)
            return LabelIssues(run, tuple(ranking), stored.left_out)
    return None


def find_label_issues(run: str, settings: Settings) -> LabelIssues:
    """Rank the training and validation images of a run, once. Raises as ``load_features`` does."""
    issues = load_label_issues(run, settings)
    if issues is None:
        issues = _compute_label_issues(run, settings)
        rows = [
            (
                each.sample.key, each.suggested, each.label_probability,
                each.suggested_probability, each.margin, each.likely_wrong,
            )
            for each in issues.ranking
        ]  # fmt: skip
        content = {"version": VERSION, "ranking": rows, "left_out": issues.left_out}
        with suppress(OSError, StorageError):  # no room: they are computed again the next time
            write_json(load_run_info(run, settings).folder / FILE, content, durable=False)
    return issues


def _compute_label_issues(run: str, settings: Settings) -> LabelIssues:
    features = load_features(run, ("train", "val"), settings)
    images = Counter(label for label, _ in {(s.label, s.sha256) for s in features.samples})
    counts = {label: images[label] for label in features.classes}
    enough = [label for label, number in counts.items() if number >= ENOUGH]
    if len(enough) < 2:
        return LabelIssues(run, (), tuple(counts.items()))
    chosen = _select_classes(features, enough)
    probabilities = predict_out_of_fold(chosen, load_run_info(run, settings).config)
    left_out = tuple((label, number) for label, number in counts.items() if number < ENOUGH)
    return LabelIssues(run, rank_labels(chosen, probabilities), left_out)


def predict_out_of_fold(features: RunFeatures, config: RunConfig) -> Doubles:
    """Return (n, classes) probabilities, each row by heads that have not learned from the image.

    Args:
        features: of all images.
        config: of the run, whose head is trained on each of the folds.
    """
    total = np.zeros((len(features.labels), len(features.classes)))
    groups = [duplicate_group(sample) for sample in features.samples]
    for repeat in range(REPEATS):
        assigned = assign_folds(features.labels.tolist(), groups, FOLDS, (config.seed, repeat))
        folds = np.array(assigned)
        seeded = replace(config, seed=repeat)
        for fold in range(FOLDS):
            held_out = folds == fold
            if held_out.any() and not held_out.all():
                total[held_out] += _predict_held_out(features, held_out, seeded)
    return total / REPEATS


def rank_labels(features: RunFeatures, probabilities: Doubles) -> tuple[LabelIssue, ...]:
    """Return all images, the likeliest issue first; ties by file.

    Args:
        features: the images with their labels; their values are not used.
        probabilities: (n, classes), out of fold.
    """
    labels, rows = features.labels, np.arange(len(features.labels))
    classes = range(len(features.classes))
    thresholds = np.array([probabilities[labels == each, each].mean() for each in classes])
    candidates = np.where(probabilities >= thresholds, probabilities, -1.0)
    likeliest = candidates.argmax(axis=1)
    likely_wrong = (candidates[rows, likeliest] >= 0) & (likeliest != labels)
    others = probabilities - thresholds
    own = others[rows, labels]
    others[rows, labels] = -np.inf
    margins = own - others.max(axis=1)
    suggested = np.where(likely_wrong, likeliest, others.argmax(axis=1))
    issues = [
        LabelIssue(
            sample=features.samples[row],
            suggested=features.classes[suggested[row]],
            label_probability=float(probabilities[row, labels[row]]),
            suggested_probability=float(probabilities[row, suggested[row]]),
            margin=float(margins[row]),
            likely_wrong=bool(likely_wrong[row]),
        )
        for row in rows.tolist()
    ]
    return tuple(sorted(issues, key=lambda each: (each.margin, each.sample.file)))


def _select_classes(features: RunFeatures, classes: Sequence[str]) -> RunFeatures:
    rows = [row for row, sample in enumerate(features.samples) if sample.label in classes]
    samples = tuple(features.samples[row] for row in rows)
    labels = np.array([classes.index(sample.label) for sample in samples], np.int64)
    values = features.values[rows]
    return replace(features, classes=tuple(classes), samples=samples, labels=labels, values=values)


def _predict_held_out(
    features: RunFeatures, held_out: npt.NDArray[np.bool_], config: RunConfig
) -> Doubles:
    """Train the run's head on the other images and return its probabilities for these."""
    config = replace(config, epochs=config.epochs or 10, patience=0)
    outputs = output_units(len(features.classes), config.classifier_activation)
    head = Head(config, features.values.shape[1], outputs)
    train, val = (
        SplitData(FeatureArray(features.values[rows]), labels, encode_targets(labels, outputs))
        for rows in (~held_out, np.flatnonzero(held_out)[:1])  # its metrics are not wanted
        for labels in [features.labels[rows]]
    )
    options = FitOptions(config, config.epochs, config.learning_rate)
    fit(head, train, val, options, initial_checkpoint(config))
    return softmax(expand_sigmoid(head.logits(features.values[held_out]))).astype(np.float64)
