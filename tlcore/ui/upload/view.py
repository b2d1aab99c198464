"""One dataset: which one, how it stands, what can be done with it as a whole, and four views."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from types import MappingProxyType

import streamlit as st

from tlcore.datasets.dataset import UNLABELLED
from tlcore.datasets.edits import discard_edits, has_damaged_edits, undo_edit
from tlcore.datasets.quality import DECIDE, KINDS
from tlcore.datasets.quality_scan import load_quality
from tlcore.datasets.sample import dataset_title
from tlcore.datasets.store import DatasetState, delete_dataset, load_state, rename_dataset
from tlcore.errors import BadDataset
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import open_dataset, select_dataset
from tlcore.ui.format import count, plain
from tlcore.ui.shell import boundary, show_error
from tlcore.ui.state import Choice, choose
from tlcore.ui.upload.import_form import DOCTOR, REPORT
from tlcore.ui.upload.labels import labelling
from tlcore.ui.upload.overview import overview
from tlcore.ui.upload.quality import check
from tlcore.ui.upload.splits import dividing
from tlcore.ui.widgets import segments

View = Callable[[DatasetState, Settings], None]
VIEWS: Mapping[str, tuple[str, View]] = MappingProxyType(
    {
        "overview": ("Overview", overview),
        DOCTOR: ("Doctor", check),
        "label": ("Images and labels", labelling),
        "divide": ("Train, validation, test", dividing),
    }
)
PARTS = {"train": "training", "val": "validation", "test": "test", None: "not divided"}


def dataset_view(settings: Settings) -> None:
    """Choose a set and look at it; of one that cannot be read, say what can be done."""
    which, buttons = st.columns([5, 4], vertical_alignment="bottom")
    with which:
        name = select_dataset(settings)
    row = buttons.container(horizontal=True, horizontal_alignment="right", gap="small")
    try:
        open_dataset(name, settings)  # draws the sample if need be
        state = load_state(name, settings)
    except BadDataset as error:
        show_error(error)
        with row:
            _forget_edits(name, settings)
            _delete(name, settings)
        return
    with row:
        _undo(state, settings)
        _rename(state, settings)
        _delete(name, settings)
    to_decide = _to_decide(state, settings)
    st.html(_at_a_glance(state))
    view = segments(
        "View", list(VIEWS), Choice.DATASET_VIEW, words=lambda view: _title(view, to_decide)
    )
    with boundary():
        VIEWS[view][1](state, settings)


def _title(view: str, to_decide: int) -> str:
    title = VIEWS[view][0]
    return f"{title} ({to_decide})" if view == DOCTOR and to_decide else title


def _to_decide(state: DatasetState, settings: Settings) -> int:
    found = load_quality(state.name, settings)
    open_ = sum(len(some) for kind, some in found.open.items() if KINDS[kind].level == DECIDE)
    return open_ + len(found.small_classes)


def _at_a_glance(state: DatasetState) -> str:
    parts = state.dataset.counts_by_split
    said = [
        count(len(state.included), "image"),
        count(len(state.dataset.classes), "class", "classes"),
    ]
    if unlabelled := state.counts.get(UNLABELLED):
        said.append(f"{unlabelled:,} without label")
    if set(parts) != {None}:
        said += [f"{sum(some.values()):,} {PARTS[part]}" for part, some in parts.items()]
    if excluded := len(state.samples) - len(state.included):
        said.append(f"{excluded:,} excluded")
    if state.edits:
        said.append(count(len(state.edits), "edit"))
    digest = (
        f'<span title="Of images and labels: the same images under the same labels have the '
        f'same one. {state.dataset.hash}">data {state.dataset.hash[:8]}</span>'
    )
    pills = "".join(f"<span>{html.escape(one)}</span>" for one in said)
    return f'<p class="glance-line">{pills}{digest}</p>'


def _undo(state: DatasetState, settings: Settings) -> None:
    if not state.edits:
        return
    words = state.edits[-1].description
    help_ = f"Takes back: {plain(words)}. Every edit of this set can be undone, the last first."
    if st.button("Undo", icon=":material/undo:", key="undo", help=help_):
        undo_edit(state.name, settings)
        st.toast(f"Taken back: {plain(words)}", icon=":material/undo:")
        st.rerun()


def _rename(state: DatasetState, settings: Settings) -> None:
    with st.popover("Rename", icon=":material/edit:"):
        new = st.text_input("New name", state.name, max_chars=60, key=f"rename-{state.name}")
        st.caption("Runs that learned from it remember the old name.")
        if st.button("Rename it", type="primary", key="rename") and new.strip() != state.name:
            with boundary():
                rename_dataset(state.name, new.strip(), settings)
                choose(Choice.DATASET, new.strip())
                st.session_state.pop(REPORT, None)
                st.rerun()


def _forget_edits(name: str, settings: Settings) -> None:
    """Offer the way out for edits that cannot be read."""
    if not has_damaged_edits(name, settings):
        return
    help_ = "Its images and their first labels are whole. The damaged file is kept beside them."
    words = "Go back to the labels they came with"
    if st.button(words, icon=":material/restart_alt:", key="forget-edits", help=help_):
        discard_edits(name, settings)
        st.rerun()


def _delete(name: str, settings: Settings) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        st.markdown(f"Delete **{plain(dataset_title(name))}** and its images for good?")
        st.caption("Heads that have learned from it stay.")
        if st.button("Yes, delete it", type="primary", key="delete"):
            delete_dataset(name, settings)
            choose(Choice.DATASET, "")
            choose(Choice.DATASET_VIEW, "")
            st.session_state.pop(REPORT, None)
            st.rerun()
