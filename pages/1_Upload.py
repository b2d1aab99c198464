"""Which images do you bring? They become a named dataset, checked, labelled and divided."""

import streamlit as st

from tlcore.ui.shell import COMPARE, FINE_TUNE, UPLOAD, boundary, next_steps, page
from tlcore.ui.upload.import_form import import_form, last_report
from tlcore.ui.upload.view import dataset_view

with page(UPLOAD) as settings:
    with boundary():
        import_form(settings)
    last_report()
    st.subheader("Your datasets", anchor=False)
    dataset_view(settings)
    next_steps(COMPARE, FINE_TUNE)
