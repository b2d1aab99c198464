"""What can be asked beyond the maps themselves; nothing of it is computed before it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tlcore.images.dataset import Sample
from tlcore.networks.answers import Layer
from tlcore.networks.grid import Layout
from tlcore.networks.maps.values import Look, Place, View
from tlcore.settings import Settings
from tlcore.ui.maps.answers import filters, look_of, numbers
from tlcore.ui.maps.charts import MEASURES, over_depth
from tlcore.ui.maps.depth import layer_table
from tlcore.ui.maps.one_channel import one_channel
from tlcore.ui.maps.pairs import before_and_after, other_picture, two_images
from tlcore.ui.maps.tiles import tiles_html
from tlcore.ui.selecting import segments
from tlcore.ui.state import Choice, chosen_number
from tlcore.ui.theme import colours, template
from tlcore.ui.words import label, share, signed

MORE = {
    "none": "Just the maps",
    "channel": "One channel",
    "layers": "All layers",
    "numbers": "In numbers",
    "filters": "Filters",
    "before": "Before and after",
    "images": "Two images",
}
KERNELS = Layout(4, 16)


def more(
    sample: Sample,
    look: Look,
    places: Sequence[Place],
    layer: Layer,
    view: View,
    settings: Settings,
) -> None:
    """Show what has been asked for."""
    st.space("small")
    asked = segments("More", list(MORE), Choice.MORE, words=MORE.__getitem__)
    if asked == "channel":
        one_channel(sample, look, layer, settings)
    elif asked == "layers":
        layer_table(places, layer.name)
    elif asked == "numbers":
        _numbers(sample, look, layer, settings)
    elif asked == "filters":
        _filters(look, layer, view, settings)
    elif asked == "before":
        before_and_after(sample, look, layer, view, settings)
    elif asked == "images":
        two_images(sample, look, layer, view, settings)


def _numbers(sample: Sample, look: Look, layer: Layer, settings: Settings) -> None:
    """The layer in numbers, over the depth of the network, beside another picture."""
    mine = numbers(look, settings)
    tone = colours()
    lines = [(label(sample.label), mine, tone.pretrained)]
    other = other_picture(sample, settings)
    if other is not None:
        theirs = numbers(look_of(other, look.ref), settings)
        lines.insert(0, (f"{label(other.label)} (other)", theirs, tone.frozen))  # below
    row = next((row for row in mine if row.name == layer.name), None)
    if row:
        st.markdown(
            f"This layer: **{share(row.zeros)}** zeros, **{share(row.dead)}** dead channels, "
            f"mean **{signed(row.mean)}**, spread **{signed(row.spread)}**."
        )
    for column, pair in zip(
        st.columns(2, gap="medium"), (("zeros", "dead"), ("mean", "spread")), strict=True
    ):
        with column:
            for measure in pair:
                st.caption(MEASURES[measure][0])
                st.plotly_chart(
                    over_depth(lines, measure, layer.name, tone, template()),
                    theme=None,
                    config={"displayModeBar": False},
                    key=f"depth-{measure}",
                )


def _filters(look: Look, layer: Layer, view: View, settings: Settings) -> None:
    wanted = View(KERNELS, palette="signed", page=0)
    of = max(0, chosen_number(Choice.CHANNEL, 1) - 1)
    found = filters(look.ref, layer.name, wanted, of, settings)
    height, width = found.shape[:2]
    if found.colour:
        words = (
            f"The kernels of {found.layer}, {height} × {width} pixels of colour each; grey is 0."
        )
    elif found.of is None:
        words = f"The kernels of {found.layer}, {height} × {width}, one a channel."
    else:
        words = (
            f"Kernel {found.of + 1} of {found.shape[3]} of {found.layer}: its {height} × {width} "
            f"weights for each of {found.shape[2]} channels it reads. Click a map to see another."
        )
    if found.layer != layer.name:
        words += " This layer has none itself; it is the convolution before it."
    st.html(tiles_html(found.tiles, name="filters", words=words))
    if len(found.tiles.channels) == KERNELS.tiles:
        words += f" The first {KERNELS.tiles} are shown."
    st.caption(words + ("" if found.colour else " Blue is below 0, orange above."))
