"""Thumbnails that are chosen by a click, and what is done with the chosen ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.datasets.edits import DatasetState, Item, exclude, include, relabel
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import sheet
from tlcore.ui.format import count, label
from tlcore.ui.widgets import distinct

_PICKED = "_picked"  # keys of the chosen images, of whatever page


def picking(shown: Sequence[Item], state: DatasetState, settings: Settings) -> None:
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
    shown: Sequence[Item], chosen: Collection[str], state: DatasetState, settings: Settings
) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pick-bar"):
        st.button(
            "Choose this page", key="pick-page", on_click=_pick, args=([i.key for i in shown],)
        )
        if not chosen:
            st.caption("Click images to choose them, then label or exclude them together.")
            return
        st.button(f"Let go of {len(chosen):,}", key="pick-none", on_click=forget_picked)
        new = st.selectbox(
            f"Label {count(len(chosen), 'image')}",
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


def _faces(shown: Sequence[Item], state: DatasetState, settings: Settings) -> None:
    """Give each button its image; the excluded are pale."""
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


# Images of a run as thumbnails: chosen by a click, in pages.


PAGE = 24  # thumbnails at once
_CHOSEN = "_review-chosen"  # keys of the chosen images, the last click last


@dataclass(frozen=True)
class Told:
    """What is said of an image on hover, and what has become of it since the run."""

    words: str
    since: str = ""  # "now labelled bees"; "" where it is as it was: what is mended is pale

    @property
    def whole(self) -> str:
        return f"{self.words} ({self.since})" if self.since else self.words


def faces(
    place: str, samples: Sequence[Sample], told: Mapping[str, Told], settings: Settings
) -> list[Sample]:
    """Draw a page of thumbnails and return those that are chosen, the last click last.

    Args:
        place: name of what is shown; another name begins with nothing chosen.
        samples: all of them, in their order.
        told: by key, of each.
        settings: where thumbnails are kept.
    """
    if st.session_state.get("_review-place") != place:
        st.session_state["_review-place"] = place
        forget()
    pages = max(1, -(-len(samples) // PAGE))
    box = st.container(horizontal=True, gap="xsmall", key="picker-review")
    page = st.pagination(pages, key=f"faces-{place}") if pages > 1 else 1
    shown = samples[(page - 1) * PAGE : page * PAGE]
    chosen: list[str] = st.session_state.get(_CHOSEN, [])
    with box:
        _paint(shown, told, settings)
        for number, sample in enumerate(shown):
            st.button(
                sample.file,
                key=f"thumb-r-{number}",
                help=told[sample.key].whole,
                type="primary" if sample.key in chosen else "secondary",
                on_click=_toggle_faces,
                args=(sample.key,),
            )
    by_key = {sample.key: sample for sample in samples}
    return [by_key[key] for key in chosen if key in by_key]


def forget() -> None:
    """Let go of what is chosen."""
    st.session_state[_CHOSEN] = []


def _toggle_faces(key: str) -> None:
    chosen: list[str] = st.session_state.get(_CHOSEN, [])
    kept = [other for other in chosen if other != key]
    st.session_state[_CHOSEN] = kept if key in chosen else [*kept, key]


def _paint(shown: Sequence[Sample], told: Mapping[str, Told], settings: Settings) -> None:
    """Give each button its image; what has been mended is pale."""
    places = "".join(
        f".st-key-thumb-r-{number} button{{background-position:calc(var(--face) * -{number}) 0;"
        f"opacity:{0.35 if told[sample.key].since else 1}}}"
        for number, sample in enumerate(shown)
    )
    st.html(
        '<style>[class*="st-key-thumb-r-"] button{background-image:'
        f"url({sheet(shown, settings)});"
        f"background-size:calc(var(--face) * {len(shown)}) var(--face)}}{places}</style>"
    )
