"""Widgets that show a choice and change it, on whatever page they stand; HTML with values.

Streamlit's widgets return the label that was clicked, not its place: of two options with the same
label the first always wins. ``unique_labels`` makes the labels of a widget's options unique.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count
from typing import Any, TypeVar

import streamlit as st
from markupsafe import Markup
from streamlit.delta_generator import DeltaGenerator

from tlcore.ui.format import escape_md
from tlcore.ui.state import Choice, choose, chosen, flag, set_flag

T = TypeVar("T")
LONGEST = 40  # characters of an option that is shown beside its label; a hash is longer


def unique_labels(options: Iterable[T], words: Callable[[T], str] = str) -> Callable[[T], str]:
    """Return labels for options of which no two are the same: for ``format_func``.

    Options whose labels are the same, but for blanks, get the option itself in brackets,
    "great owl (great_owl)", or where that is long a number.

    Args:
        options: all that are offered, no two equal.
        words: returns the label of one option.
    """

    def shown(label: str) -> str:
        return " ".join(label.split())  # a browser shows blanks as one

    labels = {option: words(option) for option in options}
    times = Counter(shown(label) for label in labels.values())
    used = set(times)
    for option, label in labels.items():
        if times[shown(label)] > 1:
            names = [option] if len(str(option)) <= LONGEST and str(option) != label else []
            proposals = (f"{label} ({each})" for each in chain(names, count(1)))
            labels[option] = next(each for each in proposals if shown(each) not in used)
            used.add(shown(labels[option]))
    return lambda option: labels[option] if option in labels else words(option)


def matches(text: str, words: str) -> bool:
    """Whether a text holds all of these words or parts of words, in any order and case."""
    return all(word in text.lower() for word in words.lower().replace("_", " ").split())


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
    also: Callable[[], None] | None = None,
) -> str:
    """Show a choice as a drop-down and return it; ``also`` runs when the person changes it."""
    wanted = chosen(choice)
    if wanted and wanted not in options:  # an old link, or it has been deleted meanwhile
        st.toast(f"{title} “{escape_md(wanted)}” is not here.", icon=":material/link_off:")
    value = current(choice, options)
    bound = _bind(choice, value, options, also)
    st.selectbox(title, options, format_func=unique_labels(options, words), help=help, **bound)
    return value


def segments(
    title: str,
    options: Sequence[str],
    choice: Choice,
    *,
    words: Callable[[str], str] = str,
    also: Callable[[], None] | None = None,
) -> str:
    """Show a choice as a row of buttons, one of which is always on; as ``select`` does."""
    value = current(choice, options)
    st.segmented_control(
        title,
        options,
        format_func=unique_labels(options, words),
        required=True,
        label_visibility="collapsed",
        **_bind(choice, value, options, also),
    )
    return value


def _bind(
    choice: Choice,
    value: str | int,
    options: Sequence[object],
    also: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Return the arguments with which a widget shows a choice and changes it.

    Its value is set in every run: a widget in a closed popover is not in the browser yet, and would
    open on its default if its value were set only once.
    """
    key = f"select-{choice}"
    st.session_state[key] = value

    def take_over() -> None:
        if st.session_state[key] in options:  # a label of an older list, handed on, is none
            choose(choice, st.session_state[key])
            if also is not None:
                also()

    return {"key": key, "on_change": take_over}


def folded(key: str) -> DeltaGenerator:
    """Return a container that ``fold_button`` unfolds where it stands.

    What is folded is drawn and not seen, so that its widgets keep their values.
    """
    return st.container(key=key if flag(key) else f"{key}-folded")


def fold_button(words: str, key: str) -> None:
    """Draw the small button that unfolds and folds a container."""
    st.button(words, icon=":material/tune:", key=f"fold-{key}", help=words, type="tertiary",
              on_click=set_flag, args=(key, not flag(key)))  # fmt: skip


def show_html(template: str, **values: object) -> None:
    """Show HTML with values put in as text; a ``Markup`` value is HTML already.

    Args:
        template: HTML of ours with ``{name}`` for each value.
        **values: escaped.
    """
    st.html(Markup(template).format(**values))
