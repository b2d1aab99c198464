"""The newest runs as cards, the last good one first; the badge of a run's status.

Home draws it: no import of pandas or Plotly, which take longer than the whole page.
"""

from __future__ import annotations

import streamlit as st

from tlcore.settings import Settings
from tlcore.training import store
from tlcore.training.config import OPTIONS, RunConfig
from tlcore.training.run import Listed, RunInfo, label_runs
from tlcore.training.status import DAMAGED, FAILED, FINISHED, QUEUED, RUNNING, STOPPED, DamagedRun
from tlcore.ui.components.run_picker import show_damage
from tlcore.ui.format import accuracy, duration, escape_md, time_ago
from tlcore.ui.shell import FINE_TUNE

RECENT = 4  # runs on Home
# status → word, icon and colour of its badge
STATUSES = {
    QUEUED: ("queued", ":material/hourglass_empty:", "gray"),
    RUNNING: ("running", ":material/autorenew:", "blue"),
    FINISHED: ("finished", ":material/check:", "green"),
    STOPPED: ("stopped", ":material/stop:", "gray"),
    FAILED: ("failed", ":material/error:", "red"),
    DAMAGED: ("damaged", ":material/broken_image:", "orange"),
}


def status_badge(status: str) -> None:
    """Draw the status of a run."""
    word, icon, colour = STATUSES[status]
    st.badge(word, icon=icon, color=colour)  # type: ignore[arg-type]


def recent_runs(settings: Settings) -> None:
    """Draw the newest runs, each a link, or how to make the first."""
    infos = store.scan_runs(settings)
    if not infos:
        st.caption("No runs yet.")
        st.page_link(FINE_TUNE.file, label="Train on your classes", icon=FINE_TUNE.icon)
        return
    labels = label_runs(infos)
    infos.sort(key=lambda info: not _is_good(info))  # the last good one first
    for info in infos[:RECENT]:
        title, address = f"**{escape_md(labels[info.id])}**", {"run": info.id, "view": ""}
        with st.container(border=True, gap="xsmall", key=f"card-{info.id}"):
            line = st.container(horizontal=True, vertical_alignment="center", gap="small")
            with line:
                if isinstance(info, DamagedRun):
                    st.markdown(title, width="content")
                    status_badge(DAMAGED)
                else:
                    st.page_link(FINE_TUNE.file, label=title, query_params=address)
                    status_badge(info.status)
                    for tag in info.notes.tags:
                        st.badge(escape_md(tag), color="gray")
            if isinstance(info, DamagedRun):
                show_damage([info.damage])
                continue
            st.caption(" · ".join(_facts(info)))
            show_damage(info.damage)
    if len(infos) > RECENT:
        st.page_link(FINE_TUNE.file, label=f"All {len(infos)} runs", icon=FINE_TUNE.icon)


def _facts(info: RunInfo) -> list[str]:
    """Return accuracy, the options that are not the usual ones, the time it took, and its age."""
    config, facts = info.config, []
    if info.val_accuracy is not None:
        facts.append(accuracy(info.val_accuracy, info.images.get("val", 0)))
    usual = RunConfig(config.dataset, config.backbone, random_weights=config.random_weights)
    for option in OPTIONS.values():
        value = getattr(config, option.name)
        is_idle = option.needs and not any(getattr(config, name) for name in option.needs)
        if value != getattr(usual, option.name) and not is_idle:
            text = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            facts.append(option.label.lower() + (f" {text}" if value is not True else ""))
    if info.seconds:
        facts.append(f"took {duration(info.seconds)}")
    return [*facts, time_ago(info.created)]


def _is_good(info: Listed) -> bool:
    """Whether a run has finished on pretrained weights."""
    if isinstance(info, DamagedRun):
        return False
    return info.status == FINISHED and not info.config.random_weights
