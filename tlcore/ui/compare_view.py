"""The two sides of the Compare page: ImageNet's answer and a custom head's, on one scale."""

from __future__ import annotations

import html

import pandas as pd
import streamlit as st

from tlcore.images.dataset import Sample
from tlcore.networks.answers import Prediction, Pretrained, Trained
from tlcore.runs.store import RunInfo, load_run
from tlcore.settings import Settings
from tlcore.ui.answers import predict
from tlcore.ui.networks import MOST, TOP, head_select
from tlcore.ui.plots import bars
from tlcore.ui.seen import fit_title
from tlcore.ui.sets import set_title
from tlcore.ui.shell import TUNE, UPLOAD
from tlcore.ui.state import Choice, chosen_number
from tlcore.ui.theme import colours, template
from tlcore.ui.words import accuracy, duration, label, plain, tight

PLAIN_CHART = {"displayModeBar": False, "scrollZoom": False}


def side_title(name: str, kind: str, more: str = "") -> None:
    """The heading of one side, with the dot in its colour; ``kind`` is "pretrained" or "head"."""
    small = f"<small>{html.escape(more)}</small>" if more else ""
    st.html(f'<div class="side {kind}"><span>{html.escape(name)} {small}</span></div>')


def imagenet_side(sample: Sample, ref: Pretrained, settings: Settings) -> Prediction:
    """Draw what the pretrained network sees, and return the whole answer."""
    answer = predict(sample, ref, settings)
    colour = colours().frozen if answer.source == "random" else colours().pretrained
    _bars("imagenet", answer, colour, "pretrained")
    return answer


def head_side(sample: Sample, settings: Settings) -> None:
    """Draw what a run's own head makes of the same picture, or how to get one."""
    info = head_select(settings)
    if info is None:
        _no_head_yet()
        return
    answer = predict(sample, Trained(info.id), settings)
    _bars("head", answer, colours().head, "head")
    st.caption(_trained_on(info, settings))


def table(answer: Prediction) -> None:
    """All classes of an answer, folded away; the table has its own search."""
    rows = answer.ranking()
    with st.expander(f"All {len(rows):,} classes", icon=":material/table_rows:"):
        st.caption("Search with the magnifying glass above the table; click a heading to sort.")
        st.dataframe(
            pd.DataFrame(
                {
                    "rank": [row.rank for row in rows],
                    "class": [label(row.label) for row in rows],
                    "probability": [row.probability * 100 for row in rows],
                    "logit": [row.logit for row in rows],
                    "wnid": [row.wnid for row in rows],
                }
            ),
            hide_index=True,
            height=420,
            column_config={
                "rank": st.column_config.NumberColumn("Rank", width=50),
                "class": st.column_config.TextColumn("Class", width=140),
                "probability": st.column_config.NumberColumn(
                    "Probability", format="%.4f%%", width=95
                ),
                "logit": st.column_config.NumberColumn(
                    "Logit",
                    format="%.3f",
                    help="The number before softmax turns 1000 of them into shares of 100%.",
                ),
                "wnid": st.column_config.TextColumn("WordNet id"),
            },
        )


def _bars(key: str, answer: Prediction, colour: str, whose: str) -> None:
    shown = min(chosen_number(Choice.TOP, TOP), MOST)
    figure = bars(answer.ranking(shown), colour, colours(), template())
    st.plotly_chart(
        figure, theme=None, key=f"bars-{key}", config=PLAIN_CHART, alt=_in_words(answer, whose)
    )
    times = answer.seconds
    st.caption(
        f"{tight(f'{answer.size} × {answer.size}')}, {fit_title(answer.fit).lower()} · "
        f"picture {tight(duration(times.prepare))}, network {tight(duration(times.network))}"
    )
    if answer.note:
        st.caption(f":material/info: {answer.note[:1].upper()}{answer.note[1:]}.")


def _in_words(answer: Prediction, whose: str) -> str:
    best = answer.ranking(1)[0]
    return f"Bars of the {whose} network; most probable: {label(best.label)}"


def _trained_on(info: RunInfo, settings: Settings) -> str:
    name = plain(set_title(info.config.dataset))
    if info.val_accuracy is None:
        return f"Learned from “{name}”."
    pictures = load_run(info.id, settings).pictures.get("val", 0)
    return f"Learned from “{name}”; right on {accuracy(info.val_accuracy, pictures)}."


def _no_head_yet() -> None:
    with st.container(border=True):
        st.markdown("**No head of your own yet.**")
        st.markdown(
            "Teach the network your classes: on the sample it takes about half a minute. "
            "Its answer then stands here, on the same scale."
        )
        st.page_link(TUNE.file, label="Fine-tune a head", icon=TUNE.icon)
        st.page_link(UPLOAD.file, label="Bring your own pictures first", icon=UPLOAD.icon)
