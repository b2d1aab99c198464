"""The picture picker: a data set, a strip of its pictures, previous and next, or one's own."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.ui.own_pictures import own_pictures
from tlcore.ui.selecting import current, select
from tlcore.ui.sets import open_set, set_select, set_title, sheet
from tlcore.ui.state import Choice, choose, chosen, chosen_number
from tlcore.ui.words import label, plain

STRIP = 10  # thumbnails at once
ALL = ""  # no class is called so


def picture_picker(settings: Settings) -> Sample:
    """Let the person choose one picture; there always is one, of the sample if need be.

    Raises:
        BadDataset: the chosen set cannot be read.
    """
    with st.container(border=True, gap="small", key="picture"):
        left, right = st.columns([5, 7], vertical_alignment="bottom", gap="small")
        with left:
            name = set_select(settings, also=_from_the_start)
        dataset = open_set(name, settings)
        if not dataset.samples:
            raise BadDataset(
                f"Expected pictures in {set_title(name)!r}. Received none: all are excluded. Take "
                "some back on the Upload page, or choose another set."
            )
        with right, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            samples = _of_one_class(dataset)
            own_pictures(settings)
        return _strip(samples, settings)


def _of_one_class(dataset: Dataset) -> Sequence[Sample]:
    """Let the person narrow the strip to a class; a chosen picture outside it widens it again."""
    options = [ALL, *dataset.classes]
    if chosen(Choice.LABEL) not in options:
        choose(Choice.LABEL, ALL)
    only = select(
        "Class",
        options,
        Choice.LABEL,
        words=lambda name: label(name) or "All classes",
        also=_from_the_start,
    )
    once = {sample.sha256: sample for sample in reversed(dataset.samples)}  # a picture, not a file
    samples = sorted(once.values(), key=lambda sample: sample.file)
    return [sample for sample in samples if only in (ALL, sample.label)]


def _strip(samples: Sequence[Sample], settings: Settings) -> Sample:
    ids = [sample.sha256 for sample in samples]
    place = ids.index(current(Choice.IMAGE, ids))
    pages = -(-len(samples) // STRIP)
    page = min(chosen_number(Choice.STRIP, place // STRIP), pages - 1)
    first = page * STRIP
    shown = samples[first : first + STRIP]
    _faces(shown, settings)
    with st.container(horizontal=True, gap="xsmall", key="strip"):
        for offset, sample in enumerate(shown):
            st.button(
                sample.file,
                key=f"thumb-{offset}",
                help=f"{label(sample.label)}: {sample.file.rsplit('/', 1)[-1]}",
                type="primary" if first + offset == place else "secondary",
                on_click=_pick,
                args=(sample.sha256, page),
            )
    _steps(samples, place, page, pages)
    return samples[place]


def _steps(samples: Sequence[Sample], place: int, page: int, pages: int) -> None:
    """Which picture it is, the one before and the one after, and the pages of the strip."""
    sample = samples[place]
    name = sample.file.rsplit("/", 1)[-1]
    row = st.container(horizontal=True, vertical_alignment="center", gap="small", key="steps")
    with row:
        st.caption(
            f"**{plain(label(sample.label))}** · {plain(name)} · {place + 1:,} of {len(samples):,}"
        )
        _step("Previous", ":material/chevron_left:", samples, place - 1)
        _step("Next", ":material/chevron_right:", samples, place + 1)
        if pages > 1:
            _turn("Earlier pictures", ":material/first_page:", page - 1, pages)
            _turn("Further pictures", ":material/last_page:", page + 1, pages)


def _step(words: str, icon: str, samples: Sequence[Sample], to: int) -> None:
    possible = 0 <= to < len(samples)
    st.button(
        words,
        icon=icon,
        key=words.lower(),
        help=f"{words} picture",
        type="tertiary",
        disabled=not possible,
        on_click=_pick,
        args=(samples[to].sha256, to // STRIP) if possible else ("", 0),
    )


def _turn(words: str, icon: str, to: int, pages: int) -> None:
    """Turn the strip without choosing another picture."""
    st.button(
        "",
        icon=icon,
        key=f"strip-{words.split()[0].lower()}",
        help=words,
        type="tertiary",
        disabled=not 0 <= to < pages,
        on_click=choose,
        args=(Choice.STRIP, to),
    )


def _pick(sha: str, page: int) -> None:
    choose(Choice.IMAGE, sha)
    choose(Choice.STRIP, page)


def _from_the_start() -> None:
    choose(Choice.IMAGE, "")
    choose(Choice.STRIP, "")


def _faces(samples: Sequence[Sample], settings: Settings) -> None:
    """Give each button of the strip its picture."""
    uri = sheet(samples, settings)
    places = "".join(
        f".st-key-thumb-{offset} button{{background-position:calc(var(--face) * -{offset}) 0}}"
        for offset in range(len(samples))
    )
    st.html(
        f'<style>[class*="st-key-thumb-"] button{{background-image:url({uri});'
        f"background-size:calc(var(--face) * {len(samples)}) var(--face)}}{places}</style>"
    )
