"""The gallery and the table: pictures found by filter, chosen by click, labelled, excluded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import streamlit as st

from tlcore.datasets.doctor.examine import known
from tlcore.datasets.doctor.kinds import KINDS
from tlcore.datasets.edits.state import Item, SetState
from tlcore.datasets.store import load_state
from tlcore.settings import Settings
from tlcore.ui.selecting import distinct
from tlcore.ui.shell import boundary
from tlcore.ui.upload.classes import edit_classes
from tlcore.ui.upload.picking import forget_picked, picking
from tlcore.ui.upload.table import table
from tlcore.ui.words import count, label

PAGE = 40  # pictures at once
FILTER = 165  # px of a drop-down
ALL = ""  # no class is called so
USED, EXCLUDED = "Used", "Excluded"
PARTS: Mapping[str, str | None] = MappingProxyType(
    {"Training": "train", "Validation": "val", "Test": "test", "Not divided": None}
)


def labelling(state: SetState, settings: Settings) -> None:
    """The classes as a whole, and below them the pictures."""
    edit_classes(state, settings)
    _pictures(state.name, settings)


@st.fragment
def _pictures(name: str, settings: Settings) -> None:
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
            st.info("No picture is all of this. Take a filter away.", icon=":material/filter_alt:")
        elif way == "Table":
            table(shown, state, settings)
        else:
            picking(shown, state, settings)


def _how_many(number: int) -> str:
    return count(number, "picture") + (f", {PAGE} on a page" if number > PAGE else "")


def _filtered(state: SetState, settings: Settings) -> Sequence[Item]:
    """The items that the person's filters leave, sorted by file."""
    found = known(state.name, settings).by_kind
    kinds = {KINDS[kind].title: kind for kind in KINDS if any(f.keys for f in found.get(kind, ()))}
    parts = [part for part, value in PARTS.items() if any(i.split == value for i in state.used)]
    with st.container(horizontal=True, gap="small"):
        only_label = _filter("Class", [ALL, *state.counts], "only-label", label)
        only_part = _filter("Part", [ALL, *parts], "only-part")
        only_kind = _filter("Finding", [ALL, *kinds], "only-kind")
        which = _filter("Which", [USED, EXCLUDED, ALL], "only-used")
    tests: list[Callable[[Item], bool]] = []
    if only_label != ALL:
        tests.append(lambda item: item.label == only_label)
    if only_part != ALL:
        tests.append(lambda item: item.split == PARTS[only_part])
    if only_kind != ALL:
        keys = {key for finding in found[kinds[only_kind]] for key in finding.keys}
        tests.append(lambda item: item.key in keys)
    if which != ALL:
        tests.append(lambda item: item.excluded == (which == EXCLUDED))
    return [item for item in state.items if all(test(item) for test in tests)]


def _filter(title: str, options: Sequence[str], key: str, words: Callable[[str], str] = str) -> str:
    """A narrow drop-down: two beside each other on a phone."""
    return st.selectbox(
        title,
        options,
        format_func=distinct(options, lambda name: words(name) or "All"),
        key=key,
        on_change=forget_picked,
        width=FILTER,
    )
