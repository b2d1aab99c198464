"""What a page shows of a run whose files are damaged."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from tlcore.settings import Settings
from tlcore.training.status import MODEL, SPLIT, Damage, DamagedRun
from tlcore.training.store import scan_runs
from tlcore.ui.format import escape_md
from tlcore.ui.state import Choice, choose, chosen


def show_damage(damage: Iterable[Damage]) -> None:
    """Say which files of a run cannot be read, what is damage and what can be done."""
    for each in damage:
        st.caption(f":material/warning: {escape_md(each.description)}")


def show_damaged_head(settings: Settings) -> bool:
    """Whether the chosen run cannot predict because it is damaged; that is shown then.

    No other run takes its place until the person chooses one.
    """
    run = chosen(Choice.HEAD)
    words = _describe_damage(run, settings) if run else ""
    if words:
        st.error(f"Run {escape_md(run)}: {escape_md(words)}", icon=":material/error:")
        st.button("Choose another run", key="another-run", on_click=choose, args=(Choice.HEAD, ""))
    return bool(words)


def _describe_damage(run: str, settings: Settings) -> str:
    damage: list[Damage] = []
    for info in scan_runs(settings):
        if info.id != run:
            continue
        if isinstance(info, DamagedRun):
            return info.damage.description
        damage = [each for each in info.damage if each.file in (MODEL, SPLIT)]
    return " ".join(each.description for each in damage)
