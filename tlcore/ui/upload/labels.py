"""Images of a dataset: a strip a class or all of them, selected by clicks, labelled, excluded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import streamlit as st
from markupsafe import Markup

from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.datasets.edits import exclude, include, relabel
from tlcore.datasets.quality import ENOUGH, KINDS
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.store import DatasetState, load_state
from tlcore.settings import Settings
from tlcore.ui.components.image_grid import (
    GridImage,
    select_images,
    selected_images,
    set_selected_images,
)
from tlcore.ui.format import label, plural
from tlcore.ui.shell import boundary
from tlcore.ui.upload.label_table import edit_classes, label_table
from tlcore.ui.widgets import show_html, unique_labels

CLASSES, GALLERY, TABLE = "By class", "All images", "Table"
PAGE = 40  # images at once
STRIP = 24  # images of a class's strip
STRIPS = 12  # classes with a strip
FILTER = 165  # px of a drop-down
ALL = ""  # no class is called so
SELECTION = "gallery"  # name of the selection of images
INCLUDED, EXCLUDED = "Included", "Excluded"
SPLITS: Mapping[str, str | None] = MappingProxyType(
    {"Training": "train", "Validation": "val", "Test": "test", "In no split": None}
)


def images_view(state: DatasetState, settings: Settings) -> None:
    """The images, and below them what is done to a class as a whole."""
    _images(state.name, settings)
    edit_classes(state, settings)


@st.fragment
def _images(name: str, settings: Settings) -> None:
    """Clicks in here draw only this part of the page again."""
    with boundary():
        state = load_state(name, settings)
        st.segmented_control(
            "Show as", [CLASSES, GALLERY, TABLE], default=CLASSES, required=True, key="show-as",
            label_visibility="collapsed",
        )  # fmt: skip
        if st.session_state["show-as"] == CLASSES:
            _strips(state, settings)
        else:
            _pages(state, settings)
        _selection_bar(state, settings)


def _strips(state: DatasetState, settings: Settings) -> None:
    """Each class with the bar of its images and the first of them."""
    if not state.included:
        st.info("All images of this dataset are excluded. Undo, or include some again.")
    elif len(state.dataset.classes) == 1:
        st.caption("One class. To train a head, add images of a second one.")
    largest = max(state.counts.values(), default=1)
    for place, (name, images) in enumerate(list(state.counts.items())[:STRIPS]):
        with st.container(gap="xsmall", key=f"class-{place}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _bar(name, images, largest, state)
                st.button(
                    f"All {images:,}",
                    key=f"show-all-{place}",
                    type="tertiary",
                    on_click=_show_class,
                    args=(name,),
                )
            samples = [sample for sample in state.included if sample.label == name][:STRIP]
            _grid(samples, settings, key=f"strip-{place}", one_row=True)
    if len(state.counts) > STRIPS:
        st.caption(f"And {plural(len(state.counts) - STRIPS, 'more class', 'more classes')}.")


def _bar(name: str, images: int, largest: int, state: DatasetState) -> None:
    """The name and number of images of a class, the longer the more, a piece for each split."""
    counts = state.dataset.counts_by_split
    pieces = Markup("").join(
        Markup('<i class="{}" style="flex:{}"></i>').format(split or "none", some[name])
        for split, some in counts.items()
        if some.get(name)
    )
    note = f"few: {ENOUGH} or more train better" if images < ENOUGH else ""
    if name == UNLABELLED:
        note = "no class: nothing is trained on these"
    show_html(
        '<div class="class-bar"><b>{name}</b><span style="--share:{share}">{pieces}</span>'
        "<small>{images}{note}</small></div>",
        name=label(name),
        share=f"{images / largest:.4f}",
        pieces=pieces,
        images=plural(images, "image"),
        note=f" · {note}" if note else "",
    )


def _show_class(name: str) -> None:
    st.session_state["show-as"] = GALLERY
    st.session_state["only-label"] = name


def _pages(state: DatasetState, settings: Settings) -> None:
    """The images that the filters leave, in pages, as a gallery or as a table."""
    samples = _filtered(state, settings)
    pages = max(1, -(-len(samples) // PAGE))
    left, right = st.columns([5, 3], vertical_alignment="center")
    left.caption(plural(len(samples), "image") + (f", {PAGE} on a page" if pages > 1 else ""))
    with right:
        page = st.pagination(pages, key=f"page-{pages}") if pages > 1 else 1
    shown = samples[(page - 1) * PAGE : page * PAGE]
    if not shown:
        st.info("No image matches. Remove a filter.", icon=":material/filter_alt:")
    elif st.session_state["show-as"] == TABLE:
        label_table(shown, state, settings)
    else:
        keys = [sample.key for sample in shown]
        st.button("Select this page", key="select-page", on_click=_select, args=(keys,))
        _grid(shown, settings, key="gallery")


def _grid(
    samples: Sequence[Sample], settings: Settings, *, key: str, one_row: bool = False
) -> None:
    images = [
        GridImage(sample.key, sample, title=_describe(sample), faded=sample.excluded)
        for sample in samples
    ]
    select_images(SELECTION, images, settings, key=key, one_row=one_row)


def _describe(sample: Sample) -> str:
    split = f", {sample.split}" if sample.split else ""
    return f"{label(sample.label)}{split}: {sample.file}"


def _filtered(state: DatasetState, settings: Settings) -> list[Sample]:
    """Return the samples that the person's filters leave, sorted by file."""
    findings = load_quality(state.name, settings).by_kind
    kinds = {
        KINDS[kind].title: kind for kind in KINDS if any(f.keys for f in findings.get(kind, ()))
    }
    splits = [
        name for name, split in SPLITS.items() if any(s.split == split for s in state.included)
    ]
    with st.container(horizontal=True, gap="small"):
        only_label = _filter("Class", [ALL, *state.counts], "only-label", label)
        only_split = _filter("Split", [ALL, *splits], "only-split")
        only_kind = _filter("Problem", [ALL, *kinds], "only-kind")
        which = _filter("Which", [INCLUDED, EXCLUDED, ALL], "only-included")
    tests: list[Callable[[Sample], bool]] = []
    if only_label != ALL:
        tests.append(lambda sample: sample.label == only_label)
    if only_split != ALL:
        tests.append(lambda sample: sample.split == SPLITS[only_split])
    if only_kind != ALL:
        keys = {key for finding in findings[kinds[only_kind]] for key in finding.keys}
        tests.append(lambda sample: sample.key in keys)
    if which != ALL:
        tests.append(lambda sample: sample.excluded == (which == EXCLUDED))
    return [sample for sample in state.samples if all(test(sample) for test in tests)]


