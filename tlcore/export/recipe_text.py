"""A run's recipe in the words of its form: for people who read a card or a report, not for code."""

from __future__ import annotations

from tlcore.datasets.geometry import FITS
from tlcore.models.catalog import MODES, backbone
from tlcore.text import count
from tlcore.training.config import (
    AUGMENTATIONS,
    BALANCES,
    OPTIMIZERS,
    POOLINGS,
    SCHEDULES,
    RunConfig,
)
from tlcore.training.run import Run

Row = tuple[str, str]  # what, and what was chosen


def recipe(run: Run) -> list[Row]:
    """Return what was done, most telling first; what was not used is left out."""
    config = run.info.config
    return [
        ("Network", _network(config)),
        ("Images", f"{config.size} × {config.size} pixels. {FITS[config.fit].description}"),
        ("Preprocessing", MODES[backbone(config.backbone).mode].capitalize() + "."),
        ("Head", _head(config)),
        ("Learning", _learning(run)),
        *_kept(run),
        *_extras(config),
        ("Seed", str(config.seed)),
    ]


def _network(config: RunConfig) -> str:
    start = "random weights" if config.random_weights else "weights learned on ImageNet"
    return f"{config.backbone} with {start}, without its last layer."


def _head(config: RunConfig) -> str:
    layers = [f"dense {units}, relu" for units in config.hidden]
    pooling = f"Pooling ({POOLINGS[config.pooling]})"
    return ", then ".join([pooling, *layers, "a dense layer that answers"]) + "."


def _learning(run: Run) -> str:
    config = run.info.config
    epochs = {stage: _epochs(run, stage) for stage in ("head", "fine-tune")}
    parts = []
    if epochs["head"]:
        parts.append(f"{count(epochs['head'], 'epoch')} of the head, rate {config.learning_rate:g}")
    if epochs["fine-tune"]:
        parts.append(
            f"{count(epochs['fine-tune'], 'epoch')} with the blocks from {config.unfreeze_from} "
            f"on, rate {config.fine_tune_learning_rate:g}"
        )
    optimizer = OPTIMIZERS[config.optimizer].partition(":")[0]
    return f"{'; then '.join(parts)}. {optimizer}, {count(config.batch_size, 'image')} a batch."


def _epochs(run: Run, stage: str) -> int:
    return sum(epoch.stage == stage for epoch in run.history)


def _kept(run: Run) -> list[Row]:
    kept = run.info.kept_epoch
    if not kept:
        return []
    return [("Weights", f"Those of epoch {kept}, where the validation loss was lowest.")]


def _extras(config: RunConfig) -> list[Row]:
    kinds = "; ".join(AUGMENTATIONS[kind] for kind in config.augment)
    stored = f"{count(config.views, 'changed view')} of each image: {kinds}."
    rows = (
        (config.schedule != "constant", "Schedule", f"The rate {SCHEDULES[config.schedule]}."),
        (config.dropout, "Dropout", f"{config.dropout:g} before each dense layer."),
        (config.label_smoothing, "Label smoothing", f"{config.label_smoothing:g}."),
        (config.balance != "none", "Balance", BALANCES[config.balance].capitalize() + "."),
        (config.patience, "Early stopping", _patience(config)),
        (config.views, "Augmentation", stored),
        (config.free_augmentation, "Augmentation", f"A fresh view in each epoch: {kinds}."),
    )
    return [(name, words) for used, name, words in rows if used]


def _patience(config: RunConfig) -> str:
    return (
        f"After {count(config.patience, 'epoch')} without a lower validation loss; the weights of "
        "the best epoch are kept."
    )
