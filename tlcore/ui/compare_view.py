"""What the sides of the Compare page share: the heading in its colour, and the whole table."""

from __future__ import annotations

import html

import pandas as pd
import streamlit as st

from tlcore.models.answers import Prediction
from tlcore.models.groups import CLASSES, imagenet_groups
from tlcore.ui.words import count, label


def side_title(name: str, kind: str, more: str = "") -> None:
    """The heading of one side, with the dot in its colour; ``kind`` is "pretrained" or "head"."""
    small = f"<small>{html.escape(more)}</small>" if more else ""
    st.html(f'<div class="side {kind}"><span>{html.escape(name)} {small}</span></div>')


def table(answer: Prediction) -> None:
    """All classes of an answer, folded away, with a search of names, groups and WordNet ids."""
    rows = answer.ranking()
    with st.expander(f"All {len(rows):,} classes", icon=":material/table_rows:"):
        wanted = st.text_input(
            "Search",
            key="table-search",
            placeholder="a name, a group or a WordNet id: owl, birds, n01622779",
            label_visibility="collapsed",
        )
        groups = imagenet_groups() if len(rows) == CLASSES else ("",) * len(rows)
        found = pd.DataFrame(
            {
                "rank": [row.rank for row in rows],
                "class": [label(row.label) for row in rows],
                "group": [groups[row.index] for row in rows],
                "probability": [row.probability * 100 for row in rows],
                "logit": [row.logit for row in rows],
                "wnid": [row.wnid for row in rows],
            }
        )
        found = search(found, wanted)
        if len(found) < len(rows):
            st.caption(f"{count(len(found), 'class', 'classes')} of {len(rows):,}.")
        st.dataframe(found, hide_index=True, height=420, column_config=COLUMNS)


def search(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """Return the rows in which every word stands in the name, the group or the WordNet id."""
    said = (rows["class"] + " " + rows["group"] + " " + rows["wnid"]).str.lower()
    for word in wanted.lower().replace("_", " ").split():
        rows = rows[said.loc[rows.index].str.contains(word, regex=False)]
    return rows


COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", width=50),
    "class": st.column_config.TextColumn("Class", width=140),
    "group": st.column_config.TextColumn("Group"),
    "probability": st.column_config.NumberColumn("Probability", format="%.4f%%", width=95),
    "logit": st.column_config.NumberColumn(
        "Logit",
        format="%.3f",
        help="The number before softmax turns 1000 of them into shares of 100%.",
    ),
    "wnid": st.column_config.TextColumn("WordNet id"),
}
