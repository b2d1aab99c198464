"""Cells: which pictures are in which part, and how a file becomes the network's square."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence

from tlcore.evaluation.bundle import predict
from tlcore.evaluation.script.facts import ODD, TURNED, Facts
from tlcore.evaluation.script.paper import Cell
from tlcore.training import augment


def pictures_cell(facts: Facts) -> Cell:
    return Cell(
        "The pictures",
        "Which picture is in which part decides the figures, so the parts are listed here: each "
        "picture is known by the first digits of its file's SHA-256 and may lie anywhere below "
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
        raise SystemExit(f"{{len(missing)}} of {{len(names)}} pictures are not below {{DATA}}.")
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
    return bool(facts.config.views or facts.config.free_augmentation)


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
    """How files are read: as much of it as these pictures need."""
    if kind == ODD:
        constants = "\n".join(
            (
                f"PICTURES = {predict.PICTURES!r}",
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
    picture = "ImageOps.exif_transpose(image)" if kind == TURNED else "image"
    return [
        "def upright(path):\n    with Image.open(path) as image:\n"
        f'        return {picture}.convert("RGB")'
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
        "A view is a picture changed at random, drawn on the square. What it is depends on the "
        "seed, the view's number and the picture's content, so the views are the run's own.",
        "\n\n\n".join(
            [
                f"KINDS = {facts.config.augment!r}\nPixels = np.ndarray\n{constants}",
                *(source(each) for each in (augment.view, augment._moved, augment._lit)),
            ]
        ),
    )


def source(function: Callable[..., object]) -> str:
    """Return a function of ours as text; its types name what the script imports."""
    text = inspect.getsource(function).rstrip()
    return text.replace("npt.NDArray[np.float64]", "np.ndarray")
