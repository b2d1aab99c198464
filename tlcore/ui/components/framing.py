"""An image as a file holds it and as a model gets it: cropped, squashed or padded."""

from __future__ import annotations

import io
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

import streamlit as st
from PIL import Image, ImageDraw

from tlcore.datasets.dataset import Sample
from tlcore.datasets.geometry import FITS, crop_box, fit
from tlcore.datasets.image_io import decode_image, read_bytes
from tlcore.settings import Limits, Settings

LONG_SIDE = 330  # px of an image on the page; Streamlit would shrink a larger one, each time anew
LINE = 2  # px of the frame
DIM = 0.55  # opacity of the white over what the crop cuts off
FIT_WORDS = {"crop": "Crop the middle", "squash": "Squash the whole", "pad": "Pad the whole"}

_cache = st.cache_data(
    show_spinner=False, max_entries=100, hash_funcs={Sample: attrgetter("sha256"), Settings: repr}
)


@_cache
def draw_crop(sample: Sample, how: str, settings: Settings, colour: str) -> tuple[bytes, int, int]:
    """Return an image as JPEG bytes with the model's crop marked, and its width and height.

    The crop is a frame with the rest dimmed; squash and pad show the square itself.
    """
    image = _decode(sample.path, sample.file, settings.limits)
    if how != "crop":
        shown = Image.fromarray(fit(image, LONG_SIDE, how))
    else:
        shown = _frame_crop(image, colour)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=90)
    return buffer.getvalue(), image.width, image.height


def _frame_crop(image: Image.Image, colour: str) -> Image.Image:
    scale = min(1.0, LONG_SIDE / max(image.size))
    shown = image.resize([max(1, round(side * scale)) for side in image.size])
    left, top, right, bottom = (round(side) for side in crop_box(*shown.size))
    dimmed = Image.blend(shown, Image.new("RGB", shown.size, "white"), DIM)
    dimmed.paste(shown.crop((left, top, right, bottom)), (left, top))
    pen = ImageDraw.Draw(dimmed)
    for line, width in (("white", LINE + 2), (colour, LINE)):  # seen on any ground
        pen.rectangle((left, top, right, bottom), outline=line, width=width)
    return dimmed


@_cache
def model_input_png(sample: Sample, size: int, how: str, settings: Settings) -> bytes:
    """Return the very pixels that a model gets, as PNG bytes."""
    buffer = io.BytesIO()
    model_input(sample, size, how, settings).save(buffer, "PNG")
    return buffer.getvalue()


def model_input(sample: Sample, side: int, how: str, settings: Settings) -> Image.Image:
    """Return what a model gets, at any size, to lay something over."""
    return Image.fromarray(fit(_decode(sample.path, sample.file, settings.limits), side, how))


@lru_cache(maxsize=4)  # one page draws the same file in several ways
def _decode(path: Path, file: str, limits: Limits) -> Image.Image:
    return decode_image(read_bytes(path, file, limits), file, limits)


def fit_title(how: str) -> str:
    """Return the name of a geometry as the pages show it."""
    return FIT_WORDS[how]


def fit_help() -> str:
    """Return what each geometry does, for a tooltip."""
    return "\n\n".join(f"**{FIT_WORDS[each.name]}**: {each.description}" for each in FITS.values())
