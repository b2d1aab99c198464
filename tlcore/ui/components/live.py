"""A part of a page that is drawn again and again while something is under way."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from tlcore.ui.shell import boundary


def live(is_active: Callable[[], bool], draw: Callable[[], None], *, every: float = 1.0) -> None:
    """Draw a part of the page, again every few seconds while it is active.

    Once activity begins or ends, the whole page runs once more, so that what stands around the part
    is right too; an idle part does not poll.

    Args:
        is_active: whether the work that the part shows is still under way.
        draw: draws the part, or does a slice of the work and draws how far it is.
        every: s between two drawings.
    """
    was_active = is_active()

    def part() -> None:
        with boundary():
            if is_active() != was_active:
                st.rerun()
            draw()

    st.fragment(part, run_every=every if was_active else None)()
