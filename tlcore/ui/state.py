"""What a person has chosen, kept for the session and readable in the page's address.

A choice is a text; "" stands for none. Widgets show a choice and change it; they are never its
home, so that it outlives the page on which the widget stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import streamlit as st

from tlcore.text import whole_number


class Choice(StrEnum):
    """What can be chosen."""

    SET = "set"  # a dataset's name
    IMAGE = "image"  # an image's sha256
    LABEL = "label"  # the class to which the strip of images is narrowed
    HEAD = "head"  # id of the run whose head answers
    WATCHED = "watched"  # id of the run that is looked at on the Fine-tune page
    REVIEW = "review"  # which view of a run that has ended
    BACKBONE = "backbone"
    SIZE = "size"  # of the network's input, pixels
    FIT = "fit"  # geometry
    NETWORK = "network"  # "pretrained" or "head": whose feature maps
    LAYER = "layer"
    CHANNEL = "channel"  # of that layer, from 1
    ORDER = "order"  # of the channels
    SCALE = "scale"  # of a page of maps
    PALETTE = "palette"
    ROWS = "rows"  # tiles of a page of maps, down …
    COLUMNS = "columns"  # … and across
    PAGE = "page"  # which page of maps, from 1
    MORE = "more"  # what is shown below the maps
    OTHER = "other"  # sha256 of the image beside the first
    TOP = "top"  # bars shown
    VIEW = "view"  # of the Compare page: answers, why, or many images
    SECOND = "second"  # a second backbone beside the first
    ALSO = "also"  # ids of further runs beside the first, with commas
    CLASS = "class"  # index of the ImageNet class that is explained; "best" for the first
    OWN_CLASS = "own_class"  # the same of a head of one's own
    POOLING = "pooling"  # shown on the path of shapes
    PATH = "path"  # whose path of shapes: "pretrained" or "head"
    TEACHING = "teaching"  # id of the run that was started on the Compare page
    ASPECT = "aspect"  # what of a dataset is looked at on the Upload page
    WAY = "way"  # in which images are brought
    STRIP = "strip"  # page of the strip of thumbnails, from 0


STEPS = (Choice.WATCHED, Choice.REVIEW)  # where the browser's way back leads back from
# Not written down: each name that is added to the address is a step back for the browser.
UNSAID: Mapping[Choice, str] = MappingProxyType({Choice.REVIEW: "curves"})
Address = Mapping[str, Choice]  # name in the address → choice


def chosen(choice: Choice) -> str:
    return str(st.session_state.get(_slot(choice), ""))


def choose(choice: Choice, value: str | int) -> None:
    st.session_state[_slot(choice)] = str(value)


def chosen_number(choice: Choice, default: int) -> int:
    """Return a choice as a whole number; the default where it is none."""
    number = whole_number(chosen(choice))
    return default if number is None else number


def read_address(address: Address) -> None:
    """Take over what the address says, unless it is what this session wrote there itself.

    Where a step has gone from this page's address, the browser went back.
    """
    asked = {name: st.query_params[name] for name in address if name in st.query_params}
    written = st.session_state.get("_address", {})
    if st.session_state.get("_address_of") == tuple(address):
        for name in written:
            if name not in asked and address[name] in STEPS:
                choose(address[name], "")
    if asked and asked != written:
        st.session_state["_address"] = asked
        for name, value in asked.items():
            choose(address[name], value)


def write_address(address: Address) -> None:
    """Make the address say what is chosen, so that it can be kept or sent to somebody."""
    said = {
        name: value
        for name, choice in address.items()
        if (value := chosen(choice)) and value != UNSAID.get(choice)
    }
    st.session_state["_address"], st.session_state["_address_of"] = said, tuple(address)
    if {name: st.query_params[name] for name in address if name in st.query_params} != said:
        for name in address:
            if name in said:
                st.query_params[name] = said[name]
            elif name in st.query_params:
                del st.query_params[name]


def generation(what: str) -> int:
    """A number to put into a widget's key; ``renew`` makes a fresh widget of it."""
    return int(st.session_state.get(f"_generation_{what}", 0))


def renew(what: str) -> None:
    st.session_state[f"_generation_{what}"] = generation(what) + 1


def flag(what: str) -> bool:
    return bool(st.session_state.get(f"_flag_{what}", False))


def set_flag(what: str, value: bool = True) -> None:
    st.session_state[f"_flag_{what}"] = value


def _slot(choice: Choice) -> str:
    return f"_chosen_{choice}"
