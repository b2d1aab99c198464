"""All cells of a run's script in order, and the words at its top."""

from __future__ import annotations

from tlcore.evaluation.script.epochs import epochs_cell, targets_cell
from tlcore.evaluation.script.facts import ODD, TURNED, Facts
from tlcore.evaluation.script.network import features_cell, network_cell
from tlcore.evaluation.script.paper import Cell
from tlcore.evaluation.script.pictures import drawn, pictures_cell, square_cell, views_cell
from tlcore.evaluation.script.stages import end_cell, head_cell, top_cell, whole_cell
from tlcore.percentages import percent

NEEDED = ("tensorflow", "keras", "numpy", "pillow")


def cells_of(facts: Facts, data: str) -> list[Cell]:
    """Return what the script does, step by step.

    Args:
        facts: of the run.
        data: an expression for the folder with the pictures.
    """
    cells = (
        _settings_cell(facts, data),
        pictures_cell(facts),
        square_cell(facts),
        views_cell(facts),
        network_cell(facts),
        features_cell(facts),
        targets_cell(facts),
        epochs_cell(facts),
        head_cell(facts),
        whole_cell(facts),
        top_cell(facts),
        end_cell(facts),
    )
    return [cell for cell in cells if cell is not None]


def doc_of(facts: Facts, how: str) -> str:
    """Return what stands at the top.

    Args:
        facts: of the run.
        how: how it is started, a few lines.
    """
    exact = " ".join(f"{name}=={facts.versions[name]}" for name in NEEDED if name in facts.versions)
    return (
        f"{_plain(facts.title)}: run {facts.id} as plain Keras.\n\n"
        f"    pip install {exact}\n{how}\n\n"
        "The pictures are those of the data set, as its folder or as its unpacked export. The\n"
        "script divides them as the run did, starts from the same weights and draws the same\n"
        f"random numbers, so it arrives at the same figures: {facts.right} of {facts.judged} "
        f"validation\npictures right ({percent(facts.val_accuracy, 1)}). {_cannot(facts)}\n"
    )


def _plain(title: str) -> str:
    """A person's words, made harmless inside a docstring."""
    return " ".join(title.replace("\\", "/").replace('"', "'").split())


def _cannot(facts: Facts) -> str:
    if facts.stopped:
        return (
            "The run was stopped by hand, and the\nscript stops after the same epoch. What a "
            "broken epoch had begun is not in either."
        )
    return (
        "Not the same to the last digit:\nthe run adds up in another order and on another "
        "processor."
    )


def _settings_cell(facts: Facts, data: str) -> Cell:
    config = facts.config
    views = drawn(facts)
    pillow = "Image, ImageOps" if facts.reading == TURNED else "Image"
    standard = [
        "import hashlib",
        *(["import math"] if views else []),
        *(["import sys"] if "sys." in data else []),
        *(["from collections.abc import Sequence"] if views else []),
        "from pathlib import Path",
        *(["from typing import Any"] if facts.reading == ODD else []),
    ]
    called = [
        "",
        "if len(sys.argv) != 2:  # before Keras, which takes seconds to load",
        '    print(f"Expected the folder of the images: python {sys.argv[0]} FOLDER", '
        "file=sys.stderr)",
        "    raise SystemExit(2)",
    ]
    lines = [
        *standard,
        *(called if "sys." in data else []),
        "",
        "import keras",
        "import numpy as np",
        f"from PIL import {pillow}",
        "",
        f"DATA = Path({data})",
        f"SIZE, BATCH, SEED = {config.size}, {config.batch_size}, {config.seed}",
    ]
    return Cell("Settings", "Where the pictures lie, and what the run was told.", "\n".join(lines))
