"""A run as one readable Keras script, and the same source as a notebook.

The script uses Keras' ordinary ``fit`` on the run's own split, which lies beside it as JSON. It
does not draw the same random numbers: its accuracy agrees with the run's within the interval.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tlcore.errors import RunError, UnknownName, WeightsMissing
from tlcore.evaluation.intervals import proportion_of
from tlcore.jobs import Progress
from tlcore.models.catalog import get_backbone, output_units
from tlcore.models.weights import find_weights, weights_file_name
from tlcore.settings import KERAS_WEIGHTS_URL, Settings
from tlcore.storage import write_output
from tlcore.training.config import RunConfig
from tlcore.training.head import MOMENTUM
from tlcore.training.provenance import read_provenance_or_default, read_splits
from tlcore.training.run import Run, title_run
from tlcore.training.store import load_run

TEMPLATES = Path(__file__).with_name("templates")
SUFFIXES = (".py", ".ipynb")
NEEDED = ("tensorflow", "keras", "numpy", "pillow")
POOLING_LAYERS: Mapping[str, str] = MappingProxyType(
    {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D", "flatten": "Flatten"}
)
FIT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "crop": "the centre square of 0.875 of the short side",
        "squash": "stretched to a square",
        "pad": "whole, with ImageNet's mean colour beside it",
    }
)
OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "adam": "keras.optimizers.Adam(learning_rate)",
        "rmsprop": "keras.optimizers.RMSprop(learning_rate)",
        "sgd": f"keras.optimizers.SGD(learning_rate, momentum={MOMENTUM})",
    }
)
AUGMENTATION_LAYERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "flip": ('keras.layers.RandomFlip("horizontal")',),
        "shift": (
            "keras.layers.RandomTranslation(0.1, 0.1)",
            "keras.layers.RandomZoom((-0.17, 0.0))",
        ),
        "rotate": ("keras.layers.RandomRotation(15 / 360)",),
        "light": ("keras.layers.RandomBrightness(0.2)", "keras.layers.RandomContrast(0.2)"),
    }
)


def write_script(
    run: str,
    path: Path,
    settings: Settings,
    progress: Progress = lambda done, total, message: None,
) -> None:
    """Write a run as a script or a notebook, and its split as JSON beside it.

    Args:
        run: the id of a run with a model.
        path: ends with one of SUFFIXES; the split is written as "STEM-split.json".
        settings: where runs and weights lie.
        progress: called before it is written.

    Raises:
        RunError: no such run, or it has no model or has finished no epoch.
        StorageError: a file cannot be written.
        UnknownName: another suffix.
    """
    progress(0, 1, "Writing")
    split_file = path.with_name(f"{path.stem}-split.json")
    text = render_script(run, path.suffix, settings, split_file.name)
    write_output(split_file, render_split(run, settings).encode())
    write_output(path, text.encode())


def pack_scripts(run: str, settings: Settings) -> bytes:
    """Return a zip with script, notebook and split of a run. Raises as ``write_script``."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for suffix in SUFFIXES:
            archive.writestr(f"{run}/script{suffix}", render_script(run, suffix, settings))
        archive.writestr(f"{run}/split.json", render_split(run, settings))
    return buffer.getvalue()


def render_script(run: str, suffix: str, settings: Settings, split_file: str = "split.json") -> str:
    """Return a run as the text of a script or of a notebook. Raises as ``write_script``.

    Args:
        run: the id of a run with a model.
        suffix: one of SUFFIXES.
        settings: where runs and weights lie.
        split_file: the name of the file with the split.
    """
    if suffix not in SUFFIXES:
        raise UnknownName.of("suffix of a script", suffix, SUFFIXES)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values = _template_values(_load_trained_run(run, settings), settings)
    template = environment.get_template("script.py.j2")
    text = template.render(split_file=split_file, script=f"script{suffix}", **values)
    return text if suffix == ".py" else convert_to_notebook(text)


def render_split(run: str, settings: Settings) -> str:
    """Return a run's training and validation split as JSON: classes; file, path, sha256, label and
    split of each image. Files that the run could not read are left out."""
    loaded = _load_trained_run(run, settings)
    splits = read_splits(loaded.info.folder)
    skipped = {event.file for event in loaded.skipped}
    images = [
        {
            "file": sample.file,
            "path": str(sample.path),
            "sha256": sample.sha256,
            "label": sample.label,
            "split": sample.split,
        }
        for sample in (*splits.train, *splits.val)
        if sample.file not in skipped
    ]
    return json.dumps({"classes": splits.classes, "images": images}, indent=1)


