"""Teach it your classes: a form that starts a run, or the run one watches."""

import streamlit as st

from tlcore.ui.run_form import run_form
from tlcore.ui.run_list import all_runs
from tlcore.ui.run_view import run_view
from tlcore.ui.shell import TUNE, page
from tlcore.ui.state import Choice, chosen

with page(TUNE) as settings:
    if chosen(Choice.WATCHED):
        run_view(chosen(Choice.WATCHED), settings)
    else:
        run_form(settings)
    st.subheader("All runs", anchor=False)
    all_runs(settings)
