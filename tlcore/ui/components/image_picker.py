"""An image of one's own, right where it is looked at: it goes into the set "My images"."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import streamlit as st

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.image_io import content_id
from tlcore.datasets.sample import dataset_title
from tlcore.datasets.sources import from_uploads
from tlcore.datasets.store import add_to_dataset, import_dataset
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import (
    list_dataset_names,
    open_dataset,
    select_dataset,
    sheet,
)
from tlcore.ui.format import label, plain
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, chosen, chosen_number, generation, renew
from tlcore.ui.widgets import current, select

MY_IMAGES = "My images"


def own_images(settings: Settings) -> None:
    """Offer to bring images; the first usable one is chosen at once."""
    with st.popover("Add yours", icon=":material/add_a_photo:", width="content"):
        files = st.file_uploader(
            "Images from this computer",
            accept_multiple_files=True,
            key=f"own-{generation('own')}",
            max_upload_size=settings.limits.file_bytes // 2**20,
            help=f"They go into the dataset “{MY_IMAGES}”.",
        )
        taken = None
        if st.toggle("Use the camera", key="camera"):
            taken = st.camera_input("One image", key=f"taken-{generation('own')}")
    if files or taken:
        with boundary():
            came = [*files, *([taken] if taken else [])]
            _keep([(file.name, file.getvalue()) for file in came], settings)


def _keep(uploads: list[tuple[str, bytes]], settings: Settings) -> None:
    renew("own")  # first: a set that refuses them must not be asked again with every click
    keep = add_to_dataset if (settings.datasets / MY_IMAGES).is_dir() else import_dataset
    report = keep(MY_IMAGES, from_uploads(uploads), settings)
    for refusal in report.refused:
        st.toast(f"{plain(refusal.file)}: {plain(refusal.reason)}", icon=":material/error:")
    here = {sample.sha256 for sample in report.dataset.samples}
    usable = [sha for _, data in uploads if (sha := content_id(data)) in here]
    choose(Choice.DATASET, MY_IMAGES)
    choose(Choice.CLASS_FILTER, "")
    choose(Choice.IMAGE, usable[0] if usable else "")
    choose(Choice.STRIP_PAGE, "")
    st.rerun()


# The image picker: a dataset, a strip of its images, previous and next, or one's own.


STRIP = 10  # thumbnails at once
ALL = ""  # no class is called so


def current_image(settings: Settings) -> Sample:
    """Return the chosen image, the first one of the dataset where none is, without drawing.

    Raises:
        BadDataset: the chosen dataset cannot be read, or has no images.
    """
    name = current(Choice.DATASET, list_dataset_names(settings))
    samples = _unique(_open_with_images(name, settings))
    ids = [sample.sha256 for sample in samples]
    return samples[ids.index(current(Choice.IMAGE, ids))]


def image_picker(
    settings: Settings, training_images: Callable[[Settings], Collection[str]] | None = None
) -> Sample:
    """Let the person choose one image; there always is one, of the sample if need be.

    Args:
        settings: where datasets are.
        training_images: returns the sha256 of images that a model was trained on, once the dataset
            is chosen. At first an image is chosen that is none of them, and they can be left out.

    Raises:
        BadDataset: the chosen dataset cannot be read, or has no images.
    """
    with st.container(border=True, gap="small", key="image"):
        left, right = st.columns([5, 7], vertical_alignment="bottom", gap="small")
        with left:
            name = select_dataset(settings, also=_from_the_start)
        dataset = _open_with_images(name, settings)
        with right, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            samples = _of_one_class(dataset)
            if training_images:
                samples = _unseen_first(samples, training_images(settings))
            own_images(settings)
        return _strip(samples, settings)


def _open_with_images(name: str, settings: Settings) -> Dataset:
    dataset = open_dataset(name, settings)
    if not dataset.samples:
        raise BadDataset(
            f"{dataset_title(name)!r} has no images: all are excluded. Include some on the Upload "
            "page, or choose another dataset."
        )
    return dataset


def _unseen_first(samples: Sequence[Sample], trained: Collection[str]) -> Sequence[Sample]:
    """Offer to leave out training images; choose one that is none while nobody has chosen."""
    unseen = [sample for sample in samples if sample.sha256 not in trained]
    if not unseen or len(unseen) == len(samples):
        return samples
    only = st.toggle("Unseen only", key="unseen-only", help="Without the head's training images.")
    shown = unseen if only else samples
    if chosen(Choice.IMAGE) not in {sample.sha256 for sample in shown}:
        choose(Choice.IMAGE, unseen[0].sha256)
    return shown


def _of_one_class(dataset: Dataset) -> Sequence[Sample]:
    """Let the person narrow the strip to a class; a chosen image outside it widens it again."""
    options = [ALL, *dataset.classes]
    if chosen(Choice.CLASS_FILTER) not in options:
        choose(Choice.CLASS_FILTER, ALL)
    only = select(
        "Class",
        options,
        Choice.CLASS_FILTER,
        words=lambda name: label(name) or "All classes",
        also=_from_the_start,
    )
    return [sample for sample in _unique(dataset) if only in (ALL, sample.label)]


def _unique(dataset: Dataset) -> list[Sample]:
    """Return each image once, by file name; of copies the first."""
    unique = {sample.sha256: sample for sample in reversed(dataset.samples)}
    return sorted(unique.values(), key=lambda sample: sample.file)


def _strip(samples: Sequence[Sample], settings: Settings) -> Sample:
    ids = [sample.sha256 for sample in samples]
    place = ids.index(current(Choice.IMAGE, ids))
    pages = -(-len(samples) // STRIP)
    page = min(chosen_number(Choice.STRIP_PAGE, place // STRIP), pages - 1)
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
    """Which image it is, the one before and the one after, and the pages of the strip."""
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
            _turn("Earlier images", ":material/first_page:", page - 1, pages)
            _turn("Further images", ":material/last_page:", page + 1, pages)


def _step(words: str, icon: str, samples: Sequence[Sample], to: int) -> None:
    possible = 0 <= to < len(samples)
    st.button(
        words,
        icon=icon,
        key=words.lower(),
        help=f"{words} image",
        type="tertiary",
        disabled=not possible,
        on_click=_pick,
        args=(samples[to].sha256, to // STRIP) if possible else ("", 0),
    )


def _turn(words: str, icon: str, to: int, pages: int) -> None:
    """Turn the strip without choosing another image."""
    st.button(
        "",
        icon=icon,
        key=f"strip-{words.split()[0].lower()}",
        help=words,
        type="tertiary",
        disabled=not 0 <= to < pages,
        on_click=choose,
        args=(Choice.STRIP_PAGE, to),
    )


def _pick(sha: str, page: int) -> None:
    choose(Choice.IMAGE, sha)
    choose(Choice.STRIP_PAGE, page)


def _from_the_start() -> None:
    choose(Choice.IMAGE, "")
    choose(Choice.STRIP_PAGE, "")


def _faces(samples: Sequence[Sample], settings: Settings) -> None:
    """Give each button of the strip its image."""
    uri = sheet(samples, settings)
    places = "".join(
        f".st-key-thumb-{offset} button{{background-position:calc(var(--face) * -{offset}) 0}}"
        for offset in range(len(samples))
    )
    st.html(
        f'<style>[class*="st-key-thumb-"] button{{background-image:url({uri});'
        f"background-size:calc(var(--face) * {len(samples)}) var(--face)}}{places}</style>"
    )