def convert_to_notebook(source: str) -> str:
    """Cut a script into cells at its "# %%" lines; return a notebook of format 4.5.

    The comment that follows such a line becomes text (https://nbformat.readthedocs.io).
    """
    docstring, *parts = re.split(r"^# %% ", source, flags=re.MULTILINE)
    cells = [_cell("markdown", 0, docstring.strip().strip('"'))]
    for number, part in enumerate(parts, start=1):
        title, _, rest = part.partition("\n")
        comment, code = _split_comment(rest)
        cells.append(_cell("markdown", 2 * number - 1, f"## {title}\n\n{comment}".strip()))
        cells.append(_cell("code", 2 * number, code.strip("\n")))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return json.dumps(notebook, indent=1)


def _split_comment(text: str) -> tuple[str, str]:
    """Return the comment at the beginning of a cell, and its code."""
    lines = text.splitlines()
    number = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "\n".join(line.lstrip("# ") for line in lines[:number]), "\n".join(lines[number:])


def _cell(kind: str, number: int, text: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
    outputs: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return cell | outputs | {"source": text.splitlines(keepends=True)}


def _load_trained_run(run: str, settings: Settings) -> Run:
    loaded = load_run(run, settings)
    info = loaded.info
    if info.model is None or info.val_accuracy is None:
        raise RunError(
            f"Expected a run that has finished an epoch. Received {info.id}, which is "
            f"{info.status} and has not. Resume it, or choose another run."
        )
    return loaded


def _template_values(run: Run, settings: Settings) -> dict[str, Any]:
    config, info = run.info.config, run.info
    images = len(read_splits(info.folder).val)
    accuracy = proportion_of(round((info.val_accuracy or 0.0) * images), images)
    versions = read_provenance_or_default(info.folder).versions
    outputs = output_units(len(run.classes), config.classifier_activation)
    weights_file = _other_weights_file(config, settings)
    row = get_backbone(config.backbone)
    augmented = config.augmented_copies or config.on_the_fly_augmentation
    return {
        "title": " ".join(title_run(info).replace("\\", "/").replace('"', "'").split()),
        "requirements": " ".join(
            f"{name}=={versions[name]}" for name in NEEDED if name in versions
        ),
        "run": run,
        "config": config,
        "row": row,
        "accuracy": accuracy.text,
        "correct": accuracy.count,
        "units": outputs,
        "activation": "sigmoid" if outputs == 1 else "softmax",
        "optimizer": OPTIMIZERS[config.optimizer],
        "pooling_layer": POOLING_LAYERS[config.pooling],
        "fit_words": FIT_WORDS[config.fit],
        "augmented": bool(augmented),
        "augmentation_layers": [
            layer for kind in config.augmentations for layer in AUGMENTATION_LAYERS[kind]
        ],
        "epochs": _planned_epochs(run),
        "weights": "None" if config.random_weights else "weights" if weights_file else '"imagenet"',
        "weights_file": weights_file,
        "weights_url": f"{KERAS_WEIGHTS_URL}/{row.files.address}",
    }


def _planned_epochs(run: Run) -> dict[str, int]:
    """Return the epochs of each stage: as planned, since early stopping finds its own end, or as
    far as a stopped run came."""
    planned = {"head": run.info.config.epochs, "fine_tune": run.info.config.fine_tune_epochs}
    if run.info.status == "finished":
        return planned
    stages = [epoch.stage.replace("-", "_") for epoch in run.history]
    return {stage: stages.count(stage) for stage in planned}


def _other_weights_file(config: RunConfig, settings: Settings) -> str:
    """Return the weight file that the run used, where Keras by itself would take the file of
    another resolution; else ""."""
    if config.random_weights:
        return ""
    row = get_backbone(config.backbone)
    try:
        used = find_weights(row, config.size, settings, top=False).path.name
    except WeightsMissing:
        return ""
    return "" if used == weights_file_name(row, config.size, top=False) else used
