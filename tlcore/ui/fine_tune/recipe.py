"""The options with which the form of a run begins: the defaults, or those of an earlier run."""

from __future__ import annotations

import streamlit as st

from tlcore.settings import Settings
from tlcore.training.config import RunConfig
from tlcore.ui.components.dataset_picker import list_dataset_names
from tlcore.ui.state import Choice, choose, reset_widget

RECIPE, FORM = "_form-recipe", "form"  # key of the session; what the fields' generation is called


def open_form(config: RunConfig | None = None) -> None:
    """Open the form with its defaults or the options of a run; the address forgets the run."""
    choose(Choice.RUN, "")
    st.session_state[RECIPE] = config
    reset_widget(FORM)


def run_again(config: RunConfig, settings: Settings) -> None:
    """Open the form with the options, the dataset and the backbone of a run."""
    open_form(config)
    if config.dataset in list_dataset_names(settings):  # if not, the form says so
        choose(Choice.DATASET, config.dataset)
    choose(Choice.BACKBONE, config.backbone)
