"""Datasets and their images as the pages need them: read once, small, as one sheet."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from contextlib import suppress

import streamlit as st
from PIL import Image

from tlcore.datasets.dataset import UNLABELLED, Dataset, Sample
from tlcore.datasets.quality import ENOUGH
from tlcore.datasets.sample import SAMPLE_NAME, dataset_title, ensure_sample
from tlcore.datasets.splits import check_class_names
from tlcore.datasets.store import load_dataset, scan_datasets
from tlcore.datasets.thumbnails import thumbnail
from tlcore.errors import BadDataset, BadImage
from tlcore.settings import Settings
from tlcore.ui.format import count, label
from tlcore.ui.state import Choice
from tlcore.ui.widgets import select

SIDE = 160  # px of a thumbnail as it is sent: sharp on a screen of double density
EMPTY = (128, 128, 128)  # in the place of an image that has gone
CLASSES = 12  # shown with images


def list_dataset_names(settings: Settings) -> list[str]:
    """Names of the sets that can be chosen, newest first; the sample always, made or not.

    Damaged ones come last: whoever opens one is told what is wrong with it.
    """
    found, damaged = scan_datasets(settings)
    names, rest = [info.name for info in found], [one.name for one in damaged]
    sample = [] if SAMPLE_NAME in (*names, *rest) else [SAMPLE_NAME]
    return [*names, *sample, *rest]


def select_dataset(settings: Settings, *, also: Callable[[], None] | None = None) -> str:
    """A drop-down of the sets; return the name of the one that is chosen."""
    damaged = {one.name for one in scan_datasets(settings)[1]}
    return select(
        "Dataset",
        list_dataset_names(settings),
        Choice.DATASET,
        words=lambda name: (
            f"{dataset_title(name)} (damaged)" if name in damaged else dataset_title(name)
        ),
        also=also,
    )


def open_dataset(name: str, settings: Settings) -> Dataset:
    """Return a stored set; the sample is made when it is first asked for.

    Raises:
        BadDataset: no such set.
    """
    if name == SAMPLE_NAME and not (settings.datasets / name).is_dir():
        with st.spinner("Drawing the sample images, once …"):
            return ensure_sample(settings)
    return load_dataset(name, settings)


def sheet(samples: Sequence[Sample], settings: Settings) -> str:
    """Return thumbnails side by side as one JPEG in a data URI."""
    return _sheet(tuple(sample.sha256 for sample in samples), samples, settings)


@st.cache_data(show_spinner=False, max_entries=200)
def _sheet(shas: tuple[str, ...], _samples: Sequence[Sample], _settings: Settings) -> str:
    whole = Image.new("RGB", (SIDE * max(1, len(shas)), SIDE), EMPTY)
    for place, sample in enumerate(_samples):
        with suppress(BadImage):  # deleted behind our back: its place stays grey
            small = Image.open(io.BytesIO(thumbnail(sample, _settings, SIDE)))
            whole.paste(small, (place * SIDE, 0))
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def tiles(
    key: str, samples: Sequence[Sample], settings: Settings, *, side: int = 96, rows: int = 2
) -> str:
    """Return thumbnails in whole rows as HTML: as many as fit, and no row but the first few."""
    cells = "".join(
        f'<span role="img" title="{html.escape(sample.file)}" '
        f'aria-label="{html.escape(sample.file)}" '
        f'style="background-position:calc(var(--side) * -{place}) 0"></span>'
        for place, sample in enumerate(samples)
    )
    return (
        f"<style>.{key}{{--wide:{side}px;--rows:{rows}}}"
        f".{key} span{{background-image:url({sheet(samples, settings)});"
        f"background-size:calc(var(--side) * {len(samples)}) var(--side)}}</style>"
        f'<div class="tiles {key}">{cells}</div>'
    )


def classes_with_tiles(
    dataset: Dataset, settings: Settings, *, key: str, side: int, rows: int, shown: int
) -> None:
    """Draw the first images of every class under the class's name and count."""
    first = dict(list(dataset.counts.items())[:CLASSES])
    for place, (name, number) in enumerate(first.items()):
        few = f" · few: {ENOUGH} or more learn better" if number < ENOUGH else ""
        if name == UNLABELLED:
            few = " · no class: nothing learns from these"
        samples = [sample for sample in dataset.samples if sample.label == name][:shown]
        st.html(
            f'<div class="class-name">{html.escape(label(name))}'
            f"<small>{count(number, 'image')}{few}</small></div>"
            + tiles(f"{key}-{place}", samples, settings, side=side, rows=rows)
        )
    if len(dataset.classes) > CLASSES:
        st.caption(f"And {count(len(dataset.classes) - CLASSES, 'more class', 'more classes')}.")


def check_learnable(dataset: Dataset) -> None:
    """Refuse a set of one class, and classes that are splits, with the way out.

    Raises:
        BadDataset: fewer than two classes, or one with the name of a split.
    """
    check_class_names(dataset)
    if len(dataset.classes) < 2:
        raise BadDataset(
            f"Expected at least two classes to tell apart. Received {len(dataset.classes)} in "
            f"{dataset.name!r}. Add images with another label on the Upload page."
        )
