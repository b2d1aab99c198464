"""What the texts of exports share: their templates, and the recipe of a run in words."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tlcore.datasets.geometry import FITS
from tlcore.models.catalog import MODES, get_backbone
from tlcore.text import plural
from tlcore.training import config as options
from tlcore.training.run import Run


def template_environment(*, autoescape: bool = False) -> Environment:
    """Return the environment of the templates beside this module; unknown names are errors."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def describe_recipe(run: Run) -> list[tuple[str, str]]:
    """Return (name, sentence) of each part of the recipe; unused options are left out."""
    config = run.info.config
    weights = "random weights" if config.random_weights else "weights pretrained on ImageNet"
    pooling = f"Pooling ({options.POOLINGS[config.pooling]})"
    hidden = [f"Dense({units}, relu)" for units in config.hidden_units]
    head = ", then ".join([pooling, *hidden, "a dense layer with one output per class"])
    rows = [
        ("Backbone", f"{config.backbone} with {weights}, without its top."),
        ("Images", f"{config.size} × {config.size} pixels. {FITS[config.fit].description}"),
        ("Preprocessing", f"{MODES[get_backbone(config.backbone).mode].capitalize()}."),
        ("Head", f"{head}."),
        ("Training", _describe_training(run)),
    ]
    if run.info.best_epoch:
        best = f"Those of epoch {run.info.best_epoch}, where the validation loss was lowest."
        rows.append(("Weights", best))
    return [*rows, *_describe_options(config), (options.OPTIONS["seed"].label, str(config.seed))]


def _describe_training(run: Run) -> str:
    config, stages = run.info.config, [epoch.stage for epoch in run.history]
    words = {
        "head": f"of the head, learning rate {config.learning_rate:g}",
        "fine-tune": f"with the blocks from {config.unfreeze_from} on, learning rate "
        f"{config.fine_tune_learning_rate:g}",
    }
    text = "; then ".join(
        f"{plural(stages.count(stage), 'epoch')} {how}"
        for stage, how in words.items()
        if stage in stages
    )
    optimizer = options.OPTIMIZERS[config.optimizer].partition(":")[0]
    return f"{text}. {optimizer}, batch size {config.batch_size}."


def _describe_options(config: options.RunConfig) -> list[tuple[str, str]]:
    kinds = "; ".join(options.AUGMENTATIONS[kind] for kind in config.augmentations)
    copies = plural(config.augmented_copies, "copy", "copies")
    schedule, weights = config.learning_rate_schedule, config.class_weights
    stopping = (
        f"After {plural(config.patience, 'epoch')} without a lower validation loss; the weights of "
        "the best epoch are restored."
    )
    sentences = {
        "learning_rate_schedule": schedule != "constant" and f"{options.SCHEDULES[schedule]}.",
        "dropout": config.dropout and f"{config.dropout:g} before each dense layer.",
        "label_smoothing": config.label_smoothing and f"{config.label_smoothing:g}.",
        "class_weights": weights != "none" and f"{options.CLASS_WEIGHTS[weights]}.",
        "patience": config.patience and stopping,
        "augmented_copies": config.augmented_copies and f"{copies} of each image: {kinds}.",
        "on_the_fly_augmentation": config.on_the_fly_augmentation and f"{kinds}.",
    }
    return [
        (options.OPTIONS[name].label, text[0].upper() + text[1:])
        for name, text in sentences.items()
        if text
    ]
