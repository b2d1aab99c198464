"""Which images do you bring? They become a named dataset, checked, labelled and divided."""

import streamlit as st

from tlcore.ui.shell import COMPARE, TUNE, UPLOAD, boundary, next_steps, page
from tlcore.ui.upload.import_form import bring, last_report
from tlcore.ui.upload.view import data_set

with page(UPLOAD) as settings:
    with boundary():
        bring(settings)
    last_report()
    st.subheader("Your datasets", anchor=False)
    data_set(settings)
    next_steps(COMPARE, TUNE)
