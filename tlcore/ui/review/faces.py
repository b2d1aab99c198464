"""Pictures of a run as thumbnails: chosen by a click, in pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.settings import Settings
from tlcore.ui.sets import sheet

PAGE = 24  # thumbnails at once
_CHOSEN = "_review-chosen"  # keys of the chosen pictures, the last click last


@dataclass(frozen=True)
class Told:
    """What is said of a picture on hover, and what has become of it since the run."""

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
                on_click=_toggle,
                args=(sample.key,),
            )
    by_key = {sample.key: sample for sample in samples}
    return [by_key[key] for key in chosen if key in by_key]


def forget() -> None:
    """Let go of what is chosen."""
    st.session_state[_CHOSEN] = []


def _toggle(key: str) -> None:
    chosen: list[str] = st.session_state.get(_CHOSEN, [])
    kept = [other for other in chosen if other != key]
    st.session_state[_CHOSEN] = kept if key in chosen else [*kept, key]


def _paint(shown: Sequence[Sample], told: Mapping[str, Told], settings: Settings) -> None:
    """Give each button its picture; what has been mended is pale."""
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
