"""How much does the head depend on the division? Cross-validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tlcore.datasets.splits import assign_folds, count_groups
from tlcore.settings import Settings
from tlcore.training.studies.known import accuracy, known, too_few, within


def folds(run: str, settings: Settings, k: int = 5) -> tuple[float, ...]:
    """Return the accuracy on each of ``k`` stratified parts, learned from the others.

    There are fewer parts where a class has fewer than ``k`` pictures. Copies of a picture are in
    one part, and the parts are equally large. Takes a minute at most, see above.

    Raises:
        RunError: as ``known``, or a class has not two different pictures.
    """
    data = known(run, settings)
    values = np.concatenate([data.train, data.val])
    labels = np.concatenate([data.train_labels, data.val_labels])
    counts = count_groups(labels.tolist(), data.groups)
    k = min(k, *(counts.get(label, 0) for label in range(data.classes)))
    if k < 2:
        raise too_few(2, "each class, all different", k)
    data = within(data, (k - 1) * len(labels))
    fold = np.array(assign_folds(labels.tolist(), data.groups, k, (data.config.seed, k)))
    found = []
    for number in range(k):
        out = fold == number
        part = replace(
            data,
            train=values[~out],
            train_labels=labels[~out],
            val=values[out],
            val_labels=labels[out],
        )
        found.append(accuracy(part, np.arange(len(part.train)), number))
    return tuple(found)
