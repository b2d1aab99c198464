"""A draw of some samples of many, class by class."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tlcore.datasets.dataset import Sample


def draw_stratified(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Draw so many samples, each class by its share; the order of the samples does not matter.

    Args:
        samples: to draw from.
        count: number of samples; all of them are drawn where there are no more.
        seed: another seed gives another draw.

    Returns:
        The drawn samples, sorted by file.
    """
    shuffled = sorted(samples, key=lambda sample: (sample.file, sample.sha256))
    random.Random(seed).shuffle(shuffled)
    by_class: dict[str, list[Sample]] = {}
    for sample in shuffled:
        by_class.setdefault(sample.label, []).append(sample)
    # The n-th of the N samples of a class stands at the share (n + ½) / N of it: the lowest shares
    # of all classes hold every class by its share.
    ranked = [
        ((place + 0.5) / len(mine), sample)
        for mine in by_class.values()
        for place, sample in enumerate(mine)
    ]
    drawn = [sample for _, sample in sorted(ranked, key=lambda pair: pair[0])[:count]]
    return sorted(drawn, key=lambda sample: (sample.file, sample.sha256))
