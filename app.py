"""Home: what this is, four doors, one click to the sample, what is ready, what was done last."""

import streamlit as st

from tlcore.ui.components.weights import weights_overview
from tlcore.ui.fine_tune.run_list import recent_runs
from tlcore.ui.home import first_steps, page_links
from tlcore.ui.shell import HOME, page

with page(HOME) as settings:
    first_steps(settings)
    page_links()

    ready, runs = st.columns(2, gap="large")
    with ready:
        st.subheader("Networks that are ready", anchor=False)
        weights_overview(settings)
    with runs:
        st.subheader("Recent runs", anchor=False)
        recent_runs(settings)
