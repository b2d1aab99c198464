"""Colours that mean something, the stylesheet, and one Plotly template for light and for dark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    import plotly.graph_objects as go

STYLESHEET = Path(__file__).with_name("style.css")
FONT = '"Source Sans", "Source Sans 3", "Source Sans Pro", sans-serif'


@dataclass(frozen=True)
class Colours:
    """The meaning of each colour, the same on every page."""

    pretrained: str  # the pretrained network
    head: str  # a head of one's own
    frozen: str  # frozen layers
    wrong: str  # mistakes
    danger: str  # buttons that delete for good
    text: str
    faint: str  # of secondary text
    line: str  # of grids and tracks
    ground: str  # of the page


# Okabe and Ito's blue and orange, which colour-blind people tell apart
LIGHT = Colours(
    *("#0072B2", "#D55E00", "#8A95A3", "#B4457F", "#B3261E"),
    *("#1B2733", "#5F6B7A", "#E4E9EE", "#FFFFFF"),
)
DARK = Colours(
    *("#56B4E9", "#E69F00", "#7C8896", "#E48DB8", "#FF8A80"),
    *("#E6EBF0", "#93A1B0", "#26313C", "#10161D"),
)
# The product's icon, a disc for each network; drawn here, so that it needs no network and no file.
ICON = f"""<svg viewBox="0 0 128 128" xmlns="http://www.w3.org/2000/svg">
<circle cx="44" cy="64" r="40" fill="{LIGHT.pretrained}"/>
<circle cx="84" cy="64" r="40" fill="{DARK.head}"/></svg>"""


def colours() -> Colours:
    """The colours of the theme that this person sees."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def template() -> go.layout.Template:
    """The look of every chart, for the theme that this person sees."""
    return build_template(colours())


@cache
def build_template(tone: Colours) -> go.layout.Template:
    """Build it once for each theme."""
    import plotly.graph_objects as go  # 0.3 s, which a page without charts need not take

    axis = {
        "gridcolor": tone.line,
        "linecolor": tone.line,
        "zeroline": False,
        "tickfont": {"color": tone.faint, "size": 13},
        "title": {"font": {"color": tone.faint, "size": 13}},
        "fixedrange": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "color": tone.text, "size": 14},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": [tone.pretrained, tone.head, tone.frozen],
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "hoverlabel": {
                "bgcolor": tone.ground,
                "bordercolor": tone.line,
                "font": {"family": FONT, "color": tone.text, "size": 14},
            },
            "showlegend": False,
            "dragmode": False,
        }
    )


def apply_style() -> None:
    """Put the stylesheet and this theme's colours on the page."""
    st.html(STYLESHEET)
    tones = "".join(f"--{name}:{tone};" for name, tone in asdict(colours()).items())
    st.html(f"<style>:root{{{tones}}}</style>")
