"""How much does the head depend on the division? Cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tlcore.settings import Settings
from tlcore.training.studies.known import accuracy, known, too_few, within


def folds(run: str, settings: Settings, k: int = 5) -> tuple[float, ...]:
    """Return the accuracy on each of ``k`` stratified parts, learned from the others.

    There are fewer parts where a class has fewer than ``k`` pictures. Copies of a picture are in
    one part. Takes a minute at most, see above.

    Raises:
        RunError: as ``known``, or a class has not two different pictures.
    """
    data = known(run, settings)
    values = np.concatenate([data.train, data.val])
    labels = np.concatenate([data.train_labels, data.val_labels])
    k = min(k, *(len({data.contents[at] for at in np.flatnonzero(labels == label)})
                 for label in range(data.classes)))  # fmt: skip
    if k < 2:
        raise too_few(2, "each class, all different", k)
    data = within(data, (k - 1) * len(labels))
    fold = stratified(labels, k, [data.config.seed, k], data.contents)
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


def stratified(
    labels: npt.NDArray[np.int64], k: int, seed: Sequence[int], contents: Sequence[str] = ()
) -> npt.NDArray[np.int64]:
    """Return the fold of each picture, (n,) of 0…k − 1, each class spread evenly over them.

    Args:
        labels: (n,) the class of each picture.
        k: number of folds.
        seed: another seed gives other folds.
        contents: what each picture shows, as a hash; equal ones come into one fold. None: all
            differ.
    """
    draw = np.random.default_rng(seed)
    fold = np.zeros(len(labels), np.int64)
    first = {content: place for place, content in reversed(list(enumerate(contents)))}
    for label in np.unique(labels):
        mine = draw.permutation(np.flatnonzero(labels == label))
        if first:
            mine = mine[[first[contents[place]] == place for place in mine.tolist()]]
        fold[mine] = np.arange(len(mine)) % k
    return fold[[first[content] for content in contents]] if first else fold
