"""The formats of a bundle: what each is for, and how far its answers may be from the page's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from zipfile import ZipFile

import numpy as np

from tlcore.exports.predict import FORMATS as FILES
from tlcore.models.predictions import Floats
from tlcore.percentages import points


@dataclass(frozen=True)
class Format:
    """One format of the network."""

    name: str  # as predict.py knows it
    title: str
    use: str  # what it is for, in a few words
    tolerance: float | None  # greatest difference of a probability; None: measured and said only

    @property
    def file(self) -> str:
        """The file or folder in the bundle."""
        return FILES[self.name][0]


_ROWS = (
    Format("keras", "Keras", "Python with Keras; can be trained further", 1e-5),
    Format("saved_model", "SavedModel", "TensorFlow Serving, and other languages", 1e-5),
    Format("tflite", "TFLite, float32", "phones and small machines", 1e-3),
    Format(
        "tflite-int8",
        "TFLite, int8 weights",
        "the same at a quarter of the size: weights in 8 bits (dynamic range)",
        None,
    ),
)
FORMATS: Mapping[str, Format] = MappingProxyType({row.name: row for row in _ROWS})


# Each format against the page, in a process that has seen nothing else: the bundle's own program.
#
# What is compared is what a person will run: ``predict.py`` on image files, from the bundle's
# folder, in Python's isolated mode, so that nothing of ours can be imported.


CHECKS = "checks.json"  # in a bundle
PATIENCE = 600.0  # s for one format
SEEN = 1e-3  # difference of a probability that shows in a percentage with one decimal
LARGE = 0.05  # difference that a person should not take unseen
LAST_WORDS = 300  # characters of a failure that are passed on


@dataclass(frozen=True, eq=False)
class ExpectedPredictions:
    """What the page says of some images."""

    images: tuple[Path, ...]
    probabilities: Floats  # (images, classes)
    labels: tuple[str, ...]  # (classes,)


@dataclass(frozen=True)
class FormatCheck:
    """What came of one format."""

    format: str  # a key of FORMATS
    bytes: int = 0  # of its file or folder
    images: int = 0  # that were compared
    max_difference: float | None = None  # difference of a probability; None: it gave no answer
    same_class: int = 0  # images with the same most probable class
    seconds: float = 0.0  # of the fresh process, its start included
    error: str = ""  # why it is not offered; "" where it is

    @property
    def included(self) -> bool:
        return not self.error

    @property
    def differs(self) -> bool:
        """Whether a person would see the difference from the page."""
        return self.max_difference is not None and (
            self.max_difference >= SEEN or self.same_class < self.images
        )

    @property
    def text(self) -> str:
        """How far its answers are from the page's; "" where it gave none."""
        if self.max_difference is None:
            return ""
        changed = self.images - self.same_class
        images = f"{changed or 'None'} of {self.images} images get{'s' * (changed < 2)}"
        difference = f"The greatest difference of a probability is {points(self.max_difference)}."
        words = f"{difference} {images} another class."
        if changed or self.max_difference >= LARGE:
            words += " Judge it by your own images before you use it."
        return words


def check_format(form: Format, folder: Path, pages: ExpectedPredictions) -> FormatCheck:
    """Compare a format with the page.

    Args:
        form: which.
        folder: holds it, labels.json and predict.py.
        pages: the page's answers.
    """
    began = time.perf_counter()
    try:
        answers = _answers(form, folder, pages)
    except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
        return FormatCheck(form.name, error=f"It did not answer: {error}")
    apart = float(np.abs(answers - pages.probabilities).max())
    return FormatCheck(
        form.name,
        bytes=measure_size(folder / form.file),
        images=len(pages.images),
        max_difference=apart,
        same_class=int((answers.argmax(axis=1) == pages.probabilities.argmax(axis=1)).sum()),
        seconds=time.perf_counter() - began,
        error=_judged(form, apart),
    )


def _judged(form: Format, apart: float) -> str:
    if not np.isfinite(apart):
        return "Its answers are no numbers."
    if form.tolerance is not None and apart > form.tolerance:
        return f"Its answers differ by up to {apart:.1e}, more than {form.tolerance:g}."
    return ""


def _answers(form: Format, folder: Path, pages: ExpectedPredictions) -> Floats:
    """Return (images, classes) as a fresh process gives them.

    Raises:
        ValueError: it failed, or did not answer for every image; with its last words.
    """
    command = [sys.executable, "-I", "predict.py", "--json", "--format", form.name]
    done = subprocess.run(
        [*command, *map(str, pages.images)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip()[-LAST_WORDS:]
        raise ValueError(said or f"it ended with code {done.returncode}")
    found = json.loads(done.stdout)
    rows = [[found[str(path)][label] for label in pages.labels] for path in pages.images]
    return np.array(rows, np.float32)


def measure_size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    files: Sequence[Path] = [path] if path.is_file() else list(path.rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())


def read_checks(bundle: Path) -> list[FormatCheck]:
    """Return what came of each format of a bundle that has been made."""
    with ZipFile(bundle) as archive:
        name = next(name for name in archive.namelist() if name.endswith(f"/{CHECKS}"))
        rows = json.loads(archive.read(name))
    return [FormatCheck(**{key: row[key] for key in row if key != "offered"}) for row in rows]
