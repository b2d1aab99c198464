"""What ImageNet's network sees in an image, beside a head trained on the person's own classes."""

import streamlit as st

from tlcore.ui.compare.view import one_image
from tlcore.ui.shell import COMPARE, FEATURE_MAPS, FINE_TUNE, next_steps, page
from tlcore.ui.state import Choice
from tlcore.ui.widgets import segments

VIEWS = {
    "one": ":material/image: One image",
    "many": ":material/photo_library: Many images",
}

with page(COMPARE) as settings:
    place = st.container()
    view = segments("Images", list(VIEWS), Choice.COMPARE_VIEW, words=VIEWS.__getitem__)
    if view == "one":
        one_image(place, settings)
    else:
        from tlcore.ui.compare.batch import many_images  # pandas takes 0.3 s

        many_images(place, settings)
    next_steps(FEATURE_MAPS, FINE_TUNE)
