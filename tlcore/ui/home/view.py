"""Home: what transfer learning is, the four pages, weights, recent runs."""

from __future__ import annotations

import gc
from functools import cache
from threading import Timer

import streamlit as st

from tlcore.datasets.sample_dataset import SAMPLE_NAME
from tlcore.settings import Settings
from tlcore.ui.components.dataset_picker import open_dataset
from tlcore.ui.components.recent_runs import recent_runs
from tlcore.ui.components.weights import weights_overview
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, FINE_TUNE, HOME, HOME_FIRST, UPLOAD, page
from tlcore.ui.state import ADDING, Choice, choose, set_flag
from tlcore.ui.theme import LIGHT, build_template
from tlcore.ui.widgets import show_html

CARDS = (
    (UPLOAD, "Files, folders, archives or a video become a dataset."),
    (FINE_TUNE, "Train a head on your classes."),
    (COMPARE, "ImageNet's 1000 classes beside your own."),
    (FEATURE_MAPS, "What any layer responds to in an image."),
)
DIAGRAM = """
<div class="diagram">
  <div class="box">Your image</div>
  <span class="arrow">→</span>
  <div class="box backbone">Backbone, pretrained on ImageNet
    <small>turns pixels into features; its weights stay frozen</small></div>
  <span class="arrow">→</span>
  <div>
    <div class="box pretrained">ImageNet's head<small>1000 classes</small></div>
    <div class="box head">Your head<small>your classes, trained here</small></div>
  </div>
</div>
"""


def first_steps(settings: Settings) -> None:
    """Show what transfer learning is, and lead to the sample or to one's own images."""
    show_html(DIAGRAM)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Try the sample", type="primary", icon=":material/play_arrow:", key="sample"):
            open_dataset(SAMPLE_NAME, settings)
            for choice in (Choice.IMAGE, Choice.CLASS_FILTER, Choice.STRIP_PAGE):
                choose(choice, "")
            choose(Choice.DATASET, SAMPLE_NAME)
            st.switch_page(COMPARE.file)
        if st.button("Upload your images", icon=UPLOAD.icon, key="upload"):
            set_flag(ADDING)
            st.switch_page(UPLOAD.file)


def page_cards() -> None:
    """Show a card for each page, in the order in which they are used."""
    for number, (column, (target, text)) in enumerate(zip(st.columns(4), CARDS, strict=True), 1):
        with column.container(border=True, height="stretch", key=f"card-{number}"):
            st.page_link(target.file, label=f"**{target.name}**", icon=target.icon)
            st.markdown(f"{target.question}  \n:gray[{text}]")


@cache
def prepare_pages() -> None:
    """Import what the next pages and their charts need, once, while the visitor reads Home."""
    Timer(HOME_FIRST, _import_pages).start()


def _import_pages() -> None:
    import plotly.graph_objects as go

    from tlcore.ui.compare import view  # noqa: F401
    from tlcore.ui.feature_maps import view as maps_view  # noqa: F401

    go.Figure([go.Bar(x=[0.0]), go.Scatter(x=[0.0])]).update_layout(template=build_template(LIGHT))
    gc.collect()
    gc.freeze()  # a later collection passes over all these modules, which would take 70 ms


def draw_home() -> None:
    """Draw the page."""
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
    prepare_pages()
