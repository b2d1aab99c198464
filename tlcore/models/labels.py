"""The 1000 classes of ImageNet's classification challenge, in the order of Keras' top layers.

The names are those of keras.applications (``decode_predictions``); the WordNet ids come from
ILSVRC 2012, whose classes sort by them.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path


@cache
def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (wnids, labels), 1000 each, by class index."""
    with Path(__file__).with_name("imagenet.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(row["wnid"] for row in rows), tuple(row["label"] for row in rows)
