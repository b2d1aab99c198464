"""What all pages share: title, navigation, settings, and the one place that shows an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import streamlit as st

from tlcore.errors import BadConfig, StorageError, TLCoreError
from tlcore.migration import migrate
from tlcore.settings import Settings
from tlcore.storage import explain_os_error
from tlcore.ui.format import escape_md
from tlcore.ui.services import inference
from tlcore.ui.state import LOADED, Address, Choice, read_address, write_address
from tlcore.ui.theme import apply_style, icon
from tlcore.ui.widgets import show_html

_log = logging.getLogger(__name__)
PRODUCT = "Transfer Learning Lab"


@dataclass(frozen=True)
class Page:
    """One page of the dashboard."""

    file: str  # as Streamlit names it, relative to app.py
    name: str  # in the navigation
    title: str
    question: str  # the one that the page answers, in plain words
    icon: str
    address: Address = field(default_factory=dict)


_IMAGE = {"dataset": Choice.DATASET, "image": Choice.IMAGE, "backbone": Choice.BACKBONE}
HOME = Page(
    "app.py",
    "Home",
    PRODUCT,
    "See what a pretrained network recognises in your images, and train it on your own classes.",
    ":material/home:",
)
UPLOAD = Page(
    "pages/1_Upload.py",
    "Upload",
    "Upload",
    "Which images do you bring?",
    ":material/add_photo_alternate:",
    {"dataset": Choice.DATASET, "view": Choice.DATASET_VIEW},
)
COMPARE = Page(
    "pages/2_Compare.py",
    "Compare",
    "Compare",
    "What does ImageNet's network see, and what does yours?",
    ":material/compare:",
    {
        **_IMAGE,
        "run": Choice.HEAD,
        "size": Choice.SIZE,
        "fit": Choice.FIT,
        "top": Choice.TOP_CLASSES,
        "view": Choice.COMPARE_VIEW,
        "class": Choice.CLASS,
        "head_class": Choice.HEAD_CLASS,
        "second": Choice.SECOND_BACKBONE,
        "heads": Choice.MORE_HEADS,
    },
)
FEATURE_MAPS = Page(
    "pages/3_Feature_maps.py",
    "Feature maps",
    "Feature maps",
    "What does the network see in this layer?",
    ":material/grid_view:",
    {
        **_IMAGE,
        "run": Choice.HEAD,
        "network": Choice.NETWORK,
        "size": Choice.SIZE,
        "fit": Choice.FIT,
        "layer": Choice.LAYER,
        "page": Choice.PAGE,
        "channel": Choice.CHANNEL,
        "order": Choice.ORDER,
        "scale": Choice.SCALE,
        "colours": Choice.PALETTE,
        "rows": Choice.ROWS,
        "columns": Choice.COLUMNS,
        "more": Choice.MAPS_VIEW,
        "other": Choice.OTHER_IMAGE,
    },
)
FINE_TUNE = Page(
    "pages/4_Fine_tune.py",
    "Fine-tune",
    "Fine-tune",
    "How do you teach it?",
    ":material/school:",
    {"run": Choice.RUN, "view": Choice.RUN_VIEW},
)
PAGES: Mapping[str, Page] = MappingProxyType(
    {page.name: page for page in (HOME, UPLOAD, COMPARE, FEATURE_MAPS, FINE_TUNE)}
)


QUESTION = "_question"  # place under the title


@contextmanager
def page(this: Page) -> Iterator[Settings]:
    """Draw a page's frame, yield the settings, and show errors that are raised inside."""
    st.set_page_config(
        page_title=PRODUCT if this is HOME else f"{this.name} · {PRODUCT}",
        page_icon=icon(),
        layout="wide",
    )
    apply_style()
    _navigation()
    st.title(this.title, anchor=False)
    st.session_state[QUESTION] = st.empty()
    show_question(this.question)
    settings = _settings()
    with boundary():
        migrate(settings)
        read_address(this.address)
        inference(settings).warm_up()
        yield settings
        write_address(this.address)
        st.session_state[LOADED] = True


def show_question(question: str) -> None:
    """Show the question that the page answers, in the place of the one before."""
    with st.session_state[QUESTION].container():
        show_html('<p class="question">{question}</p>', question=question)


@contextmanager
def boundary() -> Iterator[None]:
    """Show an error of the core, or of the disk, as its message; a fragment opens its own."""
    try:
        yield
    except TLCoreError as error:
        show_error(error)
    except OSError as error:
        _log.warning("A page met an error of the system.", exc_info=error)
        show_error(StorageError(explain_os_error(error)))


def show_error(error: TLCoreError) -> None:
    """Show an error in words."""
    st.error(escape_md(str(error)), icon=":material/error:")


def next_steps(*pages: Page) -> None:
    """Link the pages that come next."""
    st.space("small")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Next steps", width="content")
        for there in pages:
            st.page_link(there.file, label=there.name, icon=there.icon)


def _settings() -> Settings:
    try:
        return Settings.from_environment()
    except BadConfig as error:  # no page can do anything without them
        show_error(error)
        st.stop()


def _navigation() -> None:
    with st.sidebar:
        show_html('<p class="product">{product}</p>', product=PRODUCT)
        for there in PAGES.values():
            st.page_link(there.file, label=there.name, icon=there.icon, width="stretch")
