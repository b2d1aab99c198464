"""Labels in bulk: a table that is saved in one go, and classes renamed, merged, deleted."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.datasets.edits import delete_class, exclude, include, relabel_each, rename_class
from tlcore.datasets.store import DatasetState
from tlcore.datasets.thumbnails import load_thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings
from tlcore.ui.format import escape_md, label, plural
from tlcore.ui.widgets import unique_labels

HEIGHT = 560  # px


def label_table(shown: Sequence[Sample], state: DatasetState, settings: Settings) -> None:
    """Show images as rows whose class and use can be changed; save the changes when asked."""
    before = pd.DataFrame(
        {
            "image": [_data_uri(sample, settings) for sample in shown],
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
        height=HEIGHT,
        row_height=56,
        disabled=["image", "file", "split", "size"],
        column_config={
            "image": st.column_config.ImageColumn("", width=56),
            "class": st.column_config.SelectboxColumn(options=list(state.counts), required=True),
            "included": st.column_config.CheckboxColumn(help="Unticked images are left out."),
        },
    )
    changed = (after["class"] != before["class"]) | (after["included"] != before["included"])
    if st.button(
        f"Save {plural(int(changed.sum()), 'change')}", type="primary", key="save-table",
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
    included = after["included"][after["included"] != before["included"]]
    if removed := [str(key) for key, is_included in included.items() if not is_included]:
        exclude(state.name, removed, settings)
    if added := [str(key) for key, is_included in included.items() if is_included]:
        include(state.name, added, settings)


def _data_uri(sample: Sample, settings: Settings) -> str:
    try:
        small = load_thumbnail(sample, settings)
    except BadImage:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode('ascii')}"


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
            format_func=unique_labels(
                state.counts, lambda name: f"{label(name)} ({state.counts.get(name, 0):,})"
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
            st.caption(f"**{escape_md(label(new))}** exists already: the two become one class.")
        st.caption(
            f"Delete excludes the {plural(state.counts[old], 'image')} of it. The files stay as "
            "they are, and “Undo” reverses any of this."
        )
