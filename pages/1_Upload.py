"""Which pictures do you bring? Files and zips become a named data set that stays."""

import streamlit as st

from tlcore.ui.shell import COMPARE, TUNE, UPLOAD, boundary, next_steps, page
from tlcore.ui.upload_view import bring, last_report, set_view

with page(UPLOAD) as settings:
    with boundary():
        bring(settings)
    last_report()
    st.subheader("Your data sets", anchor=False)
    set_view(settings)
    next_steps(COMPARE, TUNE)
