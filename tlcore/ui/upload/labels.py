"""Labels in a table: a row an image, changed like a spreadsheet and saved in one go."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import pandas as pd
import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.datasets.edits import (
    delete_class,
    exclude,
    include,
    relabel,
    relabel_each,
    rename_class,
)
from tlcore.datasets.quality import KINDS
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.store import DatasetState, load_state
from tlcore.datasets.thumbnails import thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.ui.components.image_grid import (
    GridImage,
    select_images,
    selected_images,
    set_selected_images,
)
from tlcore.ui.format import count, label, plain
from tlcore.ui.shell import boundary
from tlcore.ui.widgets import distinct

HEIGHT = 560  # px


def table(shown: Sequence[Sample], state: DatasetState, settings: Settings) -> None:
    """Show the images of a page with what can be changed, and save it when asked."""
    before = pd.DataFrame(
        {
            "image": [_face(item, state, settings) for item in shown],
            "file": [item.file for item in shown],
            "class": [item.label for item in shown],
            "used": [not item.excluded for item in shown],
            "part": [item.split or "" for item in shown],
            "size": [f"{item.width} × {item.height}" for item in shown],
        },
        index=[item.key for item in shown],
    )
    after = st.data_editor(
        before,
        key=f"table-{len(state.edits)}-{shown[0].key}",
        hide_index=True,
        height=HEIGHT,
        row_height=56,
        disabled=["image", "file", "part", "size"],
        column_config={
            "image": st.column_config.ImageColumn("", width=56),
            "class": st.column_config.SelectboxColumn(options=list(state.counts), required=True),
            "used": st.column_config.CheckboxColumn(help="Unticked images are left out."),
        },
    )
    changed = (after["class"] != before["class"]) | (after["used"] != before["used"])
    if st.button(
        f"Save {int(changed.sum())} changes", type="primary", key="save-table",
        disabled=not changed.any(),
    ):  # fmt: skip
        _save(before, after, state, settings)
        st.rerun()


def _save(
    before: pd.DataFrame, after: pd.DataFrame, state: DatasetState, settings: Settings
) -> None:
    labels = after["class"][after["class"] != before["class"]]
    if len(labels):
        relabel_each(state.name, {str(key): str(new) for key, new in labels.items()}, settings)
    used = after["used"][after["used"] != before["used"]]
    if out := [str(key) for key, is_used in used.items() if not is_used]:
        exclude(state.name, out, settings)
    if back := [str(key) for key, is_used in used.items() if is_used]:
        include(state.name, back, settings)


def _face(item: Sample, state: DatasetState, settings: Settings) -> str:
    try:
        small = thumbnail(item, settings)
    except BadImage:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode('ascii')}"


# The classes as a whole: renamed, merged, deleted.


def edit_classes(state: DatasetState, settings: Settings) -> None:
    """Choose a class and what to do with all of its images, folded away."""
    if not state.counts:
        return
    with st.expander("Rename, merge or delete a class", icon=":material/label:"):
        first, second, buttons = st.columns([3, 3, 3], vertical_alignment="bottom")
        old = first.selectbox(
            "Class",
            list(state.counts),
            key="class-old",
            format_func=distinct(
                state.counts,
                lambda name: f"{label(name)} ({state.counts.get(name, 0):,})",
            ),
        )
        new = second.text_input("New name", key="class-new", max_chars=60, placeholder=old).strip()
        merges = new in state.counts and new != old
        with buttons, st.container(horizontal=True, gap="small"):
            words = "Merge" if merges else "Rename"
            if st.button(words, key="class-rename", type="primary", disabled=new in ("", old)):
                rename_class(state.name, old, new, settings)
                st.rerun()
            if st.button("Delete", key="class-delete", icon=":material/delete:"):
                delete_class(state.name, old, settings)
                st.rerun()
        if merges:
            st.caption(f"**{plain(label(new))}** is there already: the two become one class.")
        st.caption(
            f"Delete excludes the {count(state.counts[old], 'image')} of it. Files stay as they "
            "are, and “Undo” takes any of this back."
        )


# The gallery and the table: images found by filter, chosen by click, labelled, excluded.


PAGE = 40  # images at once
GALLERY = "gallery"  # name of its selection
FILTER = 165  # px of a drop-down
ALL = ""  # no class is called so
USED, EXCLUDED = "Used", "Excluded"
PARTS: Mapping[str, str | None] = MappingProxyType(
    {"Training": "train", "Validation": "val", "Test": "test", "Not divided": None}
)


def labelling(state: DatasetState, settings: Settings) -> None:
    """The classes as a whole, and below them the images."""
    edit_classes(state, settings)
    _images(state.name, settings)


@st.fragment
def _images(name: str, settings: Settings) -> None:
    """Clicks in here draw only this part of the page again."""
    with boundary():
        state = load_state(name, settings)
        items = _filtered(state, settings)
        pages = max(1, -(-len(items) // PAGE))
        left, middle, right = st.columns([4, 3, 3], vertical_alignment="bottom")
        left.caption(_how_many(len(items)))
        way = middle.segmented_control(
            "Show as", ["Gallery", "Table"], default="Gallery", required=True, key="as",
            label_visibility="collapsed",
        )  # fmt: skip
        key = f"page-{pages}"
        page = right.number_input(f"Page of {pages:,}", 1, pages, key=key) if pages > 1 else 1
        shown = items[(page - 1) * PAGE : page * PAGE]
        if not shown:
            st.info("No image is all of this. Take a filter away.", icon=":material/filter_alt:")
        elif way == "Table":
            table(shown, state, settings)
        else:
            _gallery(shown, state, settings)


def _clear() -> None:
    set_selected_images(GALLERY)


def _gallery(shown: Sequence[Sample], state: DatasetState, settings: Settings) -> None:
    """A page of thumbnails and the actions on those that are selected."""
    bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pick-bar")
    images = [
        GridImage(item.key, item, title=_describe(item), faded=item.excluded) for item in shown
    ]
    select_images(GALLERY, images, settings, page_size=PAGE)
    selected = [key for key in selected_images(GALLERY) if key in state.by_key]
    with bar:
        _actions(shown, selected, state, settings)


def _actions(
    shown: Sequence[Sample], selected: Sequence[str], state: DatasetState, settings: Settings
) -> None:
    keys = [item.key for item in shown]
    st.button("Select this page", key="pick-page", on_click=_add, args=(keys,))
    if not selected:
        st.caption("Click images to select them, then label or exclude them together.")
        return
    st.button(f"Clear {len(selected):,}", key="pick-none", on_click=_clear)
    new = st.selectbox(
        f"Label {count(len(selected), 'image')}",
        list(state.counts),
        index=None,
        key="pick-label",
        format_func=distinct(state.counts, label),
        accept_new_options=True,
        placeholder="A class, or a new name",
        width=240,
    )
    if st.button("Label", type="primary", key="pick-relabel", disabled=not new):
        relabel(state.name, selected, str(new).strip(), settings)
        _done()
    if any(not state.by_key[key].excluded for key in selected) and st.button(
        "Exclude", key="pick-exclude"
    ):
        exclude(state.name, selected, settings)
        _done()
    if any(state.by_key[key].excluded for key in selected) and st.button(
        "Include", key="pick-include"
    ):
        include(state.name, selected, settings)
        _done()


def _add(keys: Sequence[str]) -> None:
    set_selected_images(GALLERY, list(dict.fromkeys([*selected_images(GALLERY), *keys])))


def _done() -> None:
    _clear()
    st.rerun()


def _describe(item: Sample) -> str:
    split = f", {item.split}" if item.split else ""
    return f"{label(item.label)}{split}: {item.file}"


def _how_many(number: int) -> str:
    return count(number, "image") + (f", {PAGE} on a page" if number > PAGE else "")


def _filtered(state: DatasetState, settings: Settings) -> Sequence[Sample]:
    """The items that the person's filters leave, sorted by file."""
    found = load_quality(state.name, settings).by_kind
    kinds = {KINDS[kind].title: kind for kind in KINDS if any(f.keys for f in found.get(kind, ()))}
    parts = [part for part, value in PARTS.items() if any(i.split == value for i in state.included)]
    with st.container(horizontal=True, gap="small"):
        only_label = _filter("Class", [ALL, *state.counts], "only-label", label)
        only_part = _filter("Part", [ALL, *parts], "only-part")
        only_kind = _filter("Finding", [ALL, *kinds], "only-kind")
        which = _filter("Which", [USED, EXCLUDED, ALL], "only-used")
    tests: list[Callable[[Sample], bool]] = []
    if only_label != ALL:
        tests.append(lambda item: item.label == only_label)
    if only_part != ALL:
        tests.append(lambda item: item.split == PARTS[only_part])
    if only_kind != ALL:
        keys = {key for finding in found[kinds[only_kind]] for key in finding.keys}
        tests.append(lambda item: item.key in keys)
    if which != ALL:
        tests.append(lambda item: item.excluded == (which == EXCLUDED))
    return [item for item in state.samples if all(test(item) for test in tests)]


def _filter(title: str, options: Sequence[str], key: str, words: Callable[[str], str] = str) -> str:
    """A narrow drop-down: two beside each other on a phone."""
    return st.selectbox(
        title,
        options,
        format_func=distinct(options, lambda name: words(name) or "All"),
        key=key,
        on_change=_clear,
        width=FILTER,
    )
