"""Widgets that show a choice and change it, whatever page they stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from tlcore.ui.state import Choice, choose, chosen, chosen_number
from tlcore.ui.words import plain


def current(choice: Choice, options: Sequence[str]) -> str:
    """Return what is chosen if it is on offer, else the first option (and choose that)."""
    value = chosen(choice)
    if value not in options:
        value = options[0]
        choose(choice, value)
    return value


def select(
    title: str,
    options: Sequence[str],
    choice: Choice,
    *,
    words: Callable[[str], str] = str,
    help: str | None = None,
    disabled: bool = False,
    also: Callable[[], None] | None = None,
) -> str:
    """A drop-down for a choice; ``also`` runs when the person changes it."""
    wanted = chosen(choice)
    key = _seed(choice, options)
    if wanted and wanted not in options:  # an old link, or it has been deleted meanwhile
        st.toast(f"{title} “{plain(wanted)}” is not here.", icon=":material/link_off:")
    st.selectbox(
        title,
        options,
        key=key,
        format_func=words,
        help=help,
        disabled=disabled,
        on_change=_take_over,
        args=(choice, key, also),
    )
    return current(choice, options)


def segments(
    title: str, options: Sequence[str], choice: Choice, *, words: Callable[[str], str] = str
) -> str:
    """A row of buttons for a choice, one of which is always on."""
    key = _seed(choice, options)
    st.segmented_control(
        title,
        options,
        key=key,
        format_func=words,
        required=True,
        label_visibility="collapsed",
        on_change=_take_over,
        args=(choice, key, None),
    )
    return current(choice, options)


def slide(title: str, low: int, high: int, choice: Choice, default: int) -> int:
    """A slider for a choice that is a whole number."""
    key = f"select-{choice}"
    number = chosen_number(choice, default)
    number = number if low <= number <= high else default
    st.session_state[key] = number
    st.slider(title, low, high, key=key, on_change=_take_over, args=(choice, key, None))
    return number


def _seed(choice: Choice, options: Sequence[str]) -> str:
    """Make the widget show what is chosen, and return its key.

    In every run: a widget in a closed popover is not in the browser yet, and would open on its
    default if it were told only once.
    """
    key = f"select-{choice}"
    st.session_state[key] = current(choice, options)
    return key


def _take_over(choice: Choice, key: str, also: Callable[[], None] | None) -> None:
    choose(choice, st.session_state[key])
    if also is not None:
        also()
