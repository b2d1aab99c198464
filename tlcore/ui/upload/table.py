"""Labels in a table: a row a picture, changed like a spreadsheet and saved in one go."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tlcore.datasets.edits.editing import exclude, include, relabel_each
from tlcore.datasets.edits.state import Item, SetState
from tlcore.datasets.store import thumbnail
from tlcore.errors import BadImage
from tlcore.settings import Settings

HEIGHT = 560  # px


def table(shown: Sequence[Item], state: SetState, settings: Settings) -> None:
    """Show the pictures of a page with what can be changed, and save it when asked."""
    before = pd.DataFrame(
        {
            "picture": [_face(item, state, settings) for item in shown],
            "file": [item.entry.file for item in shown],
            "class": [item.label for item in shown],
            "used": [not item.excluded for item in shown],
            "part": [item.split or "" for item in shown],
            "size": [f"{item.entry.width} × {item.entry.height}" for item in shown],
        },
        index=[item.key for item in shown],
    )
    after = st.data_editor(
        before,
        key=f"table-{len(state.edits)}-{shown[0].key}",
        hide_index=True,
        height=HEIGHT,
        row_height=56,
        disabled=["picture", "file", "part", "size"],
        column_config={
            "picture": st.column_config.ImageColumn("", width=56),
            "class": st.column_config.SelectboxColumn(options=list(state.counts), required=True),
            "used": st.column_config.CheckboxColumn(help="Unticked pictures are left out."),
        },
    )
    changed = (after["class"] != before["class"]) | (after["used"] != before["used"])
    if st.button(
        f"Save {int(changed.sum())} changes", type="primary", key="save-table",
        disabled=not changed.any(),
    ):  # fmt: skip
        _save(before, after, state, settings)
        st.rerun()


def _save(before: pd.DataFrame, after: pd.DataFrame, state: SetState, settings: Settings) -> None:
    labels = after["class"][after["class"] != before["class"]]
    if len(labels):
        relabel_each(state.name, {str(key): str(new) for key, new in labels.items()}, settings)
    used = after["used"][after["used"] != before["used"]]
    if out := [str(key) for key, is_used in used.items() if not is_used]:
        exclude(state.name, out, settings)
    if back := [str(key) for key, is_used in used.items() if is_used]:
        include(state.name, back, settings)


def _face(item: Item, state: SetState, settings: Settings) -> str:
    try:
        small = thumbnail(item.sample(state.folder), settings)
    except BadImage:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(small).decode('ascii')}"
