"""Many images at once: ImageNet's prediction beside those of heads, as a table.

What is not defined is blank (None, an empty cell, null), never False: whether a prediction for an
image without label is correct, or whether two predictions agree that share no class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.evaluation.evaluation import fit_imagenet_baseline
from tlcore.evaluation.intervals import Proportion, proportion_of
from tlcore.models.imagenet import imagenet_classes, imagenet_groups
from tlcore.models.predictions import BriefPrediction
from tlcore.training.provenance import Splits

# An image, and ImageNet's prediction followed by those of the heads.
LabelledPredictions = Sequence[tuple[Sample, tuple[BriefPrediction, ...]]]
ROWS = COLUMNS = 14  # classes of ImageNet and of the head in the heat map; others are one more
OTHERS = "others"
NO_LABEL = "no label"


@dataclass(frozen=True)
class BatchHead:
    """A head whose predictions are in the table."""

    title: str
    classes: tuple[str, ...]
    learned: frozenset[str] = frozenset()  # sha256 of the images it learned from


def sample_label(sample: Sample) -> str | None:
    """Return an image's label; None for an image that has none."""
    return None if sample.label in ("", UNLABELLED) else sample.label


def fit_batch_baseline(predictions: LabelledPredictions, splits: Splits) -> dict[int, str] | None:
    """Return the label of each ImageNet class by the labelled training images among these; None
    where there are none."""
    train = [
        (row[0].index, label)
        for sample, row in predictions
        if splits.get(sample.sha256) == "train" and (label := sample_label(sample))
    ]
    return fit_imagenet_baseline(train) if train else None


def build_batch_table(
    predictions: LabelledPredictions,
    heads: Sequence[BatchHead],
    baseline: Mapping[int, str] | None,
    splits: Splits,
) -> pd.DataFrame:
    """Return one row an image, the greatest disagreement first.

    Args:
        predictions: the images, with today's labels.
        heads: in the order of their predictions; the first is compared with ImageNet.
        baseline: turns ImageNet's class into one of the labels; None where it cannot.
        splits: which images were learned from.
    """
    wnids, names = imagenet_classes()
    groups = imagenet_groups()
    rows = []
    for sample, (first, *others) in predictions:
        row: dict[str, Any] = {
            "file": sample.file,
            "label": sample_label(sample),
            "split": splits.get(sample.sha256, ""),
            "imagenet": names[first.index].replace("_", " "),
            "wnid": wnids[first.index],
            "group": groups[first.index],
            "imagenet_probability": first.probability,
            "imagenet_as_label": baseline.get(first.index) if baseline else None,
        }
        for number, (head, prediction) in enumerate(zip(heads, others, strict=True), start=1):
            row |= _head_columns(number, head, prediction, sample)
        if heads:
            row |= _agreement_columns(row, heads[0])
        rows.append(row)
    frame = pd.DataFrame(rows)
    if heads:
        frame["disagreement"] = frame["disagreement"].astype(float)
        frame = frame.sort_values("disagreement", ascending=False, kind="stable")
    return frame


def compute_baseline_score(frame: pd.DataFrame) -> Proportion | None:
    """Return the accuracy of ImageNet's classes alone on the labelled validation images.

    An image that the baseline gives no label counts as wrong.
    """
    labelled = _labelled_validation(frame)
    return _accuracy(labelled["imagenet_as_label"] == labelled["label"])


def count_unlabelled(frame: pd.DataFrame) -> int:
    """Return to how many labelled validation images the baseline gives no label."""
    return int(_labelled_validation(frame)["imagenet_as_label"].isna().sum())


def compute_head_score(frame: pd.DataFrame, number: int = 1) -> Proportion | None:
    """Return the accuracy of head ``number`` on the validation images it has not learned from."""
    if _column(number) not in frame:
        return None
    unseen = (frame["split"] == "val") & ~frame[_column(number, "learned from it")].astype(bool)
    return _accuracy(frame[unseen][_column(number, "correct")])


def compute_agreement(frame: pd.DataFrame) -> Proportion | None:
    """Return on how many images both agree, of those for which both have one of its classes."""
    return _accuracy(frame["agree"]) if "agree" in frame else None


def count_pairs(
    frame: pd.DataFrame, row: str, column: str
) -> tuple[list[str], list[str], np.ndarray]:
    """Count how often each of ImageNet's classes (or groups) goes with each label.

    Args:
        frame: as ``build_batch_table`` gives it.
        row: "imagenet" or "group".
        column: "head" or "label".

    Returns:
        Row names (the most frequent, then OTHERS), column names (the most frequent, sorted; then
        OTHERS; NO_LABEL last, where an image has none), counts (rows, columns).
    """
    names = [name for name, _ in Counter(frame[row]).most_common()]
    rows = names[:ROWS] + ([OTHERS] if len(names) > ROWS else [])
    labels = frame[column].where(frame[column].notna(), NO_LABEL)
    frequent = [name for name, _ in Counter(labels).most_common() if name != NO_LABEL][:COLUMNS]
    labels = labels.where(labels.isin([*frequent, NO_LABEL]), OTHERS)
    ends = [name for name in (OTHERS, NO_LABEL) if name in set(labels) - set(frequent)]
    columns = [*sorted(frequent), *ends]
    shown = frame[row].where(frame[row].isin(rows), OTHERS)
    return rows, columns, pd.crosstab(shown, labels).loc[rows, columns].to_numpy()


def _head_columns(
    number: int, head: BatchHead, prediction: BriefPrediction, sample: Sample
) -> dict[str, object]:
    predicted, label = head.classes[prediction.index], sample_label(sample)
    return {
        _column(number): predicted,
        _column(number, "probability"): prediction.probability,
        _column(number, "correct"): predicted == label if label in head.classes else None,
        _column(number, "learned from it"): sample.sha256 in head.learned,
    }


def _column(number: int, what: str = "") -> str:
    """Return the name of a column of head ``number``: "head_correct", "head 2 correct"."""
    if number == 1:
        return f"head {what}".strip().replace(" ", "_")
    return f"head {number} {what}".strip()


def _agreement_columns(row: dict[str, Any], head: BatchHead) -> dict[str, object]:
    """Return whether ImageNet's class and the first head agree, and how surely they do not."""
    label = row["imagenet_as_label"]
    if label not in head.classes:
        return {"agree": None, "disagreement": None}
    sureness = (row["imagenet_probability"] + row["head_probability"]) / 2
    agree = row["head"] == label
    return {"agree": agree, "disagreement": 0.0 if agree else sureness}


def _labelled_validation(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame["split"] == "val") & frame["label"].notna()]


def _accuracy(correct: pd.Series) -> Proportion | None:
    """Return the share of True among the values that are not blank; None where all are blank."""
    values = correct[correct.notna()].astype(bool)
    return proportion_of(int(values.sum()), len(values)) if len(values) else None
