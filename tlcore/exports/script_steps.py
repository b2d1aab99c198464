"""What a script must know of its run, gathered from the run's folder."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from tlcore.errors import RunError, WeightsMissing
from tlcore.exports import predict
from tlcore.exports.predict import DEEP, ORIENTATION
from tlcore.models.catalog import Backbone, backbone, units
from tlcore.models.weights import file_name, find
from tlcore.settings import KERAS_WEIGHTS_URL, Settings
from tlcore.training import augmentation as augment
from tlcore.training.config import RunConfig
from tlcore.training.provenance import SplitRow, read_provenance_or_default, read_split
from tlcore.training.run import Run

DIGITS = 15  # of a SHA-256 that name an image; views are drawn from as many
PLAIN, TURNED, ODD = "plain", "turned", "odd"  # what reading the images takes


@dataclass(frozen=True)
class Facts:
    """One run, as its script needs it."""

    id: str
    title: str
    config: RunConfig
    classes: tuple[str, ...]
    train: tuple[tuple[str, tuple[str, ...]], ...]  # label, images; in the run's order
    val: tuple[tuple[str, tuple[str, ...]], ...]
    done: dict[str, int]  # epochs that count, by stage
    keeps_best: bool  # it ends with the weights of the lowest validation loss, not the last
    stopped: bool  # by a person, before its time
    cut: str  # layer up to which all stays frozen; "" where nothing is unfrozen
    weights: tuple[str, str]  # name and address of a file that Keras would not take by itself
    reading: str  # PLAIN, TURNED or ODD
    versions: dict[str, str]  # that it was trained with
    val_accuracy: float

    @property
    def row(self) -> Backbone:
        return backbone(self.config.backbone)

    @property
    def units(self) -> int:
        return units(len(self.classes), self.config.classifier_activation)

    @property
    def judged(self) -> int:
        """Validation images."""
        return sum(len(images) for _, images in self.val)

    @property
    def right(self) -> int:
        """Validation images that the run's network got right."""
        return round(self.val_accuracy * self.judged)


def facts_of(run: Run, title: str, settings: Settings, cut: Callable[[RunConfig], str]) -> Facts:
    """Gather the facts of a run.

    Args:
        run: with a network.
        title: what it is called.
        settings: where weights lie.
        cut: finds the layer below the unfrozen blocks; asked where there are some.

    Raises:
        RunError: it has no network, or never got to the end of an epoch.
    """
    info = run.info
    if info.model is None or info.val_accuracy is None:
        raise RunError(
            f"Expected a run that has gone through an epoch. Received {info.id}, which is "
            f"{info.status} and has not. Resume it, or choose another run."
        )
    split = read_split(info.folder)
    left_out = {event.file for event in run.skipped}
    parts = {
        part: [row for row in split.rows(part) if row.file not in left_out]
        for part in ("train", "val")
    }
    done = {
        stage: sum(epoch.stage == stage for epoch in run.history) for stage in ("head", "fine-tune")
    }
    paths = [Path(row.path) for rows in parts.values() for row in rows]
    return Facts(
        id=info.id,
        title=title,
        config=info.config,
        classes=run.classes,
        train=_grouped(parts["train"]),
        val=_grouped(parts["val"]),
        done=done,
        keeps_best=info.keeps_best,
        stopped=info.status != "finished",
        cut=cut(info.config) if done["fine-tune"] else "",
        weights=_weights(info.config, settings),
        reading=reading(paths),
        versions=read_provenance_or_default(info.folder).versions,
        val_accuracy=info.val_accuracy,
    )


