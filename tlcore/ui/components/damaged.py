"""What a page says of a run that cannot be read, or not wholly."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from tlcore.settings import Settings
from tlcore.training.provenance import find_split_damage
from tlcore.training.run_files import MODEL, SPLIT, Damage, DamagedRun
from tlcore.training.store import scan_runs
from tlcore.ui.format import plain
from tlcore.ui.state import Choice, choose, chosen


def show_damage(damage: Iterable[Damage]) -> None:
    """Say which files of a run cannot be read, what is lost and what can be done."""
    for each in damage:
        st.caption(f":material/warning: {plain(each.words)}")


def show_damaged_head(settings: Settings) -> bool:
    """Whether the run that was asked for cannot answer, as it is damaged; that is shown then.

    No other run answers in its place until the person chooses one.
    """
    asked = chosen(Choice.HEAD)
    words = _why_silent(asked, settings) if asked else ""
    if words:
        st.error(f"Run {plain(asked)}: {plain(words)}", icon=":material/error:")
        st.button("Choose another run", key="another-run", on_click=choose, args=(Choice.HEAD, ""))
    return bool(words)


def _why_silent(run: str, settings: Settings) -> str:
    lost: list[Damage] = []
    for info in scan_runs(settings):
        if info.id != run:
            continue
        if isinstance(info, DamagedRun):
            return info.damage.words
        lost = [each for each in info.damage if each.file in (MODEL, SPLIT)]
        split = None if info.active else find_split_damage(info.folder, whole=True)
        lost += [split] if split and split not in lost else []
    return " ".join(each.words for each in lost)
