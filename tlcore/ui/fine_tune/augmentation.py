"""Training images beside the augmented copies that a run will use."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.datasets.decoding import hash_samples
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.training.augmentation import ORIGINAL, ImageCopy, InputSpec, load_pixels
from tlcore.training.batches import FIRST_FRESH_COPY
from tlcore.training.config import RunConfig
from tlcore.ui.format import plural

IMAGES, COPIES = 3, 4  # rows, and copies beside each image at most
SIDE, GAP = 128, 6  # px of a tile and between tiles


def draw_augmented_copies(config: RunConfig, train: Sequence[Sample], settings: Settings) -> None:
    """Draw some training images with the copies that the run will be trained on."""
    numbers = list_copies(config)
    if not numbers or not train:
        return
    samples = tuple(hash_samples(train[:: max(1, len(train) // IMAGES)][:IMAGES]))
    spec = InputSpec(
        config.backbone, config.size, config.fit, config.augmentations, config.seed, settings.limits
    )
    st.image(render_sheet(tuple(sample.sha256 for sample in samples), spec, numbers, samples))
    words = plural(len(numbers), "of its augmented copies", "of its augmented copies")
    if config.on_the_fly_augmentation:
        words = f"as it is in the first {plural(len(numbers), 'epoch')}"
    st.caption(f"In each row an image, then {words}.")


def list_copies(config: RunConfig) -> tuple[int, ...]:
    """Return the numbers of the copies that are drawn: the first that the run will use."""
    if config.on_the_fly_augmentation:
        return tuple(range(FIRST_FRESH_COPY, FIRST_FRESH_COPY + COPIES))
    return tuple(range(min(config.augmented_copies, COPIES)))


@st.cache_data(show_spinner=False, max_entries=20)
def render_sheet(
    hashes: tuple[str, ...], spec: InputSpec, numbers: tuple[int, ...], _samples: Sequence[Sample]
) -> bytes:
    """Render a row for each image, itself and its copies, as one WebP."""
    step = SIDE + GAP
    sheet = Image.new("RGBA", ((1 + len(numbers)) * step - GAP, len(hashes) * step - GAP))
    for row, sample in enumerate(_samples):
        for column, number in enumerate((ORIGINAL, *numbers)):
            pixels = load_pixels(ImageCopy(sample, number), spec)
            if not isinstance(pixels, BadImage):
                tile = Image.fromarray(np.asarray(pixels)).resize((SIDE, SIDE))
                sheet.paste(tile, (column * step, row * step))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