def _grouped(rows: Sequence[SplitRow]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Neighbours of the same class together, in the order in which they come."""
    return tuple(
        (label, tuple(row.sha256[:DIGITS] for row in group))
        for label, group in groupby(rows, key=lambda row: row.label)
    )


def _weights(config: RunConfig, settings: Settings) -> tuple[str, str]:
    """Where the run took the file of another resolution, which Keras would not, name it."""
    if config.random_weights:
        return "", ""
    row = backbone(config.backbone)
    try:
        used = find(row, config.size, settings, top=False).path.name
    except WeightsMissing:
        return "", ""
    if used == file_name(row, config.size, top=False):
        return "", ""
    return used, f"{KERAS_WEIGHTS_URL}/{row.files.address}/{used}"


def reading(paths: Sequence[Path]) -> str:
    """Return what it takes to read these files right; one that is gone may be anything."""
    found = {_kind(path) for path in paths}
    return next(kind for kind in (ODD, TURNED, PLAIN) if kind in found or kind == PLAIN)


def _kind(path: Path) -> str:
    """Judge by the header alone: nothing is decoded."""
    try:
        with Image.open(path) as image:
            if image.mode in DEEP or image.has_transparency_data:
                return ODD
            return TURNED if image.getexif().get(ORIENTATION, 1) != 1 else PLAIN
    except Exception:  # gone since, or notes that cannot be read
        return ODD


# Cells as a Python file and as a notebook.


WIDTH = 98  # of comments


@dataclass(frozen=True)
class Cell:
    """A piece of a script: why, and the code."""

    title: str
    words: str  # the reasons, in plain sentences
    code: str


def as_python(doc: str, cells: Sequence[Cell]) -> str:
    """Return one file; editors know its "# %%" as the beginnings of cells.

    Args:
        doc: the module's docstring.
        cells: in order.
    """
    parts = [f'"""{doc}"""']
    for cell in cells:
        words = textwrap.fill(cell.words, WIDTH, initial_indent="# ", subsequent_indent="# ")
        parts.append(f"# %% {cell.title}\n{words}\n\n\n{cell.code}")
    return "\n\n\n".join(parts) + "\n"


def as_notebook(doc: str, cells: Sequence[Cell]) -> str:
    """Return a notebook, format 4.5 (https://nbformat.readthedocs.io/en/latest/)."""
    made = [_markdown("doc", doc)]
    for place, cell in enumerate(cells):
        made.append(_markdown(f"words-{place}", f"## {cell.title}\n\n{cell.words}"))
        made.append(
            {
                "cell_type": "code",
                "id": f"code-{place}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": _lines(cell.code),
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
            "cells": made,
        },
        indent=1,
    )


def _markdown(id: str, text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "id": id, "metadata": {}, "source": _lines(text)}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


# Cells: which images are in which part, and how a file becomes the network's square.


def images_cell(facts: Facts) -> Cell:
    return Cell(
        "The images",
        "Which image is in which part decides the figures, so the parts are listed here: each "
        "image is known by the first digits of its file's SHA-256 and may lie anywhere below "
        "DATA. Their order counts as well: the epochs below shuffle positions.",
        f"""\
CLASSES = {list(facts.classes)!r}
TRAIN = {_listed(facts.train)}
VAL = {_listed(facts.val)}


def find(part):
    \"\"\"Return the files of a part, the names of their contents, and their classes.\"\"\"
    names = [name for _, listed in part for name in listed.split()]
    missing = [name for name in names if name not in FILES]
    if missing:
        raise SystemExit(f"{{len(missing)}} of {{len(names)}} images are not below {{DATA}}.")
    labels = [CLASSES.index(label) for label, listed in part for _ in listed.split()]
    return [FILES[name] for name in names], names, np.array(labels)


def name_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:{_digits(facts)}]


FILES = {{name_of(path): path for path in sorted(DATA.rglob("*")) if path.is_file()}}
train_paths, {"train_names" if drawn(facts) else "_"}, train_labels = find(TRAIN)
val_paths, _, val_labels = find(VAL)""",
    )


def drawn(facts: Facts) -> bool:
    """Whether the run learned from views."""
    return bool(facts.config.augmented_copies or facts.config.on_the_fly_augmentation)


def _digits(facts: Facts) -> int:
    return len(facts.train[0][1][0])


def _listed(groups: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """A list of (label, names) with the names wrapped."""
    blocks = [
        f'    ({label!r}, """\n{textwrap.fill(" ".join(names), 99)}\n    """),'
        for label, names in groups
    ]
    return "[\n" + "\n".join(blocks) + "\n]"


def square_cell(facts: Facts) -> Cell:
    fit = predict.FITS[facts.config.fit]
    return Cell(
        "From a file to a square",
        f"{fit.__doc__} HAMMING is as sharp as BICUBIC and blends while it shrinks.",
        "\n\n\n".join(
            [
                *_reading(facts.reading),
                source(fit),
                source(predict.resized),
                f"def square(path):\n    return {fit.__name__}(upright(path), SIZE)",
            ]
        ),
    )


def _reading(kind: str) -> list[str]:
    """How files are read: as much of it as these images need."""
    if kind == ODD:
        constants = "\n".join(
            (
                f"IMAGES = {predict.IMAGES!r}",
                f"ORIENTATION = {predict.ORIENTATION:#06x}  # the EXIF tag: how it was held",
                "TURNS = {",
                *(
                    f"    {tag}: Image.Transpose.{turn.name},"
                    for tag, turn in predict.TURNS.items()
                ),
                "}",
                f"DEEP = {predict.DEEP!r}  # grey with more than 8 bits",
            )
        )
        parts = (
            predict.upright,
            predict.to_rgb,
            predict.grey,
            predict.of_unknown_range,
            predict.to_bytes,
        )
        return [constants, *(source(part) for part in parts)]
    image = "ImageOps.exif_transpose(image)" if kind == TURNED else "image"
    return [
        "def upright(path):\n    with Image.open(path) as image:\n"
        f'        return {image}.convert("RGB")'
    ]


def views_cell(facts: Facts) -> Cell | None:
    """How a view is drawn, where the run learned from views."""
    if not drawn(facts):
        return None
    constants = "\n".join(
        f"{name} = {getattr(augment, name)!r}" for name in ("SHIFT", "ZOOM", "ANGLE", "LIGHT")
    )
    return Cell(
        "Views",
        "A view is an image changed at random, drawn on the square. What it is depends on the "
        "seed, the view's number and the image's content, so the views are the run's own.",
        "\n\n\n".join(
            [
                f"KINDS = {facts.config.augmentations!r}\nPixels = np.ndarray\n{constants}",
                *(source(each) for each in (augment.augment, augment._moved, augment._lit)),
            ]
        ),
    )


def source(function: Callable[..., object]) -> str:
    """Return a function of ours as text; its types name what the script imports."""
    text = inspect.getsource(function).rstrip()
    return text.replace("npt.NDArray[np.float64]", "np.ndarray")


# Cells: the frozen backbone, and what it makes of the images.


POOLING = {
    "avg": "GlobalAveragePooling2D",
    "max": "GlobalMaxPooling2D",
    "flatten": "Flatten",
}


def network_cell(facts: Facts) -> Cell:
    row, config = facts.row, facts.config
    before, weights = _weights_network(facts)
    alpha = f", alpha={row.alpha}" if row.alpha is not None else ""
    return Cell(
        "The backbone",
        f"{row.constructor} without its last layer, and the preprocessing it was trained with. "
        "Frozen: what it has learned is kept, and its BatchNormalization layers use their stored "
        "statistics." + (f" {before[1]}" if before[1] else ""),
        f"""\
keras.utils.clear_session(){"" if not facts.cut else "  # layers get the names of a fresh process"}
{before[0]}base = keras.applications.{row.constructor}(
    input_shape=(SIZE, SIZE, 3), include_top=False, weights={weights}{alpha}
)
base.trainable = False
preprocess = keras.applications.{row.module}.preprocess_input
pooled = keras.layers.{POOLING[config.pooling]}()(base.output)""",
    )


def _weights_network(facts: Facts) -> tuple[tuple[str, str], str]:
    """Lines before the network with their reason, and its argument."""
    if facts.config.random_weights:
        return (
            "keras.utils.set_random_seed(0)\n",
            "This run was made on random weights; the seed draws the same ones.",
        ), "None"
    name, address = facts.weights
    if name:
        return (
            f'weights = keras.utils.get_file(\n    "{name}",\n    "{address}",\n'
            '    cache_subdir="models",\n)\n',
            "The run used the weights of another resolution, so the file is named.",
        ), "weights"
    return ("", ""), '"imagenet"'


def features_cell(facts: Facts) -> Cell:
    return Cell(
        "What it makes of the images",
        "A frozen network gives the same answer in every epoch, so it runs once over the images "
        "and not once an epoch. 32 at a time, so that memory does not grow with their number.",
        _VALUES_OF_VIEWS if drawn(facts) else _VALUES,
    )


_VALUES = '''\
def values(output, paths):
    """Return what one layer makes of the images."""
    part = keras.Model(base.input, output)
    found = []
    for start in range(0, len(paths), 32):
        pixels = np.stack([square(path) for path in paths[start : start + 32]])
        found.append(part(preprocess(pixels.astype("float32")), training=False).numpy())
    return np.concatenate(found)'''

_VALUES_OF_VIEWS = '''\
def values(output, paths, names=(), number=None):
    """Return what one layer makes of the images, or of their views of one number."""
    part = keras.Model(base.input, output)
    found = []
    for start in range(0, len(paths), 32):
        squares = [square(path) for path in paths[start : start + 32]]
        if number is not None:
            squares = [
                view(pixels, KINDS, sha256=name, seed=SEED, number=number)
                for pixels, name in zip(squares, names[start : start + 32])
            ]
        pixels = preprocess(np.stack(squares).astype("float32"))
        found.append(part(pixels, training=False).numpy())
    return np.concatenate(found)'''
