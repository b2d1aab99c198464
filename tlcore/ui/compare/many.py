"""Many pictures: both sides' answers to a class, a part or a whole data set."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from tlcore.datasets.dataset import Dataset, Sample
from tlcore.evaluation.batch_table import (
    Head,
    Score,
    agreement,
    baseline_of,
    baseline_score,
    head_score,
    table_of,
)
from tlcore.evaluation.evaluation import no_label
from tlcore.evaluation.intervals import share_of
from tlcore.models.answers import NetworkRef
from tlcore.models.baseline import Baseline
from tlcore.settings import Settings
from tlcore.text import csv_cell
from tlcore.training.parts import Parts, classes_of, parts_of, pictures_of
from tlcore.training.run import RunInfo
from tlcore.training.run_label import run_labels
from tlcore.training.store import list_runs
from tlcore.ui.compare.job import Job, Question, job_of, start, work_on
from tlcore.ui.compare.many_heat import heat_map_view
from tlcore.ui.compare.sides import Sides
from tlcore.ui.selecting import distinct
from tlcore.ui.sets import set_title, tiles
from tlcore.ui.state import Choice, choose
from tlcore.ui.words import count, duration, label, plain

ALL, TRAIN, VAL = "/all", "/train", "/val"  # no class is called so
WORDS = {ALL: "all of it", TRAIN: "its training part", VAL: "its validation part"}
REASONS = 5  # images that have no answer, named
FACES = 12  # pictures on which the sides disagree most, shown
ROWS_KEY = "many-table"


def many_view(dataset: Dataset, sides: Sides, settings: Settings) -> None:
    """Choose what to answer, answer what is not answered yet, and show what came of it."""
    if not sides.networks:
        return
    run = sides.runs[0] if sides.runs else None
    parts = parts_of(dataset, run) if len(dataset.classes) > 1 else {}
    samples, what = _which(dataset, parts)
    refs: tuple[NetworkRef, ...] = (sides.networks[0], *(info.ref for info in sides.runs))
    job, question = job_of(dataset.name), Question(what, refs, samples)
    missing = job.missing(question)
    if missing and job.question == question:
        work_on(job, question, settings)
        return
    answered = job.answered(question)
    if missing:
        _offer(job, question, len(missing), len(samples))
    for reason in [job.refused[s.sha256] for s in samples if s.sha256 in job.refused][:REASONS]:
        st.caption(f":material/warning: {plain(reason)}")
    if answered:
        baseline = _baseline(job, dataset, refs[0], parts)
        heads = [_head(info, settings) for info in sides.runs]
        _results(job, table_of(answered, heads, baseline, parts), heads, dataset, settings)


def _offer(job: Job, question: Question, missing: int, whole: int) -> None:
    """A button that answers what is missing; of a part, beside what has been answered."""
    if job.stopped == question:
        behind = f"Stopped after {whole - missing:,} of {count(whole, 'picture')}."
        st.info(behind, icon=":material/stop:")
    words = f"Answer {count(missing, 'picture')}"
    if missing < whole:
        words = f"Answer the other {missing:,} of {count(whole, 'picture')}"
    if st.button(words, type="primary", icon=":material/play_arrow:", key="many-start"):
        start(job, question)
        st.rerun()


def _baseline(job: Job, dataset: Dataset, imagenet: NetworkRef, parts: Parts) -> Baseline | None:
    """What ImageNet's classes stand for; None until all of the training part is answered."""
    train = [sample for sample in _once(dataset) if parts.get(sample.sha256) == "train"]
    counted = Question(TRAIN, (imagenet,), train)
    return None if job.missing(counted) else baseline_of(job.answered(counted), parts)


def _head(info: RunInfo, settings: Settings) -> Head:
    learned = frozenset(sample.sha256 for sample in pictures_of(info, "train"))
    return Head(run_labels(list_runs(settings))[info.id], classes_of(info), learned)


def _once(dataset: Dataset) -> list[Sample]:
    """Return the images of a dataset, of copies the first."""
    once = {sample.sha256: sample for sample in reversed(dataset.samples)}
    return sorted(once.values(), key=lambda sample: sample.file)


def _which(dataset: Dataset, parts: Parts) -> tuple[list[Sample], str]:
    samples = _once(dataset)
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
    job: Job, frame: pd.DataFrame, heads: list[Head], dataset: Dataset, settings: Settings
) -> None:
    if job.asked:
        st.caption(
            f"{count(job.asked, 'picture')} asked about in {duration(job.seconds)}: "
            f"{duration(job.seconds / job.asked)} each."
        )
    _figures(frame)
    _further(frame, heads)
    _faces(frame, dataset, settings)
    heat_map_view(frame)
    _table(frame, dataset)


def _figures(frame: pd.DataFrame) -> None:
    """The baseline beside the head, each with its doubt, and how often they agree."""
    base, head = baseline_score(frame), head_score(frame)
    left, middle, right = st.columns(3, gap="medium")
    with left:
        if base.images and frame["imagenet_as_label"].notna().any():
            _score(
                ":blue[●] ImageNet alone, no head",
                base,
                "Each ImageNet class stands for the label it most often goes with in the training "
                "part, a class not met there for the label of its group (dogs, birds, vehicles "
                "…); judged on the validation part.",
            )
            if base.unlabelled:
                st.caption(f"{no_label(base.unlabelled)}.")
        elif frame["label"].isna().all():
            st.caption("These pictures have no label: nobody can know which answers are right.")
        else:
            st.caption("Answer all of the data set to see how far ImageNet's classes alone come.")
    with middle:
        if head.images:
            _score(":orange[●] Your own head", head)
        elif "head" in frame and base.images:
            st.caption(
                "Your own head is not judged here: it has learned from these pictures, or does "
                "not know their classes."
            )
    with right:
        both = agreement(frame)
        if both.images:
            st.metric("They agree on", share_of(both.right, both.images).short)
            st.caption(
                f"of {both.images:,} of {count(len(frame), 'picture')}: those for which ImageNet's "
                "class stands for one of the head's classes"
            )


def _score(title: str, score: Score, words: str = "") -> None:
    st.metric(title, share_of(score.right, score.images).short, help=words or None)
    st.caption(
        f"of {count(score.images, 'labelled picture')} of the validation part that it has not "
        "learned from"
    )


def _further(frame: pd.DataFrame, heads: list[Head]) -> None:
    """The other heads' accuracies, where there are several."""
    for number, head in enumerate(heads[1:], start=2):
        score = head_score(frame, number)
        if score.images:
            st.caption(
                f":orange[●] Head {number}, {plain(head.title)}: "
                f"{share_of(score.right, score.images).words} of the validation part"
            )


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
