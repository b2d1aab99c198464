"""Many images: ImageNet's answer beside those of heads, as a table.

What cannot be known is blank (None, an empty cell, null), never False: whether an answer to an
image without label is right, or whether two answers agree that share no class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.evaluation.baselines import ImageNetBaseline, fit_imagenet_baseline
from tlcore.models.imagenet import imagenet_classes, imagenet_groups
from tlcore.models.predictions import BriefPrediction
from tlcore.training.provenance import Splits

LabelledPredictions = Sequence[
    tuple[Sample, tuple[BriefPrediction, ...]]
]  # ImageNet's answer first, then the heads'
ROWS = 14  # ImageNet classes in the heat map; the others make one row
OTHERS = "others"
NO_LABEL = "no label"


@dataclass(frozen=True)
class BatchHead:
    """A head that was asked."""

    title: str
    classes: tuple[str, ...]
    learned: frozenset[str] = frozenset()  # sha256 of the images it learned from


@dataclass(frozen=True)
class Score:
    """How many of the labelled validation images are right."""

    correct: int
    images: int
    unlabelled: int = 0  # of the images, those that the baseline gives no label: not right


def sample_label(sample: Sample) -> str | None:
    """Return an image's label; None for an image that has none."""
    return None if sample.label in ("", UNLABELLED) else sample.label


def fit_batch_baseline(answered: LabelledPredictions, parts: Splits) -> ImageNetBaseline | None:
    """Count on the labelled training images among those answered; None where there are none."""
    train = [
        (row[0].index, label)
        for sample, row in answered
        if parts.get(sample.sha256) == "train" and (label := sample_label(sample))
    ]
    return fit_imagenet_baseline(*map(list, zip(*train, strict=True))) if train else None


def build_batch_table(
    answered: LabelledPredictions,
    heads: Sequence[BatchHead],
    baseline: ImageNetBaseline | None,
    parts: Splits,
) -> pd.DataFrame:
    """Return one row an image, the greatest disagreement first.

    Args:
        answered: the images, with their labels as they stand, and their short answers.
        heads: in the order in which they answered; the first is the one that is compared.
        baseline: gives ImageNet's answer as one of the labels; None where it cannot.
        parts: which images were learned from.
    """
    wnids, names = imagenet_classes()
    groups = imagenet_groups()
    rows = []
    for sample, (first, *others) in answered:
        row: dict[str, Any] = {
            "file": sample.file,
            "label": sample_label(sample),
            "part": parts.get(sample.sha256, ""),
            "imagenet": names[first.index].replace("_", " "),
            "wnid": wnids[first.index],
            "group": groups[first.index],
            "imagenet_probability": first.probability,
            "imagenet_as_label": baseline.label(first.index) if baseline else None,
        }
        for number, (head, brief) in enumerate(zip(heads, others, strict=True), start=1):
            row |= _head_columns(number, head, brief, sample)
        if heads:
            row |= _agreement(row, heads[0])
        rows.append(row)
    frame = pd.DataFrame(rows)
    if "disagreement" not in frame:
        return frame
    frame["disagreement"] = frame["disagreement"].astype(float)
    return frame.sort_values("disagreement", ascending=False, kind="stable")


def _head_columns(
    number: int, head: BatchHead, brief: BriefPrediction, sample: Sample
) -> dict[str, object]:
    answer = head.classes[brief.index]
    return {
        _column(number): answer,
        _column(number, "probability"): brief.probability,
        _column(number, "right"): _right(answer, head, sample),
        _column(number, "learned from it"): sample.sha256 in head.learned,
    }


def _column(number: int, what: str = "") -> str:
    """Return the name of a column of head ``number``: "head_right", "head 2 right"."""
    name = "head" if number == 1 else f"head {number}"
    full = f"{name} {what}".strip()
    return full.replace(" ", "_") if number == 1 else full


def _agreement(row: dict[str, Any], head: BatchHead) -> dict[str, object]:
    """Return whether ImageNet's class and the first head agree, and how surely they do not."""
    other = row["imagenet_as_label"]
    agree = row["head"] == other if other in head.classes else None
    sure = (row["imagenet_probability"] + row["head_probability"]) / 2
    return {"agree": agree, "disagreement": {True: 0.0, False: sure, None: None}[agree]}


def _right(answer: str, head: BatchHead, sample: Sample) -> bool | None:
    """Whether an answer is right; None where the image has no label that the head knows."""
    label = sample_label(sample)
    return answer == label if label in head.classes else None


def compute_baseline_score(frame: pd.DataFrame) -> Score:
    """Return the score of ImageNet's classes alone on the labelled validation images."""
    val = frame[(frame["part"] == "val") & frame["label"].notna()]
    right = int((val["imagenet_as_label"] == val["label"]).sum())
    return Score(right, len(val), int(val["imagenet_as_label"].isna().sum()))


def compute_head_score(frame: pd.DataFrame, number: int = 1) -> Score:
    """Return head ``number``'s score on the validation images that it has not learned from."""
    if _column(number) not in frame:
        return Score(0, 0)
    new = (frame["part"] == "val") & ~frame[_column(number, "learned from it")].astype(bool)
    return _score(frame[new][_column(number, "right")])


def compute_agreement(frame: pd.DataFrame) -> Score:
    """Return on how many images both agree, of those for which both have one of its classes."""
    return _score(frame["agree"]) if "agree" in frame else Score(0, 0)


def _score(right: pd.Series) -> Score:
    judged = right[right.notna()]
    return Score(int(judged.astype(bool).sum()), len(judged))


def count_pairs(
    frame: pd.DataFrame, what: str, against: str
) -> tuple[list[str], list[str], np.ndarray]:
    """Count how often each of ImageNet's classes (or groups) goes with each label.

    Args:
        frame: as ``build_batch_table`` gives it.
        what: "imagenet" or "group", the rows.
        against: "head" or "label", the columns.

    Returns:
        Row names (the most frequent, then the others), column names (NO_LABEL last, where an
        image has none), counts (rows, columns).
    """
    most = [name for name, _ in Counter(frame[what]).most_common()]
    rows = most[:ROWS] + ([OTHERS] if len(most) > ROWS else [])
    given = frame[against].where(frame[against].notna(), NO_LABEL)
    columns = sorted(set(given), key=lambda name: (name == NO_LABEL, name))
    counts = np.zeros((len(rows), len(columns)), int)
    for name, column in zip(frame[what], given, strict=True):
        place = rows.index(name) if name in rows[:ROWS] else len(rows) - 1
        counts[place, columns.index(column)] += 1
    return rows, columns, counts
