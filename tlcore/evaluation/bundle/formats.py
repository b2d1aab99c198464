"""The formats of a bundle: what each is for, and how far its answers may be from the page's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tlcore.evaluation.bundle.predict import FORMATS as FILES


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
