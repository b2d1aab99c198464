"""Which epoch's weights a run has kept, and where its validation loss has turned.

Keras' ``EarlyStopping(restore_best_weights=True)`` keeps the same ones: those of the first epoch
with the lowest validation loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tlcore.training.history import Epoch
from tlcore.training.run import Run

RISE = 0.05  # share of the lowest loss by which the last one has risen where the curve has turned


def find_best_epoch(history: Sequence[Epoch]) -> Epoch | None:
    """Return the first epoch with the lowest validation loss that is a finite number."""
    finite = [epoch for epoch in history if math.isfinite(epoch.val_loss)]
    return min(finite, key=lambda epoch: epoch.val_loss, default=None)


def find_kept_epoch(run: Run) -> Epoch | None:
    """Return the epoch whose weights are in the run's network; of one at work, as it stands.

    None before the first, and where its line of the history cannot be read.
    """
    info, history = run.info, run.history
    if info.best_epoch:
        return next((epoch for epoch in history if epoch.epoch == info.best_epoch), None)
    if info.active or info.config.patience:
        return find_best_epoch(history)
    return history[-1] if history else None  # a run made before the best epoch was kept


def find_unfrozen_layer(run: Run) -> str:
    """Return the first layer of the backbone that learned in what is kept; "" where none did."""
    kept = find_kept_epoch(run)
    return run.info.config.unfreeze_from if kept and kept.stage == "fine-tune" else ""


def describe_overfitting(run: Run) -> str:
    """Return after which epoch the validation loss was lowest and what that means, in words.

    "" where it was lowest in the last epoch.
    """
    lowest = find_best_epoch(run.history)
    end = next((each for each in reversed(run.history) if math.isfinite(each.val_loss)), None)
    if lowest is None or end is None or lowest is end:
        return ""
    stage = "" if lowest.stage == end.stage else ", before the top blocks were trained"
    words = f"Validation loss was lowest after epoch {lowest.epoch} ({lowest.val_loss:.3g}){stage}"
    if end.val_loss > lowest.val_loss * (1 + RISE):
        joint = ", and" if stage else " and"
        words += f"{joint} rose after it, to {end.val_loss:.3g} after epoch {end.epoch}"
    return f"{words}. {_consequence(run, lowest)}"


def _consequence(run: Run, lowest: Epoch) -> str:
    info = run.info
    if info.best_epoch or info.active or info.config.patience:
        so_far = " so far" if info.active else ""
        return f"The weights of epoch {info.best_epoch or lowest.epoch} are kept{so_far}."
    return (
        "This run kept the weights of its last epoch: run it again, and those of the best epoch "
        "are kept."
    )
