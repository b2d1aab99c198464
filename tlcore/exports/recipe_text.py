"""The recipe of a run in words, for reports and model cards."""

from __future__ import annotations

from tlcore.datasets.geometry import FITS
from tlcore.models.catalog import MODES, get_backbone
from tlcore.text import plural
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


def describe_recipe(run: Run) -> list[tuple[str, str]]:
    """Return (name, sentence) of each part of the recipe; unused options are left out."""
    config = run.info.config
    weights = "random weights" if config.random_weights else "weights pretrained on ImageNet"
    rows = [
        ("Backbone", f"{config.backbone} with {weights}, without its top."),
        ("Images", f"{config.size} × {config.size} pixels. {FITS[config.fit].description}"),
        ("Preprocessing", f"{MODES[get_backbone(config.backbone).mode].capitalize()}."),
        ("Head", _describe_head(config)),
        ("Training", _describe_training(run)),
    ]
    if run.info.best_epoch:
        best = f"Those of epoch {run.info.best_epoch}, where the validation loss was lowest."
        rows.append(("Weights", best))
    return [*rows, *_describe_options(config), (OPTIONS["seed"].label, str(config.seed))]


def _describe_head(config: RunConfig) -> str:
    layers = [f"Dense({units}, relu)" for units in config.hidden_units]
    pooling = f"Pooling ({POOLINGS[config.pooling]})"
    return ", then ".join([pooling, *layers, "a dense layer with one output per class"]) + "."


def _describe_training(run: Run) -> str:
    config = run.info.config
    epochs = {
        stage: sum(epoch.stage == stage for epoch in run.history) for stage in ("head", "fine-tune")
    }
    stages = []
    if epochs["head"]:
        stages.append(
            f"{plural(epochs['head'], 'epoch')} of the head, learning rate {config.learning_rate:g}"
        )
    if epochs["fine-tune"]:
        stages.append(
            f"{plural(epochs['fine-tune'], 'epoch')} with the blocks from {config.unfreeze_from} "
            f"on, learning rate {config.fine_tune_learning_rate:g}"
        )
    optimizer = OPTIMIZERS[config.optimizer].partition(":")[0]
    return f"{'; then '.join(stages)}. {optimizer}, batch size {config.batch_size}."


def _describe_options(config: RunConfig) -> list[tuple[str, str]]:
    kinds = "; ".join(AUGMENTATIONS[kind] for kind in config.augmentations)
    copies = plural(config.augmented_copies, "copy", "copies")
    schedule, weights = config.learning_rate_schedule, config.class_weights
    stopping = (
        f"After {plural(config.patience, 'epoch')} without a lower validation loss; the weights of "
        "the best epoch are restored."
    )
    sentences = {
        "learning_rate_schedule": schedule != "constant" and f"{SCHEDULES[schedule]}.",
        "dropout": config.dropout and f"{config.dropout:g} before each dense layer.",
        "label_smoothing": config.label_smoothing and f"{config.label_smoothing:g}.",
        "class_weights": weights != "none" and f"{CLASS_WEIGHTS[weights]}.",
        "patience": config.patience and stopping,
        "augmented_copies": config.augmented_copies and f"{copies} of each image: {kinds}.",
        "on_the_fly_augmentation": config.on_the_fly_augmentation and f"{kinds}.",
    }
    return [
        (OPTIONS[name].label, text[0].upper() + text[1:])
        for name, text in sentences.items()
        if text
    ]
