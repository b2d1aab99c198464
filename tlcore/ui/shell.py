"""What all pages share: title, navigation, settings, and the one place that shows an error."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Timer
from typing import Any

import streamlit as st

from tlcore.errors import BadConfig, StorageError, TLCoreError
from tlcore.migration import migrate
from tlcore.settings import Settings
from tlcore.storage import explain_os_error
from tlcore.ui.format import escape_md
from tlcore.ui.services import inference
from tlcore.ui.state import LOADED, Address, Choice, read_address, write_address
from tlcore.ui.theme import ICON, apply_style
from tlcore.ui.widgets import show_html

_log = logging.getLogger(__name__)
PRODUCT = "Transfer Learning Lab"
HOME_FIRST = 1.0  # s that a browser has for drawing Home before the inference process starts
QUESTION = "_question"  # key of the session: the place under the title
_TOP = "_open-at-top"  # key of the session: whether the next run scrolls up
_SCROLL_UP = "<script>document.querySelector('[data-testid=stMain]').scrollTo(0, 0)</script>"
_PAGE = "_page"  # key of the session: the page drawn last
# On a phone the sidebar lies over the page. Streamlit closes it after its own links, not ours.
_CLOSE_SIDEBAR = """<script>
if (innerWidth < 768)
    document.querySelector('[data-testid=stSidebar] button[aria-expanded=true]')?.click()
</script>"""


@dataclass(frozen=True)
class Page:
    """One page of the dashboard."""

    file: str  # as Streamlit names it, relative to app.py
    name: str  # in the navigation
    icon: str
    question: str  # the one that the page answers, in plain words
    address: Address = field(default_factory=dict)


def _same_named(names: str) -> dict[str, Choice]:
    """Return the part of an address whose parameters have the names of their choices."""
    return {name: Choice(name) for name in names.split()}


HOME = Page(
    "app.py",
    "Home",
    ":material/home:",
    "See what a pretrained network recognises in your images, and train it on your own classes.",
)
UPLOAD = Page(
    "pages/1_Upload.py",
    "Upload",
    ":material/add_photo_alternate:",
    "Which images do you bring?",
    {"dataset": Choice.DATASET, "view": Choice.DATASET_VIEW},
)
COMPARE = Page(
    "pages/2_Compare.py",
    "Compare",
    ":material/compare:",
    "What does ImageNet's network see, and what does yours?",
    _same_named("dataset image backbone size fit random class head_class")
    | {"run": Choice.HEAD, "top": Choice.TOP_CLASSES, "view": Choice.COMPARE_VIEW}
    | {"second": Choice.SECOND_BACKBONE, "heads": Choice.MORE_HEADS},
)
FEATURE_MAPS = Page(
    "pages/3_Feature_maps.py",
    "Feature maps",
    ":material/grid_view:",
    "What does the network see in this layer?",
    _same_named("dataset image backbone size fit random network layer page channel order")
    | _same_named("scale rows columns")
    | {"run": Choice.HEAD, "colours": Choice.PALETTE}
    | {"more": Choice.MAPS_VIEW, "other": Choice.OTHER_IMAGE},
)
FINE_TUNE = Page(
    "pages/4_Fine_tune.py",
    "Fine-tune",
    ":material/school:",
    "How do you teach it?",
    _same_named("run dataset backbone random") | {"view": Choice.RUN_VIEW},
)
PAGES = (HOME, UPLOAD, FINE_TUNE, COMPARE, FEATURE_MAPS)  # in the order of the work


@contextmanager
def page(this: Page) -> Iterator[Settings]:
    """Draw a page's frame, yield the settings, and show errors that are raised inside."""
    st.set_page_config(
        page_title=PRODUCT if this is HOME else f"{this.name} · {PRODUCT}",
        page_icon=ICON,
        layout="wide",
    )
    apply_style()
    with st.sidebar:
        show_html('<p class="product">{product}</p>', product=PRODUCT)
        for there in PAGES:
            st.page_link(there.file, label=there.name, icon=there.icon, width="stretch")
    st.title(PRODUCT if this is HOME else this.name, anchor=False)
    st.session_state[QUESTION] = st.empty()
    show_question(this.question)
    settings = _settings()
    with boundary():
        migrate(settings)
        if st.session_state.pop(_TOP, False):
            st.html(_SCROLL_UP, unsafe_allow_javascript=True)
        if st.session_state.get(_PAGE, this.name) != this.name:
            script = f"{_CLOSE_SIDEBAR}<!-- {this.name} -->"  # only a new text is run
            st.html(script, unsafe_allow_javascript=True)
        st.session_state[_PAGE] = this.name
        read_address(this.address)
        if this is not HOME:
            inference(settings).warm_up()
        yield settings
        write_address(this.address)
        if this is HOME:  # it asks nothing of the process, whose start would delay its drawing
            Timer(HOME_FIRST, inference(settings).warm_up).start()
        st.session_state[LOADED] = True


def open_at_top() -> None:
    """Let the next run of the page begin at its top: what was asked for stands there."""
    st.session_state[_TOP] = True


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


def act_button(words: str, act: Callable[[], object], **options: Any) -> None:
    """Draw a button that acts before the page is drawn again; an error is shown in words."""

    def act_within() -> None:
        with boundary():
            act()

    st.button(words, on_click=act_within, **options)


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
