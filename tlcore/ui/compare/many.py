"""Many pictures: both sides' answers to a class, a part or a whole data set."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.models.answers import NetworkRef
from tlcore.percentages import percent
from tlcore.settings import Settings
from tlcore.text import csv_cell
from tlcore.training.parts import Parts, parts_of
from tlcore.training.run import RunInfo
from tlcore.training.run_label import run_labels
from tlcore.training.store import list_runs, load_run
from tlcore.ui.compare.job import Job, current_job, start_job, work_on
from tlcore.ui.compare.many_heat import heat_map_view
from tlcore.ui.compare.many_table import (
    Head,
    Score,
    baseline_of,
    further_score,
    scores,
    table_of,
)
from tlcore.ui.compare.sides import Sides
from tlcore.ui.selecting import distinct
from tlcore.ui.sets import set_title, tiles
from tlcore.ui.state import Choice, choose
from tlcore.ui.words import accuracy, count, duration, label, plain

ALL, TRAIN, VAL = "/all", "/train", "/val"  # no class is called so
WORDS = {ALL: "all of it", TRAIN: "its training part", VAL: "its validation part"}
FACES = 12  # pictures on which the sides disagree most, shown
ROWS_KEY = "many-table"


def many_view(dataset: Dataset, sides: Sides, settings: Settings) -> None:
    """Choose what to answer, answer it, and show what came of it."""
    if not sides.networks:
        return
    run = sides.runs[0] if sides.runs else None
    parts = parts_of(dataset, run) if len(dataset.classes) > 1 else {}
    samples, what = _which(dataset, parts)
    refs: list[NetworkRef] = [sides.networks[0], *(info.ref for info in sides.runs)]
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
    heads = [_head(info, dataset, settings) for info in sides.runs]
    _results(job, heads, parts, dataset, settings)


def _head(info: RunInfo, dataset: Dataset, settings: Settings) -> Head:
    own = parts_of(dataset, info) if info.config.dataset == dataset.name else {}
    learned = frozenset(sha256 for sha256, part in own.items() if part == "train")
    return Head(
        run_labels(list_runs(settings))[info.id], load_run(info.id, settings).classes, learned
    )


def _which(dataset: Dataset, parts: Parts) -> tuple[list[Sample], str]:
    once = {sample.sha256: sample for sample in reversed(dataset.samples)}
    samples = sorted(once.values(), key=lambda sample: sample.file)
    of_part = {TRAIN: "train", VAL: "val"}
    options = [ALL, *(of_part if parts else ()), *dataset.classes]
    what = st.selectbox(
        f"Which pictures of “{set_title(dataset.name)}”",
        options,
        format_func=distinct(options, lambda name: WORDS.get(name) or label(name)),
        key=f"many-what-{dataset.name}",
    )
    if what == ALL:
        return samples, what
    if what in of_part:
        return [s for s in samples if parts.get(s.sha256) == of_part[what]], what
    return [sample for sample in samples if sample.label == what], what


def _results(
    job: Job, heads: list[Head], parts: Parts, dataset: Dataset, settings: Settings
) -> None:
    answered = job.answered
    if job.stopped:
        st.info(f"Stopped after {count(len(job.rows), 'picture')}.", icon=":material/stop:")
    for reason in job.refused[:5]:
        st.caption(f":material/warning: {plain(reason)}")
    if not answered:
        return
    baseline = baseline_of(answered, parts)
    frame = table_of(answered, heads, baseline, parts)
    st.caption(
        f"{count(len(answered), 'picture')} in {duration(job.seconds)}: "
        f"{duration(job.seconds / len(job.rows))} each, "
        f"reading and {count(len(heads) + 1, 'network')}."
    )
    _figures(frame, baseline is not None)
    _further(frame, heads)
    _faces(frame, dataset, settings)
    heat_map_view(frame)
    _table(frame, dataset)


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


def _further(frame: pd.DataFrame, heads: list[Head]) -> None:
    """The other heads' accuracies, where there are several."""
    for number, head in enumerate(heads[1:], start=2):
        score = further_score(frame, number)
        if score.pictures:
            st.caption(f":orange[●] Head {number}, {plain(head.title)}: {_doubt(score)}")


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


def _table(frame: pd.DataFrame, dataset: Dataset) -> None:
    name = dataset.name
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Every picture**")
        csv = frame.map(csv_cell).to_csv(index=False).encode()
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
    further = [name for name in map(str, frame) if name.startswith("head ")]
    further = [name for name in further if "learned" not in name]
    st.caption("Choose a row, and its picture is shown above.")

    def open_picture() -> None:
        for place in st.session_state[ROWS_KEY].selection.rows:
            choose(Choice.IMAGE, by_file[frame["file"].iloc[place]])

    by_file = {sample.file: sample.sha256 for sample in dataset.samples}
    st.dataframe(
        frame,
        key=ROWS_KEY,
        on_select=open_picture,
        selection_mode="single-row",
        hide_index=True,
        height=420,
        column_order=[*(column for column in order if column in frame), *further],
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
