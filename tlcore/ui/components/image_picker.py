"""Choosing one image of a dataset: a strip of thumbnails, previous and next, or one's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import streamlit as st

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.datasets.image_io import content_id
from tlcore.datasets.importing import add_to_dataset, import_dataset
from tlcore.datasets.sample_dataset import dataset_title
from tlcore.datasets.sources import incoming_from_uploads
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import list_dataset_names, open_dataset, select_dataset
from tlcore.ui.components.image_grid import GridImage, image_grid
from tlcore.ui.format import escape_md, label
from tlcore.ui.shell import boundary
from tlcore.ui.state import Choice, choose, chosen, chosen_number, reset_widget, widget_generation
from tlcore.ui.widgets import current, select

MY_IMAGES = "My images"  # the dataset that takes a person's own images
STRIP = 12  # thumbnails at once
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
    with st.container(key="image-picker"):
        left, right = st.columns([3, 10], gap="small")
    with left.container(gap="xsmall", key="image-picker-choices"):
        dataset = _open_with_images(select_dataset(settings, also=forget_image), settings)
        samples = _of_one_class(dataset)
        trained = training_images(settings) if training_images else ()
        samples = _unseen_first(samples, trained)
    with right.container(gap=None):
        return _strip(samples, trained, settings)


def add_own_images(settings: Settings) -> None:
    """Offer to bring images right here; the first usable one is chosen at once."""
    with st.popover("Add yours", icon=":material/add_a_photo:", type="tertiary"):
        files = st.file_uploader(
            "Images from this computer",
            accept_multiple_files=True,
            key=f"own-{widget_generation('own')}",
            max_upload_size=settings.limits.file_bytes // 2**20,
            help=f"They go into the dataset “{MY_IMAGES}”.",
        )
        shot = None
        if st.toggle("Use the camera", key="camera"):
            shot = st.camera_input("One image", key=f"shot-{widget_generation('own')}")
    if files or shot:
        with boundary():
            uploads = [*files, *([shot] if shot else [])]
            _import([(file.name, file.getvalue()) for file in uploads], settings)


def _import(uploads: list[tuple[str, bytes]], settings: Settings) -> None:
    reset_widget("own")  # first: files that are refused must not be imported again with every click
    add = add_to_dataset if (settings.datasets / MY_IMAGES).is_dir() else import_dataset
    report = add(MY_IMAGES, incoming_from_uploads(uploads), settings)
    for refusal in report.refused:
        st.toast(f"{escape_md(refusal.file)}: {escape_md(refusal.reason)}", icon=":material/error:")
    existing = {sample.sha256 for sample in report.dataset.samples}
    usable = [sha for _, data in uploads if (sha := content_id(data)) in existing]
    choose(Choice.DATASET, MY_IMAGES)
    choose(Choice.CLASS_FILTER, "")
    choose(Choice.IMAGE, usable[0] if usable else "")
    choose(Choice.STRIP_PAGE, "")
    st.rerun()


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
    """Let the person narrow the strip to a class."""
    options = [ALL, *dataset.classes]
    if chosen(Choice.CLASS_FILTER) not in options:
        choose(Choice.CLASS_FILTER, ALL)
    only = select(
        "Class",
        options,
        Choice.CLASS_FILTER,
        words=lambda name: label(name) or "All classes",
        also=forget_image,
    )
    return [sample for sample in _unique(dataset) if only in (ALL, sample.label)]


def _unique(dataset: Dataset) -> list[Sample]:
    """Return the images by file name, each content once."""
    once = {sample.sha256: sample for sample in reversed(dataset.samples)}
    return sorted(once.values(), key=lambda sample: sample.file)


def _strip(samples: Sequence[Sample], trained: Collection[str], settings: Settings) -> Sample:
    """Show a page of thumbnails; each says in its name which image it is, and if it was seen."""
    ids = [sample.sha256 for sample in samples]
    place = ids.index(current(Choice.IMAGE, ids))
    pages = -(-len(samples) // STRIP)
    page = min(chosen_number(Choice.STRIP_PAGE, place // STRIP), pages - 1)
    shown = samples[page * STRIP : (page + 1) * STRIP]
    names = []
    for number, each in enumerate(shown, page * STRIP + 1):
        seen = (
            "" if not trained else ", seen in training" if each.sha256 in trained else ", not seen"
        )
        file = each.file.rsplit("/", 1)[-1]
        names.append(f"{label(each.label)}, image {number} of {len(ids)}: {file}{seen}")
    padded = ["", *ids, ""]
    image_grid(
        [GridImage(each.sha256, each, name) for each, name in zip(shown, names, strict=True)],
        settings,
        key="strip",
        selected=[ids[place]],
        on_select=lambda selected: _choose(selected[0], ids.index(selected[0]) // STRIP),
        size=72,
        one_row=(padded[place], padded[place + 2]),
    )
    _draw_steps(samples, place, page, pages, settings)
    return samples[place]


def _draw_steps(
    samples: Sequence[Sample], place: int, page: int, pages: int, settings: Settings
) -> None:
    """Which image it is, the one before and the one after, and the pages of the strip."""
    sample = samples[place]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="steps"):
        st.caption(
            f"**{escape_md(label(sample.label))}** · {escape_md(sample.file.rsplit('/', 1)[-1])} · "
            f"{place + 1:,} of {len(samples):,}"
        )
        add_own_images(settings)
        for key, icon, to in (("previous", "left", place - 1), ("next", "right", place + 1)):
            possible = 0 <= to < len(samples)
            image = (samples[to].sha256, to // STRIP) if possible else ()
            _step(f"{key} image", key, f"chevron_{icon}", possible, _choose, *image)
        if pages > 1:  # turned without choosing another image
            for key, icon, to in (("earlier", "first", page - 1), ("further", "last", page + 1)):
                turn = (0 <= to < pages, choose, Choice.STRIP_PAGE, to)
                _step(f"{key} images", f"strip-{key}", f"{icon}_page", *turn)


def _step(
    words: str, key: str, icon: str, possible: bool, do: Callable[..., None], *args: object
) -> None:
    st.button(
        words.capitalize(),
        icon=f":material/{icon}:",
        key=key,
        help=words.capitalize(),
        type="tertiary",
        disabled=not possible,
        on_click=do,
        args=args,
    )


def _choose(sha: str, page: int) -> None:
    choose(Choice.IMAGE, sha)
    choose(Choice.STRIP_PAGE, page)


def forget_image() -> None:
    """Let the picker choose anew: what was chosen before belongs to another dataset or head."""
    choose(Choice.IMAGE, "")
    choose(Choice.STRIP_PAGE, "")
