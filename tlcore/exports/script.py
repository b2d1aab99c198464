"""A run as one readable Keras script, and the same source as a notebook.

The script uses Keras' ordinary ``fit`` on the run's own split, which lies beside it as JSON. It
does not draw the same random numbers: its accuracy agrees with the run's within the interval.
"""

from __future__ import annotations

import io
import json
import re
from contextlib import suppress
from itertools import dropwhile
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from tlcore.errors import RunError, WeightsMissing
from tlcore.evaluation.intervals import proportion_of
from tlcore.exports.recipe_text import template_environment
from tlcore.jobs import Progress
from tlcore.models.catalog import get_backbone, output_units
from tlcore.models.weights import find_weights, weights_file_name
from tlcore.settings import KERAS_WEIGHTS_URL, Settings
from tlcore.storage import write_output
from tlcore.training.config import RunConfig
from tlcore.training.head import MOMENTUM
from tlcore.training.provenance import read_provenance_or_default, read_splits
from tlcore.training.run import Run, title_run
from tlcore.training.status import FINISHED
from tlcore.training.store import load_run

SUFFIXES = (".py", ".ipynb")
NEEDED = ("tensorflow", "keras", "numpy", "pillow")
POOLING = {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D", "flatten": "Flatten"}
OPTIMIZERS = {
    "adam": "keras.optimizers.Adam(learning_rate)",
    "rmsprop": "keras.optimizers.RMSprop(learning_rate)",
    "sgd": f"keras.optimizers.SGD(learning_rate, momentum={MOMENTUM})",
}
AUGMENTATION = {
    "flip": ['RandomFlip("horizontal")'],
    "shift": ["RandomTranslation(0.1, 0.1)", "RandomZoom((-0.17, 0.0))"],
    "rotate": ["RandomRotation(15 / 360)"],
    "light": ["RandomBrightness(0.2)", "RandomContrast(0.2)"],
}


def write_script(run: str, path: Path, settings: Settings, progress: Progress) -> None:
    """Write a run as a script or a notebook, by the suffix, and its split as "STEM-split.json".

    See ``export``.

    Raises:
        RunError: no such run, or it has no model or has finished no epoch.
        StorageError: a file cannot be written.
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
    values = _template_values(_load_trained_run(run, settings), settings)
    template = template_environment().get_template("script.py.j2")
    text = template.render(split_file=split_file, script=f"script{suffix}", **values)
    return text if suffix == ".py" else convert_to_notebook(text)


def render_split(run: str, settings: Settings) -> str:
    """Return a run's training and validation split as JSON: classes; file, path, sha256, label and
    split of each image. Files that the run could not read are left out."""
    loaded = _load_trained_run(run, settings)
    splits = read_splits(loaded.info.folder)
    skipped = {event.file for event in loaded.skipped}
    images = [
        {name: str(getattr(sample, name)) for name in ("file", "path", "sha256", "label", "split")}
        for sample in (*splits.train, *splits.val)
        if sample.file not in skipped
    ]
    return json.dumps({"classes": splits.classes, "images": images}, indent=1)


def convert_to_notebook(source: str) -> str:
    """Cut a script into cells at its "# %%" lines; return a notebook of format 4.5.

    The comment that follows such a line becomes text (https://nbformat.readthedocs.io).
    """
    docstring, *parts = re.split(r"^# %% ", source, flags=re.MULTILINE)
    cells = [_cell("markdown", docstring.strip().strip('"'), 0)]
    for part in parts:
        title, _, rest = part.partition("\n")
        lines = rest.splitlines()
        code = list(dropwhile(lambda line: line.startswith("#"), lines))
        comment = [line.lstrip("# ") for line in lines[: len(lines) - len(code)]]
        text = "\n".join([f"## {title}", "", *comment]).strip()
        cells.append(_cell("markdown", text, len(cells)))
        cells.append(_cell("code", "\n".join(code).strip("\n"), len(cells)))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return json.dumps(notebook, indent=1)


def _cell(kind: str, text: str, number: int) -> dict[str, Any]:
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
    versions = read_provenance_or_default(info.folder).versions
    outputs = output_units(len(run.classes), config.classifier_activation)
    weights_file = _other_weights_file(config, settings)
    row = get_backbone(config.backbone)
    epochs = {"head": config.epochs, "fine_tune": config.fine_tune_epochs}
    if info.status != FINISHED:  # as far as it came; else as planned: patience finds its own end
        stages = [epoch.stage.replace("-", "_") for epoch in run.history]
        epochs = {stage: stages.count(stage) for stage in epochs}
    return {
        "title": " ".join(title_run(info).replace("\\", "/").replace('"', "'").split()),
        "requirements": " ".join(
            f"{each}=={versions[each]}" for each in NEEDED if each in versions
        ),
        "run": run,
        "config": config,
        "row": row,
        "accuracy": proportion_of(round((info.val_accuracy or 0.0) * images), images),
        "units": outputs,
        "activation": "sigmoid" if outputs == 1 else "softmax",
        "optimizer": OPTIMIZERS[config.optimizer],
        "pooling_layer": POOLING[config.pooling],
        "augmented": bool(config.augmented_copies or config.on_the_fly_augmentation),
        "augmentation_layers": [
            each for kind in config.augmentations for each in AUGMENTATION[kind]
        ],
        "epochs": epochs,
        "weights": "None" if config.random_weights else "weights" if weights_file else '"imagenet"',
        "weights_file": weights_file,
        "weights_url": f"{KERAS_WEIGHTS_URL}/{row.files.address}",
    }


def _other_weights_file(config: RunConfig, settings: Settings) -> str:
    """Return the weight file that the run used, where Keras by itself would take the file of
    another resolution; else ""."""
    if config.random_weights:
        return ""
    row = get_backbone(config.backbone)
    with suppress(WeightsMissing):
        used = find_weights(row, config.size, settings, top=False).path.name
        return "" if used == weights_file_name(row, config.size, top=False) else used
    return ""
