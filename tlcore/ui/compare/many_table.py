"""Both sides' answers to many pictures as a table: plain functions, no page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tlcore.datasets.dataset import Sample
from tlcore.models.baseline import Baseline, learn_baseline
from tlcore.models.brief import Brief
from tlcore.models.groups import imagenet_groups
from tlcore.models.labels import imagenet_classes
from tlcore.training.parts import Parts
from tlcore.ui.words import label

Answered = Sequence[tuple[Sample, tuple[Brief, ...]]]  # ImageNet's answer first, then the head's
ROWS = 14  # ImageNet classes in the heat map; the others make one row
OTHERS = "others"


@dataclass(frozen=True)
class Head:
    """A head that was asked."""

    title: str
    classes: tuple[str, ...]
    learned: frozenset[str] = frozenset()  # sha256 of the pictures it learned from


@dataclass(frozen=True)
class Score:
    """How many of the validation pictures are right."""

    right: int
    pictures: int

    @property
    def share(self) -> float:
        return self.right / self.pictures if self.pictures else 0.0


def baseline_of(answered: Answered, parts: Parts) -> Baseline | None:
    """Count on the training pictures among those answered; None where there are none."""
    train = [(row[0].index, s.label) for s, row in answered if parts.get(s.sha256) == "train"]
    return learn_baseline(*map(list, zip(*train, strict=True))) if train else None


def table_of(
    answered: Answered, heads: Sequence[Head], baseline: Baseline | None, parts: Parts
) -> pd.DataFrame:
    """One row a picture, the greatest disagreement first.

    Args:
        answered: the pictures with their short answers.
        heads: in the order in which they answered; the first is the one that is compared.
        baseline: gives ImageNet's answer as one of the labels; None where it cannot.
        parts: which pictures were learned from.
    """
    wnids, names = imagenet_classes()
    groups = imagenet_groups()
    rows = []
    for sample, (first, *others) in answered:
        row = {
            "file": sample.file,
            "label": sample.label,
            "part": parts.get(sample.sha256, ""),
            "imagenet": label(names[first.index]),
            "wnid": wnids[first.index],
            "group": groups[first.index],
            "imagenet_probability": first.probability,
            "imagenet_as_label": baseline.label(first.index) if baseline else "",
        }
        if heads:
            row |= _head_columns(others[0], heads[0].classes, sample, row)
        for number, (head, brief) in enumerate(zip(heads, others, strict=True), start=1):
            row |= _further_columns(f"head {number}", head, brief, sample) if number > 1 else {}
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.sort_values("disagreement", ascending=False, kind="stable") if (
        "disagreement" in frame
    ) else frame  # fmt: skip


def _head_columns(
    head: Brief, classes: Sequence[str], sample: Sample, row: dict[str, object]
) -> dict[str, object]:
    said = classes[head.index]
    agree = said == row["imagenet_as_label"] if row["imagenet_as_label"] else None
    sure = (float(str(row["imagenet_probability"])) + head.probability) / 2
    return {
        "head": said,
        "head_probability": head.probability,
        "head_right": said == sample.label,
        "agree": agree,
        "disagreement": 0.0 if agree or agree is None else sure,
    }


def _further_columns(name: str, head: Head, brief: Brief, sample: Sample) -> dict[str, object]:
    said = head.classes[brief.index]
    return {
        name: said,
        f"{name} probability": brief.probability,
        f"{name} right": said == sample.label,
        f"{name} learned from it": sample.sha256 in head.learned,
    }


def further_score(frame: pd.DataFrame, number: int) -> Score:
    """Return head ``number``'s score, from 2, on the validation pictures new to it."""
    name = f"head {number}"
    fair = frame[(frame["part"] == "val") & ~frame[f"{name} learned from it"].astype(bool)]
    return Score(int(fair[f"{name} right"].sum()), len(fair))


def scores(frame: pd.DataFrame) -> tuple[Score, Score]:
    """Return (baseline, head) on the validation pictures of the table."""
    val = frame[frame["part"] == "val"]
    base = Score(int((val["imagenet_as_label"] == val["label"]).sum()), len(val))
    if "head" not in frame:
        return base, Score(0, 0)
    return base, Score(int(val["head_right"].sum()), len(val))


def together(
    frame: pd.DataFrame, what: str, against: str
) -> tuple[list[str], list[str], np.ndarray]:
    """Count how often each of ImageNet's classes (or groups) goes with each label.

    Args:
        frame: as ``table_of`` gives it.
        what: "imagenet" or "group", the rows.
        against: "head" or "label", the columns.

    Returns:
        Row names (the most frequent, then the others), column names, counts (rows, columns).
    """
    most = [name for name, _ in Counter(frame[what]).most_common()]
    rows = most[:ROWS] + ([OTHERS] if len(most) > ROWS else [])
    columns = sorted(set(frame[against]))
    counts = np.zeros((len(rows), len(columns)), int)
    for name, column in zip(frame[what], frame[against], strict=True):
        place = rows.index(name) if name in rows[:ROWS] else len(rows) - 1
        counts[place, columns.index(column)] += 1
    return rows, columns, counts
