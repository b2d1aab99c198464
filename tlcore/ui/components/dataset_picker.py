"""Choosing and opening a dataset."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from tlcore.datasets.dataset import Dataset
from tlcore.datasets.sample_dataset import SAMPLE_NAME, dataset_title, ensure_sample
from tlcore.datasets.store import load_dataset, scan_datasets
from tlcore.settings import Settings
from tlcore.ui.state import Choice
from tlcore.ui.widgets import select


def list_dataset_names(settings: Settings) -> list[str]:
    """Return the names of the datasets, newest first, with the sample, and damaged ones last."""
    infos, damaged = scan_datasets(settings)
    names, others = [info.name for info in infos], [one.name for one in damaged]
    sample = [] if SAMPLE_NAME in (*names, *others) else [SAMPLE_NAME]
    return [*names, *sample, *others]


def select_dataset(settings: Settings, *, also: Callable[[], None] | None = None) -> str:
    """Choose a dataset and return its name; ``also`` runs when the person changes it."""
    names = list_dataset_names(settings)
    titles = {name: dataset_title(name) for name in names}
    titles |= {one.name: f"{titles[one.name]} (damaged)" for one in scan_datasets(settings)[1]}
    return select("Dataset", names, Choice.DATASET, words=titles.__getitem__, also=also)


def open_dataset(name: str, settings: Settings) -> Dataset:
    """Return a stored dataset; the sample is drawn when it is first opened.

    Raises:
        BadDataset: there is no such dataset, or it is damaged.
    """
    if name == SAMPLE_NAME and not (settings.datasets / name).is_dir():
        with st.spinner("Drawing the sample images, once …"):
            return ensure_sample(settings)
    return load_dataset(name, settings)
