"""One image, two minds: ImageNet's 1000 classes beside the classes of a head of one's own."""

import streamlit as st

from tlcore.ui.compare_view import head_side, imagenet_side, side_title, table
from tlcore.ui.networks import backbone_select, pretrained, view_options
from tlcore.ui.pictures import picture_picker
from tlcore.ui.seen import show_seen
from tlcore.ui.shell import COMPARE, MAPS, TUNE, boundary, next_steps, page
from tlcore.ui.theme import colours

with page(COMPARE) as settings:
    sample = picture_picker(settings)
    picture, left, right = st.columns([4, 5, 5], gap="medium")

    answer = None
    with left, boundary():
        side_title("ImageNet's network", "pretrained", "1000 classes")
        backbone = backbone_select(settings)
        with picture:
            shown = st.container()
            size, fit = view_options(backbone, top=True, bars=True)
        with shown:
            show_seen(sample, size, fit, settings, colours().pretrained)
        if ref := pretrained(backbone, size, fit, settings):
            answer = imagenet_side(sample, ref, settings)
    with right, boundary():
        side_title("Your own head", "head")
        head_side(sample, settings)

    if answer:
        table(answer)
    next_steps(MAPS, TUNE)
