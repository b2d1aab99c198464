"""The classes as a whole: renamed, merged, deleted."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.edits.editing import delete_class, rename_class
from tlcore.datasets.edits.state import SetState
from tlcore.settings import Settings
from tlcore.ui.selecting import distinct
from tlcore.ui.words import count, label, plain


def edit_classes(state: SetState, settings: Settings) -> None:
    """Choose a class and what to do with all of its pictures, folded away."""
    if not state.counts:
        return
    with st.expander("Rename, merge or delete a class", icon=":material/label:"):
        first, second, buttons = st.columns([3, 3, 3], vertical_alignment="bottom")
        old = first.selectbox(
            "Class",
            list(state.counts),
            key="class-old",
            format_func=distinct(
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
            st.caption(f"**{plain(label(new))}** is there already: the two become one class.")
        st.caption(
            f"Delete excludes the {count(state.counts[old], 'picture')} of it. Files stay as they "
            "are, and “Undo” takes any of this back."
        )
