"""Sentences on a split: classes that a part of it does not have, and groups that stay together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tlcore.datasets.dataset import SPLIT_NAMES, UNLABELLED, Sample
from tlcore.datasets.splits import group_by_label, group_samples
from tlcore.percentages import percent
from tlcore.text import natural_key, plural

_NAMED = 5  # classes that a sentence names


def describe_missing(train: Iterable[str], others: Iterable[str], split: str = "val") -> str:
    """Return a sentence on classes that only one of two splits has; "" where there is none.

    Args:
        train: the classes of training, in any order and as often as they come.
        others: those of the other split.
        split: the other split: "val" or "test".
    """
    learned, judged = set(train) - {UNLABELLED}, set(others) - {UNLABELLED}
    if not learned or not judged:
        return ""
    name, sentences = SPLIT_NAMES[split], []
    if missing := learned - judged:
        sentences.append(
            f"No {name} image shows {_names(missing)}: how well that is predicted is not known."
        )
    if only := judged - learned:
        sentences.append(f"Only the {name} split has {_names(only)}: no head learns that.")
    return " ".join(sentences)


def describe_stored(samples: Sequence[Sample], split: str) -> str:
    """Return that sentence on stored splits: an image without one may come into either."""
    undecided = [sample.label for sample in samples if sample.split is None]
    train, others = (
        [sample.label for sample in samples if sample.split == each] for each in ("train", split)
    )
    return describe_missing([*train, *undecided], [*others, *undecided], split) if others else ""


def describe_groups(
    train: Sequence[Sample], val: Sequence[Sample], share: float | None = None
) -> str:
    """Return a sentence on the groups of a training and validation split; "" where there are none.

    It says how many each has and, where a share of validation was asked for, which classes cannot
    have it.
    """
    keys = {sample.key for sample in val}
    groups = group_samples([*train, *val])
    if all(len({sample.sha256 for sample in group}) == 1 for group in groups):
        return ""
    number = sum(group[0].key in keys for group in groups)
    sentence = (
        "Frames of one recording, crops of one photograph and copies stay together: "
        f"{plural(len(groups) - number, 'group')} in training, {number:,} in validation."
    )
    unreached = []
    for label, of_class in group_by_label(groups).items():
        total = sum(map(len, of_class))
        held_out = sum(len(group) for group in of_class if group[0].key in keys)
        if share and abs(held_out - total * share) > max(1, min(map(len, of_class)) / 2):
            groups_of = plural(len(of_class), "group")
            unreached.append(f"{label} has {percent(held_out / total)} ({groups_of})")
    if not share or not unreached:
        return sentence
    return f"{sentence} {percent(share)} for validation cannot be kept: {_names(unreached)}."


def _names(names: Iterable[str]) -> str:
    ordered = sorted(names, key=natural_key)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more