def _filter(title: str, options: Sequence[str], key: str, words: Callable[[str], str] = str) -> str:
    """A narrow drop-down: two beside each other on a phone."""
    return st.selectbox(
        title,
        options,
        format_func=unique_labels(options, lambda name: words(name) or "All"),
        key=key,
        on_change=set_selected_images,
        args=(SELECTION,),
        width=FILTER,
    )


def _selection_bar(state: DatasetState, settings: Settings) -> None:
    """What can be done with the selected images; it stays at the bottom of the window."""
    selected = [key for key in selected_images(SELECTION) if key in state.by_key]
    if not selected:
        st.caption("Click images to select them, with Shift all between two clicks.")
        return
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="small", key="selection-bar"
    ):
        new = st.selectbox(
            f"Label {plural(len(selected), 'image')}",
            list(state.counts),
            index=None,
            key="selection-label",
            format_func=unique_labels(state.counts, label),
            accept_new_options=True,
            placeholder="A class, or a new name",
            width=240,
        )
        if st.button("Label", type="primary", key="selection-relabel", disabled=not new):
            relabel(state.name, selected, str(new).strip(), settings)
            _done()
        if any(not state.by_key[key].excluded for key in selected) and st.button(
            "Exclude", key="selection-exclude"
        ):
            exclude(state.name, selected, settings)
            _done()
        if any(state.by_key[key].excluded for key in selected) and st.button(
            "Include", key="selection-include"
        ):
            include(state.name, selected, settings)
            _done()
        st.button("Clear", key="selection-clear", on_click=set_selected_images, args=(SELECTION,))


def _select(keys: Sequence[str]) -> None:
    """Add images to the selection."""
    set_selected_images(SELECTION, list(dict.fromkeys([*selected_images(SELECTION), *keys])))


def _done() -> None:
    set_selected_images(SELECTION)
    st.rerun()
