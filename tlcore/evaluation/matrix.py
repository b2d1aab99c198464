"""From a cell of the confusion matrix to the pictures behind it, the telling ones first."""

from __future__ import annotations

import numpy as np

from tlcore.evaluation.judged import Indices, Judged


def cell(judged: Judged, true: int, said: int) -> Indices:
    """Return the places of the pictures of class ``true`` that were called ``said``.

    Worst first: off the diagonal the surest mistakes, on it the least sure right answers. As many
    as the cell of the matrix says.
    """
    places = np.flatnonzero((judged.labels == true) & (judged.answers == said))
    return _worst_first(judged, places)


def mistakes(judged: Judged) -> Indices:
    """Return the places of all wrong answers, the surest first."""
    return _worst_first(judged, np.flatnonzero(~judged.right))


def best(judged: Judged) -> Indices:
    """Return the places of all right answers, the surest first."""
    return _worst_first(judged, np.flatnonzero(judged.right))[::-1]


def _worst_first(judged: Judged, places: Indices) -> Indices:
    """Sort by the probability of the true class, lowest first; ties by file."""
    own = judged.probabilities[places, judged.labels[places]]
    files = np.array([judged.samples[place].file for place in places.tolist()], dtype=str)
    return places[np.lexsort((files, own))]
