"""Images of a dataset: by class, as a gallery or a table; selected, labelled, excluded; classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath

import pandas as pd
import streamlit as st

from tlcore.datasets import edits
from tlcore.datasets.dataset import UNLABELLED, Sample
from tlcore.datasets.edits import undo_edit
from tlcore.datasets.quality import ENOUGH, KINDS
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.store import DatasetState, load_state
from tlcore.settings import Settings
from tlcore.ui.components import image_grid
from tlcore.ui.components.image_grid import GridImage, set_selected_images
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.shell import boundary
from tlcore.ui.upload.overview import SPLIT_TITLES, class_bar, edit_button
from tlcore.ui.widgets import matches, unique_labels

CLASSES, GALLERY, TABLE = "By class", "All images", "Table"
PAGE = 40  # images at once
STRIP = 24  # images of a class's strip
STRIPS = 8  # classes with a strip at once
FILTER = 165  # px of a drop-down: two beside each other on a phone
ALL = ""  # no class is called so
SELECTION = "gallery"  # name of the selection of images
INCLUDED, EXCLUDED = "Included", "Excluded"
_LAST = "_last-edit"  # dataset, its number of edits then, and what was done


def images_view(state: DatasetState, settings: Settings) -> None:
    """The images, and below them what is done to a class as a whole."""
    _draw_images(state.name, settings)
    if state.counts:
        with st.expander("Rename, merge or delete a class", icon=":material/label:"):
            _edit_class(state, settings)


@st.fragment
def _draw_images(name: str, settings: Settings) -> None:
    """Clicks in here draw only this part of the page again."""
    with boundary():
        state = load_state(name, settings)
        _say_what_is_left(state)
        shown_as = st.segmented_control(
            "Show as",
            [CLASSES, GALLERY, TABLE],
            default=CLASSES,
            required=True,
            key="show-as",
            label_visibility="collapsed",
        )
        if shown_as == CLASSES:
            _draw_strips(state, settings)
        else:
            _draw_page(state, settings, as_table=shown_as == TABLE)
        _selection_bar(state, settings)


def _say_what_is_left(state: DatasetState) -> None:
    """Say first that images have to be labelled, and how many are left."""
    if left := state.dataset.counts.get(UNLABELLED):
        st.info(
            f"**Now label them**: {left:,} of {plural(len(state.included), 'image')} without "
            "label. Click images of one class, with Shift all between two clicks, and type its "
            "name below.",
            icon=":material/label:",
        )


def _draw_strips(state: DatasetState, settings: Settings) -> None:
    """Each class with the bar of its images and the first of them."""
    if not state.included:
        st.info("All images of this dataset are excluded. Undo, or include some again.")
    elif len(state.dataset.classes) == 1:
        st.caption("One class. To train a head, add images of a second one.")
    for place, name in enumerate(_find_classes(state)):
        with st.container(gap="xsmall", key=f"class-{place}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.html(class_bar(name, state))
                show_all = {"show-as": GALLERY, "only-label": name}
                st.button(
                    f"All {state.counts[name]:,}",
                    key=f"show-all-{place}",
                    type="tertiary",
                    on_click=st.session_state.update,
                    args=(show_all,),
                )
            samples = [sample for sample in state.included if sample.label == name][:STRIP]
            _draw_grid(samples, settings, key=f"strip-{place}", one_row=True)


def _find_classes(state: DatasetState) -> list[str]:
    """Return the classes with a strip: all of few, else a page of those that the person seeks."""
    names, images = list(state.counts), state.counts
    if len(names) <= STRIPS:
        return names
    left, middle, right = st.columns([4, 4, 5], vertical_alignment="center")
    words = left.text_input(
        "Find a class", key="find-class", placeholder="Find a class", label_visibility="collapsed"
    )
    if middle.toggle("Fewest images first", key="fewest-first"):
        names.sort(key=images.__getitem__)
    found = [name for name in names if matches(label(name), words)]
    pages = max(1, -(-len(found) // STRIPS))
    with right:
        page = st.pagination(pages, key=f"classes-{pages}") if pages > 1 else 1
    few = sum(images[name] < ENOUGH for name in names)
    st.caption(
        (f"{len(found):,} of " if words else "")
        + f"{plural(len(names), 'class', 'classes')} with {min(images.values()):,} to "
        f"{max(images.values()):,} images"
        + (f"; **{few:,} have fewer than {ENOUGH}**: more train better." if few else ".")
    )
    return found[(page - 1) * STRIPS : page * STRIPS]


def _draw_page(state: DatasetState, settings: Settings, *, as_table: bool) -> None:
    """The images that the filters leave, in pages, as a gallery or as a table."""
    samples = _filter_samples(state, settings)
    pages = max(1, -(-len(samples) // PAGE))
    left, right = st.columns([5, 3], vertical_alignment="center")
    left.caption(plural(len(samples), "image") + (f", {PAGE} on a page" if pages > 1 else ""))
    with right:
        page = st.pagination(pages, key=f"page-{pages}") if pages > 1 else 1
    shown = samples[(page - 1) * PAGE : page * PAGE]
    if not shown:
        st.info("No image matches. Remove a filter.", icon=":material/filter_alt:")
    elif as_table:
        _draw_table(shown, state, settings)
    else:
        keys = [sample.key for sample in shown]
        both = list(dict.fromkeys([*image_grid.selected_images(SELECTION), *keys]))
        st.button(
            "Select this page",
            key="select-page",
            on_click=set_selected_images,
            args=(SELECTION, both),
        )
        _draw_grid(shown, settings, key="gallery")


def _draw_grid(
    samples: Sequence[Sample], settings: Settings, *, key: str, one_row: bool = False
) -> None:
    images = []
    for sample in samples:
        split = f", {sample.split}" if sample.split else ""
        title = f"{label(sample.label)}{split}: {sample.file}"
        caption = "" if one_row else label(sample.label)  # a strip is of one class
        images.append(GridImage(sample.key, sample, title, caption, faded=sample.excluded))
    image_grid.select_images(SELECTION, images, settings, key=key, one_row=one_row)


def _filter_samples(state: DatasetState, settings: Settings) -> list[Sample]:
    """Return the samples that the person's filters leave, sorted by file."""
    findings = load_quality(state.name, settings).by_kind
    kinds = {
        row.title: {key for finding in findings.get(kind, ()) for key in finding.keys}
        for kind, row in KINDS.items()
    }
    splits = {title.capitalize(): split for split, title in SPLIT_TITLES.items()}
    used = {sample.split for sample in state.included}
    with st.container(horizontal=True, gap="small"):
        only = _filter("Class", [ALL, *state.counts], "only-label", label)
        split = _filter("Split", [ALL, *(n for n in splits if splits[n] in used)], "only-split")
        kind = _filter("Problem", [ALL, *(name for name in kinds if kinds[name])], "only-kind")
        which = _filter("Which", [INCLUDED, EXCLUDED, ALL], "only-included")
    return [
        sample
        for sample in state.samples
        if only in (ALL, sample.label)
        and (split == ALL or sample.split == splits[split])
        and (kind == ALL or sample.key in kinds[kind])
        and (which == ALL or sample.excluded == (which == EXCLUDED))
    ]


