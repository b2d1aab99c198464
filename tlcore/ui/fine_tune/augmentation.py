"""Images beside their augmented views, as the network will see them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from tlcore.datasets.dataset import Sample
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.training.augmentation import ORIGINAL, ImageCopy, InputSpec, hash_samples, load_pixels
from tlcore.training.batches import FIRST_FRESH_COPY
from tlcore.training.config import RunConfig
from tlcore.ui.format import count

FEWEST = 8  # augmented images shown
AT_ONCE = 4  # views of an image
IMAGES = 3  # at least
ACROSS = 6  # tiles of a row, at most
SIDE, GAP = 128, 6  # px


def augmented(place: Any, config: RunConfig, train: Sequence[Sample], settings: Settings) -> None:
    """Show some images with the views that the run will really learn from."""
    if not (config.augmented_copies or config.on_the_fly_augmentation) or not train:
        return
    numbers = seen_views(config)
    wanted = max(IMAGES, math.ceil(FEWEST / len(numbers)))
    some = hash_samples(spread(train, wanted))
    shown = InputSpec(
        config.backbone, config.size, config.fit, config.augmentations, config.seed, settings.limits
    )
    place.image(sheet(tuple(sample.sha256 for sample in some), shown, numbers, some))
    what = (
        f"as the first {count(len(numbers), 'epoch')} will see it"
        if config.on_the_fly_augmentation
        else f"{count(len(numbers), 'of its stored views', 'of its stored views')}"
    )
    place.caption(f"An image as it is, then {what}; so for {count(len(some), 'image')}.")


def seen_views(config: RunConfig) -> tuple[int, ...]:
    """Return the numbers of the views that are shown: the first that the run will use."""
    if config.on_the_fly_augmentation:
        return tuple(range(FIRST_FRESH_COPY, FIRST_FRESH_COPY + AT_ONCE))
    return tuple(range(min(config.augmented_copies, AT_ONCE)))


def spread(samples: Sequence[Sample], number: int) -> list[Sample]:
    """Return so many samples, or all, from all over the list."""
    number = min(number, len(samples))
    return [samples[place * len(samples) // number] for place in range(number)]


@st.cache_data(show_spinner=False, max_entries=20)
def sheet(
    shas: tuple[str, ...], looking: InputSpec, numbers: tuple[int, ...], _samples: Sequence[Sample]
) -> bytes:
    """Draw all tiles as one WebP, an image and its views never torn apart by a row's end."""
    groups = [_tiles(sample, looking, numbers) for sample in _samples]
    in_a_row = max(1, ACROSS // (1 + len(numbers)))
    rows = math.ceil(len(groups) / in_a_row)
    step = SIDE + GAP
    across = in_a_row * (1 + len(numbers)) * step + (in_a_row - 1) * GAP * 2 - GAP
    whole = Image.new("RGBA", (across, rows * step - GAP))
    for place, group in enumerate(groups):
        row, column = divmod(place, in_a_row)
        left = column * ((1 + len(numbers)) * step + GAP * 2)
        for number, tile in enumerate(group):
            whole.paste(tile, (left + number * step, row * step))
    buffer = io.BytesIO()
    whole.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _tiles(sample: Sample, looking: InputSpec, numbers: Sequence[int]) -> list[Image.Image]:
    seen = [load_pixels(ImageCopy(sample, number), looking) for number in (ORIGINAL, *numbers)]
    pixels = [each for each in seen if not isinstance(each, BadImage)]
    return [Image.fromarray(np.asarray(each)).resize((SIDE, SIDE)) for each in pixels]
