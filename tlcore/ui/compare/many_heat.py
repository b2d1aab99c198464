"""What ImageNet says against the labels, or against a head, as a heat map of counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.evaluation.batch_table import together
from tlcore.ui.plots import PLAIN_CHART
from tlcore.ui.selecting import distinct
from tlcore.ui.theme import Colours, colours, template
from tlcore.ui.words import label

CELL = 30  # px of a row


def heat_map_view(frame: pd.DataFrame) -> None:
    against = "head" if "head" in frame else "label"
    whose = "your head's answer" if against == "head" else "the label"
    st.markdown(f"**What ImageNet says, against {whose}**")
    rows_of = {"imagenet": "Classes", "group": "Groups"}
    what = st.segmented_control(
        "Rows",
        list(rows_of),
        default="imagenet",
        format_func=distinct(rows_of, rows_of.__getitem__),
        label_visibility="collapsed",
        required=True,
        key="many-rows",
    )
    rows, columns, counts = together(frame, what, against)
    figure = heat_map(rows, columns, counts, colours(), template())
    st.plotly_chart(figure, theme=None, key="many-heat", config=PLAIN_CHART, alt="Heat map")


def heat_map(
    rows: list[str],
    columns: list[str],
    counts: np.ndarray,
    tone: Colours,
    look: go.layout.Template,
) -> go.Figure:
    """Counts as cells from the ground's colour to the pretrained network's, the number in each."""
    figure = go.Figure(layout={"template": look})
    figure.add_heatmap(
        z=counts,
        x=[label(name) for name in columns],
        y=rows,
        text=[[str(number) if number else "" for number in row] for row in counts],
        texttemplate="%{text}",
        colorscale=[[0, tone.line], [1, tone.pretrained]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{y} and %{x}: %{z}<extra></extra>",
    )
    figure.update_yaxes(autorange="reversed", automargin=True, showgrid=False)
    figure.update_xaxes(side="top", automargin=True, showgrid=False)
    figure.update_layout(height=CELL * len(rows) + 60)
    return figure
