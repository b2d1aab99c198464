"""A run's recipe in the words of its form: for people who read a card or a report, not for code."""

from __future__ import annotations

from tlcore.datasets.geometry import FITS
from tlcore.models.catalog import MODES, backbone
from tlcore.text import count
from tlcore.training.config import (
    AUGMENTATIONS,
    CLASS_WEIGHTS,
    OPTIMIZERS,
    OPTIONS,
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
        (OPTIONS["seed"].label, str(config.seed)),
    ]


def _network(config: RunConfig) -> str:
    start = "random weights" if config.random_weights else "weights learned on ImageNet"
    return f"{config.backbone} with {start}, without its last layer."


def _head(config: RunConfig) -> str:
    layers = [f"dense {units}, relu" for units in config.hidden_units]
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
    kept = run.info.best_epoch
    if not kept:
        return []
    return [("Weights", f"Those of epoch {kept}, where the validation loss was lowest.")]


def _extras(config: RunConfig) -> list[Row]:
    """Return the other options that were used, each under its label."""
    kinds = "; ".join(AUGMENTATIONS[kind] for kind in config.augmentations)
    copies = f"{count(config.augmented_copies, 'copy', 'copies')} of each image: {kinds}."
    schedule, weights = config.learning_rate_schedule, config.class_weights
    texts = {
        "learning_rate_schedule": schedule != "constant" and f"{SCHEDULES[schedule]}.",
        "dropout": config.dropout and f"{config.dropout:g} before each dense layer.",
        "label_smoothing": config.label_smoothing and f"{config.label_smoothing:g}.",
        "class_weights": weights != "none" and f"{CLASS_WEIGHTS[weights]}.",
        "patience": config.patience and _patience(config),
        "augmented_copies": config.augmented_copies and copies,
        "on_the_fly_augmentation": config.on_the_fly_augmentation and f"{kinds}.",
    }
    return [
        (OPTIONS[name].label, text[0].upper() + text[1:]) for name, text in texts.items() if text
    ]


def _patience(config: RunConfig) -> str:
    return (
        f"After {count(config.patience, 'epoch')} without a lower validation loss; the weights of "
        "the best epoch are kept."
    )