def _filter(title: str, options: Sequence[str], key: str, words: Callable[[str], str] = str) -> str:
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
    selected = [key for key in image_grid.selected_images(SELECTION) if key in state.by_key]
    if not selected:
        if not _last_edit(state, settings):
            st.caption("Click images to select them, with Shift all between two clicks.")
        return
    what = plural(len(selected), "image")
    if len(selected) == 1:
        what = PurePath(state.by_key[selected[0]].file).stem

    def change(done: str, edit: Callable[..., DatasetState], *arguments: object) -> None:
        after = edit(state.name, selected, *arguments, settings)
        set_selected_images(SELECTION)
        left = after.dataset.counts.get(UNLABELLED)
        words = f"{what} {done}" + (f" · {left:,} left without label" if left else "")
        st.session_state[_LAST] = after.name, len(after.edits), words
        st.toast(escape_md(words), icon=":material/check:")

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
        key, words = "selection-relabel", str(new).strip()
        edit_button(
            "Label",
            change,
            f"labelled {label(words)}",
            edits.relabel,
            words,
            key=key,
            type="primary",
            disabled=not new,
        )
        excluded = {state.by_key[key].excluded for key in selected}
        if False in excluded:
            edit_button("Exclude", change, "excluded", edits.exclude, key="selection-exclude")
        if True in excluded:
            edit_button("Include", change, "included", edits.include, key="selection-include")
        st.button("Clear", key="selection-clear", on_click=set_selected_images, args=(SELECTION,))


