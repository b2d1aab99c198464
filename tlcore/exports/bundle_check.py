"""The model formats of a bundle, and the check of each against the page's predictions.

A format is checked by what a person will run: ``predict.py`` of the bundle on image files, in a
fresh process in Python's isolated mode, so that nothing of this project can be imported.
"""

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

from tlcore.exports.bundle_predict import FORMATS as FILES
from tlcore.models.predictions import Floats
from tlcore.percentages import points

CHECKS = "checks.json"  # in a bundle
TIMEOUT = 600.0  # s for one format
VISIBLE = 1e-3  # difference of a probability that shows in a percentage with one decimal
LARGE = 0.05  # difference of a probability of which a person is warned
MAX_ERROR = 300  # characters of an error that are quoted


@dataclass(frozen=True)
class ModelFormat:
    """One format in which a bundle has the model."""

    name: str  # as predict.py has it
    title: str
    use: str  # what it is for
    tolerance: float | None  # greatest difference of a probability; None: only stated

    @property
    def file(self) -> str:
        """The file or folder in the bundle."""
        return FILES[self.name][0]


INT8_USE = "the same at a quarter of the size: weights in 8 bits (dynamic range)"
_TABLE = (
    ModelFormat("keras", "Keras", "Python with Keras; can be trained further", 1e-5),
    ModelFormat("saved_model", "SavedModel", "TensorFlow Serving, and other languages", 1e-5),
    ModelFormat("tflite", "LiteRT (TFLite), float32", "phones and small machines", 1e-3),
    ModelFormat("tflite-int8", "LiteRT (TFLite), int8 weights", INT8_USE, None),
)
FORMATS: Mapping[str, ModelFormat] = MappingProxyType({row.name: row for row in _TABLE})


@dataclass(frozen=True)
class FormatCheck:
    """The result of writing and checking one format."""

    format: str  # a key of FORMATS
    bytes: int = 0  # of its file or folder
    images: int = 0  # that were compared
    max_difference: float | None = None  # of a probability; None: no prediction was made
    same_class: int = 0  # images with the same predicted class
    seconds: float = 0.0  # of the fresh process, its start included
    error: str = ""  # why it is not in the bundle; "" where it is

    @property
    def included(self) -> bool:
        """Whether the format is in the bundle."""
        return not self.error

    @property
    def differs(self) -> bool:
        """Whether a person would see the difference from the page."""
        return self.max_difference is not None and (
            self.max_difference >= VISIBLE or self.same_class < self.images
        )

    @property
    def text(self) -> str:
        """How far its predictions are from the page's; "" where it made none."""
        if self.max_difference is None:
            return ""
        changed = self.images - self.same_class
        images = f"{changed or 'None'} of {self.images} images get{'s' * (changed < 2)}"
        text = (
            f"The greatest difference of a probability is {points(self.max_difference)}. {images} "
            "another class."
        )
        if changed or self.max_difference >= LARGE:
            text += " Evaluate it on your own images before you use it."
        return text


def check_format(
    form: ModelFormat, folder: Path, images: Sequence[Path], expected: Floats
) -> FormatCheck:
    """Compare a format with the page.

    Args:
        form: which.
        folder: holds it, labels.json and predict.py.
        images: the files to predict.
        expected: (images, classes), the page's predictions, in the order of labels.json.
    """
    start = time.perf_counter()
    try:
        probabilities = _run_program(form, folder, images)
        difference = float(np.abs(probabilities - expected).max())
    except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
        return FormatCheck(form.name, error=f"It made no prediction: {error}")
    fault, tolerance = "", form.tolerance
    if not np.isfinite(difference):
        fault = "Its predictions are no numbers."
    elif tolerance is not None and difference > tolerance:
        fault = f"Its predictions differ by up to {difference:.1e}, more than {tolerance:g}."
    path = folder / form.file
    return FormatCheck(
        form.name,
        bytes=sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file()),
        images=len(images),
        max_difference=difference,
        same_class=int((probabilities.argmax(axis=1) == expected.argmax(axis=1)).sum()),
        seconds=time.perf_counter() - start,
        error=fault,
    )


def read_checks(bundle: Path) -> list[FormatCheck]:
    """Return the checks of each format that are stored in a bundle's zip."""
    with ZipFile(bundle) as archive:
        name = next(name for name in archive.namelist() if name.endswith(f"/{CHECKS}"))
        rows = json.loads(archive.read(name))
    return [FormatCheck(**{key: row[key] for key in row if key != "included"}) for row in rows]


def _run_program(form: ModelFormat, folder: Path, images: Sequence[Path]) -> Floats:
    """Return (images, classes) as predict.py gives them in a fresh process.

    Raises:
        ValueError, KeyError: it failed, or did not predict every image.
    """
    process = subprocess.run(
        [sys.executable, "-I", "predict.py", "--json", "--format", form.name, *map(str, images)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if process.returncode:
        end = process.stderr.strip()[-MAX_ERROR:]
        raise ValueError(end or f"it ended with code {process.returncode}")
    rows = json.loads(process.stdout)
    return np.array([list(rows[str(path)].values()) for path in images], np.float32)
