"""Many pictures: both sides' answers to a class, a part or a whole data set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tlcore.images.dataset import Dataset, Sample
from tlcore.networks.answers import NetworkRef, Trained
from tlcore.runs.parts import Parts, parts_of
from tlcore.runs.store import load_run
from tlcore.settings import Settings
from tlcore.ui.compare.job import Job, current_job, start_job, work_on
from tlcore.ui.compare.many_table import Score, baseline_of, scores, table_of, together
from tlcore.ui.compare.sides import Sides
from tlcore.ui.compare_view import PLAIN_CHART
from tlcore.ui.sets import set_title, tiles
from tlcore.ui.theme import Colours, colours, template
from tlcore.ui.words import accuracy, count, duration, label, percent, plain

ALL, TRAIN, VAL = "all of it", "its training part", "its validation part"
FACES = 12  # pictures on which the sides disagree most, shown
CELL = 30  # px of a row of the heat map


def many_view(dataset: Dataset, sides: Sides, settings: Settings) -> None:
    """Choose what to answer, answer it, and show what came of it."""
    if not sides.networks:
        return
    run = sides.runs[0] if sides.runs else None
    parts = parts_of(dataset, run) if len(dataset.classes) > 1 else {}
    samples, what = _which(dataset, parts)
    refs: list[NetworkRef] = [sides.networks[0], *([Trained(run.id)] if run else [])]
    key = (dataset.name, what, len(samples), *refs)
    job = current_job(key)
    if job is None or (job.stopped and not job.rows):
        words = f"Answer {count(len(samples), 'picture')}"
        if st.button(words, type="primary", icon=":material/play_arrow:", key="many-start"):
            start_job(key, samples, refs)
            st.rerun()
        return
    if not job.over:
        work_on(job, settings)
        return
    classes = load_run(run.id, settings).classes if run else ()
    _results(job, classes, parts, dataset, settings)


def _which(dataset: Dataset, parts: Parts) -> tuple[list[Sample], str]:
    once = {sample.sha256: sample for sample in reversed(dataset.samples)}
    samples = sorted(once.values(), key=lambda sample: sample.file)
    of_part = {TRAIN: "train", VAL: "val"}
    what = st.selectbox(
        f"Which pictures of “{set_title(dataset.name)}”",
        [ALL, *(of_part if parts else ()), *dataset.classes],
        format_func=lambda name: label(name) if name in dataset.classes else name,
        key=f"many-what-{dataset.name}",
    )
    if what == ALL:
        return samples, what
    if what in of_part:
        return [s for s in samples if parts.get(s.sha256) == of_part[what]], what
    return [sample for sample in samples if sample.label == what], what


def _results(
    job: Job, classes: tuple[str, ...], parts: Parts, dataset: Dataset, settings: Settings
) -> None:
    answered = job.answered
    if job.stopped:
        st.info(f"Stopped after {count(len(job.rows), 'picture')}.", icon=":material/stop:")
    for reason in job.refused[:5]:
        st.caption(f":material/warning: {plain(reason)}")
    if not answered:
        return
    baseline = baseline_of(answered, parts)
    frame = table_of(answered, classes, baseline, parts)
    st.caption(
        f"{count(len(answered), 'picture')} in {duration(job.seconds)}: "
        f"{duration(job.seconds / len(job.rows))} each, reading and both networks."
    )
    _figures(frame, baseline is not None)
    _faces(frame, dataset, settings)
    _heat_map(frame)
    _table(frame, dataset.name)


def _figures(frame: pd.DataFrame, counted: bool) -> None:
    """The baseline beside the head, each with its doubt, and how often they agree."""
    base, head = scores(frame)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        if counted and base.pictures:
            st.metric(
                ":blue[●] ImageNet alone, no head",
                percent(base.share),
                help="Each ImageNet class stands for the label it most often goes with in the "
                "training part (one never seen there, for the most frequent label); judged on the "
                "validation part.",
            )
            st.caption(_doubt(base))
        else:
            st.caption("Answer all of the data set to see how far ImageNet's classes alone come.")
    with middle:
        if head.pictures:
            st.metric(":orange[●] Your own head", percent(head.share))
            st.caption(_doubt(head))
    with right:
        if "agree" in frame and frame["agree"].notna().any():
            agree = frame["agree"].astype(bool)
            st.metric("They agree on", percent(float(agree.mean())))
            st.caption(f"of {count(len(agree), 'picture')}, ImageNet's class read as a label")


def _doubt(score: Score) -> str:
    return f"{accuracy(score.share, score.pictures)} of the validation part"


def _faces(frame: pd.DataFrame, dataset: Dataset, settings: Settings) -> None:
    """The pictures on which the two are surest and say different things."""
    if "disagreement" not in frame:
        return
    worst = frame[frame["disagreement"] > 0].head(FACES)
    if worst.empty:
        return
    by_file = {sample.file: sample for sample in dataset.samples}
    st.markdown("**Where they disagree most**")
    samples = [by_file[name] for name in worst["file"]]
    st.html(tiles("disagree", samples, settings, side=88, rows=2))


def _heat_map(frame: pd.DataFrame) -> None:
    against = "head" if "head" in frame else "label"
    whose = "your head's answer" if against == "head" else "the label"
    st.markdown(f"**What ImageNet says, against {whose}**")
    what = st.segmented_control(
        "Rows",
        ["imagenet", "group"],
        default="imagenet",
        format_func=lambda name: "Classes" if name == "imagenet" else "Groups",
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


def _table(frame: pd.DataFrame, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Every picture**")
        csv = frame.to_csv(index=False).encode()
        rows = frame.to_json(orient="records", indent=1).encode()
        icon = ":material/download:"
        st.download_button("CSV", csv, f"{name} answers.csv", "text/csv", icon=icon)
        st.download_button("JSON", rows, f"{name} answers.json", "application/json", icon=icon)
    shares = {
        column: st.column_config.ProgressColumn(title, format="percent", min_value=0, max_value=1)
        for column, title in (
            ("imagenet_probability", "ImageNet's share"),
            ("head_probability", "Head's share"),
            ("disagreement", "Disagreement"),
        )
    }
    order = ("file", "label", "imagenet", "imagenet_probability", "head", "head_probability",
             "head_right", "agree", "disagreement", "group", "part")  # fmt: skip
    st.dataframe(
        frame,
        hide_index=True,
        height=420,
        column_order=[column for column in order if column in frame],
        column_config={
            "file": "Picture",
            "label": "Label",
            "imagenet": "ImageNet says",
            "head": "Your head says",
            "head_right": "Right",
            "agree": "Agree",
            "group": "Group",
            "part": "Part",
            **shares,
        },
    )