def _last_edit(state: DatasetState, settings: Settings) -> bool:
    """Say where one looks what was done last, with *Undo*; False where there is nothing to say."""
    name, edits, words = st.session_state.get(_LAST, ("", 0, ""))
    if (name, edits) != (state.name, len(state.edits)):
        return False
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/check: {escape_md(words)}", width="content")
        undo = (undo_edit, state.name, settings)
        edit_button("Undo", *undo, key="undo-last", type="tertiary", icon=":material/undo:")
    return True


def _draw_table(shown: Sequence[Sample], state: DatasetState, settings: Settings) -> None:
    """Show images as rows whose class and use can be changed; save the changes when asked."""
    before = pd.DataFrame(
        {
            "image": [
                image_grid.thumbnail_url(each, settings, f"row-{each.key}") for each in shown
            ],
            "file": [sample.file for sample in shown],
            "class": [sample.label for sample in shown],
            "included": [not sample.excluded for sample in shown],
            "split": [sample.split or "" for sample in shown],
            "size": [f"{sample.width} × {sample.height}" for sample in shown],
        },
        index=[sample.key for sample in shown],
    )
    after = st.data_editor(
        before,
        key=f"table-{len(state.edits)}-{shown[0].key}",
        hide_index=True,
        height=560,
        row_height=56,
        disabled=["image", "file", "split", "size"],
        column_config={
            "image": st.column_config.ImageColumn("", width=56),
            "class": st.column_config.SelectboxColumn(options=list(state.counts), required=True),
            "included": st.column_config.CheckboxColumn(help="Unticked images are left out."),
        },
    )
    changed = (after["class"] != before["class"]) | (after["included"] != before["included"])
    words, table = f"Save {plural(int(changed.sum()), 'change')}", (before, after, state, settings)
    edit_button(words, _save, *table, key="save-table", type="primary", disabled=not changed.any())


def _save(
    before: pd.DataFrame, after: pd.DataFrame, state: DatasetState, settings: Settings
) -> None:
    labels = after["class"][after["class"] != before["class"]]
    if len(labels):
        new = {str(key): str(name) for key, name in labels.items()}
        edits.relabel_each(state.name, new, settings)
    included = after["included"][after["included"] != before["included"]]
    for edit, value in ((edits.exclude, False), (edits.include, True)):
        if keys := [str(key) for key, is_included in included.items() if is_included == value]:
            edit(state.name, keys, settings)


def _edit_class(state: DatasetState, settings: Settings) -> None:
    """Choose a class and what to do with all of its images."""
    first, second, third = st.columns(3, vertical_alignment="bottom")
    old = first.selectbox(
        "Class",
        list(state.counts),
        key="class-old",
        format_func=unique_labels(
            state.counts, lambda name: f"{label(name)} ({state.counts.get(name, 0):,})"
        ),
    )
    new = second.text_input("New name", key="class-new", max_chars=60, placeholder=old).strip()
    others = [name for name in state.counts if name != old]
    into = third.selectbox(
        "Merge into",
        others,
        index=None,
        key=f"class-into-{old}",
        format_func=unique_labels(others, label),
        placeholder="Another class",
    )
    change, name = (state.name, old), escape_md(label(old))
    with st.container(horizontal=True, gap="small"):
        for words, to, key in (
            ("Rename", "" if new in (old, *others) else new, "class-rename"),
            ("Merge", into, "class-merge"),
        ):
            edit = (edits.rename_class, *change, to, settings)
            edit_button(words, *edit, key=key, type="primary", disabled=not to)
        delete, icon = (edits.delete_class, *change, settings), ":material/delete:"
        edit_button(f"Delete {name}", *delete, key="class-delete", icon=icon)
    st.caption(
        f"Merge makes two classes one. Delete excludes the {plural(state.counts[old], 'image')} "
        "of it. The files stay as they are, and “Undo” reverses any of this."
    )
