"""What is done with the pictures one has found: another label, out of the set, and run again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import streamlit as st

from tlcore.datasets.dataset import Sample
from tlcore.datasets.edits.editing import exclude, relabel, undo
from tlcore.datasets.edits.state import SetState
from tlcore.evaluation.again import changes, keep_parts, note_after, set_of
from tlcore.settings import Settings
from tlcore.training.run import Run
from tlcore.training.store import run_info
from tlcore.ui.review.faces import forget
from tlcore.ui.services import processes
from tlcore.ui.sets import set_names, set_title
from tlcore.ui.shell import UPLOAD, boundary
from tlcore.ui.state import Choice, choose
from tlcore.ui.words import count, label, plain

_TOKEN = "_again-token"
_ASK = "Click pictures to choose them: see them large, label them anew or exclude them."


def repair(run: Run, chosen: Sequence[Sample], suggested: str, settings: Settings) -> None:
    """The actions on chosen pictures, and what has been mended so far.

    Args:
        run: whose pictures they are.
        chosen: may be empty.
        suggested: the label that is offered first, or "".
        settings: where its set lies.
    """
    state = set_of(run.info, settings)
    if state is None:
        _why_not(run, settings)
        return
    keys = [sample.key for sample in chosen if sample.key in state.by_key]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="mend"):
        if keys:
            _actions(keys, state, suggested, settings)
        else:
            st.caption(_ASK)
    _mended(run, state, settings)


def now(sample: Sample, state: SetState | None) -> str:
    """Say what has become of a picture since the run, or ""."""
    item = state.by_key.get(sample.key) if state is not None else None
    if state is None or (item is not None and item.label == sample.label and not item.excluded):
        return ""
    if item is None:
        return "no longer in the set"
    return "excluded since" if item.excluded else f"now labelled {label(item.label)}"


def _actions(keys: list[str], state: SetState, suggested: str, settings: Settings) -> None:
    names = list(state.counts)
    new = st.selectbox(
        f"Label {count(len(keys), 'picture')}",
        names,
        index=names.index(suggested) if suggested in names else None,
        format_func=label,
        key=f"mend-label-{suggested}",
        placeholder="A class",
        width=220,
    )
    st.button(
        "Label",
        type="primary",
        key="mend-relabel",
        disabled=not new,
        on_click=_do,
        args=(relabel, state.name, keys, str(new), settings),
    )
    st.button(
        "Exclude", key="mend-exclude", on_click=_do, args=(exclude, state.name, keys, settings)
    )
    st.button(f"Let go of {len(keys):,}", key="mend-none", type="tertiary", on_click=forget)


def _do(edit: Callable[..., object], *args: object) -> None:
    """Edit the set before the page is drawn again, and let go of what was chosen."""
    with boundary():
        edit(*args)
        forget()


def _mended(run: Run, state: SetState, settings: Settings) -> None:
    """How the set differs from what the run learned from, the way back and the way on."""
    relabelled, excluded = changes(run.info, state)
    if not relabelled and not excluded:
        return
    parts = [f"{relabelled:,} relabelled"] * bool(relabelled)
    parts += [f"{excluded:,} excluded"] * bool(excluded)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="mended"):
        st.markdown(f"**Since this run: {' and '.join(parts)}.**", width="stretch")
        if state.edits:
            words = state.edits[-1].words
            st.button(
                "Undo",
                icon=":material/undo:",
                key="mend-undo",
                help=f"Takes back: {plain(words)}.",
                on_click=_do,
                args=(undo, state.name, settings),
            )
        if st.button(
            "Run again on the corrected set",
            type="primary",
            icon=":material/replay:",
            key="mend-again",
            help="The same recipe. Every picture stays in the part it was in, so that both runs "
            "are judged by the same ones; the set remembers the parts.",
        ):
            _again(run, state, settings)


def _again(run: Run, state: SetState, settings: Settings) -> None:
    """Start the same recipe; a second click of it gets the same run."""
    keep_parts(run.info, state, settings)
    token = st.session_state.setdefault(_TOKEN, secrets.token_hex(8))
    later = processes().start_run(token, run.info.config, settings)
    note_after(run_info(later, settings), run.info.id)
    st.session_state.pop(_TOKEN)
    choose(Choice.WATCHED, later)
    choose(Choice.REVIEW, "")
    forget()
    st.rerun()


def _why_not(run: Run, settings: Settings) -> None:
    name = run.info.config.dataset
    if name.startswith("/"):
        words = (
            "This run learned from a folder that is read in place, so its labels cannot be "
            "changed here. Bring the folder as a data set on the Upload page (or with "
            f"`python -m tlcore dataset import {name}`) and run it on that."
        )
    elif name in set_names(settings):
        words = (
            f"The data set “{plain(set_title(name))}” is damaged, so nothing can be mended until "
            "it can be read again. The Upload page says what is wrong with it and what can be done."
        )
    else:
        words = (
            f"The data set “{plain(set_title(name))}” is no longer here, so nothing can be mended."
            " What the run noted of its pictures is shown as far as their files are left."
        )
    st.info(words, icon=":material/edit_off:")
    st.page_link(UPLOAD.file, label="Bring it on the Upload page", icon=UPLOAD.icon)
