"""What one layer of a network sees in one picture: its feature maps as a page of grey tiles."""

import streamlit as st

from tlcore.ui.maps_view import draw_maps, layer_picker, network_picker
from tlcore.ui.networks import view_of
from tlcore.ui.pictures import picture_picker
from tlcore.ui.seen import network_view
from tlcore.ui.shell import COMPARE, MAPS, TUNE, next_steps, page

with page(MAPS) as settings:
    sample = picture_picker(settings)
    if ref := network_picker(settings):
        layer = layer_picker(ref, settings)
        picture, maps = st.columns([1, 4], gap="medium")
        with picture:
            size, fit = view_of(ref, settings)
            st.image(network_view(sample, size, fit, settings), width=240, alt=sample.file)
            st.caption(f"What the network gets: {size} × {size} pixels.")
        with maps:
            draw_maps(sample, ref, layer, settings)
    next_steps(COMPARE, TUNE)
