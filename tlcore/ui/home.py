"""The upper half of the home page: the way in, and the four doors."""

from __future__ import annotations

import streamlit as st

from tlcore.datasets.sample import SAMPLE_NAME
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, FINE_TUNE, UPLOAD
from tlcore.ui.state import Choice, choose

DOORS = (
    (UPLOAD, "Which images do you bring?", "Photos or a zip of class folders."),
    (COMPARE, "What does it see, and what does yours?", "1000 classes beside your own few."),
    (FEATURE_MAPS, "What happens inside?", "Any layer, on your own image."),
    (FINE_TUNE, "How do you teach it your classes?", "A new head, in about half a minute."),
)


GLANCE = """
<div class="glance">
  <div class="box">Your image<small>any image</small></div>
  <span class="arrow">→</span>
  <div class="box body">A network that knows ImageNet
    <small>its body turns pixels into features, and stays as it is</small></div>
  <span class="arrow">→</span>
  <div>
    <div class="box pretrained">ImageNet's head<small>1000 classes</small></div>
    <div class="box head">Your own head<small>your few classes, learned in seconds</small></div>
  </div>
</div>
"""


def first_steps(settings: Settings) -> None:
    """What this is, one click to something to see, one to one's own images."""
    st.html(GLANCE)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Try it with the sample", type="primary", icon=":material/play_arrow:"):
            open_dataset(SAMPLE_NAME, settings)
            for choice in (Choice.IMAGE, Choice.CLASS_FILTER, Choice.STRIP_PAGE):
                choose(choice, "")
            choose(Choice.DATASET, SAMPLE_NAME)
            st.switch_page(COMPARE.file)
        if st.button("Bring your own images", icon=UPLOAD.icon):
            st.switch_page(UPLOAD.file)


def page_links() -> None:
    """Four cards in the order in which one walks through them."""
    for number, (column, door) in enumerate(zip(st.columns(4), DOORS, strict=True), start=1):
        there, question, more = door
        with column.container(border=True, height="stretch", key=f"door-{number}"):
            st.html(f'<div class="door"><i>{number}</i><b>{there.name}</b></div>')
            st.markdown(f"{question}  \n:gray[{more}]")
            st.page_link(there.file, label=f"Open {there.name}", icon=there.icon)
