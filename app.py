"""Home: what transfer learning is, the four pages, the weights on this machine, recent runs."""

import streamlit as st

from tlcore.ui.components.weights import weights_overview
from tlcore.ui.fine_tune.run_list import recent_runs
from tlcore.ui.home import first_steps, page_cards
from tlcore.ui.shell import HOME, page

with page(HOME) as settings:
    first_steps(settings)
    page_cards()

    weights, runs = st.columns(2, gap="large")
    with weights:
        st.subheader("Weights on this machine", anchor=False)
        weights_overview(settings)
    with runs:
        st.subheader("Recent runs", anchor=False)
        recent_runs(settings)
