"""What a person has chosen: kept for the session, and written to the page's address.

A choice is a text; "" stands for none. Widgets show a choice and change it. The choice outlives the
page on which the widget stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

import streamlit as st

from tlcore.text import parse_whole_number


class Choice(StrEnum):
    """What can be chosen."""

    DATASET = "dataset"  # its name
    IMAGE = "image"  # its sha256
    CLASS_FILTER = "class_filter"  # the class to which the strip of images is narrowed
    HEAD = "head"  # id of the run whose head answers
    RUN = "run"  # id of the run that the Fine-tune page shows
    RUN_VIEW = "run_view"  # view of a run that has ended
    BACKBONE = "backbone"
    SIZE = "size"  # of the model's input, pixels
    FIT = "fit"  # geometry
    NETWORK = "network"  # "pretrained" or "head": whose feature maps
    LAYER = "layer"
    CHANNEL = "channel"  # of that layer, from 1
    ORDER = "order"  # of the channels
    SCALE = "scale"  # of a page of maps
    PALETTE = "palette"
    ROWS = "rows"  # tiles of a page of maps, down …
    COLUMNS = "columns"  # … and across
    PAGE = "page"  # of the maps, from 1
    MAPS_VIEW = "maps_view"  # what is shown below the maps
    OTHER_IMAGE = "other_image"  # sha256 of the image beside the first
    TOP_CLASSES = "top_classes"  # bars shown
    COMPARE_VIEW = "compare_view"  # answers, why, or many images
    SECOND_BACKBONE = "second_backbone"  # beside the first
    MORE_HEADS = "more_heads"  # ids of further runs beside the first, with commas
    CLASS = "class"  # index of the ImageNet class that is explained; "best" for the first
    HEAD_CLASS = "head_class"  # the same for the head
    POOLING = "pooling"  # shown on the path of shapes
    SHAPES_OF = "shapes_of"  # whose path of shapes: "pretrained" or "head"
    QUICK_RUN = "quick_run"  # id of the run that was started on the Compare page
    DATASET_VIEW = "dataset_view"  # view of a dataset on the Upload page
    IMPORT_SOURCE = "import_source"  # files, folder, camera, or a folder on the server
    RANDOM = "random"  # backbones that a person uses on random weights, with commas
    STRIP_PAGE = "strip_page"  # page of the strip of thumbnails, from 0


# Back returns from these to the page without them; from everything else it leaves the page.
STEPS = (Choice.RUN,)
Address = Mapping[str, Choice]  # parameter of the address → choice

# Key of the session: whether its first page has been drawn. Before that the script below may not
# run yet, so that nothing is written.
LOADED = "_loaded"
ADDING = "adding images"  # flag: Upload shows its form beside the datasets

# Streamlit adds a history entry for every change of the address (bind="query-params" does too
# where a value is set by the program). Only a step deserves one; other changes replace the entry.
_REPLACE = """<script>
window.tlcoreSteps = STEPS;
if (!window.tlcorePush) {
  window.tlcorePush = history.pushState.bind(history);
  history.pushState = (state, title, url) => {
    const to = new URL(url, location.href), from = new URL(location.href);
    const stays = to.pathname === from.pathname && window.tlcoreSteps.every(
      (name) => to.searchParams.get(name) === from.searchParams.get(name));
    if (stays) history.replaceState(state, title, url);
    else window.tlcorePush(state, title, url);
  };
}
</script>"""


def chosen(choice: Choice) -> str:
    """Return what is chosen, "" for nothing."""
    return str(st.session_state.get(f"_chosen_{choice}", ""))


def choose(choice: Choice, value: str | int) -> None:
    """Set a choice; "" clears it."""
    st.session_state[f"_chosen_{choice}"] = str(value)


def chosen_number(choice: Choice, default: int) -> int:
    """Return a choice as a whole number, the default where it is none."""
    number = parse_whole_number(chosen(choice))
    return default if number is None else number


def read_address(address: Address) -> None:
    """Take over the address, unless this session wrote it itself.

    Where a step has gone from this page's address, the browser went back.
    """
    steps = [name for name, choice in address.items() if choice in STEPS]
    st.html(_REPLACE.replace("STEPS", json.dumps(steps), 1), unsafe_allow_javascript=True)
    received = {name: st.query_params[name] for name in address if name in st.query_params}
    written = st.session_state.get("_address", {})
    if st.session_state.get("_address_of") == tuple(address):
        for name in steps:
            if name in written and name not in received:
                choose(address[name], "")
    if received and received != written:
        st.session_state["_address"] = received
        for name, value in received.items():
            choose(address[name], value)


def write_address(address: Address) -> None:
    """Write what is chosen to the address in one update, so that it can be sent to somebody."""
    values = {name: value for name, choice in address.items() if (value := chosen(choice))}
    st.session_state["_address_of"] = tuple(address)
    if st.session_state.get(LOADED):  # else the address stays as it was read
        st.session_state["_address"] = values
        st.query_params.from_dict(values)  # without what Back has left of another page


def widget_generation(what: str) -> int:
    """Return a number for a widget's key; ``reset_widget`` makes a fresh widget of it."""
    return int(st.session_state.get(f"_generation_{what}", 0))


def reset_widget(what: str) -> None:
    """Let a widget whose key holds ``generation(what)`` start empty."""
    st.session_state[f"_generation_{what}"] = widget_generation(what) + 1


def flag(what: str) -> bool:
    """Return whether a flag of this session is set."""
    return bool(st.session_state.get(f"_flag_{what}", False))


def uses_random(backbone: str) -> bool:
    """Whether the person goes on with random weights where a backbone's are missing."""
    return backbone in chosen(Choice.RANDOM).split(",")


def use_random(backbone: str, value: bool = True) -> None:
    """Go on with random weights of a backbone, or not any more; the address says so."""
    others = [name for name in chosen(Choice.RANDOM).split(",") if name not in ("", backbone)]
    choose(Choice.RANDOM, ",".join([*others, backbone] if value else others))


def set_flag(what: str, value: bool = True) -> None:
    """Set or clear a flag of this session."""
    st.session_state[f"_flag_{what}"] = value


def take_flag(what: str) -> bool:
    """Return whether a flag is set, and clear it."""
    return bool(st.session_state.pop(f"_flag_{what}", False))
