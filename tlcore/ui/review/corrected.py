"""What has to be said beside figures whose labels a person has changed."""

from __future__ import annotations

import streamlit as st

from tlcore.errors import DamagedFile
from tlcore.evaluation.corrections import corrections_of
from tlcore.settings import Settings
from tlcore.training.run import RunInfo
from tlcore.ui.words import plain


def corrections_line(info: RunInfo, part: str, settings: Settings) -> None:
    """Say which labels were changed after a model had answered; nothing where none was."""
    try:
        corrections = corrections_of(info, part, settings)
    except DamagedFile:  # its images are not known, which the run's page says
        return
    for words in corrections.sentences:
        st.caption(f":material/edit: {plain(words)}")
