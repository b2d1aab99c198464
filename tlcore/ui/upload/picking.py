"""Thumbnails that are chosen by a click, and what is done with the chosen ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from tlcore.datasets.edits.editing import exclude, include, relabel
from tlcore.datasets.edits.state import Item, SetState
from tlcore.settings import Settings
from tlcore.ui.selecting import distinct
from tlcore.ui.sets import sheet
from tlcore.ui.words import count, label

_PICKED = "_picked"  # keys of the chosen pictures, of whatever page


def picking(shown: Sequence[Item], state: SetState, settings: Settings) -> None:
    """A page of thumbnails and the actions on those that are chosen."""
    chosen = picked() & state.by_key.keys()
    _actions(shown, chosen, state, settings)
    _faces(shown, state, settings)
    with st.container(horizontal=True, gap="xsmall", key="picker"):
        for place, item in enumerate(shown):
            st.button(
                item.entry.file,
                key=f"thumb-p-{place}",
                help=_told(item),
                type="primary" if item.key in chosen else "secondary",
                on_click=_toggle,
                args=(item.key,),
            )


def picked() -> frozenset[str]:
    found: frozenset[str] = st.session_state.get(_PICKED, frozenset())
    return found


def forget_picked() -> None:
    st.session_state[_PICKED] = frozenset()


def _pick(keys: Collection[str]) -> None:
    st.session_state[_PICKED] = picked() | frozenset(keys)


def _toggle(key: str) -> None:
    st.session_state[_PICKED] = picked() ^ {key}


def _actions(
    shown: Sequence[Item], chosen: Collection[str], state: SetState, settings: Settings
) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pick-bar"):
        st.button(
            "Choose this page", key="pick-page", on_click=_pick, args=([i.key for i in shown],)
        )
        if not chosen:
            st.caption("Click pictures to choose them, then label or exclude them together.")
            return
        st.button(f"Let go of {len(chosen):,}", key="pick-none", on_click=forget_picked)
        new = st.selectbox(
            f"Label {count(len(chosen), 'picture')}",
            list(state.counts),
            index=None,
            key="pick-label",
            format_func=distinct(state.counts, label),
            accept_new_options=True,
            placeholder="A class, or a new name",
            width=240,
        )
        if st.button("Label", type="primary", key="pick-relabel", disabled=not new):
            relabel(state.name, chosen, str(new).strip(), settings)
            _done()
        if any(not state.by_key[key].excluded for key in chosen) and st.button(
            "Exclude", key="pick-exclude"
        ):
            exclude(state.name, chosen, settings)
            _done()
        if any(state.by_key[key].excluded for key in chosen) and st.button(
            "Take back", key="pick-include"
        ):
            include(state.name, chosen, settings)
            _done()


def _done() -> None:
    forget_picked()
    st.rerun()


def _faces(shown: Sequence[Item], state: SetState, settings: Settings) -> None:
    """Give each button its picture; the excluded are pale."""
    uri = sheet([item.sample(state.folder) for item in shown], settings)
    places = "".join(
        f".st-key-thumb-p-{place} button{{background-position:calc(var(--face) * -{place}) 0;"
        f"opacity:{0.35 if item.excluded else 1}}}"
        for place, item in enumerate(shown)
    )
    st.html(
        f'<style>[class*="st-key-thumb-p-"] button{{background-image:url({uri});'
        f"background-size:calc(var(--face) * {len(shown)}) var(--face)}}{places}</style>"
    )


def _told(item: Item) -> str:
    part = f", {item.split}" if item.split else ""
    return f"{label(item.label)}{part}: {item.entry.file}"
