"""From logits to probabilities. No Keras here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tlcore.models.answers import Floats


def two_sided(logits: Floats) -> Floats:
    """Return (n, classes) logits; a sigmoid unit z becomes (0, z), whose softmax is the same."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)


def softmax(logits: Floats) -> Floats:
    """Return the probabilities along the last axis, float32, taken in double precision."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (shifted / shifted.sum(axis=-1, keepdims=True)).astype(np.float32)


def log_softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Return the natural logarithm of ``softmax``, float64, without rounding a small one to 0."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exact: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return exact
